"""What a picking is given: micrographs found, their headers read, their masks assigned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pickery.config.schema import PickConfig
from pickery.errors import InputError
from pickery.formats.masks import Mask, find_masks
from pickery.formats.micrographs import MicrographFile, MicrographHeader, find_micrographs, read_header
from pickery.picking.audience import Audience
from pickery.picking.exclusion import check_margin
from pickery.preprocess.work import prepared_shape

READERS = 8
SKIP = "picking.skip_bad=true leaves such micrographs out."


@dataclass(frozen=True)
class Inputs:
    """Micrographs as the user's files give them.

    Attributes
    ----------
    files
        All of them.
    headers
        By name, of those that can be used as far as their headers say.
    bad
        Name of each other one, and why.
    masks
        By name, of those that have one.
    pixel_size_angstrom
        Of the full-size micrographs; None if nothing says.
    """

    files: tuple[MicrographFile, ...]
    headers: Mapping[str, MicrographHeader]
    bad: Mapping[str, str]
    masks: Mapping[str, Mask]
    pixel_size_angstrom: float | None

    @property
    def usable(self) -> list[MicrographFile]:
        """The micrographs that can be used."""
        return [file for file in self.files if file.name in self.headers]

    def pixel_size_of(self, name: str) -> float | None:
        """Give a micrograph's own pixel size in Å, as far as it is known."""
        own = self.headers[name].pixel_size_angstrom
        return own if own is not None else self.pixel_size_angstrom


def find(config: PickConfig, audience: Audience) -> Inputs:
    """Find the micrographs and their masks.

    Raises
    ------
    InputError
        If nothing is there, or something cannot be used and is not to be left out.
    """
    assert config.data.micrographs is not None
    files = find_micrographs(config.data.micrographs)
    with ThreadPoolExecutor(READERS) as pool:
        seen = dict(zip((file.name for file in files), pool.map(_look, files), strict=True))
    headers = {name: header for name, header in seen.items() if not isinstance(header, str)}
    bad = {name: reason for name, reason in seen.items() if isinstance(reason, str)}
    stop_for(bad, len(files), skip_bad=config.picking.skip_bad)
    for name, reason in bad.items():
        audience.warn(f"left out {name}: {reason}")
    shapes = {name: header.shape for name, header in headers.items()}
    check_margin(config.picking.margin, max(shapes.values(), key=min))
    given = config.data.pixel_size
    if given is not None:
        headers = {name: MicrographHeader(one.shape, one.dtype, given) for name, one in headers.items()}
    masks: Mapping[str, Mask] = {}
    if config.data.masks is not None:
        usable = [file for file in files if file.name in headers]
        masks = find_masks(config.data.masks, usable, shapes)
    sizes = [one.pixel_size_angstrom for one in headers.values() if one.pixel_size_angstrom is not None]
    if sizes and max(sizes) > 1.01 * min(sizes):
        audience.warn(
            f"the micrographs' headers give pixel sizes from {min(sizes):.3g} to {max(sizes):.3g} Å, and a model sees "
            "one scale: pick them apart, or set data.pixel_size if the headers are wrong"
        )
    return Inputs(tuple(files), headers, bad, masks, float(np.median(sizes)) if sizes else None)


def too_small(inputs: Inputs, downsample: float, field: int) -> dict[str, str]:
    """Name the micrographs that are smaller than one patch of the model once they are shrunk, and say so of each."""
    found = {}
    for file in inputs.usable:
        try:
            rows, columns = prepared_shape(inputs.headers[file.name].shape, downsample)
        except InputError:
            rows = columns = 0
        if min(rows, columns) < field:
            found[file.name] = (
                f"{file.path} has {columns} x {rows} pixels when shrunk by {downsample:g}, less than one patch of the "
                f"model ({field} x {field})."
            )
    return found


def stop_for(bad: Mapping[str, str], total: int, *, skip_bad: bool) -> None:
    """Complain of micrographs that cannot be used, unless they are to be left out and others remain.

    Raises
    ------
    InputError
        If so.
    """
    if not bad or (skip_bad and len(bad) < total):
        return
    name, reason = next(iter(bad.items()))
    problem = reason if name.rpartition("/")[2] in reason else f"{name}: {reason}"
    if skip_bad:
        raise InputError(f"None of the {total} micrographs can be used; the first: {problem}")
    others = f" So it is with {len(bad) - 1} more." if len(bad) > 1 else ""
    raise InputError(f"{problem}{others} {SKIP}")


def _look(file: MicrographFile) -> MicrographHeader | str:
    """Read a header; the pixel size as a list of micrographs has it, if it does; or say why it cannot be used."""
    try:
        header = read_header(Path(file.path))
    except (InputError, OSError) as error:
        return str(error)
    if file.known.pixel_size_angstrom is not None:
        return MicrographHeader(header.shape, header.dtype, file.known.pixel_size_angstrom)
    return header


def spread(files: Sequence[MicrographFile], count: int) -> list[MicrographFile]:
    """Choose so many, spread evenly over all."""
    if count >= len(files):
        return list(files)
    return [files[(2 * number + 1) * len(files) // (2 * count)] for number in range(count)]
