"""Where picks sit beside the particles that they found: a shift or a wrong scale shows at once."""

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike

from pickery.plots.style import BEST, BLUE, GREY, new_figure, pickery_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# beyond this many points their density is drawn instead
MOST_POINTS: Final = 4000
BINS: Final = 24
ROOM: Final = 1.2


def plot_centre_offsets(
    offsets: ArrayLike, *, radius: float, pixel_size_angstrom: float | None = None, title: str = ""
) -> "Figure":
    """Plot pick minus particle of every hit, the mean marked, and the distances.

    Parameters
    ----------
    offsets : (n, 2)
        x, y from the particle to its pick, full-size pixels.
    radius
        Within which a pick finds a particle, full-size pixels.
    pixel_size_angstrom
        Of the full-size micrographs, for the mean distance in Å; None where it is not known.
    title
        Above the plot.
    """
    from matplotlib.patches import Circle
    from matplotlib.ticker import MaxNLocator

    found = np.asarray(offsets, dtype=np.float64).reshape(-1, 2)
    length = np.hypot(found[:, 0], found[:, 1])
    # a radius far beyond all hits would leave them a spot in the middle
    reach = radius if len(found) == 0 else min(radius, ROOM * float(length.max()) or radius)
    with pickery_style():
        figure = new_figure(10.4, 5.6 + 0.3 * bool(title))
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=13)
        beside, distances = figure.subplots(1, 2)
        beside.set_aspect("equal")
        beside.set_xlim(-1.04 * reach, 1.04 * reach)
        beside.set_ylim(1.04 * reach, -1.04 * reach)  # rows grow downwards, as in the image
        beside.add_patch(
            Circle((0, 0), radius, fill=False, edgecolor=GREY, linestyle=(0, (4, 3)), linewidth=1.2, zorder=3)
        )
        beside.axhline(0, color=GREY, linewidth=0.8)
        beside.axvline(0, color=GREY, linewidth=0.8)
        beside.set_xlabel("Pick minus particle, x (px, to the right)")
        beside.set_ylabel("y (px, downwards)")
        distances.set_xlabel(f"Distance to the particle (px), below {radius:.4g}")
        distances.set_ylabel("Hits")
        distances.set_box_aspect(1)
        distances.set_xlim(-0.04 * reach, 1.02 * reach)
        if len(found) == 0:
            for axes in (beside, distances):
                axes.text(0.5, 0.55, "no pick hits a particle", transform=axes.transAxes, ha="center", color=GREY)
            distances.set_yticks([])
            return figure
        if len(found) > MOST_POINTS:
            span = (-reach, reach, -reach, reach)
            beside.hexbin(found[:, 0], found[:, 1], gridsize=40, extent=span, cmap="Blues", mincnt=1)
        else:
            size = max(5.0, min(40.0, 900 / math.sqrt(len(found))))
            opacity = max(0.25, min(0.7, 12 / math.sqrt(len(found))))
            beside.scatter(found[:, 0], found[:, 1], s=size, color=BLUE, alpha=opacity, linewidths=0)
        x, y = found.mean(axis=0)
        beside.plot([x], [y], "o", color=BEST, markersize=10, markeredgecolor="white", markeredgewidth=1.5, zorder=5)
        hits = f"{len(found):,} {'hit' if len(found) == 1 else 'hits'}"
        beside.set_title(f"{hits}, mean x {x:+.2f}, y {y:+.2f} px", color=BEST, pad=10)
        distances.hist(length, bins=BINS, range=(0, reach), color=BLUE, alpha=0.75, edgecolor="white", linewidth=0.6)
        distances.yaxis.set_major_locator(MaxNLocator(integer=True))
        mean = float(length.mean())
        distances.axvline(mean, color=BEST, linewidth=2)
        words = f"mean {mean:.2f} px" + (f" = {mean * pixel_size_angstrom:.2f} Å" if pixel_size_angstrom else "")
        distances.set_title(words, color=BEST, pad=10)
        return figure
