"""The door to micrographs: which files a setting means, what their headers say, and their pixels."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickery.errors import InputError
from pickery.formats.contract import ImageKind, MicrographHeader
from pickery.formats.files import expand, find_listed, natural_key, reading, unique_names
from pickery.formats.images import IMAGE_ENDINGS, bare_name, image_kind
from pickery.formats.mrc import write_mrc
from pickery.formats.registry import LIST_ENDINGS, kind_of

__all__ = [
    "MicrographFile",
    "MicrographHeader",
    "find_micrographs",
    "read_header",
    "read_micrograph",
    "write_mrc",
]


@dataclass(frozen=True, slots=True)
class MicrographFile:
    """A micrograph's file.

    Attributes
    ----------
    name
        The file's name without extension, unique in the list that it came in: only where two files share it, it has as
        many parent folders before it as tell them apart (``sq1/mic_01``).
    path
        Absolute.
    """

    name: str
    path: Path


def find_micrographs(source: str | Sequence[str], *, setting: str = "data.micrographs") -> list[MicrographFile]:
    """Find the micrographs that a setting means.

    Parameters
    ----------
    source
        A folder, a glob, an image, a list, or several of those. Lists: .txt with one path a line, .csv or .tsv with a
        column `path`, STAR with ``_rlnMicrographName``. Their relative paths count from the current folder, else from
        the list's own (of a STAR also from a folder above it).
    setting
        Named in messages.

    Returns
    -------
    list of MicrographFile
        In natural order of their paths, each file once.

    Raises
    ------
    InputError
        Nothing is there, something listed is missing or no image, or two files stand for one micrograph.
    """
    sources = [source] if isinstance(source, str) else list(source)
    found = {path: None for one in sources for path in _files_of(str(one), setting)}
    if not found:
        raise InputError(f"{setting} is empty: give a folder of micrographs, a glob or a list.")
    paths = sorted(found, key=lambda path: natural_key(str(path)))
    gone = next((path for path in paths if not os.path.exists(path)), None)
    if gone is not None:
        raise InputError(f"{setting} has {gone}, a link to a file that does not exist: mend or remove the link.")
    return [
        MicrographFile(name, path) for name, path in zip(unique_names(paths, bare_name, setting), paths, strict=True)
    ]


def _files_of(source: str, setting: str) -> list[Path]:
    paths, chosen = expand(source, setting)
    images = [path for path in paths if image_kind(path.name)]
    if chosen:
        return images or _listed(paths[0], setting)
    if not images:
        raise InputError(
            f"{setting}={source} has {len(paths)} files (such as {paths[0].name}) but no micrographs, which end in"
            f" {', '.join(IMAGE_ENDINGS)}: give their folder, a glob or a list of them."
        )
    return images


def _listed(list_path: Path, setting: str) -> list[Path]:
    kind = kind_of(list_path, setting, (*IMAGE_ENDINGS, *LIST_ENDINGS))
    if kind.list_micrographs is None:
        raise InputError(
            f"{setting}={list_path} is {kind.name}, which lists no micrographs: give their folder, a glob or a list."
        )
    paths = find_listed(kind.list_micrographs(list_path), list_path, ancestors=".star" in kind.endings)
    for path in paths:
        if image_kind(path.name) is None:
            raise InputError(
                f"{list_path} lists {path}, which is no micrograph by its ending: those end in"
                f" {', '.join(IMAGE_ENDINGS)}."
            )
    return paths


def read_header(path: Path) -> MicrographHeader:
    """Read a micrograph's header without its pixels.

    Raises
    ------
    InputError
        The file cannot be read, is truncated, or holds no single image.
    """
    return _kind_of_image(path).read_header(path)


def read_micrograph(path: Path) -> NDArray[np.float32]:
    """Read a micrograph's pixels, [y, x].

    Raises
    ------
    InputError
        The file cannot be read, is truncated, holds no single greyscale image, has pixels that are no finite numbers,
        or is the same everywhere.
    """
    kind = _kind_of_image(path)
    # what overflows or is not a number is found below
    with reading(path, kind.name), np.errstate(all="ignore"):
        stored = kind.read_pixels(path)
        pixels = stored.astype(np.float32, copy=False)
        low, high = pixels.min(), pixels.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        count = pixels.size - int(np.count_nonzero(np.isfinite(pixels)))
        raise InputError(
            f"{path} has {count} pixels that are not finite numbers (nan or infinite): write it again, or leave it out."
        )
    if low == high:
        raise InputError(f"{path} is the same everywhere (every pixel is {low:g}): leave it out.")
    return pixels


def _kind_of_image(path: Path) -> ImageKind:
    kind = image_kind(path.name)
    if kind is None:
        raise InputError(f"{path} is no micrograph by its ending: those end in {', '.join(IMAGE_ENDINGS)}.")
    return kind
