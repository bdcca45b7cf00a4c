"""The precision-recall curve of whole picks: which score threshold to take, and what it costs."""

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from pickery.evaluation.metrics import PrecisionRecallCurve
from pickery.plots.style import BEST, GREY, HELD_OUT, new_figure, pickery_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# of a curve over millions of regions no more points than these can be seen
MOST_POINTS = 2000
PARTIAL = (
    "Labels are partial: a true particle that nobody labelled counts as a\n"
    "wrong pick here, so the real precision is higher, or the same."
)


def plot_precision_recall(
    curve: PrecisionRecallCurve,
    *,
    average_precision: float,
    threshold: float | None = None,
    partial_labels: bool = True,
    region_curve: PrecisionRecallCurve | None = None,
    region_average_precision: float | None = None,
) -> "Figure":
    """Plot precision against recall of picks over all score thresholds, one threshold marked.

    Parameters
    ----------
    curve
        Of picks: `pickery.evaluation.matching.PickMetrics.curve`.
    average_precision
        Of picks; nan where it is not defined.
    threshold
        The score threshold to mark, usually that of best F1; leave out (or nan) to mark none.
    partial_labels
        Whether some true particles may be unlabelled. Then the plot says that precision is a lower bound.
    region_curve, region_average_precision
        Of regions, drawn thinly beside.
    """
    with pickery_style():
        # the axes stay square: words above and below get room of their own
        figure = new_figure(6.4, 6.1 + 0.27 * (1 + (region_curve is not None)) + 0.5 * partial_labels)
        axes = figure.add_subplot()
        # a curve along the edge keeps its whole width
        axes.set_xlim(0, 1.015)
        axes.set_ylim(0, 1.015)
        axes.set_aspect("equal")
        ticks = np.linspace(0, 1, 6)
        axes.set_xticks(ticks)
        axes.set_yticks(ticks)
        axes.grid()
        axes.set_xlabel("Recall")
        axes.set_ylabel("Precision (lower bound)" if partial_labels else "Precision")
        if partial_labels:
            figure.supxlabel(PARTIAL, x=0.01, ha="left", fontsize=10.5, color=GREY)

        handles = []
        if region_curve is not None:
            handles += _draw(axes, region_curve, _named("regions", region_average_precision), GREY, 1.2)
        handles += _draw(axes, curve, _named("picks", average_precision), HELD_OUT, 2.6)
        if handles:
            figure.legend(handles=handles[::-1], loc="outside upper left", ncols=1)
        if threshold is not None and not math.isnan(threshold):
            _mark(axes, curve, threshold)
        if len(curve.recall) == 0 or np.isnan(curve.recall).any():
            why = "no picks" if len(curve.recall) == 0 else "no labelled particle to compare with"
            axes.text(0.5, 0.5, why, ha="center", color=GREY)
        return figure


def _draw(axes: "Axes", curve: PrecisionRecallCurve, name: str, colour: str, width: float) -> list["Line2D"]:
    if len(curve.recall) == 0 or np.isnan(curve.recall).any():
        return []
    kept = _thin(curve.recall)
    # a step holds the precision at which recall was gained, so that the area below is the average precision
    return axes.plot(
        np.concatenate([[0.0], curve.recall[kept]]),
        np.concatenate([curve.precision[kept[:1]], curve.precision[kept]]),
        color=colour,
        linewidth=width,
        drawstyle="steps-pre",
        solid_joinstyle="round",
        label=name,
    )


def _mark(axes: "Axes", curve: PrecisionRecallCurve, threshold: float) -> None:
    """Mark the point of the curve at a threshold and write its numbers on the emptier side."""
    at = int(np.count_nonzero(curve.threshold >= threshold)) - 1
    if at < 0 or math.isnan(curve.recall[at]):
        return
    recall, precision, f1 = float(curve.recall[at]), float(curve.precision[at]), float(curve.f1[at])
    axes.plot(
        [recall], [precision], "o", color=BEST, markersize=11, markeredgecolor="white", markeredgewidth=1.5, zorder=5
    )
    best = "best " if f1 >= float(curve.f1.max()) else ""
    # a curve leaves room on the origin's side where it is high, and on the far side where it is low
    below = recall + precision > 1
    across: Literal["left", "right"] = "right" if recall > 0.5 else "left"
    axes.annotate(
        f"{best}F1 {f1:.3f}\nthreshold {threshold:.2f}\nprecision {precision:.3f}\nrecall {recall:.3f}",
        (recall, precision),
        xytext=(-14 if across == "right" else 14, -14 if below else 14),
        textcoords="offset points",
        ha=across,
        va="top" if below else "bottom",
        color=BEST,
        bbox={"boxstyle": "square,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        zorder=6,
    )


def _thin(recall: NDArray[np.float64]) -> NDArray[np.int64]:
    """Choose at most `MOST_POINTS` points of a long curve, evenly spaced in recall, both ends among them."""
    if len(recall) <= MOST_POINTS:
        return np.arange(len(recall))
    wanted = np.linspace(recall[0], recall[-1], MOST_POINTS - 1)
    return np.unique(np.append(np.searchsorted(recall, wanted), len(recall) - 1))


def _named(name: str, average_precision: float | None) -> str:
    if average_precision is None or math.isnan(average_precision):
        return name
    return f"{name}, average precision {average_precision:.3f}"
