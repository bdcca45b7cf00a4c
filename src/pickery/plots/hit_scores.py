"""The scores of picks that found a particle and of those that did not: how well a threshold can part them."""

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike

from pickery.plots.style import BEST, BLUE, GREY, legend_above, new_figure, pickery_style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

BINS: Final = 48
# a bar so much lower than the highest cannot be seen on a linear axis
TOO_LOW: Final = 40


def plot_hit_scores(hits: ArrayLike, extras: ArrayLike, *, threshold: float = math.nan) -> "Figure":
    """Plot the scores of all candidate picks, those with a particle over those without.

    Parameters
    ----------
    hits : (n,)
        Scores of picks with a particle.
    extras : (m,)
        Scores of picks without.
    threshold
        The lowest score that counts as a pick; nan for none.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    found, others = (np.asarray(scores, dtype=np.float64).ravel() for scores in (hits, extras))
    every = np.concatenate([found, others])
    with pickery_style():
        figure = new_figure(8, 4.6)
        axes = figure.add_subplot()
        axes.set_xlabel("Score")
        axes.set_ylabel("Picks")
        if len(every) == 0:
            axes.text(0.5, 0.5, "no picks", transform=axes.transAxes, ha="center", color=GREY)
            axes.set_xticks([])
            axes.set_yticks([])
            return figure
        low, high = float(every.min()), float(every.max())
        edges = np.linspace(low, high, BINS + 1).tolist() if high > low else [low - 0.5, low + 0.5]
        shown: dict[str, Artist] = {}
        tallest = []
        for scores, colour, words in ((others, GREY, "without a particle"), (found, BLUE, "on a particle")):
            counts = axes.hist(scores, bins=edges, histtype="stepfilled", color=colour, alpha=0.3)[0]
            axes.hist(scores, bins=edges, histtype="step", color=colour, linewidth=2)
            shown[f"{len(scores):,} {words}"] = Patch(facecolor=(*_rgb(colour), 0.3), edgecolor=colour, linewidth=2)
            tallest.append(float(np.max(counts)))
        if min(tallest) > 0 and max(tallest) > TOO_LOW * min(tallest):
            axes.set_yscale("log")
            axes.set_ylim(0.7, None)
        else:
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        if not math.isnan(threshold):
            axes.axvline(threshold, color=BEST, linewidth=2)
            shown[f"threshold {threshold:.2f}"] = Line2D([], [], color=BEST, linewidth=2)
        room = 0.02 * (edges[-1] - edges[0])
        axes.set_xlim(edges[0] - room, edges[-1] + room)
        legend_above(figure, shown)
        return figure


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)
