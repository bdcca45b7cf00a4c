"""A micrograph with its picks circled: alone, or as labelled particles found, missed, and picks beside them."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.plots.style import as_it_is, new_figure, pickery_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class _Ring:
    colour: str
    dashes: Literal["solid"] | tuple[float, tuple[float, ...]]


# told apart by line style alone, too; bright enough for a grey micrograph
HITS: Final = _Ring("#4CC9F0", "solid")
MISSES: Final = _Ring("#FFE14D", (0, (4.0, 1.6)))
EXTRAS: Final = _Ring("#FF6B35", (0, (1.0, 0.7)))
DARK: Final = "#333333"

# contrast runs between these percentiles: a few hot pixels must not grey out the rest
STRETCH: Final = (0.5, 99.5)
LONGER_SIDE_INCHES: Final = 8.0
CHARACTERS_PER_INCH: Final = 8.5


def plot_picks(
    image: ArrayLike,
    hits: ArrayLike,
    misses: ArrayLike,
    extras: ArrayLike,
    *,
    radius: float,
    title: str = "",
    smoothing_px: float | None = None,
    pixel_size_angstrom: float | None = None,
    left_out: NDArray[np.bool_] | None = None,
) -> "Figure":
    """Plot a micrograph with hits, misses and extras circled.

    Parameters
    ----------
    image : (height, width)
        A prepared micrograph, [y, x]; drawn with row 0 at the top.
    hits, misses, extras : (n, 2)
        x, y in pixels of `image`: picks on a labelled particle, labelled particles not picked, picks without a label.
    radius
        Of the circles, in pixels of `image`.
    title
        Usually the micrograph's name.
    smoothing_px
        Standard deviation of a Gaussian that the image is smoothed with for display, in pixels of `image`; 0 for none.
        Default: an eighth of the radius, which quiets the grain and keeps the particles. The plot says so.
    pixel_size_angstrom
        Of `image` (after downsampling), for a scale bar; none is drawn where it is not known.
    left_out : bool, (height, width)
        Where nothing was to be picked; drawn darker, with an outline.
    """
    groups = (
        (hits, HITS, "found"),
        (misses, MISSES, "missed (labelled, not picked)"),
        (extras, EXTRAS, "extra (picked, not labelled)"),
    )
    return _drawn(image, groups, radius, title, smoothing_px, pixel_size_angstrom, left_out)


def plot_picked(
    image: ArrayLike,
    points: ArrayLike,
    *,
    radius: float,
    title: str = "",
    smoothing_px: float | None = None,
    pixel_size_angstrom: float | None = None,
    left_out: NDArray[np.bool_] | None = None,
) -> "Figure":
    """Plot a micrograph with all its picks circled, where nothing is known to hold them against.

    Parameters
    ----------
    image, radius, title, smoothing_px, pixel_size_angstrom, left_out
        As in `plot_picks`.
    points : (n, 2)
        x, y in pixels of `image`.
    """
    return _drawn(image, ((points, HITS, "picks"),), radius, title, smoothing_px, pixel_size_angstrom, left_out)


def plot_readings(
    image: ArrayLike,
    given: ArrayLike,
    better: ArrayLike | None,
    *,
    better_words: str = "",
    radius: float,
    title: str = "",
    smoothing_px: float | None = None,
    pixel_size_angstrom: float | None = None,
) -> "Figure":
    """Plot a micrograph with its picks as they are read, and as they should be.

    Parameters
    ----------
    image, radius, title, smoothing_px, pixel_size_angstrom
        As in `plot_picks`.
    given : (n, 2)
        x, y in pixels of `image`, as the settings have them read.
    better : (n, 2)
        Read otherwise; None where nothing is better.
    better_words
        How, for the legend.
    """
    groups: list[tuple[ArrayLike, _Ring, str]] = [(given, HITS, "picks as they are read")]
    if better is not None:
        groups = [(given, EXTRAS, "picks as they are read"), (better, HITS, better_words)]
    return _drawn(image, groups, radius, title, smoothing_px, pixel_size_angstrom, None)


def _drawn(
    image: ArrayLike,
    groups: Sequence[tuple[ArrayLike, _Ring, str]],
    radius: float,
    title: str,
    smoothing_px: float | None,
    pixel_size_angstrom: float | None,
    left_out: NDArray[np.bool_] | None,
) -> "Figure":
    from matplotlib.lines import Line2D
    from scipy.ndimage import gaussian_filter

    pixels = np.asarray(image, dtype=np.float32)
    assert pixels.ndim == 2, f"an image is [y, x], not {pixels.shape}"
    height, width = pixels.shape
    if smoothing_px is None:
        smoothing_px = radius / 8
    shown = gaussian_filter(pixels, smoothing_px) if smoothing_px > 0 else pixels
    low, high = np.percentile(shown, STRETCH)
    with pickery_style():
        scale = LONGER_SIDE_INCHES / max(height, width)
        across = max(width * scale, 4.6)
        lines = textwrap.wrap(title, int(across * CHARACTERS_PER_INCH))
        # as much again as the title and the legend's lines need
        notes = len(groups) + (smoothing_px > 0) + (left_out is not None)
        figure = new_figure(across, height * scale + 0.3 * len(lines) + 0.15 + 0.25 * notes)
        axes = figure.add_subplot()
        axes.imshow(
            shown, cmap="gray", vmin=low, vmax=max(high, low + 1e-6 * max(1.0, abs(low))), interpolation="antialiased"
        )
        axes.set_xlim(-0.5, width - 0.5)
        axes.set_ylim(height - 0.5, -0.5)
        axes.set_axis_off()
        axes.set_title(as_it_is("\n".join(lines)))
        line_points = min(2.2, max(1.1, 0.13 * radius * scale * 72))
        handles = []
        for points, ring, words in groups:
            centres = np.asarray(points, dtype=np.float64).reshape(-1, 2)
            _circle(axes, centres, radius, ring, line_points, words)
            handles.append(
                Line2D([], [], color=ring.colour, linestyle=ring.dashes, linewidth=2.4, label=f"{len(centres)} {words}")
            )
        if left_out is not None:
            _darken(axes, left_out)
            handles.append(Line2D([], [], color=MISSES.colour, linewidth=1.2, label="left out"))
        if smoothing_px > 0:
            words = f"smoothed for display, σ = {smoothing_px:.3g} px"
            handles.append(Line2D([], [], linestyle="none", label=words))
        axes.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0, -0.015),
            borderaxespad=0,
            frameon=True,
            fancybox=False,
            facecolor=DARK,
            edgecolor="none",
            framealpha=1.0,
            labelcolor="white",
            handlelength=2.8,
        )
        if pixel_size_angstrom is not None:
            _scale_bar(axes, width, height, pixel_size_angstrom)
        return figure


def _darken(axes: "Axes", left_out: NDArray[np.bool_]) -> None:
    """Draw areas darker, and outline them."""
    shade = np.zeros((*left_out.shape, 4), dtype=np.float32)
    shade[..., 3] = 0.45 * left_out
    axes.imshow(shade, interpolation="nearest")
    if left_out.any() and not left_out.all():
        axes.contour(left_out, levels=[0.5], colors=MISSES.colour, linewidths=1.2)


def _circle(
    axes: "Axes", centres: NDArray[np.float64], radius: float, ring: _Ring, line_points: float, words: str
) -> None:
    """Draw one group's circles as one collection, on a dark casing that keeps them visible on bright grain."""
    from matplotlib.collections import EllipseCollection

    across = np.full(len(centres), 2.0 * radius)
    for colour, extra, alpha, dashes in ((DARK, 1.4, 0.55, "solid"), (ring.colour, 0.0, 1.0, ring.dashes)):
        axes.add_collection(
            EllipseCollection(
                across,
                across,
                np.zeros(len(centres)),
                units="xy",
                offsets=centres,
                offset_transform=axes.transData,
                facecolors="none",
                edgecolors=colour,
                linewidths=line_points + extra,
                linestyles=[dashes],
                alpha=alpha,
                label=words if extra == 0 else f"_{words}",
            ),
            autolim=False,
        )


def _scale_bar(axes: "Axes", width: int, height: int, pixel_size_angstrom: float) -> None:
    """Draw a bar of a round length, about a fifth of the width, in the lower left corner."""
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar  # type: ignore[import-untyped]

    assert pixel_size_angstrom > 0
    angstrom = _round_length(0.2 * width * pixel_size_angstrom)
    words = f"{angstrom / 10:g} nm" if angstrom >= 100 else f"{angstrom:g} Å"
    length = angstrom / pixel_size_angstrom
    bar = AnchoredSizeBar(
        axes.transData,
        length,
        words,
        "lower left",
        pad=0.5,
        borderpad=0.5,
        sep=4,
        color="white",
        size_vertical=0.006 * height,
        label_top=True,
        frameon=True,
    )
    # on a dark ground of its own, above the circles: legible wherever particles lie
    bar.patch.set(facecolor=DARK, edgecolor="none", alpha=0.85, boxstyle="square,pad=0")
    bar.set_zorder(6)
    axes.add_artist(bar)


def _round_length(length: float) -> float:
    """Round down to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(step * power for step in (1, 2, 5) if step * power <= length * (1 + 1e-9))
