"""What to try next where the best value is the lowest or highest of those tried. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Final

from pickery.cross_validation.grid import Axis, Value
from pickery.decimals import Number, word

FEWEST_VALUES: Final = 3
"""With fewer values than this one of them is always at an edge, which says nothing."""
MOST_TIMES: Final = 5


def beyond(axes: Sequence[Axis], best: Value, judged: Sequence[bool]) -> list[str]:
    """Say where the best value lies at an edge of what was tried, and give the settings that go on from there.

    Parameters
    ----------
    axes
        What was tried.
    best
        The best value.
    judged
        For each axis whether the ranking says anything about it; no edge is seen in one of which it does not.
    """
    edges: list[tuple[str, str]] = []
    tried: list[tuple[Number, ...]] = []
    for axis, number, told in zip(axes, best, judged, strict=True):
        further = further_values(axis, number) if told else None
        tried.append(tuple(dict.fromkeys(axis.values)) if further is None else further)
        if further is not None:
            which = "highest" if number == max(axis.values) else "lowest"
            edges.append((f"{axis.short}={word(number)}", which))
    if not edges:
        return []
    if len(edges) == 1:
        where = "{} is the {} value tried".format(*edges[0])
    else:
        where = " and ".join(f"{label} (the {which} tried)" for label, which in edges) + " lie at the edge"
    return [f"{where}, so the best may lie beyond. To go on from there: {as_settings(tried)}"]


def further_values(axis: Axis, best: Number) -> tuple[Number, ...] | None:
    """Give values that lead on from the best one, in ascending order and with the best among them.

    They go on with the same factor where the values grow by one, else in steps as large as the last. They stay above 0
    unless others were tried, and fractions of 1 stay such, with smaller steps if need be.

    Returns
    -------
    values
        None if the best value is at no edge, or at one with nothing beyond: too few values to have edges, 0, or 1 of
        whole numbers.
    """
    values = sorted({_exact(value) for value in axis.values})
    here = _exact(best)
    if len(values) < FEWEST_VALUES or here not in (values[0], values[-1]):
        return None
    up = here == values[-1]
    neighbour = values[-2] if up else values[1]
    step = here - neighbour
    if len({later - earlier for earlier, later in pairwise(values)}) == 1:
        further = [here + step * times for times in range(min(len(values), MOST_TIMES))]
    elif values[0] > 0 and len({later / earlier for earlier, later in pairwise(values)}) == 1:
        further = [here, *(_rounded(here * (here / neighbour) ** power) for power in (1, 2))]
    else:
        further = [here, here + step, here + 2 * step]
    whole = all(isinstance(value, int) for value in axis.values)
    # where many a setting's range ends
    limit = Fraction(1) if up and values[-1] < 1 and not whole else Fraction(0) if not up and values[0] >= 0 else None
    if limit is not None:
        further = [value for value in further if (value < limit if up else value > limit)]
        if further == [here]:
            further += [(here + limit) / 2, (here + 3 * limit) / 4]
    if whole:
        numbers: set[Number] = {round(value) for value in further}
    else:
        numbers = {float(value) for value in further}
    numbers = {number for number in numbers if number > 0 or values[0] < 0}
    return tuple(sorted(numbers)) if len(numbers) > 1 else None


def as_settings(values: Sequence[Sequence[Number]]) -> str:
    """Write the values of one or two parameters as a command line takes them."""
    increments = [{_exact(later) - _exact(earlier) for earlier, later in pairwise(own)} for own in values]
    if all(len(own) == 1 for own in increments):
        given = {
            "initial": [word(own[0]) for own in values],
            "increment": [word(float(own.pop())) for own in increments],
            "times": [str(len(own)) for own in values],
        }
        return " ".join(f"cross_validation.{name}={_list(words)}" for name, words in given.items())
    lists = [f"[{','.join(map(word, own))}]" for own in values]
    return f"cross_validation.values={_list(lists)}"


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"[{','.join(words)}]"


def _exact(number: Number) -> Fraction:
    # as it is written: 0.1 is a tenth here
    return Fraction(repr(number))


def _rounded(number: Fraction) -> Fraction:
    """Round to two significant digits what has many: a third of 0.001 is tried as 0.00033, but 128 as it is."""
    short = Fraction(f"{float(number):.3e}")
    return number if short == number else Fraction(f"{float(number):.1e}")
