"""What follows from settings, model and micrographs together: preprocessing, radius, threshold, boxes, device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from pickery.config.schema import PickConfig
from pickery.errors import InputError
from pickery.model import receptive_field
from pickery.picking.model import PickingModel
from pickery.preprocess.index import Settings
from pickery.preprocess.prepare import effective_settings

# Topaz's own: what its detectors were trained with
TOPAZ_PREPROCESS = {"method": "gmm", "pixel_sampling": 1, "iterations": 100}
LOWEST_KEPT = -6.0
"""Candidates are kept down to this score, so that another threshold takes no scoring; Topaz's."""

ROUNDING = 1e-5
"""A score is known to no better: sums depend on the number of threads and on the processor."""

LARGEST_DIFFERENCE = 0.05


@dataclass(frozen=True)
class Choices:
    """How micrographs are picked.

    Attributes
    ----------
    preprocess
        What the prepared pixels depend on (`pickery.preprocess.prepare.effective_settings`).
    extraction_radius
        Distance within which only the best pick stays, regions.
    radius_from
        Where that comes from, in words.
    threshold
        Lowest score that is picked, in words.
    threshold_from
        Where that comes from, in words.
    lowest
        The same to count by: the very candidate that set a model's threshold is not to be lost to rounding.
    box_size_px
        Side of the boxes, full-size pixels.
    pixel_size_angstrom
        Of the full-size micrographs; None if nothing says.
    factor
        Full-size pixels per region.
    """

    preprocess: Settings
    extraction_radius: int
    radius_from: str
    threshold: float
    threshold_from: str
    lowest: float
    box_size_px: int
    pixel_size_angstrom: float | None
    factor: float

    @property
    def floor(self) -> float:
        """The lowest score of which candidates are kept."""
        return min(self.lowest, LOWEST_KEPT)


def preprocess_of(config: PickConfig, model: PickingModel) -> Settings:
    """Give the preprocessing of the micrographs: the model's own, at ``picking.downsample`` if that is given.

    Raises
    ------
    InputError
        If neither says by how much micrographs shrink.
    """
    settings: dict[str, Any] = dict(model.preprocess or TOPAZ_PREPROCESS)
    if config.picking.downsample is not None:
        settings["downsample"] = config.picking.downsample
    if "downsample" not in settings:
        network = model.weights.architecture
        field = receptive_field(network["architecture"], network["pooling"])
        raise InputError(
            f"picking.model={config.picking.model} does not say by how much its micrographs were shrunk, as models of "
            f"Topaz do not: give picking.downsample, so that the particle fills about half of the {field} pixels that "
            "the model looks at"
        )
    return effective_settings(
        downsample=float(settings["downsample"]),
        method=str(settings["method"]),
        pixel_sampling=int(settings["pixel_sampling"]),
        iterations=int(settings["iterations"]),
        seed=model.seed,
    )


def choose(
    config: PickConfig,
    model: PickingModel,
    *,
    pixel_size_angstrom: float | None,
    scale: tuple[float, float],
) -> Choices:
    """Choose how to pick.

    Parameters
    ----------
    config
        All settings.
    model
        The model.
    pixel_size_angstrom
        Of the full-size micrographs; None if nothing says.
    scale
        Full-size pixels per region along the rows and along the columns (of the first micrograph, as in training).

    Raises
    ------
    InputError
        If nothing says what is needed; the message names the settings that would.
    """
    factor = sum(scale) / 2
    radius, radius_from = _radius(config, model, pixel_size_angstrom, factor)
    threshold, threshold_from = _threshold(config, model)
    measured = config.picking.threshold == "best_f1"
    return Choices(
        preprocess=preprocess_of(config, model),
        extraction_radius=radius,
        radius_from=radius_from,
        threshold=threshold,
        threshold_from=threshold_from,
        lowest=threshold - ROUNDING * max(1.0, abs(threshold)) if measured else threshold,
        box_size_px=_box_size(config, pixel_size_angstrom, radius * factor),
        pixel_size_angstrom=pixel_size_angstrom,
        factor=factor,
    )


def differences(config: PickConfig, model: PickingModel, choices: Choices) -> Iterator[str]:
    """Say where these micrographs differ from what the model learned from, so that it may see particles wrongly."""
    own = None if model.preprocess is None else float(model.preprocess["downsample"])
    used = float(choices.preprocess["downsample"])
    here, there = choices.pixel_size_angstrom, model.pixel_size_angstrom
    if own is None:
        return
    if here is not None and there is not None:
        if abs(here * used / (there * own) - 1) > LARGEST_DIFFERENCE:
            better = there * own / here
            advice = (
                f"picking.downsample={better:.4g} would match"
                if better >= 1
                else "these micrographs are too coarse for it"
            )
            yield (
                f"the model learned from pixels of {there * own:.3g} Å ({there:.4g} Å shrunk {own:g} times), and here "
                f"they are {here * used:.3g} Å ({here:.4g} Å shrunk {used:g} times): particles look larger or smaller "
                f"to it than those it knows. {advice}; data.pixel_size corrects wrong headers."
            )
    elif abs(used / own - 1) > LARGEST_DIFFERENCE:
        yield (
            f"picking.downsample={used:g} is not what the model learned with ({own:g}), and no pixel sizes say whether "
            "the particles are as large to it as those it knows"
        )


def _radius(
    config: PickConfig, model: PickingModel, pixel_size_angstrom: float | None, factor: float
) -> tuple[int, str]:
    given, diameter = config.picking.extraction_radius, config.data.particle_diameter
    if given is not None:
        return given, "picking.extraction_radius"
    if diameter is not None:
        if pixel_size_angstrom is None:
            raise InputError(
                "data.particle_diameter is in Å, but the micrographs' headers do not give their pixel size: set "
                "data.pixel_size, or picking.extraction_radius instead"
            )
        return max(1, round(diameter / (2 * pixel_size_angstrom * factor))), "half of data.particle_diameter"
    if model.extraction_radius is None:
        raise InputError(
            f"picking.model={config.picking.model} says nothing of the particle's size: give data.particle_diameter in "
            "Å, or picking.extraction_radius in pixels of the shrunk micrographs"
        )
    return model.extraction_radius, "the model's"


def _threshold(config: PickConfig, model: PickingModel) -> tuple[float, str]:
    given = config.picking.threshold
    if given != "best_f1":
        return given, "picking.threshold"
    if model.threshold_best_f1 is None:
        raise InputError(
            f"picking.threshold=best_f1, but picking.model={config.picking.model} holds no such threshold: only a "
            "training of Pickery that has ended measures one. Give a score, such as picking.threshold=0 (a probability "
            "of one half) or picking.threshold=-6 (Topaz's: nearly everything, to be cut later by score)"
        )
    return model.threshold_best_f1, "the model's best held-out F1"


def _box_size(config: PickConfig, pixel_size_angstrom: float | None, radius_px: float) -> int:
    """Give the side of the boxes: even, as programs that extract want it."""
    if config.picking.box_size is not None:
        return config.picking.box_size
    diameter = config.data.particle_diameter
    if diameter is not None and pixel_size_angstrom is not None:
        return max(2, 2 * round(1.5 * diameter / pixel_size_angstrom / 2))
    return max(2, 2 * round(3 * radius_px / 2))


def device_of(config: PickConfig) -> torch.device:
    """Give the device that scores.

    Raises
    ------
    InputError
        If a GPU is asked for and there is none.
    """
    wanted = config.picking.accelerator
    if wanted in ("auto", "gpu") and torch.cuda.is_available():
        return torch.device("cuda")
    if wanted == "gpu":
        raise InputError("picking.accelerator=gpu, but torch finds no GPU: use picking.accelerator=cpu or auto")
    return torch.device("cpu")
