"""Reads a run's folder, a training's or a cross-validation's, for its page."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pickery.errors import InputError
from pickery.report.reading import Remark, read_curves

NEEDED = ("summary.json", "config.yaml", "micrographs.csv")


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes
    ----------
    path
        Its folder.
    settings
        All settings, as ``config.yaml`` has them.
    summary
        What ``summary.json`` says.
    epochs
        The rows of ``metrics.csv``, figures by column.
    micrographs
        The rows of ``micrographs.csv``.
    remarks
        What the curves show.
    """

    path: Path
    settings: Mapping[str, Any]
    summary: Mapping[str, Any]
    epochs: Sequence[Mapping[str, float]]
    micrographs: Sequence[Mapping[str, str]]
    remarks: Sequence[Remark]


@dataclass(frozen=True)
class CrossValidated:
    """A finished cross-validation.

    Attributes
    ----------
    path
        Its folder.
    settings, summary
        Likewise.
    final
        The final training.
    """

    path: Path
    settings: Mapping[str, Any]
    summary: Mapping[str, Any]
    final: Training


def read_run(path: Path) -> Training | CrossValidated:
    """Read a run's folder.

    Raises
    ------
    InputError
        There is no such folder, no run in it, or the run is not finished.
    """
    if path.is_file() and path.name == "model.ckpt":
        path = path.parent
    if not path.is_dir():
        raise InputError(f"report.run={path} is no folder: give the folder of a run, such as runs/train-mine")
    if not (path / "run.json").exists():
        raise InputError(f"report.run={path} holds no run (there is no run.json): give the folder of a training")
    if not (path / "summary.json").exists():
        raise InputError(
            f"report.run={path} is not finished (there is no summary.json): the command that began it takes it up again"
        )
    summary = _json(path / "summary.json")
    settings = _yaml(path / "config.yaml")
    if "final" in summary:
        # more epochs make another cross-validation, whose trainings begin at the beginning
        final = _training(path / str(summary["final"]["folder"]), alone=False)
        return CrossValidated(path, settings, summary, final)
    return _training(path)


def _training(path: Path, *, alone: bool = True) -> Training:
    missing = next((name for name in (*NEEDED, "metrics.csv") if not (path / name).exists()), None)
    if missing is not None:
        raise InputError(f"{path / missing} is missing, and without it there is nothing to report: train again")
    summary, settings = _json(path / "summary.json"), _yaml(path / "config.yaml")
    epochs = [{name: _number(text) for name, text in row.items()} for row in _rows(path / "metrics.csv")]
    remarks = read_curves(
        epochs,
        monitor=str(summary["monitor"]),
        best=int(summary["best_epoch"]),
        summary=summary,
        partial_labels=str(summary["picks"]["note"]).startswith("labels may be partial"),
        goes_on=alone
        and settings["optimizer"]["schedule"] == "constant"
        and (settings.get("engine") or {}).get("name", "native") == "native",
    )
    return Training(path, settings, summary, epochs, _rows(path / "micrographs.csv"), remarks)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): train again") from error
    assert isinstance(found, dict)
    return found


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path} is damaged ({' '.join(str(error).split())}): train again") from error
    assert isinstance(found, dict)
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan
