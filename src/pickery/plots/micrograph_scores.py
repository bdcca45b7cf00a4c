"""Precision, recall and F1 of each micrograph: which ones a picker fails on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.plots.style import BLUE, FAINT, GREEN, GREY, ORANGE, as_it_is, legend_above, new_figure, pickery_style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# more than these are drawn without their names, side by side
MOST_NAMED: Final = 40
LONGEST_NAME: Final = 34
NAMED_WORST: Final = 3
# open marks, so that none hides another where they meet
_MARKS: Final = (("precision", "o", ORANGE, 10.0), ("recall", "^", GREEN, 9.0), ("F1", "D", BLUE, 5.0))


def plot_micrograph_scores(
    names: Sequence[str], precision: ArrayLike, recall: ArrayLike, f1: ArrayLike, *, partial_labels: bool = True
) -> "Figure":
    """Plot the figures of each micrograph, the best F1 first.

    Parameters
    ----------
    names
        Of the micrographs.
    precision, recall, f1 : (n,)
        nan where they are not defined: no mark is drawn then, and without F1 the micrograph comes last.
    partial_labels
        Whether some true particles may be unlabelled, so that precision and F1 are lower bounds, which is said.
    """
    values = np.stack([np.asarray(figure, dtype=np.float64) for figure in (precision, recall, f1)])
    order = np.argsort(-np.nan_to_num(values[2], nan=-1.0), kind="stable")
    values, names = values[:, order], [names[index] for index in order]
    axis = "Share of picks or particles" + (" (precision and F1: lower bounds)" if partial_labels else "")
    with pickery_style():
        if 0 < len(names) <= MOST_NAMED:
            figure = new_figure(8.6, 1.5 + 0.27 * len(names))
            axes = figure.add_subplot()
            shown = _rows(axes, names, values)
            axes.set_xlabel(axis)
        else:
            figure = new_figure(8.6, 4.8)
            axes = figure.add_subplot()
            shown = _columns(axes, names, values)
            axes.set_ylabel(axis.replace(" (", "\n("))
        legend_above(figure, shown)
        return figure


def _rows(axes: "Axes", names: Sequence[str], values: NDArray[np.float64]) -> dict[str, "Artist"]:
    """Draw a row for each micrograph, named."""
    row = np.arange(len(names))
    known = ~np.isnan(values).all(axis=0)
    lowest, highest = np.nanmin(values[:, known], axis=0), np.nanmax(values[:, known], axis=0)
    axes.hlines(row[known], lowest, highest, GREY, linewidth=1, zorder=1)
    shown: dict[str, Artist] = {}
    for (label, mark, colour, size), value in zip(_MARKS, values, strict=True):
        face = colour if label == "F1" else "none"
        (shown[label],) = axes.plot(
            value, row, mark, color=colour, markersize=size, markerfacecolor=face, markeredgewidth=1.8
        )
    axes.set_yticks(row, [_short(name) for name in names], fontsize=10)
    axes.set_ylim(len(names) - 0.4, -0.6)
    # dots, not bars: the axis may begin where the figures do
    low = max(0.0, np.floor(10 * float(lowest.min(initial=1.0)) - 0.2) / 10)
    axes.set_xlim(low - 0.02 * (1 - low), 1 + 0.02 * (1 - low))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="both")
    return shown


def _columns(axes: "Axes", names: Sequence[str], values: NDArray[np.float64]) -> dict[str, "Artist"]:
    """Draw many micrographs side by side, F1 as a falling line."""
    shown: dict[str, Artist] = {}
    rank = np.arange(1, len(names) + 1)
    for (label, mark, colour, _), value in zip(_MARKS, values, strict=True):
        if label == "F1":
            shown[label] = axes.plot(rank, value, color=colour, linewidth=2.6, zorder=4)[0]
        else:
            shown[label] = axes.plot(rank, value, mark, color=colour, markersize=3.5, alpha=0.6, markeredgewidth=0)[0]
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("Micrographs, best F1 first")
    axes.grid(axis="y")
    if names:
        axes.set_xlim(0, len(names) + 1)
        worst = "\n".join(_short(name) for name in reversed(names[-NAMED_WORST:]))
        axes.text(
            0.01,
            0.03,
            f"lowest F1:\n{worst}",
            transform=axes.transAxes,
            fontsize=10,
            color=GREY,
            bbox={"boxstyle": "square,pad=0.25", "facecolor": "white", "edgecolor": FAINT, "alpha": 0.9},
            zorder=6,
        )
    else:
        axes.text(0.5, 0.5, "no micrograph", transform=axes.transAxes, ha="center", color=GREY)
    return shown


def _short(name: str) -> str:
    """Shorten a long name in its middle: programs put what tells micrographs apart at either end."""
    half = LONGEST_NAME // 2
    return as_it_is(name if len(name) <= LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}")
