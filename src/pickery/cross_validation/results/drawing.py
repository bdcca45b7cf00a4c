"""The results of a cross-validation as aligned plain text, for terminals, logs and reports. Pure."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Final

from pickery.decimals import word

if TYPE_CHECKING:
    from pickery.cross_validation.results.table import Outcome, Row, Table

WIDTH: Final = 100
MOST_FOLDS: Final = 6
"""With more folds than this their own figures are left out."""
WAITING, RUNNING, FAILED = "-", "...", "fail"


def lines(table: Table) -> list[str]:
    """Draw the table, a line for each value, and explain its signs below.

    Each fold's figure stands in a column of its own; where they are too many, or too wide for `WIDTH` columns, how
    many there are, the lowest and the highest take their place.
    """
    every_fold = table.grid.folds <= MOST_FOLDS and _width(_columns(table, every_fold=True)) <= WIDTH
    columns = _columns(table, every_fold=every_fold)
    drawn = [
        "  ".join(cell.rjust(width) for cell, width in zip(cells, map(_widest, columns), strict=True)).rstrip()
        for cells in zip(*columns, strict=True)
    ]
    return [*drawn, *_legend(table, every_fold=every_fold)]


def places(table: Table) -> int:
    """Give the number of decimals that tells the monitored figures apart: three, or more where they are close."""
    figures = [figure for row in table.rows for figure in row.monitored if figure is not None and math.isfinite(figure)]
    if not figures:
        return 3
    sizes = (max(figures) - min(figures), max(map(abs, figures)))
    # about two digits of the range; twice its size, so that a range of 0.01 is not at the limit of a power of ten
    return min(max([3, *(1 - math.floor(math.log10(2 * size)) for size in sizes if size > 0)]), 6)


def measured(number: float, error: float, decimals: int) -> str:
    """Write a figure with its standard error, where that is known."""
    return f"{number:.{decimals}f}" + ("" if math.isnan(error) else f" ± {error:.{decimals}f}")


def figure_words(monitor: str) -> str:
    """Name a metric as it is typed, in separate words."""
    return monitor.replace("_", " ").replace(" f1", " F1")


def _columns(table: Table, *, every_fold: bool) -> list[list[str]]:
    """Give each column's cells, two lines of heading first."""
    rows, decimals, single = table.rows, places(table), table.grid.folds == 1
    columns = [["", "", *("*" if row is table.winner else "" for row in rows)]]
    columns += [
        [*_two_lines(axis.short), *(word(row.numbers[number]) for row in rows)]
        for number, axis in enumerate(table.grid.axes)
    ]
    if single:
        columns.append(["held-out", figure_words(table.monitor), *(_fold(row.folds[0], decimals) for row in rows)])
    elif every_fold:
        columns += [
            ["fold", str(fold), *(_fold(row.folds[fold], decimals) for row in rows)] for fold in range(table.grid.folds)
        ]
    else:
        known = [[number for number in row.monitored if number is not None] for row in rows]
        columns.append(["folds", "done", *(_done(row) for row in rows)])
        columns.append(["", "lowest", *(f"{min(own):.{decimals}f}" if own else WAITING for own in known)])
        columns.append(["", "highest", *(f"{max(own):.{decimals}f}" if own else WAITING for own in known)])
    if not single:
        columns.append(["", "mean ± s.e.", *(_mean(row.mean, row.standard_error, decimals) for row in rows)])
    columns.append(["", "auprc", *(_mean(row.auprc, math.nan, 3) for row in rows)])
    columns.append(["pick", "AP", *(_mean(row.pick_average_precision, math.nan, 3) for row in rows)])
    if any(notes := _notes(table)):
        numbers = [[f"[{1 + number}]" for number, (kind, _) in enumerate(notes) if kind in _kinds(row)] for row in rows]
        columns.append(["", "", *(" ".join(own) for own in numbers)])
    return columns


def _legend(table: Table, *, every_fold: bool) -> list[str]:
    single = table.grid.folds == 1
    figure = f"held-out {figure_words(table.monitor)} at the best epoch ({table.metric.better} is better)"
    ranking = [figure if single else f"fold: {figure}" if every_fold else f"lowest, highest, mean: {figure}"]
    if table.winner is not None:
        ranking.insert(0, f"*: best{'' if table.complete else ' so far'}")
    if not single:
        ranking.append("s.e.: standard error")
    beside = ["auprc: over all regions", "pick AP: average precision of picks, a lower bound if labels are partial"]
    if not table.complete:
        beside.append(f"{WAITING} waiting, {RUNNING} running")
    notes = [f"[{1 + number}] {text}" for number, (_, text) in enumerate(_notes(table))]
    return [line for text in ("; ".join(ranking), "; ".join(beside), *notes) for line in textwrap.wrap(text, WIDTH)]


def _notes(table: Table) -> list[tuple[str, str]]:
    """Give the notes that some row needs, in the order in which they are needed: the kind and its words."""
    asked = table.asked_objective
    texts = {
        "failed": "A fold failed, so that this value cannot be best.",
        "stopped": "Stopped early by halving: its figures are of fewer epochs.",
        "mixed": "Different objectives in different folds."
        if asked is None
        else f"Not trained with {asked} in every fold, as asked.",
    }
    needed = dict.fromkeys(kind for row in table.rows for kind in _kinds(row))
    return [(kind, texts[kind]) for kind in needed if kind in texts]


def _kinds(row: Row) -> tuple[str, ...]:
    return (row.state, "mixed") if row.mixed else (row.state,)


def _fold(outcome: Outcome | None, decimals: int) -> str:
    if outcome is None or outcome.state == "waiting":
        return WAITING
    if outcome.state == "running":
        return RUNNING
    if outcome.state == "failed" or outcome.monitored is None:
        return FAILED
    return f"{outcome.monitored:.{decimals}f}"


def _done(row: Row) -> str:
    done = sum(outcome is not None and outcome.state in ("done", "stopped") for outcome in row.folds)
    return f"{done}/{len(row.folds)}"


def _mean(number: float, error: float, decimals: int) -> str:
    return "-" if math.isnan(number) else measured(number, error, decimals)


def _two_lines(name: str) -> tuple[str, str]:
    """Break a setting's name at the underscore that leaves the shorter heading."""
    breaks = [position + 1 for position, letter in enumerate(name) if letter == "_"]
    at = min(breaks, key=lambda position: max(position, len(name) - position), default=0)
    return name[:at], name[at:]


def _widest(column: list[str]) -> int:
    return max(map(len, column))


def _width(columns: list[list[str]]) -> int:
    return sum(map(_widest, columns)) + 2 * (len(columns) - 1)
