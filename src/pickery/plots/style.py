"""How every plot looks, and how it is written: one palette, one set of sizes, the same on every machine."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pickery.atomic import atomic_path

if TYPE_CHECKING:
    from matplotlib.artist import Artist
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

# of folds; counts without a common divisor, so that 40 folds have marks of their own. Vermillion is kept for the best
FOLD_COLOURS: Final = (SKY_BLUE, ORANGE, GREEN, PURPLE, INK)
FOLD_SHAPES: Final = ("o", "s", "^", "D", "v", "P", "<", ">")

LEGEND_LETTERS_PER_INCH: Final = 10.0
# what a legend's mark and the gaps beside it take, in letters
HANDLE_LETTERS: Final = 6

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

    with matplotlib.style.context(["default", SETTINGS]), warnings.catch_warnings():
        # names of micrographs may have letters of any script, of which a font draws some as boxes
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield


def as_it_is(text: str) -> str:
    """Give a text such as a micrograph's name so that dollar signs in it begin no formula, which might be none."""
    return text.replace("$", r"\$")


def new_figure(width_inches: float, height_inches: float) -> "Figure":
    """Make an empty figure that belongs to no window and is forgotten when the caller forgets it."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def fold_mark(fold: int) -> tuple[str, str]:
    """Give the colour and the shape that stand for a fold in every plot, folds counted from 0."""
    return FOLD_COLOURS[fold % len(FOLD_COLOURS)], FOLD_SHAPES[fold % len(FOLD_SHAPES)]


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


def legend_above(figure: "Figure", shown: Mapping[str, "Artist"]) -> None:
    """Write one legend for a whole figure above its axes, read row by row, in as many rows as it takes."""
    from matplotlib.lines import Line2D

    if not shown:
        return
    letters = figure.get_figwidth() * LEGEND_LETTERS_PER_INCH
    words = list(shown)
    for rows in range(1, len(words) + 1):
        columns = -(-len(words) // rows)
        widths = [HANDLE_LETTERS + max(map(len, words[column::columns])) for column in range(columns)]
        if sum(widths) <= letters:
            break
    # a legend is filled column by column: ordered so that the rows read on, with nothing in the places left over
    order = [row * columns + column for column in range(columns) for row in range(rows)]
    entries = [(shown[words[at]], words[at]) if at < len(words) else (Line2D([], [], alpha=0), "") for at in order]
    handles, labels = zip(*entries, strict=True)
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, columnspacing=1.5)


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


def lone_values(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find the values with a gap (nan) on either side, which a line alone leaves invisible."""
    gap = np.concatenate([[True], np.isnan(values), [True]])
    alone: NDArray[np.bool_] = ~gap[1:-1] & gap[:-2] & gap[2:]
    return alone
