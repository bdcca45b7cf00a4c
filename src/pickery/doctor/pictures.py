"""The pictures that go with a verdict: the mean patches of every reading, and the picks on a micrograph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pickery.formats.assignment import lies_inside
from pickery.formats.frame import Frame
from pickery.formats.micrographs import MicrographFile, read_micrograph
from pickery.placement.fit import Fit, anywhere, mean_patch
from pickery.placement.verdict import ruled_out
from pickery.placement.words import mending
from pickery.plots.mean_patches import Panel, plot_mean_patches
from pickery.plots.picks import plot_readings
from pickery.plots.style import save_figure
from pickery.preprocess.fourier import downsample
from pickery.training.look import Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HALF_PX = 28
"""Half a mean patch, in shrunk pixels: a ninth of the micrograph's longer side in all."""
WORTH_DRAWING = 0.4
"""Least share of the picks that a mean patch is of: the mean of a few is noise."""
RULED_OUT = {"crowded": "crowded", "outside": "too few", "shrunk": "shrunk"}
"""Below a mean patch, in place of how far it is from chance: why picks cannot be so."""
LONGEST_SIDE = 1200
"""Pixels of a micrograph's longer side in its picture."""


def draw(
    folder: Path,
    seen: Look,
    coordinates: Mapping[str, NDArray[np.float64]],
    files: Mapping[str, MicrographFile],
    *,
    radius_px: float,
    pixel_size_angstrom: float | None,
    seed: int,
) -> list[Path]:
    """Draw both; gives their files.

    Parameters
    ----------
    radius_px
        Of the circles, in full-size pixels.
    """
    patches = folder / "mean_patches.png"
    save_figure(_patches(seen, coordinates, seed), patches, dpi=120)
    name = max(seen.around, key=lambda one: len(coordinates[one]))
    picture = folder / "overlay.png"
    _overlay(picture, seen, files[name], coordinates[name], radius_px, pixel_size_angstrom)
    return [picture, patches]


def _patches(seen: Look, coordinates: Mapping[str, NDArray[np.float64]], seed: int) -> Figure:
    verdict, around = seen.verdict, seen.around
    given, better = verdict.given, verdict.better
    chosen: list[tuple[Fit, str]] = [(given, "given")]
    if better is not None:
        chosen.append((better, "better"))
    same_scale = [f for f in verdict.others if f.frame.coordinate_scale == given.frame.coordinate_scale]
    upright = [f for f in verdict.others if _axes(f.frame) == _axes(given.frame)]
    others = sorted(same_scale, key=lambda f: _axes(f.frame)) + sorted(upright, key=lambda f: f.frame.coordinate_scale)
    best = None if better is None else better.frame
    chosen += [(fit, "") for fit in others if fit.frame != best]
    panels = []
    for fit, mark in chosen:
        patch, count = mean_patch(around, fit.frame, coordinates, HALF_PX)
        if not mark and count < WORTH_DRAWING * fit.picks:
            continue
        words = _in_words(mending(given.frame, fit.frame)) if mark != "given" else "as they are read"
        # what the verdict does not count is not to be held against it
        reason = None if mark else ruled_out(fit, given)
        note = f"T² {fit.statistic:,.0f}" if reason is None else RULED_OUT[reason]
        panels.append(Panel(patch, words, f"{count} of {fit.picks} picks, {note}", mark))
    drawn = anywhere(around, {name: len(coordinates[name]) for name in around}, (seed,))
    patch, count = mean_patch(around, Frame(), drawn, HALF_PX)
    panels.insert(1, Panel(patch, "anywhere", f"{count} places"))
    return plot_mean_patches(panels, title="Mean of the micrographs about the picks, but for those near an edge")


def _axes(frame: Frame) -> tuple[bool, bool, bool]:
    return frame.swap_xy, frame.flip_x, frame.flip_y


def _in_words(settings: list[str]) -> str:
    short = []
    for word in settings:
        name, _, value = word.removeprefix("data.").partition("=")
        short.append(f"scale {float(value):.3g}" if name == "coordinate_scale" else word.removeprefix("data."))
    return ", ".join(one.removesuffix("=true") for one in short)


def _overlay(
    path: Path,
    seen: Look,
    file: MicrographFile,
    raw: NDArray[np.float64],
    radius_px: float,
    pixel_size_angstrom: float | None,
) -> None:
    given, better = seen.verdict.given.frame, seen.verdict.better
    image = read_micrograph(file.path)
    factor = max(1.0, max(image.shape) / LONGEST_SIDE)
    small = downsample(image, factor)
    scale = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])

    def on_it(frame: Frame) -> NDArray[np.float64]:
        points = frame.apply(raw, (image.shape[0], image.shape[1]))
        points = points[lies_inside(points, (image.shape[0], image.shape[1]))]
        shown: NDArray[np.float64] = (points + 0.5) / scale - 0.5
        return shown

    figure = plot_readings(
        small,
        on_it(given),
        None if better is None else on_it(better.frame),
        better_words="" if better is None else f"with {' '.join(mending(given, better.frame))}",
        radius=radius_px / float(scale.mean()),
        title=file.name,
        pixel_size_angstrom=None if pixel_size_angstrom is None else pixel_size_angstrom * float(scale.mean()),
    )
    save_figure(figure, path, dpi=120)
