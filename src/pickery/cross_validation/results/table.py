"""What came of a cross-validation: each value's mean over its folds, which is best, and by how much. Pure arithmetic.

Takes outcomes in any order and knows nothing of how they came about. `verdict` puts the results into words.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Final, Literal

from pickery.cross_validation.grid import FINAL, Grid, Point, Value
from pickery.cross_validation.results import drawing, record, verdict
from pickery.decimals import Number
from pickery.evaluation.names import AUPRC, METRICS, PICK_AVERAGE_PRECISION

State = Literal["waiting", "running", "done", "failed", "stopped"]

NAN: Final = float("nan")


@dataclass(frozen=True)
class Outcome:
    """Where one training stands.

    Attributes
    ----------
    point
        Which training.
    state
        ``"stopped"``: done as far as halving took it, and its value goes no further.
    monitored
        The best epoch's held-out `evaluation.monitor`, which ranks the values; measured on every n-th region
        (`evaluation.stride`).
    best_epoch, epochs
        The best epoch's number, from 1; epochs trained.
    figures
        The best epoch's figures over all regions and at pick level, by metric name.
    objective
        The objective used, which may be another than was asked.
    reason
        Why it failed.
    folder
        Its folder's name inside the cross-validation's folder.
    """

    point: Point
    state: State
    monitored: float | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    figures: Mapping[str, float | None] = field(default_factory=dict)
    objective: str | None = None
    reason: str | None = None
    folder: str = ""


@dataclass(frozen=True)
class Row:
    """One value and its folds.

    Attributes
    ----------
    value
        Its index in `Grid.values`.
    label
        In words: ``learning_rate=0.0001, radius=3``.
    numbers
        One number for each axis.
    rung
        The rung of its outcomes; 0 unless halving.
    folds
        One outcome for each fold; None where there is none yet.
    mean, standard_error
        Of the monitored figure over the folds; nan unless every fold has one. The standard error is the sample
        standard deviation over the root of the number of folds, nan with one fold.
    auprc, auprc_standard_error, pick_average_precision
        Means over the folds of figures over all regions and at pick level; nan unless every fold has one.
    objectives
        The objectives that its folds used, sorted.
    state
        ``"failed"`` if any fold failed, else ``"stopped"``, ``"running"`` or ``"waiting"`` if any fold is, else
        ``"done"``.
    mixed
        Whether its folds used different objectives, or another than was asked.
    """

    value: int
    label: str
    numbers: Value
    rung: int
    folds: tuple[Outcome | None, ...]
    mean: float
    standard_error: float
    auprc: float
    auprc_standard_error: float
    pick_average_precision: float
    objectives: tuple[str, ...]
    state: State
    mixed: bool

    @property
    def monitored(self) -> tuple[float | None, ...]:
        """Each fold's monitored figure; None where its training has not ended well."""
        ended = (outcome if outcome and outcome.state in ("done", "stopped") else None for outcome in self.folds)
        return tuple(None if outcome is None else outcome.monitored for outcome in ended)


@dataclass(frozen=True)
class Progress:
    """How many trainings stand where."""

    done: int
    failed: int
    stopped: int
    running: int
    waiting: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.done + self.failed + self.stopped + self.running + self.waiting


@dataclass(frozen=True)
class Comparison:
    """One value against another, fold by fold: both were judged on the same micrographs.

    Attributes
    ----------
    difference
        Mean over the folds of how much better the first is; below 0 if it is worse, whichever way is better.
    spread
        Sample standard deviation of that difference between the folds; nan with one fold.
    ahead
        In how many folds the first is strictly better.
    """

    difference: float
    spread: float
    ahead: int

    @property
    def told_apart(self) -> bool | None:
        """Whether the difference is larger than its spread between the folds; None with one fold."""
        return None if math.isnan(self.spread) else abs(self.difference) > self.spread


class Table:
    """The results of a cross-validation so far.

    Parameters
    ----------
    grid
        The values and folds.
    monitor
        The metric that ranks the values.
    unchanged
        For each axis the setting's value had it not been varied, None where it had none: ties go to the nearest.
    outcomes
        In any order, one at most for each point. Of each value those of its highest rung count; a final training's
        does not. A figure that is not a number makes a failed training.
    asked_objective
        The objective asked for; None: not known, so that only differences between a value's folds are marked.
    """

    def __init__(
        self,
        grid: Grid,
        monitor: str,
        unchanged: Sequence[Number | None],
        outcomes: Iterable[Outcome],
        asked_objective: str | None = None,
    ) -> None:
        assert len(unchanged) == len(grid.axes), "one unchanged setting for every axis"
        self.grid = grid
        self.monitor = monitor
        self.metric = METRICS[monitor]
        assert self.metric.better != "neither", f"{monitor} cannot rank values"
        self.unchanged = tuple(unchanged)
        self.asked_objective = asked_objective
        self.distances = distances(grid, unchanged)
        by_value: dict[int, dict[Point, Outcome]] = {}
        for outcome in outcomes:
            if outcome.point.fold == FINAL:
                continue
            of_value = by_value.setdefault(outcome.point.value, {})
            assert outcome.point not in of_value, f"two outcomes of {outcome.point}"
            of_value[outcome.point] = _with_a_figure(outcome, monitor)
        self.rows = tuple(self._row(value, by_value.get(value, {})) for value in range(len(grid.values)))

    def _row(self, value: int, outcomes: Mapping[Point, Outcome]) -> Row:
        rung = max((point.rung for point in outcomes), default=0)
        folds = tuple(outcomes.get(Point(rung, fold, value)) for fold in range(self.grid.folds))
        known = [outcome for outcome in folds if outcome is not None]
        objectives = {outcome.objective for outcome in known if outcome.objective is not None}
        asked = set() if self.asked_objective is None else {self.asked_objective}
        states = {"waiting" if outcome is None else outcome.state for outcome in folds}
        order: tuple[State, ...] = ("failed", "stopped", "running", "waiting", "done")
        state = next(state for state in order if state in states)
        whole = states <= {"done", "stopped"}
        mean, error = _mean([outcome.monitored for outcome in known] if whole else [])
        auprc, auprc_error = _mean([outcome.figures.get(AUPRC) for outcome in known] if whole else [])
        picks, _ = _mean([outcome.figures.get(PICK_AVERAGE_PRECISION) for outcome in known] if whole else [])
        return Row(
            value=value,
            label=self.grid.label(value),
            numbers=self.grid.values[value],
            rung=rung,
            folds=folds,
            mean=mean,
            standard_error=error,
            auprc=auprc,
            auprc_standard_error=auprc_error,
            pick_average_precision=picks,
            objectives=tuple(sorted(objectives)),
            state=state,
            mixed=bool(objectives) and len(objectives | asked) > 1,
        )

    @cached_property
    def ranked(self) -> tuple[Row, ...]:
        """The values all of whose folds are done, best first; ties as the class says.

        Only values on the highest rung that any has reached: what was trained for fewer epochs is no rival.
        """
        highest = max(row.rung for row in self.rows)
        able = [row for row in self.rows if row.state == "done" and row.rung == highest and not math.isnan(row.mean)]
        return tuple(sorted(able, key=lambda row: (-self.sign * row.mean, self.distances[row.value], row.value)))

    @property
    def sign(self) -> int:
        """1 if higher figures are better, -1 if lower ones are."""
        return 1 if self.metric.better == "higher" else -1

    @property
    def winner(self) -> Row | None:
        """The best value so far."""
        return self.ranked[0] if self.ranked else None

    @property
    def runner_up(self) -> Row | None:
        """The second best value so far."""
        return self.ranked[1] if len(self.ranked) > 1 else None

    @property
    def tied(self) -> tuple[Row, ...]:
        """The values whose mean is exactly the winner's, the winner first; empty without a tie."""
        best = tuple(row for row in self.ranked if row.mean == self.ranked[0].mean)
        return best if len(best) > 1 else ()

    @property
    def progress(self) -> Progress:
        """How many trainings stand where; those without an outcome are waiting."""
        states = ["waiting" if outcome is None else outcome.state for row in self.rows for outcome in row.folds]
        return Progress(*(states.count(state) for state in ("done", "failed", "stopped", "running", "waiting")))

    @property
    def complete(self) -> bool:
        """Whether nothing is waiting or running."""
        return self.progress.running == self.progress.waiting == 0

    def compare(self, first: Row, second: Row, figure: str | None = None) -> Comparison:
        """Compare two values fold by fold, by the monitored figure or another; each needs it in every fold."""
        sign = self.sign if figure is None else 1 if METRICS[figure].better == "higher" else -1
        pairs = zip(_figures(first, figure), _figures(second, figure), strict=True)
        differences = [sign * (one - other) for one, other in pairs]
        return Comparison(
            difference=statistics.fmean(differences),
            spread=statistics.stdev(differences) if len(differences) > 1 else NAN,
            ahead=sum(difference > 0 for difference in differences),
        )

    def best_by(self, figure: str) -> Row | None:
        """Give the value that `auprc` or `pick_average_precision` would choose; None if any that may win lacks it."""
        means = [getattr(row, figure) for row in self.ranked]
        if not means or any(math.isnan(mean) for mean in means):
            return None
        return self.ranked[means.index(max(means))]

    def csv(self) -> str:
        """Write ``cross_validation.csv``: a row for each value and fold."""
        return record.as_csv(self)

    def lines(self) -> list[str]:
        """Draw the table as aligned plain text, best value marked, with notes below."""
        return drawing.lines(self)

    def verdict(self) -> list[str]:
        """Say in plain words which value is best, and how far that can be trusted."""
        return verdict.verdict(self)

    def summary(self) -> dict[str, Any]:
        """Give the results as JSON takes them, nan as None."""
        return record.as_json(self)


def distances(grid: Grid, unchanged: Sequence[Number | None]) -> tuple[Fraction, ...]:
    """Give each value's distance from the unchanged setting, exactly.

    The sum over the axes of the difference divided by the axis' span (by 1 where the span is 0); an axis without an
    unchanged setting adds nothing.
    """
    spans = [_exact(max(axis.values)) - _exact(min(axis.values)) or Fraction(1) for axis in grid.axes]
    return tuple(
        sum(
            (
                abs(_exact(number) - _exact(before)) / span
                for number, before, span in zip(numbers, unchanged, spans, strict=True)
                if before is not None
            ),
            Fraction(0),
        )
        for numbers in grid.values
    )


def _exact(number: Number) -> Fraction:
    # as it is written: 0.1 is a tenth here
    return Fraction(repr(number))


def _with_a_figure(outcome: Outcome, monitor: str) -> Outcome:
    """Call a finished training failed if there is no figure to judge it by."""
    if outcome.state == "done" and (outcome.monitored is None or not math.isfinite(outcome.monitored)):
        return replace(outcome, state="failed", reason=outcome.reason or f"its {monitor} is not a number")
    return outcome


def _figures(row: Row, name: str | None) -> list[float]:
    """Give each fold's figure: the monitored one, or one of those beside it."""
    known = [outcome for outcome in row.folds if outcome is not None]
    figures = [outcome.monitored if name is None else outcome.figures.get(name) for outcome in known]
    numbers = [float(figure) for figure in figures if figure is not None]
    assert len(numbers) == len(row.folds), f"{row.label} lacks a figure"
    return numbers


def _mean(figures: Sequence[float | None]) -> tuple[float, float]:
    """Mean and standard error; nan where they are not known. Sums are exact, so that the folds' order is nothing."""
    numbers = [float(figure) for figure in figures if figure is not None]
    if not numbers or len(numbers) < len(figures) or not all(map(math.isfinite, numbers)):
        return NAN, NAN
    error = statistics.stdev(numbers) / math.sqrt(len(numbers)) if len(numbers) > 1 else NAN
    return statistics.fmean(numbers), error
