"""The index of a prepared set: what lies where in its file of pixels, and whether that file is whole."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pickery.atomic import sync_folder
from pickery.errors import InputError

VERSION = 1
"""Of the files and of the arithmetic: raise it with any change that changes a prepared pixel."""

IMAGES_FILE = "images.f32"
INDEX_FILE = "index.json"
VALUE_BYTES = 4

Settings = dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Entry:
    """One prepared micrograph, as the index has it; the images lie one after the other in the order of the entries.

    `mean` and `std` are those that were subtracted and divided by, `weight` is that of the brighter component (1 for
    the affine method); `extreme` is the largest distance of a prepared pixel from 0, in standard deviations.
    """

    content: str
    name: str
    path: str
    shape: tuple[int, int]
    full_shape: tuple[int, int]
    pixel_size_angstrom: float | None
    mean: float
    std: float
    weight: float
    extreme: float


@dataclass(frozen=True, slots=True)
class Index:
    """What a set holds and what its pixels depend on besides the files."""

    settings: Settings
    entries: tuple[Entry, ...]


def read_index(directory: Path) -> Index:
    """Read a set's index and check that its file of pixels has the size that the index calls for.

    Raises
    ------
    InputError
        If there is none, it is damaged, or was written by another version.
    """
    again = "Prepare the micrographs again, which replaces it."
    try:
        written = json.loads((directory / INDEX_FILE).read_text(encoding="utf-8"))
        size = (directory / IMAGES_FILE).stat().st_size
    except OSError as error:
        raise InputError(f"{directory} holds no prepared set ({error.strerror}). {again}") from None
    except (ValueError, RecursionError):
        raise InputError(f"The prepared set {directory} has a damaged {INDEX_FILE}. {again}") from None
    try:
        version = written["version"]
        if version == VERSION:
            entries = tuple(_as_entry(entry) for entry in written["entries"])
            index = Index(dict(written["settings"]), entries)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(f"The prepared set {directory} has a damaged {INDEX_FILE}. {again}") from None
    if version != VERSION:
        raise InputError(f"The prepared set {directory} is of version {version}, this program's is {VERSION}. {again}")
    expected = VALUE_BYTES * sum(rows * columns for rows, columns in (entry.shape for entry in entries))
    if size != expected:
        raise InputError(f"The prepared set {directory} is cut: {IMAGES_FILE} has {size} of {expected} bytes. {again}")
    return index


def _as_entry(written: Mapping[str, Any]) -> Entry:
    rows, columns = map(int, written["shape"])
    full_rows, full_columns = map(int, written["full_shape"])
    entry = Entry(**{**written, "shape": (rows, columns), "full_shape": (full_rows, full_columns)})
    texts = (entry.content, entry.name, entry.path)
    figures = [entry.mean, entry.std, entry.weight, entry.extreme]
    figures += [] if entry.pixel_size_angstrom is None else [entry.pixel_size_angstrom]
    if (
        min(rows, columns, full_rows, full_columns) < 1
        or not all(isinstance(text, str) for text in texts)
        or not all(isinstance(figure, int | float) and math.isfinite(figure) for figure in figures)
    ):
        raise ValueError("not the entry of a micrograph")
    return entry


def write_index(directory: Path, index: Index) -> None:
    """Write a set's index beside its pixels and bring both to the disk."""
    written = {
        "version": VERSION,
        "settings": index.settings,
        "entries": [asdict(entry) for entry in index.entries],
    }
    with (directory / INDEX_FILE).open("w") as file:
        json.dump(written, file, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    with (directory / IMAGES_FILE).open("rb+") as images:
        os.fsync(images.fileno())
    sync_folder(directory)


def is_whole(directory: Path) -> bool:
    """Say whether a folder holds a prepared set that can be used."""
    try:
        read_index(directory)
    except InputError:
        return False
    return True
