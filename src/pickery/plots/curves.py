"""Curves over epochs: precision with its best epoch, and small multiples of everything else that was measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.evaluation.names import METRICS, PRECISION
from pickery.plots.style import BEST, GREY, HELD_OUT, TRAINING, label_ends, lone_values, new_figure, pickery_style
from pickery.plots.words import metric_words

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# beyond this many epochs a dot for each is noise
MOST_DOTS = 30
PANELS_ACROSS = 3


def plot_precision(
    epochs: ArrayLike,
    train: ArrayLike,
    test: ArrayLike | None = None,
    *,
    best_epoch: int | None = None,
    monitor: str = PRECISION,
) -> "Figure":
    """Plot precision over epochs on training and held-out micrographs, the best epoch marked.

    Parameters
    ----------
    epochs : (n,)
        Epoch numbers as the run counts them.
    train : (n,)
        Soft precision over the training minibatches; nan where it was not measured.
    test : (n,), optional
        Soft precision over the regions of the held-out micrographs; leave out where nothing is held out.
    best_epoch
        The epoch whose weights are kept; leave out while there is none.
    monitor
        The metric that chose it, said in the label where it is another one than precision.
    """
    with pickery_style():
        figure = new_figure(8, 4.6)
        axes = figure.add_subplot()
        epoch = np.asarray(epochs, dtype=np.float64)
        lines = _lines(train, test, len(epoch))
        _draw(axes, epoch, lines)
        axes.set_xlabel("Epoch")
        axes.set_ylabel("Precision over regions")
        label_ends(axes, [(_last(line.values), line.name, line.colour) for line in lines])
        if best_epoch is not None and lines:
            value = _mark_best(axes, epoch, lines[-1].values, best_epoch)
            chosen_by = "" if monitor == PRECISION else f" (by {metric_words(monitor, inside=True)})"
            words = f"best epoch {best_epoch}{chosen_by}"
            if not math.isnan(value):
                words += f": {lines[-1].name} precision {value:.3f}"
            _write_above(axes, best_epoch, words)
        return figure


def plot_metrics(
    epochs: ArrayLike,
    train: Mapping[str, ArrayLike],
    test: Mapping[str, ArrayLike] | None = None,
    *,
    best_epoch: int | None = None,
    names: Sequence[str] | None = None,
) -> "Figure":
    """Plot small multiples of the metrics over epochs, one panel for each.

    Parameters
    ----------
    epochs : (n,)
        Epoch numbers as the run counts them.
    train, test
        Values over the epochs, (n,) each, by metric (`pickery.evaluation.names.METRICS`) or by the name of one of the
        objective's terms; nan where not measured.
    best_epoch
        Marked in each panel, with its held-out value (the training value of what is not measured on held-out ones).
    names
        Which to show, in this order. Default: all but precision, which has a plot of its own: known metrics first, then
        the other names as they come. What was never measured is left out.
    """
    test = test or {}
    if names is None:
        known = [name for name in METRICS if name in train or name in test]
        names = [name for name in dict.fromkeys([*known, *train, *test]) if name != PRECISION]
    epoch = np.asarray(epochs, dtype=np.float64)
    every = [(name, _lines(train.get(name), test.get(name), len(epoch))) for name in names]
    panels = [(name, lines) for name, lines in every if lines]
    with pickery_style():
        across = max(1, min(PANELS_ACROSS, len(panels)))
        down = max(1, -(-len(panels) // across))
        figure = new_figure(max(4.2 * across, 5.0), 3.0 * down + 0.6)
        if not panels:
            figure.text(0.5, 0.5, "nothing measured yet", ha="center", va="center", color=GREY)
            return figure
        shown: dict[str, Artist] = {}
        for number, (name, lines) in enumerate(panels):
            axes = figure.add_subplot(down, across, number + 1)
            shown = {**_draw(axes, epoch, lines), **shown}
            value = math.nan
            if best_epoch is not None:
                value = _mark_best(axes, epoch, lines[-1].values, best_epoch)
                if not math.isnan(value):
                    shown.setdefault(f"best epoch ({best_epoch})", axes.lines[-1])
            axes.set_title(metric_words(name), pad=24)
            axes.text(0, 1.045, _note(name, lines[-1].name, value), transform=axes.transAxes, color=GREY, fontsize=10.5)
            if number >= len(panels) - across:
                axes.set_xlabel("Epoch")
        order = sorted(shown, key=lambda words: (words.startswith("best"), words))
        figure.legend([shown[words] for words in order], order, loc="outside upper left", ncols=len(order))
        return figure


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    name: str
    values: NDArray[np.float64]
    colour: str
    width: float


def _lines(train: ArrayLike | None, test: ArrayLike | None, count: int) -> list[_Line]:
    """Put training first, held-out last and so on top; what was never measured has no line."""
    lines = []
    for name, given, colour, width in (("training", train, TRAINING, 1.8), ("held-out", test, HELD_OUT, 2.4)):
        if given is not None:
            values = np.asarray(given, dtype=np.float64)
            assert values.shape == (count,), f"{values.shape} values for {count} epochs"
            if np.isfinite(values).any():
                lines.append(_Line(name, np.where(np.isfinite(values), values, np.nan), colour, width))
    return lines


def _draw(axes: "Axes", epoch: NDArray[np.float64], lines: Sequence[_Line]) -> dict[str, "Artist"]:
    from matplotlib.ticker import MaxNLocator

    drawn: dict[str, Artist] = {}
    for line in lines:
        # a value between two gaps is invisible without a dot
        dotted = ~np.isnan(line.values) if len(epoch) <= MOST_DOTS else lone_values(line.values)
        marks = [int(index) for index in np.flatnonzero(dotted)]
        # what was measured now and then still reads as a curve: its gaps are bridged faintly
        seen = ~np.isnan(line.values)
        if not seen.all() and seen.sum() > 1:
            axes.plot(epoch[seen], line.values[seen], color=line.colour, linewidth=1.0, alpha=0.5, zorder=1.5)
        (drawn[line.name],) = axes.plot(
            epoch, line.values, color=line.colour, linewidth=line.width, marker="o", markevery=marks, label=line.name
        )
    if len(epoch):
        span = float(epoch[-1] - epoch[0])
        margin = 0.02 * span if len(epoch) > 2 else 0.5
        axes.set_xlim(float(epoch[0]) - margin, float(epoch[-1]) + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis="y")
    values = np.concatenate([np.zeros(0), *(line.values for line in lines)])
    values = values[~np.isnan(values)]
    if len(values):
        low, high = float(values.min()), float(values.max())
        # a curve that hardly moves should look like one: never zoom in on less than a tenth of its height
        missing = max(0.0, 0.1 * max(abs(low), abs(high), 1e-6) - (high - low))
        bottom, top = low - missing / 2, high + missing / 2
        axes.set_ylim(bottom - 0.08 * (top - bottom), top + 0.08 * (top - bottom))
    return drawn


def _mark_best(axes: "Axes", epoch: NDArray[np.float64], values: NDArray[np.float64], best: int) -> float:
    """Mark the best epoch with a line and its value with a dot (the last line drawn); returns the value."""
    at = np.flatnonzero(epoch == best)
    assert len(at) == 1, f"best epoch {best} is not one of the epochs"
    axes.axvline(best, color=BEST, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    value = float(values[at[0]])
    if not math.isnan(value):
        axes.plot(
            [best], [value], "o", color=BEST, markersize=9, markeredgecolor="white", markeredgewidth=1.2, zorder=5
        )
    return value


def _write_above(axes: "Axes", epoch: float, words: str) -> None:
    """Write above the axes, over an epoch, leaning away from the nearer side."""
    left, right = axes.get_xlim()
    place = (epoch - left) / (right - left)
    side: Literal["left", "center", "right"] = "left" if place < 0.3 else "right" if place > 0.7 else "center"
    axes.text(place, 1.02, words, transform=axes.transAxes, color=BEST, ha=side, va="bottom")


def _note(name: str, line: str, value: float) -> str:
    better = METRICS[name].better if name in METRICS else "neither"
    words = [] if better == "neither" else [f"{better} is better"]
    if not math.isnan(value):
        words.append(f"{line} {value:.3g} at best epoch")
    return " · ".join(words)


def _last(values: NDArray[np.float64]) -> float:
    return float(values[~np.isnan(values)][-1])
