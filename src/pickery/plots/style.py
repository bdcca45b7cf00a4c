"""How every plot looks, and how it is written: one palette, one set of sizes, the same on every machine."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pickery.atomic import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart with any colour vision
BLUE: Final = "#0072B2"
SKY_BLUE: Final = "#56B4E9"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
ORANGE: Final = "#E69F00"
VERMILLION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
INK: Final = "#222222"
GREY: Final = "#767676"
FAINT: Final = "#E3E3E3"

TRAINING: Final = GREY
HELD_OUT: Final = BLUE
BEST: Final = VERMILLION

SETTINGS: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so letters are the same everywhere
    "font.size": 13,
    "axes.titlesize": 13,
    "axes.labelsize": 13,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.unicode_minus": True,
    "grid.color": FAINT,
    "grid.linewidth": 1.0,
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
    "lines.linewidth": 2.2,
    "lines.markersize": 5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.usetex": False,
}


@contextmanager
def pickery_style() -> Iterator[None]:
    """Draw with these settings, whatever the user's own matplotlib settings say, and leave those as they were."""
    import matplotlib.style

    with matplotlib.style.context(["default", SETTINGS]):
        yield


def new_figure(width_inches: float, height_inches: float) -> "Figure":
    """Make an empty figure that belongs to no window and is forgotten when the caller forgets it."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def save_figure(figure: "Figure", path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Write a figure as PNG, whole or not at all.

    Parameters
    ----------
    figure
    path
        Of the PNG; missing folders are made. An older file is replaced in one step.
    dpi
        Dots per inch; a figure 8 inches wide has 1200 pixels across at 150.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary, pickery_style():
        # no version of the drawing program inside: the same data gives the same bytes
        figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": None})


def label_ends(axes: "Axes", labels: Sequence[tuple[float, str, str]], *, gap: float = 0.075) -> None:
    """Write labels at the right-hand ends of lines, moved apart where they would overlap.

    Parameters
    ----------
    axes
        With its final limits on y.
    labels
        (value on y at the line's end, text, colour) of each line.
    gap
        Least distance between two labels, as a share of the height.
    """
    low, high = axes.get_ylim()
    wanted = sorted(((value - low) / (high - low), text, colour) for value, text, colour in labels)
    heights = [min(max(height, 0.0), 1.0) for height, _, _ in wanted]
    for index in range(1, len(heights)):
        heights[index] = max(heights[index], heights[index - 1] + gap)
    # pushed over the top: the whole pile moves down
    for index in range(len(heights) - 1, -1, -1):
        most = 1.0 if index == len(heights) - 1 else heights[index + 1] - gap
        heights[index] = min(heights[index], most)
    for height, (_, text, colour) in zip(heights, wanted, strict=True):
        axes.text(1.015, height, text, transform=axes.transAxes, color=colour, va="center", ha="left")
