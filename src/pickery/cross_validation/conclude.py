"""The end of a cross-validation: its table, plots, summary and tracked run, and the final model on top."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pickery.atomic import atomic_path, write_text
from pickery.cross_validation.bench import SUMMARY, TABLE, Bench
from pickery.cross_validation.results.halving import saved
from pickery.cross_validation.results.record import FIGURES
from pickery.cross_validation.results.table import Row, Table
from pickery.errors import RunFolderError
from pickery.evaluation.names import AUPRC, METRICS, PICK_AVERAGE_PRECISION, PRECISION
from pickery.plots.cross_validation import plot_cross_validation
from pickery.plots.fold_curves import Curve, plot_fold_curves
from pickery.plots.style import save_figure
from pickery.tracking import Tracker
from pickery.training.listener import Listener
from pickery.training.record import UNREADABLE


def write_table(bench: Bench, table: Table) -> None:
    """Write ``cross_validation.csv`` as far as it is known."""
    write_text(bench.path / TABLE, table.csv())


def track_values(bench: Bench, table: Table, listener: Listener) -> None:
    """Record the means of the values that are done: a metric whose steps are the values, in order, from 1."""
    tracker = bench.tracker(listener)
    known = tracker.steps(f"mean/{bench.monitor}")
    for row in table.rows:
        if row.state == "done" and row.value + 1 not in known:
            tracker.metrics(_figures(bench, row), step=row.value + 1)


def conclude(bench: Bench, table: Table, listener: Listener) -> dict[str, Any]:
    """Write and track what a finished cross-validation leaves; gives its summary, which is to be written last."""
    winner = table.winner
    assert winner is not None
    final = bench.final_folder(winner.value)
    of_final = summary_of(final)
    plots = write_plots(bench, table, final)
    for name in ("model.ckpt", "micrographs.csv"):
        with atomic_path(bench.path / name) as temporary:
            shutil.copyfile(final / name, temporary)
    write_table(bench, table)
    summary = table.summary() | {
        "parameter": [axis.parameter for axis in bench.grid.axes],
        "folds": bench.grid.folds,
        "final": {
            "folder": final.name,
            **{name: of_final[name] for name in ("best_epoch", "epochs", "monitored", "regions", "picks", "objective")},
            "tracked_run": of_final["tracked_run"],
        },
        "tracked_run": bench.parent,
    }
    if len(bench.ladder) > 1:
        trained, without = saved(bench.ladder, bench.grid.folds, bench.config.trainer.epochs)
        summary["halving"] = {"epochs_trained": trained, "epochs_without": without}
    _track(bench, table, of_final, plots, listener)
    with TemporaryDirectory(prefix="pickery-") as aside:
        _write(Path(aside) / SUMMARY, summary)
        bench.tracker(listener).artifacts([Path(aside) / SUMMARY])
    return summary


def summary_of(training: Path) -> Mapping[str, Any]:
    """Read what a finished training of the cross-validation found out.

    Raises
    ------
    RunFolderError
        When it is missing or damaged.
    """
    file = training / SUMMARY
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        numbers = [found["best_epoch"], found["epochs"], found["monitored"], *found["regions"].values()]
        numbers += [number for name, number in found["picks"].items() if name != "note"]
        right = all(isinstance(number, int | float | None) for number in numbers)
        right = right and isinstance(found["tracked_run"], str | None) and "used" in found["objective"]
    except (OSError, *UNREADABLE) as error:
        raise _damaged(file, training) from error
    if not right:
        raise _damaged(file, training)
    assert isinstance(found, dict)
    return found


def _damaged(file: Path, training: Path) -> RunFolderError:
    return RunFolderError(f"{file} is missing or damaged: remove {training}, and the same command trains it again")


def write_summary(bench: Bench, summary: Mapping[str, Any]) -> None:
    """Write ``summary.json``, whose presence says that the cross-validation is finished."""
    _write(bench.path / SUMMARY, summary)


def write_plots(bench: Bench, table: Table, final: Path) -> list[Path]:
    """Draw the values against their figures, and the curves of all trainings on one sheet."""
    rows = table.rows
    best = None if table.winner is None else table.winner.value
    beside = {
        name: [[_number(one.figures.get(name) if one else None) for one in row.folds] for row in rows]
        for name in FIGURES
        if name != bench.monitor
    }
    values = plot_cross_validation(
        bench.grid.values,
        [[_number(figure) for figure in row.monitored] for row in rows],
        parameter=[axis.parameter for axis in bench.grid.axes],
        monitor=bench.monitor,
        best=best,
        beside=beside,
        unchanged=table.unchanged,
        failed=[row.value for row in rows if row.state == "failed"],
        stopped=[row.value for row in rows if row.state == "stopped"],
        mixed=[row.value for row in rows if row.mixed],
    )
    curves = plot_fold_curves(
        [[_curve(bench, bench.path / one.folder) if one else None for one in row.folds] for row in rows],
        [row.label for row in rows],
        monitor=bench.monitor,
        best=best,
        final=_curve(bench, final),
    )
    paths = [bench.path / "plots" / f"{name}.png" for name in ("cross_validation", "curves")]
    for path, figure in zip(paths, (values, curves), strict=True):
        save_figure(figure, path)
    return paths


def _curve(bench: Bench, folder: Path) -> Curve | None:
    """Read a training's figures over its epochs; None of one that has none."""
    path, monitor = folder / "metrics.csv", bench.monitor
    if not path.exists():
        return None
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        held_out = [_number(row.get(f"test_{monitor}")) for row in rows]
        training = [_number(row.get(f"train_{monitor}")) for row in rows]
        epochs = [int(row["epoch"]) for row in rows]
    except UNREADABLE as error:
        raise RunFolderError(
            f"{path} is damaged: remove it, and the same command draws the curves of the other trainings"
        ) from error
    judged = training if all(figure != figure for figure in held_out) else held_out
    best = None
    for epoch, figure in zip(epochs, judged, strict=True):
        if best is None or METRICS[monitor].is_improvement(figure, best[1]):
            best = (epoch, figure)
    # a minibatch's precision is of another scale: drawn only where there is nothing else
    only = training if judged is training else None
    return Curve(epochs, held_out, None if best is None else best[0], only)


def _write(path: Path, summary: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(summary, indent=1) + "\n")


def _number(text: str | float | None) -> float:
    return float("nan") if text in ("", None) else float(text)


def _track(bench: Bench, table: Table, final: Mapping[str, Any], plots: Sequence[Path], listener: Listener) -> None:
    winner = table.winner
    assert winner is not None
    track_values(bench, table, listener)
    tracker: Tracker = bench.tracker(listener)
    best = {f"best/{name}": final["regions"][name] for name in (PRECISION, AUPRC)}
    best |= {f"best/{name}": value for name, value in final["picks"].items() if isinstance(value, (int, float))}
    best |= {f"best/mean_{bench.monitor}": winner.mean}
    tracker.metrics({name: value for name, value in best.items() if value is not None}, step=0)
    tracker.tags(
        {
            "cross_validation.winner": winner.label,
            # what the UI shows above the figures
            "mlflow.note.content": "\n\n".join([*table.verdict(), "```\n" + "\n".join(table.lines()) + "\n```"])[:5000],
        }
        | {
            f"cross_validation.best_{axis.short}": str(number)
            for axis, number in zip(bench.grid.axes, winner.numbers, strict=True)
        }
    )
    tracker.artifacts(plots, "plots")
    tracker.artifacts([bench.path / name for name in (TABLE, "micrographs.csv")])
    tracker.artifacts([bench.path / "model.ckpt"], "model")


def _figures(bench: Bench, row: Row) -> dict[str, float]:
    figures = {f"mean/{AUPRC}": row.auprc, f"mean/{PICK_AVERAGE_PRECISION}": row.pick_average_precision}
    # the one that ranks is of every n-th region, as in the epochs' figures
    figures |= {f"mean/{bench.monitor}": row.mean, f"standard_error/{bench.monitor}": row.standard_error}
    for axis, number in zip(bench.grid.axes, row.numbers, strict=True):
        figures[f"value/{axis.short}"] = float(number)
    return figures
