"""Prepared sets on disk: one flat file of pixels and an index, in a folder named by what is in them.

Knows how a set is opened and found again; not how an image is prepared.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.errors import InputError
from pickery.preprocess.contents import hash_parts
from pickery.preprocess.index import IMAGES_FILE, INDEX_FILE, VERSION, Entry, Index, Settings, read_index


@dataclass(frozen=True, eq=False)
class PreparedSet:
    """Prepared micrographs in one memory-mapped file, from which all processes read the same pages.

    Attributes
    ----------
    directory : Path
        Folder of the set.
    names, paths : tuple of str
        Of the micrographs, in order; paths of the files they were made from.
    contents : tuple of str
        Hashes of those files.
    shapes, full_shapes : int64, shape (n, 2)
        Rows and columns of the prepared and of the full-size micrographs.
    starts : int64, shape (n,)
        Where each image begins in the flat file, in values.
    pixel_sizes_angstrom : tuple of float or None
        Of the full-size micrographs, where their files say.
    settings : dict
        What the prepared pixels depend on besides the files.
    fingerprint : str
        Hash of the contents, in their order, and the settings.
    """

    directory: Path
    names: tuple[str, ...]
    paths: tuple[str, ...]
    contents: tuple[str, ...]
    shapes: NDArray[np.int64]
    full_shapes: NDArray[np.int64]
    starts: NDArray[np.int64]
    pixel_sizes_angstrom: tuple[float | None, ...]
    settings: Settings
    fingerprint: str

    def __len__(self) -> int:
        return len(self.names)

    def __getstate__(self) -> dict[str, Any]:
        # The map would travel as a copy of its pixels; the other process opens its own.
        return {name: value for name, value in self.__dict__.items() if name not in ("_flat", "_position")}

    def flat(self) -> NDArray[np.float32]:
        """Give all pixels of the file as one read-only array, shape (values,), mapped and not read."""
        mapped: NDArray[np.float32] | None = self.__dict__.get("_flat")
        if mapped is None:
            try:
                mapped = np.memmap(self.directory / IMAGES_FILE, dtype="<f4", mode="r")
            except (OSError, ValueError) as error:
                raise InputError(f"The prepared set {self.directory} cannot be opened ({error}): run again.") from None
            self.__dict__["_flat"] = mapped
        return mapped

    def image(self, index: int) -> NDArray[np.float32]:
        """Give one prepared image, shape (rows, columns), as a read-only view of the file."""
        rows, columns = self.shapes[index].tolist()
        start = int(self.starts[index])
        return self.flat()[start : start + rows * columns].reshape(rows, columns).view(np.ndarray)

    def scale(self, index: int) -> tuple[float, float]:
        """Give the real downsampling factors of one micrograph's rows and columns, full size / prepared size."""
        full, new = self.full_shapes[index], self.shapes[index]
        return float(full[0] / new[0]), float(full[1] / new[1])

    def to_regions(self, index: int, xy: ArrayLike) -> NDArray[np.float64]:
        """Scale points, shape (n, 2) as x, y, from pixels of the full-size micrograph to those of the prepared one."""
        y_scale, x_scale = self.scale(index)
        return np.asarray(xy, dtype=np.float64) / (x_scale, y_scale)

    def to_full(self, index: int, xy: ArrayLike) -> NDArray[np.float64]:
        """Scale points, shape (n, 2) as x, y, from pixels of the prepared micrograph to those of the full-size one."""
        y_scale, x_scale = self.scale(index)
        return np.asarray(xy, dtype=np.float64) * (x_scale, y_scale)

    @cached_property
    def _position(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def select(self, names: Sequence[str]) -> PreparedSet:
        """Give the micrographs of these names, in this order; they stay in the same file.

        Raises
        ------
        KeyError
            If the set has no micrograph of a name.
        """
        chosen = [self._position[name] for name in names]
        contents = tuple(self.contents[index] for index in chosen)
        return replace(
            self,
            names=tuple(names),
            paths=tuple(self.paths[index] for index in chosen),
            contents=contents,
            shapes=self.shapes[chosen].reshape(-1, 2),
            full_shapes=self.full_shapes[chosen].reshape(-1, 2),
            starts=self.starts[chosen],
            pixel_sizes_angstrom=tuple(self.pixel_sizes_angstrom[index] for index in chosen),
            fingerprint=fingerprint(contents, self.settings),
        )


def fingerprint(contents: Sequence[str], settings: Settings) -> str:
    """Name a set: a hash of the micrographs' contents in their order, the settings and the version."""
    return hash_parts([str(VERSION), json.dumps(settings, sort_keys=True), *contents])


def open_prepared(directory: str | Path) -> PreparedSet:
    """Open a prepared set.

    Parameters
    ----------
    directory : str or Path
        Its folder.

    Raises
    ------
    InputError
        If there is none, it is damaged, or was written by another version.
    """
    return as_prepared(Path(directory), read_index(Path(directory)))


def as_prepared(directory: Path, index: Index) -> PreparedSet:
    """Make a set of an index: the images begin one behind the other."""
    shapes = np.array([entry.shape for entry in index.entries], np.int64).reshape(-1, 2)
    contents = tuple(entry.content for entry in index.entries)
    return PreparedSet(
        directory=directory,
        names=tuple(entry.name for entry in index.entries),
        paths=tuple(entry.path for entry in index.entries),
        contents=contents,
        shapes=shapes,
        full_shapes=np.array([entry.full_shape for entry in index.entries], np.int64).reshape(-1, 2),
        starts=np.concatenate([[0], np.cumsum(shapes.prod(axis=1))[:-1]]).astype(np.int64)[: len(shapes)],
        pixel_sizes_angstrom=tuple(entry.pixel_size_angstrom for entry in index.entries),
        settings=index.settings,
        fingerprint=fingerprint(contents, index.settings),
    )


@dataclass(frozen=True, slots=True)
class Found:
    """Where an image is that has been prepared before."""

    set: PreparedSet
    position: int
    entry: Entry


def find_prepared(store: Path, settings: Settings, contents: set[str]) -> dict[str, Found]:
    """Find micrographs prepared before with the same settings, by their contents, in whichever set of the store."""
    found: dict[str, Found] = {}
    for index_file in sorted(store.glob(f"*/{INDEX_FILE}")):
        directory = index_file.parent
        if directory.name.startswith("."):
            continue  # being built
        try:
            index = read_index(directory)
        except InputError:
            continue
        if index.settings == settings:
            prepared = as_prepared(directory, index)
            for position, entry in enumerate(index.entries):
                if entry.content in contents:
                    found.setdefault(entry.content, Found(prepared, position, entry))
    return found
