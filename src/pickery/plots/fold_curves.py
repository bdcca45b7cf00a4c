"""All trainings of a cross-validation over their epochs on one sheet: a panel for each tested value, a line a fold."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.evaluation.names import METRICS, PRECISION
from pickery.plots.scales import figure_words, scale_figure
from pickery.plots.style import (
    BEST,
    GREY,
    HELD_OUT,
    INK,
    TRAINING,
    fold_mark,
    legend_above,
    lone_values,
    new_figure,
    pickery_style,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# six rows of six: more cannot be read on one sheet
MOST_PANELS = 36
MOST_ACROSS = 6
SMALL = 10.5
LETTERS_PER_INCH = 10.5


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One training's monitored figure over its epochs.

    Attributes
    ----------
    epochs : (n,)
        Epoch numbers as the run counts them.
    held_out : (n,)
        On the held-out micrographs; nan where it was not measured.
    best_epoch
        The epoch whose weights are kept; None while there is none.
    training : (n,), optional
        Over the training minibatches; drawn for the final training only.
    """

    epochs: ArrayLike
    held_out: ArrayLike
    best_epoch: int | None = None
    training: ArrayLike | None = None


def plot_fold_curves(
    curves: Sequence[Sequence[Curve | None]],
    labels: Sequence[str],
    *,
    monitor: str = PRECISION,
    best: int | None = None,
    final: Curve | None = None,
    final_label: str = "final training",
    note: str = "",
) -> "Figure":
    """Plot the held-out curves of all trainings, a panel for each value and a line for each fold, best epochs dotted.

    All panels share both axes, so that they compare. Beyond 36 panels those of the best values are shown, in the order
    given, and the figure says so.

    Parameters
    ----------
    curves
        Of each value, one for each fold; None where that training has not begun. Lengths may differ.
    labels
        What to write above each panel, such as ``"learning_rate=0.0001"``.
    monitor
        Name of the monitored figure (`pickery.evaluation.names.METRICS`).
    best
        Index of the best value, whose label is written in the best's colour; leave out while there is none.
    final
        The final training, in a last panel of its own, with its training curve where there is one.
    final_label
        What to write above it.
    note
        Words to write beneath.
    """
    from matplotlib.lines import Line2D

    assert len(curves) == len(labels), f"{len(labels)} labels for {len(curves)} values"
    lines = [[None if curve is None else _line(curve, training=False) for curve in folds] for folds in curves]
    end = None if final is None else _line(final, training=True)
    chosen = _choose(lines, best, MOST_PANELS - (end is not None), monitor)
    count = max(1, len(chosen) + (end is not None))
    across, down = _grid(count)
    wide, high = (3.6, 2.9) if across <= 3 else (2.7, 2.6 if down == 1 else 2.2)
    drawn = [line for value in chosen for line in lines[value] if line is not None]
    drawn += [] if end is None else [end]
    folds = max((len(row) for row in lines), default=0)
    marks = {f"fold {fold}": fold_mark(fold) for fold in range(folds)}
    with pickery_style():
        width = max(wide * across + 0.5, 5.5)
        figure = new_figure(width, high * down + 1.2)
        shown: dict[str, Artist] = {name: Line2D([], [], **_mark(*mark, 8)) for name, mark in marks.items()}
        for place in range(count):
            axes = figure.add_subplot(down, across, place + 1)
            label, colour = "", INK
            if place < len(chosen):
                value = chosen[place]
                _draw_folds(axes, lines[value])
                label, colour = labels[value], BEST if value == best else INK
            elif end is not None:
                _draw_final(axes, end, shown)
                label = final_label
            title = textwrap.wrap(label, int(LETTERS_PER_INCH * wide), break_on_hyphens=False)
            axes.set_title("\n".join(title), color=colour, fontsize=SMALL + 0.5)
            _frame(axes, drawn, monitor, inner=place % across > 0, above=place + across < count)
        upwards = textwrap.wrap(f"{figure_words(monitor)}, held-out", int(9 * (high * down + 0.4)))
        figure.supylabel("\n".join(upwards), fontsize=13)
        legend_above(figure, shown)
        notes = ["The mark on a curve is its best epoch.", note]
        if len(chosen) < len(lines):
            left_out = len(lines) - len(chosen)
            notes.insert(1, f"{left_out} of {len(lines)} values have no room here: these are the best {len(chosen)}.")
        beneath = [line for words in notes for line in textwrap.wrap(words, int(11.5 * width), break_on_hyphens=False)]
        figure.supxlabel("\n".join(beneath), x=0.01, ha="left", fontsize=SMALL, color=GREY)
        return figure


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    epochs: NDArray[np.float64]
    held_out: NDArray[np.float64]
    training: NDArray[np.float64]
    best_epoch: float

    @property
    def best(self) -> float:
        """The figure at the best epoch; nan where it is not known."""
        judged = self.training if np.isnan(self.held_out).all() else self.held_out
        at = np.flatnonzero(self.epochs == self.best_epoch)
        return float(judged[at[0]]) if len(at) else math.nan


def _line(curve: Curve, *, training: bool) -> _Line:
    epochs = np.asarray(curve.epochs, dtype=np.float64)
    arrays = []
    for given in (curve.held_out, curve.training if training else None):
        values = np.full(len(epochs), np.nan) if given is None else np.asarray(given, dtype=np.float64)
        assert values.shape == epochs.shape, f"{values.shape} values for {len(epochs)} epochs"
        arrays.append(np.where(np.isfinite(values), values, np.nan))
    return _Line(epochs, arrays[0], arrays[1], math.nan if curve.best_epoch is None else curve.best_epoch)


def _choose(lines: Sequence[Sequence[_Line | None]], best: int | None, most: int, monitor: str) -> list[int]:
    """Choose the values with room on the sheet: all, or the best ones by the mean of what their folds reached."""
    if len(lines) <= most:
        return list(range(len(lines)))
    lower = monitor in METRICS and METRICS[monitor].better == "lower"

    def rank(value: int) -> tuple[bool, float]:
        reached = [line.best for line in lines[value] if line is not None and not math.isnan(line.best)]
        mean = sum(reached) / len(reached) if reached else math.inf if lower else -math.inf
        return value != best, mean if lower else -mean

    return sorted(sorted(range(len(lines)), key=rank)[:most])


def _grid(count: int) -> tuple[int, int]:
    """Give columns and rows: a row of up to four, else nearly a square, a little wider than high."""
    across = count if count <= 4 else min(MOST_ACROSS, math.ceil(math.sqrt(1.4 * count)))
    return across, -(-count // across)


def _draw_folds(axes: "Axes", folds: Sequence[_Line | None]) -> None:
    begun = False
    for fold, line in enumerate(folds):
        if line is not None and not np.isnan(line.held_out).all():
            begun = True
            colour, shape = fold_mark(fold)
            _draw(axes, line.epochs, line.held_out, f"fold {fold}", colour, 1.6)
            if not math.isnan(line.best):
                look = _mark(colour, shape, 8)
                axes.plot([line.best_epoch], [line.best], label=f"best of fold {fold}", zorder=4, **look)
    if not begun:
        axes.text(0.5, 0.5, "nothing measured yet", ha="center", color=GREY, transform=axes.transAxes, fontsize=SMALL)


def _draw_final(axes: "Axes", line: _Line, shown: dict[str, "Artist"]) -> None:
    from matplotlib.lines import Line2D

    for name, values, colour, width in (
        ("training", line.training, TRAINING, 1.6),
        ("held-out", line.held_out, HELD_OUT, 2.2),
    ):
        if not np.isnan(values).all():
            _draw(axes, line.epochs, values, name, colour, width)
            shown[f"final: {name}"] = Line2D([], [], color=colour, linewidth=width)
    if not math.isnan(line.best):
        axes.plot([line.best_epoch], [line.best], label="best", zorder=5, **_mark(BEST, "o", 9))


def _mark(colour: str, shape: str, size: float) -> dict[str, Any]:
    """Give the look of a mark at a best epoch."""
    return {"color": colour, "marker": shape, "markersize": size, "markeredgecolor": "white", "markeredgewidth": 0.8}


def _draw(
    axes: "Axes", epochs: NDArray[np.float64], values: NDArray[np.float64], name: str, colour: str, width: float
) -> None:
    """Draw one curve; a value between two gaps has a dot, and gaps are bridged faintly."""
    seen = ~np.isnan(values)
    if not seen.all() and seen.sum() > 1:
        axes.plot(epochs[seen], values[seen], color=colour, linewidth=0.8, alpha=0.5, zorder=1.5)
    dots: dict[str, Any] = {"marker": "o", "markersize": 4}
    dots["markevery"] = [int(index) for index in np.flatnonzero(lone_values(values))]
    axes.plot(epochs, values, color=colour, linewidth=width, label=name, **dots)


def _frame(axes: "Axes", drawn: Sequence[_Line], monitor: str, *, inner: bool, above: bool) -> None:
    """Give every panel the same limits; words along the axes at the sheet's left and lower sides only."""
    from matplotlib.ticker import MaxNLocator

    axes.tick_params(labelsize=SMALL, labelleft=not inner)
    scale_figure(axes, [of for line in drawn for of in (*line.held_out, *line.training)], monitor)
    epochs = [epoch for line in drawn for epoch in line.epochs]
    if epochs:
        first, last = float(min(epochs)), float(max(epochs))
        margin = max(0.04 * (last - first), 0.4)
        axes.set_xlim(first - margin, last + margin)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    if not above:
        axes.set_xlabel("Epoch", fontsize=SMALL + 1)
