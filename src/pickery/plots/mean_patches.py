"""The mean of what stands at picks, read in several ways, side by side: only one of them shows a particle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pickery.plots.style import BLUE, GREY, VERMILLION, new_figure, pickery_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 5


@dataclass(frozen=True, eq=False)
class Panel:
    """One mean patch.

    Attributes
    ----------
    patch
        float (side, side), [y, x]; nan where nothing could be averaged.
    title, note
        What it is; a figure or two below it.
    mark
        ``given`` for the picks as they are read, ``better`` for the reading that fits; else nothing.
    """

    patch: NDArray[np.float64]
    title: str
    note: str
    mark: str = ""


def plot_mean_patches(panels: Sequence[Panel], *, title: str = "") -> "Figure":
    """Plot mean patches, all on one scale of grey, so that noise looks like noise.

    Parameters
    ----------
    panels
        At least one, of one size.
    title
        Above them all.
    """
    from matplotlib.patches import Rectangle

    rows = -(-len(panels) // COLUMNS)
    values = np.concatenate([panel.patch.ravel() for panel in panels])
    values = values[np.isfinite(values)]
    middle = float(np.median(values)) if len(values) else 0.0
    reach = max(float(np.abs(values - middle).max()) if len(values) else 0.0, 1e-6)
    # as the circles of both on a micrograph
    has_better = any(panel.mark == "better" for panel in panels)
    colours = {"given": VERMILLION if has_better else BLUE, "better": BLUE}
    with pickery_style():
        figure = new_figure(2.1 * COLUMNS, 2.75 * rows + (0.5 if title else 0.0))
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=14)
        axes = figure.subplots(rows, COLUMNS, squeeze=False)
        for place, one in zip(axes.flat, [*panels, *[None] * (rows * COLUMNS - len(panels))], strict=True):
            place.set_xticks([])
            place.set_yticks([])
            if one is None:
                place.set_axis_off()
                continue
            place.imshow(one.patch, cmap="gray", vmin=middle - reach, vmax=middle + reach, interpolation="nearest")
            place.set_facecolor("#EEEEEE")
            place.set_title(one.title, fontsize=10)
            place.set_xlabel(one.note, fontsize=10)
            colour = colours.get(one.mark)
            for spine in place.spines.values():
                spine.set_visible(True)
                spine.set_edgecolor(colour or GREY)
                spine.set_linewidth(3.5 if colour else 0.8)
            if not np.isfinite(one.patch).any():
                place.add_patch(Rectangle((0, 0), 1, 1, transform=place.transAxes, facecolor="#EEEEEE"))
                place.text(0.5, 0.5, "outside", transform=place.transAxes, ha="center", va="center", color=GREY)
        return figure
