"""One micrograph from its file to its place in the prepared set: what a worker process does, on one thread."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.errors import InputError
from pickery.preprocess.fourier import downsample, downsampled_shape
from pickery.preprocess.index import VALUE_BYTES, Settings
from pickery.preprocess.mixture import fit_mixture

SMALLEST_SIDE = 8
"""A prepared image with fewer rows or columns holds nothing to learn from."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What was subtracted and divided by; see `pickery.preprocess.index.Entry`."""

    mean: float
    std: float
    weight: float
    extreme: float


@dataclass(frozen=True, slots=True)
class Task:
    """One micrograph to prepare, the shape that the set has kept for it, and where: in values from the beginning."""

    path: Path
    content: str
    shape: tuple[int, int]
    images: Path
    start: int
    settings: Settings


def run_task(task: Task) -> Normalisation | str:
    """Read, prepare and write one micrograph.

    Returns
    -------
    Normalisation or str
        What was done, or why the micrograph cannot be used.

    Raises
    ------
    OSError
        If the set cannot be written.
    """
    from pickery.formats.micrographs import read_micrograph

    try:
        image = read_micrograph(task.path)
        prepared, normalisation = prepare_image(image, task.settings, task.content)
    except (InputError, OSError) as error:
        return str(error)
    if prepared.shape != task.shape:
        return f"has {image.shape[0]} rows and {image.shape[1]} columns, against its header: it changed or is damaged."
    write_values(task.images, task.start, prepared)
    return normalisation


def read_ahead(path: Path) -> None:
    """Have the system read a file while this process computes, where it knows how to."""
    if not hasattr(os, "posix_fadvise"):
        return
    with suppress(OSError), path.open("rb") as file:  # whoever reads it will say what is wrong with it
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def prepare_image(image: ArrayLike, settings: Settings, content: str) -> tuple[NDArray[np.float32], Normalisation]:
    """Downsample and normalise one image.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Pixels in any unit, finite.
    settings : dict
        As `pickery.preprocess.prepare.effective_settings` gives them.
    content : str
        What the image is known by: pixels sampled at random depend on this and the seed, not on the order of files.

    Raises
    ------
    InputError
        If the image becomes too small or has no contrast to normalise by.
    """
    small = downsample(image, float(settings["downsample"]))
    if settings["method"] == "gmm":
        seeded = hashlib.blake2b(f"{settings.get('seed')} {content}".encode(), digest_size=8).digest()
        fit = fit_mixture(
            small,
            iterations=int(settings["iterations"]),
            pixel_sampling=int(settings["pixel_sampling"]),
            seed=int.from_bytes(seeded),
        )
        mean, std, weight = fit.mean, fit.std, fit.weight
    else:
        mean, std, weight = float(small.mean(dtype=np.float64)), float(small.std(dtype=np.float64)), 1.0
        if not std > 8 * float(np.finfo(np.float32).eps) * float(np.abs(small).max()):
            raise InputError(f"Its pixels are constant (about {mean:g}), so they cannot be normalised.")
    prepared = small - np.float32(mean)  # a new array: without downsampling the image is the caller's own
    prepared /= np.float32(std)
    extreme = float(np.maximum(prepared.max(), -prepared.min()))
    if not np.isfinite(extreme):
        raise InputError(f"Its pixels are too large to normalise in single precision (mean {mean:g}, std {std:g}).")
    return prepared, Normalisation(mean, std, weight, extreme)


def prepared_shape(shape: tuple[int, int], factor: float) -> tuple[int, int]:
    """Give the shape that a micrograph will have, and refuse one that leaves too little.

    Raises
    ------
    InputError
        If fewer than `SMALLEST_SIDE` rows or columns are left.
    """
    rows, columns = downsampled_shape(shape, factor)
    if min(rows, columns) < SMALLEST_SIDE:
        raise InputError(
            f"preprocess.downsample={factor:g} leaves {rows} rows and {columns} columns of its {shape[0]} and "
            f"{shape[1]}: lower it so that at least {SMALLEST_SIDE} are left."
        )
    return rows, columns


def write_values(images: Path, start: int, values: NDArray[np.float32]) -> None:
    """Write pixels to their place in the flat file.

    Written and not mapped: on a full disk writing is refused with a reason, where a mapped page kills the process.
    """
    remaining = np.ascontiguousarray(values, dtype="<f4").data.cast("B")
    with images.open("rb+", buffering=0) as file:
        file.seek(start * VALUE_BYTES)
        while remaining:
            remaining = remaining[file.write(remaining) :]
