"""What a cross-validation found, in plain words: which value is best, how sure that is, and what to try next. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pickery.cross_validation.grid import Axis
from pickery.cross_validation.results.beyond import beyond
from pickery.cross_validation.results.drawing import figure_words, measured, places
from pickery.decimals import word
from pickery.evaluation.names import AUPRC, METRICS, PICK_AVERAGE_PRECISION, REGION_METRICS

if TYPE_CHECKING:
    from pickery.cross_validation.results.table import Row, Table

FEW_FOLDS: Final = 4
"""With fewer folds than this even a difference larger than its spread is weak evidence."""

NOT_COMPARABLE: Final = {
    "data.expected_particles": tuple(name for name in REGION_METRICS if name != AUPRC),
    "data.radius": REGION_METRICS,
    "data.coordinate_scale": tuple(METRICS),
    "preprocess.downsample": REGION_METRICS,
}
"""Settings whose values some figures cannot compare: they change the labels, what a positive region is, or how many
positives a model is taught to expect."""


def verdict(table: Table) -> list[str]:
    """Say what was found, a paragraph each."""
    best, said = table.winner, []
    if not table.complete:
        progress = table.progress
        ended = progress.total - progress.waiting - progress.running
        said.append(f"Not finished: {ended} of {progress.total} trainings have ended. This is how it stands.")
    if best is not None:
        said += [_best(table, best), *_not_comparable(table), *_ties(table), *_next(table, best)]
        said += _other_figures(table, best)
    elif table.complete:
        said.append("No value can be called best: none has finished all its folds.")
    else:
        said.append("No value has finished all its folds yet.")
    said += [text for row in table.rows for text in (*_failed(row), *_stopped(table, row), *_mixed(table, row))]
    if best is not None and table.complete and len(table.tied) < len(table.ranked):
        # last, as it ends with settings to copy
        judged = [_comparable(axis, table.monitor) for axis in table.grid.axes]
        said += beyond(table.grid.axes, best.numbers, judged)
    return said


def _best(table: Table, best: Row) -> str:
    figures = measured(best.mean, best.standard_error, places(table))
    monitored = f"held-out {figure_words(table.monitor)}"
    folds = table.grid.folds
    what = f"{monitored} {figures}" if folds == 1 else f"mean {monitored} {figures} (standard error) over {folds} folds"
    if table.metric.better == "lower":
        what += "; lower is better"
    if len(table.rows) == 1:
        return f"{best.label}: {what}."
    alone = " It is the only value to have finished all its folds." if len(table.ranked) == 1 else ""
    return f"{best.label} is best{'' if table.complete else ' so far'}: {what}.{alone}"


def _ties(table: Table) -> list[str]:
    """Say which values tie, and why one was taken."""
    if not table.tied:
        return []
    best = table.tied[0]
    labels = [row.label for row in table.tied]
    mean = f"{best.mean:.{places(table)}f}"
    if len({row.monitored for row in table.ranked}) == 1 and len(table.ranked) == len(table.rows):
        varied = _and([axis.parameter for axis in table.grid.axes])
        head = f"All values have the same figure in every fold: {varied} changed nothing here."
    else:
        head = f"{_and(labels)} tie: their means are exactly equal ({mean})."
    known = [
        f"{axis.short}={word(before)}"
        for axis, before in zip(table.grid.axes, table.unchanged, strict=True)
        if before is not None
    ]
    nearest = [row for row in table.tied if table.distances[row.value] == table.distances[best.value]]
    if not known:
        why = "it is the first of them"
    elif table.distances[best.value] == 0:
        why = "it is what the setting is without cross-validation"
    elif len(nearest) == 1:
        why = f"it is nearest to what is set without cross-validation ({', '.join(known)})"
    else:
        why = (
            f"it is the first of the {len(nearest)} that are nearest to what is set without cross-validation "
            f"({', '.join(known)})"
        )
    return [f"{head} {best.label} is taken because {why}."]


def _next(table: Table, best: Row) -> list[str]:
    """Say how far the next value is behind, and whether that is more than chance between the folds."""
    behind = [row for row in table.ranked if row not in table.tied and row is not best]
    if not behind:
        return []
    second, folds = behind[0], table.grid.folds
    against = table.compare(best, second)
    size, spread = _size(against.difference, places(table)), _size(against.spread, places(table))
    worse = "lower" if table.metric.better == "higher" else "higher"
    text = f"The next, {second.label}, is {size} {worse}"
    if not _like(table, best, second):
        return [f"{text}."]
    if against.told_apart is None:
        return [
            f"{text}. With one fold nothing is known of how much of that is chance; more folds "
            f"(cross_validation.folds) would show it."
        ]
    text += f" on average, and {worse} in {_of_folds(against.ahead, folds)}. This difference is "
    alike = [row.label for row in behind if _like(table, best, row) and not table.compare(best, row).told_apart]
    if against.told_apart:
        text += f"larger than its spread between the folds ({spread}): "
        text += (
            f"that speaks for a real one, but {folds} folds are few to tell by."
            if folds < FEW_FOLDS
            else f"as far as {folds} folds can tell, it is real."
        )
        if alike:
            text += f" {_and(alike)}, further behind but more variable, cannot be told from the best."
        return [text]
    text += f"not larger than its spread between the folds ({spread}): the two cannot be told apart."
    if alike[1:]:
        text += f" Nor can {_and(alike[1:], 'or')} be told from the best."
    return [f"{text} More folds (cross_validation.folds), or the same again with another seed, would tell more."]


def _comparable(axis: Axis, figure: str) -> bool:
    return figure not in NOT_COMPARABLE.get(axis.parameter, ())


def _like(table: Table, first: Row, second: Row) -> bool:
    """Whether the monitored figure means the same for both values."""
    return all(
        one == other or _comparable(axis, table.monitor)
        for axis, one, other in zip(table.grid.axes, first.numbers, second.numbers, strict=True)
    )


def _not_comparable(table: Table) -> list[str]:
    """Warn where the ranking figure does not mean the same for all values."""
    at_fault = [axis for axis in table.grid.axes if not _comparable(axis, table.monitor) and len(set(axis.values)) > 1]
    if not at_fault or len(table.ranked) < 2:
        return []
    which = _and([axis.short for axis in at_fault])
    text = f"But {figure_words(table.monitor)} does not mean the same at different values of {which}"
    if all(_comparable(axis, PICK_AVERAGE_PRECISION) for axis in at_fault):
        text += f": rather judge by the average precision of picks (evaluation.monitor={PICK_AVERAGE_PRECISION})"
    return [f"{text}."]


def _other_figures(table: Table, best: Row) -> list[str]:
    """Say where another figure would have chosen another value."""
    said = []
    over = "" if table.grid.folds == 1 else "mean "
    names = {AUPRC: "auprc over all regions", PICK_AVERAGE_PRECISION: "average precision of picks"}
    for figure, words in names.items():
        other = table.best_by(figure)
        if other is None or not all(_comparable(axis, figure) for axis in table.grid.axes):
            continue
        theirs, ours = getattr(other, figure), getattr(best, figure)
        if theirs > ours:
            decimals = 3 if f"{theirs:.3f}" != f"{ours:.3f}" else 5
            text = f"By {over}{words} {other.label} would be best: {theirs:.{decimals}f} against {ours:.{decimals}f}"
            alike = table.compare(other, best, figure).told_apart is False
            said.append(f"{text}{', a difference no larger than its spread between the folds' if alike else ''}.")
    return said


def _failed(row: Row) -> list[str]:
    failed = [(fold, it) for fold, it in enumerate(row.folds) if it is not None and it.state == "failed"]
    if not failed:
        return []
    reasons = [f"fold {fold} ({_first_line(it.reason)})" if it.reason else f"fold {fold}" for fold, it in failed]
    return [f"{row.label} cannot be best, as training failed in {_and(reasons)}."]


def _stopped(table: Table, row: Row) -> list[str]:
    if row.state != "stopped":
        return []
    epochs = max((it.epochs for it in row.folds if it is not None and it.epochs is not None), default=None)
    after = "early" if epochs is None else f"after {epochs} epoch{'' if epochs == 1 else 's'}"
    mean = "" if math.isnan(row.mean) else f", at {measured(row.mean, row.standard_error, places(table))}"
    return [f"{row.label} was stopped {after}{mean}: others were ahead of it then, though it might have caught up."]


def _mixed(table: Table, row: Row) -> list[str]:
    if not row.mixed:
        return []
    asked = table.asked_objective
    used: dict[str, list[int]] = {}
    for fold, it in enumerate(row.folds):
        if it is not None and it.objective is not None and it.objective != asked:
            used.setdefault(it.objective, []).append(fold)
    folds = [name if len(own) == table.grid.folds else f"{name} in {_folds(own)}" for name, own in used.items()]
    place = "" if asked is None else f" in place of {asked}"
    why = ", as its expected particles are no more than the labelled ones" if asked and "pn" in used else ""
    return [f"{row.label} was trained with {_and(folds)}{place}{why}: compare it with care."]


def _of_folds(count: int, folds: int) -> str:
    if count == folds:
        return "both folds" if folds == 2 else f"all {folds} folds"
    return f"{count or 'none'} of {folds} folds"


def _folds(folds: Sequence[int]) -> str:
    return f"fold{'' if len(folds) == 1 else 's'} {_and([str(fold) for fold in folds])}"


def _size(number: float, decimals: int) -> str:
    """Write how large a difference is, so that a small one does not read as none."""
    size = abs(number)
    return word(float(f"{size:.1g}")) if 0 < size < 10**-decimals else f"{size:.{decimals}f}"


def _and(texts: Sequence[str], last: str = "and") -> str:
    if len(texts) == 1:
        return texts[0]
    # labels of two parameters hold commas themselves
    comma = "; " if any(", " in text for text in texts) else ", "
    return f"{comma.join(texts[:-1])} {last} {texts[-1]}"


def _first_line(reason: str, longest: int = 200) -> str:
    line = reason.strip().splitlines()[0].rstrip(".") if reason.strip() else "no reason given"
    return line if len(line) <= longest else f"{line[:longest].rstrip()}…"
