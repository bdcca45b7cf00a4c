"""What is kept with tracked runs: models found by their addresses and brought here, and files added later."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pickery.errors import InputError
from pickery.tracking.store import client, quiet_mlflow, reason, store_uri

MODEL_ENDINGS = (".ckpt", ".sav")


def is_tracked(source: str) -> bool:
    """Whether a name is an address of a tracked run or a registered model; a bare run's identifier is one too."""
    return source.startswith(("runs:", "models:")) or re.fullmatch(r"[0-9a-f]{32}", source) is not None


def fetch_model(source: str, *, root: Path, uri: str | None, into: Path, setting: str) -> Path:
    """Copy a tracked or registered model to a folder.

    Parameters
    ----------
    source
        ``runs:/ID`` or a bare ID, with ``/PATH`` behind it for another artifact than the run's model;
        ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or ``models:/ID``.
    root
        Folder of the local database; used when ``uri`` is None.
    uri
        A tracking server instead.
    into
        An empty folder.
    setting
        The setting that named the model, for messages.

    Returns
    -------
    Path
        The model's file: there, or in the local store itself.

    Raises
    ------
    InputError
        If there is no such run or model, it holds no model's file, or the store does not answer.
    """
    where = _where(source, root, uri, setting)
    address = source if ":" in source else f"runs:/{source}"
    kind, _, name = address.partition(":")
    name = name.lstrip("/")
    if not name:
        raise InputError(f"{setting}={source} names no {'run' if kind == 'runs' else 'model'}: write {kind}:/NAME.")
    if kind == "runs" and "/" not in name.rstrip("/"):
        name = f"{name.rstrip('/')}/model"
    quiet_mlflow()
    store = store_uri(root, uri)
    from mlflow.artifacts import download_artifacts

    try:
        artifacts = _artifacts_of_run(client(store), name) if kind == "runs" else _artifacts_of(client(store), name)
        moved = _beneath(root, *name.split("/", 1)) if kind == "runs" and uri is None else None
        found = moved or Path(download_artifacts(artifact_uri=artifacts, dst_path=str(into), tracking_uri=store))
    except Exception as error:  # whatever a store or a server may raise
        raise InputError(
            f"{setting}={source} cannot be had from {where} ({reason(error)}): `pickery ui` shows the runs and models "
            "that are there"
        ) from error
    files = [found] if found.is_file() else sorted(found.rglob("*"))
    models = [path for path in files if path.suffix in MODEL_ENDINGS]
    if len(models) != 1:
        what = "no model's file" if not models else f"{len(models)} models' files"
        raise InputError(
            f"{setting}={source} holds {what}: name a run that has ended, or the file itself as runs:/ID/PATH"
        )
    return models[0]


@dataclass(frozen=True)
class Record:
    """What is read of a tracked run: one of its files, copied, and its tags."""

    path: Path
    tags: Mapping[str, str]


def fetch_record(source: str, name: str, *, root: Path, uri: str | None, into: Path, setting: str) -> Record:
    """Copy a file of a tracked run to a folder, and give the run's tags.

    Parameters
    ----------
    source
        ``runs:/ID`` or a bare ID.
    name
        The artifact.
    root, uri, into, setting
        As for `fetch_model`.

    Raises
    ------
    InputError
        If there is no such run, it has no such file, or the store does not answer.
    """
    where = _where(source, root, uri, setting)
    run_id = source.removeprefix("runs:").strip("/")
    if re.fullmatch(r"[0-9a-f]{32}", run_id) is None:
        raise InputError(f"{setting}={source} is no run's address: write runs:/ID, or the run's folder")
    quiet_mlflow()
    store = client(store_uri(root, uri))
    try:
        tags = dict(store.get_run(run_id).data.tags)
        moved = None if uri is not None else _beneath(root, run_id, name)
        path = moved or Path(store.download_artifacts(run_id, name, str(into)))
    except Exception as error:  # whatever a store or a server may raise
        raise InputError(
            f"{setting}={source} cannot be had from {where} ({reason(error)}): `pickery ui` shows the runs that are "
            "there"
        ) from error
    return Record(path, tags)


def _where(source: str, root: Path, uri: str | None, setting: str) -> str:
    """Name the store by its setting, and refuse one that is not there."""
    where = f"tracking.uri={uri}" if uri is not None else f"tracking.root={root}"
    if uri is None and not (root / "mlflow.db").exists():
        raise InputError(f"{setting}={source}: {where} holds no tracked runs; say where they are kept by {where}")
    return where


def keep_with_run(run_id: str, path: Path, *, root: Path, uri: str | None) -> str | None:
    """Keep a file with a tracked run that may have ended; gives what went wrong, None if nothing did."""
    if uri is None and not (root / "mlflow.db").exists():
        return f"tracking.root={root} holds no tracked runs"
    quiet_mlflow()
    try:
        client(store_uri(root, uri)).log_artifact(run_id, str(path))
    except Exception as error:  # whatever a store or a server may raise
        return reason(error)
    return None


def _beneath(root: Path, run_id: str, name: str) -> Path | None:
    """Find a run's file under the local store itself: MLflow looks where that was when the run was made."""
    return next(root.glob(f"artifacts/*/{run_id}/artifacts/{glob.escape(name)}"), None)


def _artifacts_of_run(store: Any, name: str) -> str:
    """Give the address of a run's artifact, ``ID/PATH``."""
    run_id = name.partition("/")[0]
    store.get_run(run_id)  # says plainly that there is no such run
    return f"runs:/{name}"


def _artifacts_of(store: Any, name: str) -> str:
    """Give the address of the artifacts of a registered model, ``NAME@ALIAS`` or ``NAME/VERSION``, or a logged one.

    By hand: MLflow looks for these in the store of the whole process, whatever it is told.
    """
    model, at, alias = name.rpartition("@")
    if at:
        version = store.get_model_version_by_alias(model, alias)
    elif "/" in name:
        version = store.get_model_version(*name.rsplit("/", 1))
    else:
        return str(store.get_logged_model(name).artifact_location)
    source = str(store.get_model_version_download_uri(version.name, version.version))
    # a version is most often of a logged model
    return _artifacts_of(store, source.removeprefix("models:/")) if source.startswith("models:/") else source
