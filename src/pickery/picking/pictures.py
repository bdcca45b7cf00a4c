"""Pictures of picks on their micrographs, for the eye to judge by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pickery.config.schema import PickConfig
from pickery.errors import InputError
from pickery.formats.micrographs import MicrographFile, read_micrograph
from pickery.picking.audience import Audience
from pickery.picking.candidates import Candidates
from pickery.picking.choices import Choices
from pickery.picking.exclusion import left_out
from pickery.picking.inputs import Inputs, spread
from pickery.plots.picks import plot_picked
from pickery.plots.style import save_figure
from pickery.preprocess.fourier import downsample
from pickery.preprocess.work import prepare_image

LONGEST_SIDE = 2048
"""A picture is drawn from no more pixels than it could show."""


def draw_pictures(
    config: PickConfig,
    inputs: Inputs,
    picked: Mapping[str, Candidates],
    choices: Choices,
    folder: Path,
    audience: Audience,
) -> list[Path]:
    """Draw the picks of some micrographs, or of all; gives the pictures' files.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    wanted = config.picking.pictures
    files = [file for file in inputs.files if file.name in picked]
    chosen = files if wanted == "all" else spread(files, wanted)
    paths = []
    for done, file in enumerate(chosen):
        audience.working(f"drawing pictures, {done} of {len(chosen)}")
        path = folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', file.name)}.png"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _draw(path, file, config, inputs, picked[file.name], choices)
        except InputError as error:  # it was there when it was scored
            audience.warn(f"no picture of {file.name}: {error}")
            continue
        paths.append(path)
    return paths


def _draw(
    path: Path, file: MicrographFile, config: PickConfig, inputs: Inputs, picked: Candidates, choices: Choices
) -> None:
    image = read_micrograph(file.path)
    # the sampled pixels of the normalisation do not show
    shown, _ = prepare_image(image, choices.preprocess, "")
    factor = max(1.0, max(shown.shape) / LONGEST_SIDE)
    shown = downsample(shown, factor)
    full, pixel_size = picked.full_shape, inputs.pixel_size_of(file.name)
    scale = full[0] / shown.shape[0], full[1] / shown.shape[1]
    figure = plot_picked(
        shown,
        picked.full_size() / (scale[1], scale[0]),
        radius=choices.extraction_radius * choices.factor / (sum(scale) / 2),
        title=f"{file.name}, score ≥ {choices.threshold:.4g}",
        pixel_size_angstrom=None if pixel_size is None else pixel_size * scale[1],
        left_out=left_out(inputs.masks.get(file.name), config.picking.margin, shown.shape, full),
    )
    save_figure(figure, path)
