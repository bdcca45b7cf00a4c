"""Scales of the axes that cross-validation is drawn on: the tested values across, a figure of merit upwards."""

import itertools
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.decimals import word
from pickery.evaluation.names import ADJUSTED_PRECISION, LOSS, METRICS, PICK_CENTRE_ERROR, PICK_THRESHOLD
from pickery.plots.words import metric_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# beyond this many values not each is written
MOST_TICKS = 10
EVEN_STEPS = (1, 2, 5, 10, 20, 50, 100)
POINTS_PER_DIGIT = 7.7
POINTS_BETWEEN_TICKS = 7.0
MARGIN_POINTS = 30.0
# a figure where lower is better is drawn on a logarithmic scale from this ratio on: it often falls by decades
WIDE = 20.0


def value_scale(values: ArrayLike) -> Literal["linear", "log", "symlog"]:
    """Choose the scale on which tested values are told apart best.

    Evenly stepped values (1, 2, 3) and those with a negative one lie on a linear scale. All others are logarithmic if
    they reach over a factor of ten or more, or each is the same multiple of the one before (1, 2, 4). With a zero among
    them (0, 0.001, 0.01) the scale is linear from zero to the smallest positive value and logarithmic beyond.
    """
    tested = np.unique(np.asarray(values, dtype=np.float64))
    positive = tested[tested > 0]
    if len(positive) < 2 or tested[0] < 0:
        return "linear"
    wide = bool(positive[-1] / positive[0] >= 10)
    if len(tested) > 2 and np.allclose(np.diff(tested), tested[1] - tested[0], rtol=1e-6, atol=0):
        return "linear"
    if len(positive) < len(tested):
        return "symlog" if wide else "linear"
    ratios = tested[1:] / tested[:-1]
    geometric = len(tested) > 2 and bool(np.allclose(ratios, ratios[0], rtol=1e-6, atol=0))
    return "log" if wide or geometric else "linear"


def scale_values(axes: "Axes", values: ArrayLike, *, width_points: float) -> float:
    """Set scale, limits and ticks of an x axis for tested values; a tick at each, written out where there is room.

    Parameters
    ----------
    axes
    values : (n,)
        What was tested, in any order.
    width_points
        Of the axes, about, in points of 1/72 inch.

    Returns
    -------
    float
        Room in points between neighbouring values: the least distance, or half the median one where a few values lie
        closer than the others (`width_points` for a single value).
    """
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter

    tested = np.unique(np.asarray(values, dtype=np.float64))
    scale = value_scale(tested)
    if scale == "symlog":
        axes.set_xscale("symlog", linthresh=float(tested[tested > 0][0]))
    else:
        axes.set_xscale(scale)
    transform = axes.xaxis.get_transform()
    place = np.asarray(transform.transform(tested), dtype=np.float64)
    span = float(place[-1] - place[0])
    # marks beside the outermost values stay inside
    margin = span * MARGIN_POINTS / (width_points - 2 * MARGIN_POINTS)
    if span == 0:
        margin = max(0.5 * abs(float(place[0])), 0.5)
    left, right = transform.inverted().transform(np.array([place[0] - margin, place[-1] + margin]))
    axes.set_xlim(float(left), float(right))
    points = (place - place[0]) / (span + 2 * margin) * width_points
    words = [word(value) for value in tested]
    written = set(_with_room(points, words))
    axes.xaxis.set_major_locator(FixedLocator([float(tested[index]) for index in sorted(written)]))
    axes.xaxis.set_major_formatter(FixedFormatter([words[index] for index in sorted(written)]))
    axes.xaxis.set_minor_locator(FixedLocator([float(tested[i]) for i in range(len(tested)) if i not in written]))
    axes.xaxis.set_minor_formatter(NullFormatter())
    gaps = np.diff(points)
    return max(float(gaps.min()), 0.5 * float(np.median(gaps))) if len(gaps) else width_points


SHARES = frozenset(METRICS) - {ADJUSTED_PRECISION, LOSS, PICK_THRESHOLD, PICK_CENTRE_ERROR}
"""Figures between 0 and 1."""


def scale_figure(
    axes: "Axes", values: ArrayLike, name: str, *, room_below: float = 0.0, room_above: float = 0.0
) -> None:
    """Set scale, limits and grid of a y axis for a metric, whose values are all those drawn.

    Parameters
    ----------
    axes
    values
        Everything drawn, of any shape; nan is passed over.
    name
        Of the metric. Where lower is better and the values reach over a factor of 20 the scale is logarithmic.
    room_below, room_above
        Shares of the height to keep free at the bottom and at the top.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    seen = np.asarray(values, dtype=np.float64).ravel()
    seen = seen[np.isfinite(seen)]
    lower = name in METRICS and METRICS[name].better == "lower"
    axes.grid(axis="y")
    if not len(seen):
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        return
    low, high = float(seen.min()), float(seen.max())
    if lower and low > 0 and high / low >= WIDE:
        axes.set_yscale("log")
        low, high = np.log10(low), np.log10(high)
        bottom, top = low - (0.08 + room_below) * (high - low), high + (0.08 + room_above) * (high - low)
        axes.set_ylim(10**bottom, 10**top)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if top - bottom < 2.5 else (1,)))
    else:
        # what hardly moves should look like it: never zoom in on less than a tenth of its height
        missing = max(0.0, 0.1 * max(abs(low), abs(high), 1e-6) - (high - low))
        within = name in SHARES and 0 <= low and high <= 1
        low, high = low - missing / 2, high + missing / 2
        if within:  # no room where there can be no value
            shift = max(0.0, -low) - max(0.0, high - 1)
            low, high = low + shift, high + shift
        axes.set_ylim(low - (0.08 + room_below) * (high - low), high + (0.08 + room_above) * (high - low))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: word(float(f"{value:.6g}"))))
    axes.yaxis.set_minor_formatter(NullFormatter())


def figure_words(name: str) -> str:
    """Give the words for a metric on an axis, the better direction said where it is not upwards."""
    lower = name in METRICS and METRICS[name].better == "lower"
    return metric_words(name) + (" (lower is better)" if lower else "")


def _with_room(points: NDArray[np.float64], words: list[str]) -> list[int]:
    """Choose which of several places along an axis to write at, so that the words do not touch."""
    half = np.array([(len(word) - word.count(".") / 2) * POINTS_PER_DIGIT / 2 for word in words])

    def fits(before: int, after: int) -> bool:
        return bool(points[after] - points[before] >= half[before] + half[after] + POINTS_BETWEEN_TICKS)

    gaps = np.diff(points)
    if len(points) > 1 and np.allclose(gaps, gaps[0], rtol=1e-3):
        # even gaps stay even; of the places to begin, the one with the rounder (shorter) words: 5, 10 rather than 1, 6
        steps = [*(step for step in EVEN_STEPS if 2 * step < len(points)), *range(1, len(points))]
        for step in steps:
            starts = [list(range(start, len(points), step)) for start in range(step)]
            chosen = min(starts, key=lambda of: sum(len(words[index]) for index in of) / len(of))
            if len(chosen) <= MOST_TICKS and all(fits(*pair) for pair in itertools.pairwise(chosen)):
                return chosen
        return [0]
    chosen = [0]
    for index in range(1, len(points)):
        if fits(chosen[-1], index):
            chosen.append(index)
    # of the two at the end the outer one says how far the values reach
    if chosen[-1] != len(points) - 1 and len(chosen) > 1:
        chosen[-1] = len(points) - 1
    return chosen
