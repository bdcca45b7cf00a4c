"""Plots: data in, matplotlib figures out.

Reads no run, logs nothing, and never touches pyplot, so any thread or worker may draw. Only `save_figure` writes.
matplotlib itself is imported when something is drawn.
"""

from pickery.plots.cross_validation import plot_cross_validation
from pickery.plots.curves import plot_metrics, plot_precision
from pickery.plots.fold_curves import Curve, plot_fold_curves
from pickery.plots.picks import plot_picked, plot_picks
from pickery.plots.precision_recall import plot_precision_recall
from pickery.plots.style import save_figure

__all__ = [
    "Curve",
    "plot_cross_validation",
    "plot_fold_curves",
    "plot_metrics",
    "plot_picked",
    "plot_picks",
    "plot_precision",
    "plot_precision_recall",
    "save_figure",
]
