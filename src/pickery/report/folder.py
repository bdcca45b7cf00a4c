"""Reads a run's folder, a training's or a cross-validation's, for its page."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pickery.config.recorded import read_settings
from pickery.errors import InputError
from pickery.report.reading import Remark, read_curves

NEEDED = ("summary.json", "config.yaml", "micrographs.csv")
OF_A_CROSS_VALIDATION = ("cross_validation.csv", "study.journal")
"""One of which tells its folder from a training's."""


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
        There is no such folder, no run in it, the run is not finished, or what it wrote is damaged.
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
        folder = summary["final"].get("folder") if isinstance(summary["final"], dict) else None
        if not isinstance(folder, str) or Path(folder).name != folder or folder in ("", ".."):  # they lie within it
            raise damaged(path / "summary.json", "it names no final training")
        # more epochs make another cross-validation, whose trainings begin at the beginning
        return CrossValidated(path, settings, summary, _training(path / folder, alone=False))
    return _training(path)


def damaged(path: Path, why: object) -> InputError:
    """Say that a file of a run's folder is not as the run wrote it."""
    mend = f"remove {path.parent}, and its command trains it again"
    if any((path.parent / name).exists() for name in OF_A_CROSS_VALIDATION):  # all that it has follows from the others
        mend = "remove it, and the command that cross-validated writes it again"
    return InputError(f"{path} is damaged ({' '.join(str(why).split())[:200]}): {mend}")


def _training(path: Path, *, alone: bool = True) -> Training:
    missing = next((name for name in (*NEEDED, "metrics.csv") if not (path / name).exists()), None)
    if missing is not None:
        raise InputError(
            f"{path / missing} is missing, and without it there is nothing to report: remove {path}, and its command "
            "trains it again"
        )
    summary, settings = _json(path / "summary.json"), _yaml(path / "config.yaml")
    epochs = [{name: _number(text) for name, text in row.items()} for row in _rows(path / "metrics.csv")]
    if not epochs:
        raise damaged(path / "metrics.csv", "it has no epoch")
    micrographs = _rows(path / "micrographs.csv")
    try:
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
    except Exception as error:  # files that were changed may lack anything
        raise damaged(path / "summary.json", f"or what lies beside it: {type(error).__name__} {error}") from error
    return Training(path, settings, summary, epochs, micrographs, remarks)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, error) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(found, dict):
        raise damaged(path, "it holds no names and values")
    return found


def _yaml(path: Path) -> dict[str, Any]:
    try:
        return read_settings(path)
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(_text(path).split("\n")))
    except csv.Error as error:
        raise damaged(path, error) from error
    if any(None in row or None in row.values() for row in rows):
        raise damaged(path, "a row does not fit its columns")
    return rows


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan
