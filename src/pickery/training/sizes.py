"""Sizes that follow from the particle's diameter: downsampling, the labelled disc, the network; where none is given.

The rules are RELION's: a particle as wide as half a patch of resnet8, its labelled disc an eighth of it in radius.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pickery.config.load import with_values
from pickery.config.schema import TrainConfig
from pickery.config.schema.base import as_word
from pickery.errors import InputError

AnyTraining = TypeVar("AnyTraining", bound=TrainConfig)

DOWNSAMPLE, RADIUS, ARCHITECTURE = 16.0, 3, "resnet8"
"""Where no diameter says otherwise: Topaz's own."""
PATCH, LEAST_DOWNSAMPLE = 71, 4
"""Regions that resnet8 sees along each side, and the least factor that RELION shrinks by."""
SMALL_PATCH = 31
"""The same of conv31, for particles of at most half of that; conv127 sees enough for those that are too wide for 71."""


def downsample_for(diameter_angstrom: float, pixel_size_angstrom: float) -> float:
    """Give the factor with which a particle is about half a patch wide; at least 4, as RELION has it."""
    return float(max(LEAST_DOWNSAMPLE, round(2 * diameter_angstrom / (pixel_size_angstrom * PATCH))))


def radius_for(diameter_angstrom: float, pixel_size_angstrom: float, downsample: float) -> int:
    """Give the radius of the labelled disc in regions: an eighth of the diameter, and at least one."""
    return max(1, round(diameter_angstrom / (8 * pixel_size_angstrom * downsample)))


def architecture_for(diameter_angstrom: float, pixel_size_angstrom: float, downsample: float) -> str:
    """Give the network whose patch is at least twice as wide as the particle, the smallest but resnet8 rather."""
    across = diameter_angstrom / (pixel_size_angstrom * downsample)
    if 2 * across <= SMALL_PATCH:
        return "conv31"
    # what is a little over half a patch still fits into it
    return ARCHITECTURE if across <= 0.65 * PATCH else "conv127"


class PixelSizeUnknown(InputError):
    """A length in Å is given, and nothing says how many there are in a pixel."""


@dataclass(frozen=True)
class Following:
    """What follows from the diameter.

    Attributes
    ----------
    config
        The settings, with nothing left open.
    chosen
        The settings that were chosen so: names and values.
    """

    config: TrainConfig
    chosen: dict[str, Any]


def settle(config: TrainConfig, pixel_size_angstrom: float | None) -> Following:
    """Choose what the settings leave open.

    Parameters
    ----------
    config
        All settings.
    pixel_size_angstrom
        Of the full-size micrographs; None if nothing says.

    Raises
    ------
    InputError
        When a diameter is to set something, and the pixel size is not known.
    """
    config, chosen = _as_pretrained(config)
    diameter = config.data.particle_diameter
    is_open = config.preprocess.downsample is None or config.data.radius is None or config.model.architecture == "auto"
    if diameter is None or not is_open:
        return Following(provisional(config), chosen)
    if pixel_size_angstrom is None:
        raise PixelSizeUnknown(
            f"data.particle_diameter is in Å, and nothing says the pixel size of the micrographs: set data.pixel_size, "
            f"or leave data.particle_diameter={diameter:g} out"
        )
    downsample = config.preprocess.downsample
    if downsample is None:
        downsample = chosen["preprocess.downsample"] = downsample_for(diameter, pixel_size_angstrom)
    if config.data.radius is None:
        chosen["data.radius"] = radius_for(diameter, pixel_size_angstrom, downsample)
    if config.model.architecture == "auto":
        model = config.model
        free = model.dropout == 0 and model.pooling == "none"  # what only a resnet has keeps it one
        chosen["model.architecture"] = (
            architecture_for(diameter, pixel_size_angstrom, downsample) if free else ARCHITECTURE
        )
    return Following(with_values(config, chosen), chosen)


def _as_pretrained(config: TrainConfig) -> tuple[TrainConfig, dict[str, Any]]:
    """Take the network of the weights to begin from, where the settings leave it open."""
    model = config.model
    if model.architecture != "auto" or model.pretrained is None:
        return config, {}
    from pickery.model.weights import load_weights

    own = load_weights(model.pretrained).architecture
    chosen = {f"model.{name}": value for name, value in own.items() if name != "dropout"}
    return with_values(config, chosen), chosen


def provisional(config: AnyTraining) -> AnyTraining:
    """Put Topaz's own values where the settings leave something open."""
    open_settings: dict[str, Any] = {}
    if config.preprocess.downsample is None:
        open_settings["preprocess.downsample"] = DOWNSAMPLE
    if config.data.radius is None:
        open_settings["data.radius"] = RADIUS
    if config.model.architecture == "auto":
        open_settings["model.architecture"] = ARCHITECTURE
    return with_values(config, open_settings)


def say_chosen(config: TrainConfig, pixel_size_angstrom: float | None, chosen: dict[str, Any]) -> list[str]:
    """Say what was chosen, in settings of the command line; a sentence for each reason."""
    of_weights = config.model.pretrained is not None
    ours = {name: value for name, value in chosen.items() if of_weights and name.startswith("model.")}
    sizes = {name: value for name, value in chosen.items() if name not in ours}
    said = []
    if ours:
        said.append(f"as the weights of model.pretrained={config.model.pretrained} need: {in_settings(ours)}")
    if sizes:
        said.append(
            f"for particles of {config.data.particle_diameter:g} Å at {pixel_size_angstrom:.4g} Å a pixel: "
            f"{in_settings(sizes)}"
        )
    return said


def in_settings(chosen: Mapping[str, Any]) -> str:
    """Write settings and their values as words of the command line."""
    return " ".join(f"{as_written(name)}={as_word(value)}" for name, value in chosen.items())


def as_written(name: str) -> str:
    """Give a setting as the command line names it: a network is an option of its group."""
    return "model" if name == "model.architecture" else name
