"""A cross-validation's results for programs: ``cross_validation.csv``, and what its summary says. Pure.

Every digit is kept and no wall-clock time, so that equal results make equal files.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pickery.decimals import Number, word
from pickery.evaluation.names import AUPRC, PICK_AVERAGE_PRECISION, PICK_F1, PRECISION

if TYPE_CHECKING:
    from pickery.cross_validation.results.table import Outcome, Row, Table

FIGURES: Final = (PRECISION, AUPRC, PICK_AVERAGE_PRECISION, PICK_F1)
"""The figures over all regions and at pick level that stand beside the monitored one."""


def as_csv(table: Table) -> str:
    """Write a row for each value and fold.

    `monitored_…` is the figure that ranks the values: of every n-th region, at the epoch where it is best. Its mean and
    standard error over the folds are the value's, repeated in each of its rows. `precision` and what follows are of
    that same epoch, over all regions and at pick level. What is not known is empty; nan was
    measured so.
    """
    monitored = f"monitored_{table.monitor}"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *(axis.parameter for axis in table.grid.axes),
            *("fold", "state", "best_epoch", "epochs", monitored, *FIGURES, "objective"),
            *(f"mean_{monitored}", f"standard_error_{monitored}", "folder"),
        ]
    )
    for row in table.rows:
        of_value = ["" if math.isnan(number) else _digits(number) for number in (row.mean, row.standard_error)]
        for fold, outcome in enumerate(row.folds):
            numbers = [word(number) for number in row.numbers]
            writer.writerow([*numbers, fold, *_cells(outcome), *of_value, "" if outcome is None else outcome.folder])
    return text.getvalue()


def _cells(outcome: Outcome | None) -> list[str]:
    if outcome is None:
        return ["waiting", *[""] * (4 + len(FIGURES))]
    figures = [outcome.monitored, *(outcome.figures.get(name) for name in FIGURES)]
    epochs = ["" if epoch is None else str(epoch) for epoch in (outcome.best_epoch, outcome.epochs)]
    return [outcome.state, *epochs, *map(_digits, figures), outcome.objective or ""]


def as_json(table: Table) -> dict[str, Any]:
    """Give the results as JSON takes them, nan as None.

    `difference` is how much better the best value is than the next, above 0 whichever way is better, and
    `difference_spread` the standard deviation of that difference between the folds.
    """
    best, second = table.winner, table.runner_up
    against = table.compare(best, second) if best and second else None
    return {
        "monitor": table.monitor,
        "better": table.metric.better,
        "folds": table.grid.folds,
        "complete": table.complete,
        "trainings": asdict(table.progress) | {"total": table.progress.total},
        "best": best and _setting(table, best),
        "mean": best and _number(best.mean),
        "standard_error": best and _number(best.standard_error),
        "next": second and _setting(table, second),
        "difference": against and _number(against.difference),
        "difference_spread": against and _number(against.spread),
        "told_apart": against and against.told_apart,
        "values": [
            {
                "setting": _setting(table, row),
                "state": row.state,
                "monitored": [None if figure is None else _number(figure) for figure in row.monitored],
                "mean": _number(row.mean),
                "standard_error": _number(row.standard_error),
                "auprc": _number(row.auprc),
                "auprc_standard_error": _number(row.auprc_standard_error),
                "pick_average_precision": _number(row.pick_average_precision),
                "objectives": list(row.objectives),
                "mixed_objectives": row.mixed,
            }
            for row in table.rows
        ],
        "verdict": table.verdict(),
    }


def _setting(table: Table, row: Row) -> dict[str, Number]:
    return {axis.parameter: number for axis, number in zip(table.grid.axes, row.numbers, strict=True)}


def _digits(number: float | None) -> str:
    """Every digit: a figure read back is the figure."""
    return "" if number is None else repr(float(number))


def _number(number: float) -> float | None:
    """JSON has no nan."""
    return float(number) if math.isfinite(number) else None
