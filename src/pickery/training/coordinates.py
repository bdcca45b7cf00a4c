"""How the settings say that the coordinates of picks are read."""

from __future__ import annotations

from pickery.config.schema import DataGroup, TrainConfig
from pickery.formats.frame import Frame


def frame_of(settings: DataGroup) -> Frame:
    """Give how the settings say that the picks' coordinates lie in the micrographs.

    Raises
    ------
    InputError
        The scale is impossible.
    """
    return Frame(settings.coordinate_scale, settings.swap_xy, settings.flip_x, settings.flip_y, settings.offset)


def ignored_in_names(settings: DataGroup) -> tuple[str, ...]:
    """Give the parts of names that do not count, as the settings say."""
    parts = settings.ignore_in_names
    return () if parts is None else (parts,) if isinstance(parts, str) else parts


def factors_of(config: TrainConfig, pixel_size_angstrom: float | None) -> list[float]:
    """Give the scales that coordinates may have beside round ones: of shrunk micrographs, or in Å."""
    return [config.preprocess.factor, *([] if pixel_size_angstrom is None else [pixel_size_angstrom])]
