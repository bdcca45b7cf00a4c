"""One panel of cross-validation: a figure of merit over the tested values, with its folds, means and marks."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pickery.decimals import word
from pickery.plots.scales import figure_words, scale_figure, scale_values
from pickery.plots.style import BEST, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY_BLUE, fold_mark, label_ends
from pickery.plots.words import setting_words

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

LINE_COLOURS = (BLUE, GREEN, ORANGE, PURPLE, SKY_BLUE)
PANEL_INCHES = 4.9
# marks of one value stand beside each other, so that none hides another; closer where the values are close
MOST_POINTS_APART = 8.0
# values closer than this have smaller marks
ROOMY_POINTS = 28.0


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """What all panels share."""

    names: Sequence[str]
    tested: NDArray[np.float64]
    best: int | None
    unchanged: Sequence[float | None]
    failed: frozenset[int]
    stopped: frozenset[int]
    mixed: frozenset[int]

    @property
    def across(self) -> NDArray[np.float64]:
        """Each value's place on x."""
        return self.tested[:, -1]

    @property
    def series(self) -> list[tuple[float, NDArray[np.int64]]]:
        """The lines: the first setting's value (if there are two) and the indices along x."""
        along = np.argsort(self.across, kind="stable")
        if len(self.names) == 1:
            return [(math.nan, along)]
        return [(float(first), along[self.tested[along, 0] == first]) for first in np.unique(self.tested[:, 0])]

    @property
    def shows_folds(self) -> bool:
        """Whether single folds can be told apart, or there are too many lines."""
        return len(self.series) <= len(LINE_COLOURS)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One figure: results of (value, fold), their means and standard errors."""

    axes: "Axes"
    sheet: Sheet
    name: str
    of: NDArray[np.float64]
    mean: NDArray[np.float64]
    error: NDArray[np.float64]


def draw_panel(panel: Panel, shown: dict[str, "Artist"]) -> None:
    """Draw one figure; what belongs in the legend is added to `shown`."""
    axes, sheet, of = panel.axes, panel.sheet, panel.of
    series = sheet.series
    gap = scale_values(axes, sheet.across, width_points=72 * (PANEL_INCHES - (0.9 if len(series) == 1 else 1.5)))
    size = min(1.0, max(0.6, gap / ROOMY_POINTS))
    reach = [of.ravel()] if sheet.shows_folds else []
    scale_figure(
        axes,
        np.concatenate([*reach, panel.mean, panel.mean - panel.error, panel.mean + panel.error]),
        panel.name,
        room_below=0.12 if sheet.failed else 0.0,
        room_above=0.06 if sheet.mixed else 0.0,
    )
    axes.set_xlabel(_sentence(setting_words(sheet.names[-1])))
    axes.set_ylabel(figure_words(panel.name))
    colours = _line_colours(len(series))
    beside = [0.0] if len(series) == 1 else _side_by_side(range(len(series)), 0.6 * gap)
    for (_, indices), colour, points in zip(series, colours, beside, strict=True):
        if sheet.shows_folds and of.shape[1] > 1:
            _draw_folds(panel, indices, colour if len(series) > 1 else None, points, gap, size, shown)
        _draw_means(panel, indices, colour, _moved(axes, points), size, shown)
        _draw_failed(panel, indices, colour if len(series) > 1 else GREY, points, shown)
        if sheet.best is not None and sheet.best in indices:
            _draw_best(panel, sheet.best, _moved(axes, points))
    if len(series) > 1:
        _name_lines(panel, colours)
    _draw_unchanged(panel, shown)
    if np.isnan(of).all() and not sheet.failed:
        axes.text(0.5, 0.5, "nothing measured yet", ha="center", color=GREY, transform=axes.transAxes)
    for index in sorted(sheet.mixed):
        heights = np.array([*of[index], panel.mean[index] + panel.error[index]])
        if not np.isnan(heights).all():
            axes.text(float(sheet.across[index]), float(np.nanmax(heights)), "*", ha="center", va="bottom")


def _draw_folds(
    panel: Panel,
    indices: NDArray[np.int64],
    colour: str | None,
    points: float,
    gap: float,
    size: float,
    shown: dict[str, "Artist"],
) -> None:
    """Draw every training as a point in its fold's shape.

    Where there is one line the folds have their colours and stand beside the mean, each always at its own side; else
    they have their line's colour and its place, `points` beside the value.
    """
    from matplotlib.lines import Line2D

    count = panel.of.shape[1]
    half = -(-count // 2)
    # the centre is left free for the mean
    slots = [slot for slot in range(-half, half + 1) if slot][:count]
    beside = _side_by_side(slots, 0.8 * gap) if colour is None else [points] * count
    for fold in range(count):
        own, shape = fold_mark(fold)
        style: dict[str, Any] = {"linestyle": "none", "marker": shape, "label": f"fold {fold}"}
        if colour is None:
            style |= {
                "color": own,
                "markersize": 6 * max(size, 0.75),
                "markeredgecolor": "white",
                "markeredgewidth": 0.4,
            }
        else:
            style |= {"color": colour, "markersize": 4.5 * size, "alpha": 0.6}
        transform = _moved(panel.axes, beside[fold])
        across = panel.sheet.across[indices]
        panel.axes.plot(across, panel.of[indices, fold], transform=transform, zorder=3, **style)
        style |= {"markersize": 7, "color": own if colour is None else GREY}
        shown.setdefault(f"fold {fold}", Line2D([], [], **style))


def _draw_means(
    panel: Panel,
    indices: NDArray[np.int64],
    colour: str,
    place: "Transform",
    size: float,
    shown: dict[str, "Artist"],
) -> None:
    """Draw means with their errors: joined where they compare, hollow where folds are missing or trained shorter."""
    several = len(panel.sheet.series) > 1
    early = np.isin(indices, sorted(panel.sheet.stopped))
    whole = ~np.isnan(panel.of[indices]).any(axis=1)
    some = ~np.isnan(panel.mean[indices])
    all_words = "mean ± standard error" if panel.of.shape[1] > 1 else "one fold: no error to show"
    # of several lines the stopped values keep the colour, or nobody knew whose they are
    faint = {"color": colour, "markerfacecolor": colour, "alpha": 0.35} if several else {"color": GREY}
    groups: tuple[tuple[str, NDArray[np.int64], dict[str, Any]], ...] = (
        (all_words, indices[whole & ~early], {"color": colour, "markerfacecolor": colour, "linestyle": "-"}),
        ("mean so far (folds missing)", indices[some & ~whole & ~early], {"color": colour}),
        ("stopped early (trained shorter)", indices[some & early], faint),
    )
    for words, chosen, look in groups:
        if not len(chosen):
            continue
        style: dict[str, Any] = {
            "linestyle": "none",
            "linewidth": 1.8,
            "capsize": 4 * size if panel.sheet.shows_folds else 0,
            "marker": "o",
            "markersize": 7 * size,
            "markerfacecolor": "white",
            "markeredgewidth": 1.6,
            "label": words,
            "zorder": 3.5,
        } | look
        error = None if np.isnan(panel.error[chosen]).all() else panel.error[chosen]
        across = panel.sheet.across[chosen]
        drawn = panel.axes.errorbar(across, panel.mean[chosen], yerr=error, transform=place, **style)
        if several and words not in shown:
            # in the legend the mark stands for all lines
            style |= {"color": GREY, "markerfacecolor": GREY if look.get("markerfacecolor") else "white"}
            nowhere = np.full(1, np.nan)
            drawn = panel.axes.errorbar(
                across[:1], nowhere, yerr=None if error is None else nowhere, **(style | {"label": f"_{words}"})
            )
        shown.setdefault(words, drawn)  # type: ignore[arg-type]  # a legend takes a container like an artist


def _draw_failed(
    panel: Panel, indices: NDArray[np.int64], colour: str, points: float, shown: dict[str, "Artist"]
) -> None:
    """Mark the values that failed at the bottom, where no figure is meant."""
    from matplotlib.lines import Line2D

    axes, failed = panel.axes, panel.sheet.failed
    at = panel.sheet.across[[index for index in indices if index in failed]]
    if len(at):
        style: dict[str, Any] = {"linestyle": "none", "marker": "x", "markersize": 8, "markeredgewidth": 2.2}
        low = _moved(axes, points, axes.get_xaxis_transform())
        axes.plot(at, np.full(len(at), 0.055), color=colour, label="failed", transform=low, **style)
        shown.setdefault("failed", Line2D([], [], color=GREY, **style))


def _draw_best(panel: Panel, best: int, place: "Transform") -> None:
    across, mean = float(panel.sheet.across[best]), float(panel.mean[best])
    panel.axes.axvline(across, color=BEST, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    if not math.isnan(mean):
        style: dict[str, Any] = {"markersize": 10, "markeredgecolor": "white", "markeredgewidth": 1.2, "label": "best"}
        panel.axes.plot([across], [mean], "o", color=BEST, transform=place, zorder=5, **style)


def _draw_unchanged(panel: Panel, shown: dict[str, "Artist"]) -> None:
    """Mark on the axis where the setting stands without cross-validation, if that lies among the values."""
    axes, sheet = panel.axes, panel.sheet
    value = sheet.unchanged[-1]
    if value is None or not sheet.across.min() <= value <= sheet.across.max():
        return
    words = " / ".join("none" if each is None else word(each) for each in sheet.unchanged)
    words = f"unchanged: {words}"
    axes.axvline(value, color=GREY, linewidth=1.0, linestyle=(0, (1, 3)), zorder=0.9)
    (shown[words],) = axes.plot(
        [value],
        [0],
        "^",
        color=GREY,
        markersize=10,
        markeredgecolor="white",
        clip_on=False,
        transform=axes.get_xaxis_transform(),
        label=words,
        zorder=6,
    )


def _name_lines(panel: Panel, colours: Sequence[str]) -> None:
    """Write the first setting's value at each line's end, and its name above."""
    axes = panel.axes
    scale = axes.yaxis.get_transform()
    bottom, top = axes.get_ylim()
    low, high = scale.transform(np.array([bottom, top]))
    ends = []
    for (first, indices), colour in zip(panel.sheet.series, colours, strict=True):
        reached = panel.mean[indices][~np.isnan(panel.mean[indices])]
        if len(reached):
            share = float((scale.transform(reached[-1:])[0] - low) / (high - low))
            ends.append((bottom + share * (top - bottom), word(first), colour))
    label_ends(axes, ends, gap=0.06)
    words = "\n".join(textwrap.wrap(setting_words(panel.sheet.names[0]), 12))
    axes.text(1.015, 1.03, words, transform=axes.transAxes, color=GREY, fontsize=10.5, va="bottom")


def _side_by_side(slots: Sequence[int], most: float) -> list[float]:
    """Give the places of marks, in points from the middle, of which all together take no more than `most`."""
    middle = 0.0 if 0 not in slots else (len(slots) - 1) / 2
    apart = min(MOST_POINTS_APART, most / (slots[-1] - slots[0] + 1))
    return [(slot - middle) * apart for slot in slots]


def _moved(axes: "Axes", points: float, transform: "Transform | None" = None) -> "Transform":
    """Draw at the data's place, moved by some points on the paper: what is drawn still says what was measured."""
    from matplotlib.transforms import ScaledTranslation

    return (transform or axes.transData) + ScaledTranslation(points / 72, 0, axes.figure.dpi_scale_trans)


def _line_colours(count: int) -> Sequence[str]:
    if count <= len(LINE_COLOURS):
        return LINE_COLOURS[:count]
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colour) for colour in colormaps["viridis"](np.linspace(0.0, 0.85, count))]


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
