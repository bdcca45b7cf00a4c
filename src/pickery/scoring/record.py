"""What a scoring leaves behind: summary.json, micrographs.csv and plots, in a folder of its own."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pickery.atomic import write_text
from pickery.config.schema import ScoreGroup
from pickery.errors import InputError
from pickery.scoring.compare import Comparison
from pickery.scoring.sides import Sides

KIND = "score"
COLUMNS = (
    *("micrograph", "particles", "candidates", "hits", "misses", "extras", "precision", "recall", "f1"),
    *("centre_error_px", "centre_error_angstrom"),
)
NOTE = "labels may be partial: precision and what follows are lower bounds"


def folder_for(settings: ScoreGroup) -> Path:
    """Give the folder to write to: the one asked for, or ``scores/NAME-HASH``, the same for the same settings.

    Raises
    ------
    InputError
        What is there is not a scoring's.
    """
    if settings.out is None:
        picks = settings.picks if isinstance(settings.picks, str) else (settings.picks or ("picks",))[0]
        name = os.path.basename(os.path.abspath(picks)).partition("*")[0].rstrip("._-") or "picks"
        said = json.dumps(settings.model_dump(mode="json", exclude={"out"}), sort_keys=True)
        return Path("scores") / f"{name}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"
    folder = Path(settings.out).expanduser()
    if folder.is_file():
        raise InputError(f"score.out={settings.out} is a file: give a folder, which is made if need be.")
    present = {"summary.json", "run.json", "model.ckpt", "micrographs.csv"} & set(
        os.listdir(folder) if folder.is_dir() else ()
    )
    if present and not _is_ours(folder):
        raise InputError(
            f"score.out={settings.out} holds something else ({sorted(present)[0]}): give a folder of its own."
        )
    return folder


def _is_ours(folder: Path) -> bool:
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(summary, dict) and summary.get("kind") == KIND


def summarise(settings: ScoreGroup, sides: Sides, done: Comparison) -> dict[str, Any]:
    """Give what ``summary.json`` says; under ``picks`` the names that a run's own summary uses."""
    found, pixel, ranked = done.metrics, sides.pixel_size_angstrom, sides.ranked
    return {
        "kind": KIND,
        "settings": settings.model_dump(mode="json"),
        "radius_px": found.radius,
        "pixel_size_angstrom": pixel,
        "micrographs": len(sides.names),
        "micrographs_without_picks": len(sides.unpicked),
        "particles": found.targets,
        "candidates": found.candidates,
        "picks": {
            "pick_average_precision": _number(found.average_precision) if ranked else None,
            "pick_f1": _number(found.f1),
            "pick_threshold": _number(found.threshold) if ranked else None,
            "pick_precision": _number(found.precision),
            "pick_recall": _number(found.recall),
            "pick_centre_error_px": _number(found.centre_error_px),
            "pick_centre_error_angstrom": _number(found.centre_error_px * pixel) if pixel else None,
            "hits": found.hits,
            "misses": found.misses,
            "extras": found.extras,
            "note": NOTE,
        },
        "best_f1": _number(done.best_f1),
        "best_threshold": _number(done.best_threshold),
        "mean_offset_px": [_number(value) for value in done.offsets.mean(axis=0)] if len(done.offsets) else None,
        "remarks": [*sides.remarks, *done.remarks],
    }


def write(folder: Path, summary: Mapping[str, Any], sides: Sides, done: Comparison) -> list[Path]:
    """Write the summary, the table and the plots; plots of an earlier scoring that this one has not are removed.

    Raises
    ------
    InputError
        The folder cannot be made.
    """
    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made ({error.strerror or error}): give another score.out.") from error
    write_text(folder / "micrographs.csv", _table(sides, done))
    plots = _plots(folder / "plots", sides, done)
    write_text(folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    return plots


def _table(sides: Sides, done: Comparison) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    pixel = sides.pixel_size_angstrom
    writer.writerow(COLUMNS)
    for row in done.metrics.micrographs:
        figures = [row.precision, row.recall, row.f1, row.centre_error_px]
        figures.append(row.centre_error_px * pixel if pixel else math.nan)
        counts = [row.hits + row.misses, len(sides.picks[row.name]), row.hits, row.misses, row.extras]
        writer.writerow([row.name, *counts, *("" if value != value else f"{value:.6g}" for value in figures)])
    return text.getvalue()


def _plots(folder: Path, sides: Sides, done: Comparison) -> list[Path]:
    from pickery.plots.centre_offsets import plot_centre_offsets
    from pickery.plots.hit_scores import plot_hit_scores
    from pickery.plots.micrograph_scores import plot_micrograph_scores
    from pickery.plots.precision_recall import plot_precision_recall
    from pickery.plots.style import save_figure

    rows, found = done.metrics.micrographs, done.metrics
    figures = {
        "micrographs": plot_micrograph_scores(
            [row.name for row in rows],
            [row.precision for row in rows],
            [row.recall for row in rows],
            [row.f1 for row in rows],
        ),
        "centre_offsets": plot_centre_offsets(
            done.offsets, radius=found.radius, pixel_size_angstrom=sides.pixel_size_angstrom
        ),
    }
    if sides.ranked:
        figures["precision_recall"] = plot_precision_recall(
            found.curve, average_precision=found.average_precision, threshold=found.threshold
        )
        figures["scores"] = plot_hit_scores(done.hit_scores, done.extra_scores, threshold=found.threshold)
    for name in ("precision_recall", "scores"):
        if name not in figures:
            (folder / f"{name}.png").unlink(missing_ok=True)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        save_figure(figure, paths[-1])
    return paths


def _number(value: float) -> float | None:
    """JSON has no nan."""
    return float(value) if np.isfinite(value) else None
