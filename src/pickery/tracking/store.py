"""Where MLflow keeps runs: the local database or a server, its client, and its pages."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
from pathlib import Path
from typing import Any

from pickery.errors import InputError


def quiet_mlflow() -> None:
    """Keep MLflow from phoning home, from long retries and from chatter; what the user has set stays."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # its errors come back as exceptions, of which Pickery tells; logged as well they are pages of traceback
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])  # where it was imported before
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    logging.getLogger("alembic").setLevel(logging.ERROR)


def store_uri(root: Path, uri: str | None) -> str:
    """Give the tracking server's address: the stated one, else the SQLite database under ``root``."""
    return uri if uri is not None else f"sqlite:///{root.resolve() / 'mlflow.db'}"


def create_store(root: Path) -> None:
    """Create the local database, one process at a time: a fresh one opened by several at once breaks."""
    from filelock import FileLock

    root = root.resolve()
    database = root / "mlflow.db"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".mlflow.lock", timeout=120):
            if not database.exists():
                for leftover in root.glob(".mlflow.db.*"):
                    leftover.unlink()
                # under another name: half a database, left by a full disk or a kill, would never be mended;
                # a new one each time: MLflow holds on to what it opened by a name
                partial = root / f".mlflow.db.{secrets.token_hex(4)}"
                client(f"sqlite:///{partial}").search_experiments(max_results=1)
                partial.replace(database)
    except OSError as error:
        raise InputError(
            f"tracking.root={root} cannot be written ({error.strerror or error}): "
            "choose another folder, or tracking=off to do without"
        ) from error


def client(uri: str) -> Any:
    """Give MLflow's client for a store."""
    quiet_mlflow()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def reason(error: BaseException) -> str:
    """Say in a line what is at the root of an error."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    words = " ".join(str(error).split())
    if found := re.search(r"out-of-date database schema \(found version (\w+)", words):
        return _of_another_version(found[1])
    return words[:200] or type(error).__name__


def _of_another_version(revision: str) -> str:
    """Say what to do with a database whose tables another MLflow has laid out."""
    from importlib.util import find_spec

    from mlflow import __version__

    spec = find_spec("mlflow.store.db_migrations")
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    if any(list(Path(place).glob(f"versions/{revision}*.py")) for place in places):
        return (
            f"its database was made by an older MLflow than this one, {__version__}: copy mlflow.db aside, then "
            "`python -m mlflow db upgrade sqlite:///PATH/TO/mlflow.db` brings it up to date"
        )
    return (
        f"its database was made by a newer MLflow than this one, {__version__}, which does not know its tables: "
        "install that MLflow, or begin another folder"
    )


VIEW = "pickery"
COLUMNS = (
    *("metrics.`best/pick_average_precision`", "metrics.`best/pick_f1`", "metrics.`best/auprc`"),
    *("metrics.`best/precision`", "params.`model.architecture`", "params.`loss.objective`"),
    *("params.`optimizer.learning_rate`", "params.`data.expected_particles`", "params.`data.radius`"),
    *("params.`preprocess.downsample`", "tags.`engine`"),
)
"""What the table of runs shows as it opens, by MLflow's own names of its columns."""


def experiment_page(root: Path, uri: str | None, experiment: str) -> str:
    """Give the page of an experiment's runs, as the address after the server's name.

    It opens with the columns that matter, as a view shared from the page itself would: kept in a tag of the experiment.
    """
    store = client(store_uri(root, uri))
    found = store.get_experiment_by_name(experiment)
    if found is None:
        raise InputError(f"there is no experiment {experiment!r}: pickery train makes one, or set tracking.experiment")
    # without the type of work the page opens in a view made for language models
    page = f"#/experiments/{found.experiment_id}/runs?workflowType=machine_learning"
    tag, view = f"mlflow.sharedViewState.{VIEW}", json.dumps({"selectedColumns": COLUMNS})
    try:
        if found.tags.get(tag) != view:
            store.set_experiment_tag(found.experiment_id, tag, view)
    except Exception:  # a store that may only be read: the page opens with MLflow's own columns
        return page
    return f"{page}&viewStateShareKey={VIEW}"
