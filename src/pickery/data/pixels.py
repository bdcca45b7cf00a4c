"""All pixels of a prepared set as one tensor: mapped from its file, and read where squares are to be cut."""

from __future__ import annotations

import mmap
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pickery.data.patches import cut, cut_side


class Pixels:
    """All pixels, and squares cut out of them.

    A file is mapped and not read. The map cannot be written to, so that the system sets no memory aside for it however
    large the file is, and what it has read is kept in memory that all processes share and that it takes back at need.

    Left to itself the system reads much around each place that is looked at, and waits for each in turn. So it is told
    beforehand which lines a minibatch needs: it reads these and no others, all at once, which makes a minibatch from a
    disk ten to twenty times faster where megabytes are read around each place.

    Parameters
    ----------
    flat : float32, shape (pixels,)
        An array, or a whole file mapped by `numpy.memmap`.
    """

    def __init__(self, flat: NDArray[np.float32]) -> None:
        self._path = _file_of(flat) if isinstance(flat, np.memmap) else None
        self._mapped: mmap.mmap | None = None
        self._tensor: Tensor | None = None if isinstance(flat, np.memmap) else torch.from_numpy(flat)

    def __getstate__(self) -> dict[str, Any]:
        """Send another process the mapped file's name, not its pixels."""
        return self.__dict__ if self._path is None else self.__dict__ | {"_mapped": None, "_tensor": None}

    @property
    def tensor(self) -> Tensor:
        """All of them, shape (pixels,); not to be written to."""
        if self._tensor is None:
            assert self._path is not None
            with open(self._path, "rb") as file:
                self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            with warnings.catch_warnings():
                # torch has no tensors that cannot be written to; nobody writes to this one
                warnings.filterwarnings("ignore", message="The given buffer is not writable")
                self._tensor = torch.frombuffer(self._mapped, dtype=torch.float32)
        return self._tensor

    def squares(self, cuts: dict[str, Tensor], side: int) -> Tensor:
        """Cut what a minibatch of images of this side is interpolated from.

        Parameters
        ----------
        cuts
            The arrays of `pickery.data.sampler.Cuts` that say where, as tensors on the CPU.
        side
            Of the images, in pixels.
        """
        flat = self.tensor
        if self._mapped is not None:
            _announce(self._mapped, cuts, _cut_side(cuts, side) // 2)
        return cut_squares(flat, cuts, side)


def cut_squares(flat: Tensor, cuts: dict[str, Tensor], side: int) -> Tensor:
    """Cut what a minibatch of images of this side is interpolated from, on the device of the pixels and the cuts."""
    start, rows, columns, y, x = (cuts[name] for name in ("start", "rows", "columns", "y", "x"))
    return cut(flat, start, rows, columns, y, x, _cut_side(cuts, side))


def _cut_side(cuts: dict[str, Tensor], side: int) -> int:
    return cut_side(side, between="below" in cuts)


def _announce(mapped: mmap.mmap, cuts: dict[str, Tensor], reach: int) -> None:
    """Tell the system, where it can be told, which bytes of the file are about to be looked at."""
    if not hasattr(mmap, "MADV_WILLNEED"):
        return
    start, rows, columns, y, x = (cuts[name].numpy() for name in ("start", "rows", "columns", "y", "x"))
    top, bottom = (y - reach).clip(0, rows - 1), (y + reach).clip(0, rows - 1)
    left, right = (x - reach).clip(0, columns - 1), (x + reach).clip(0, columns - 1)
    # from a square's first pixel to its last: the lines between are read whole, which for prepared micrographs, whose
    # lines are about a page of memory each, is hardly more than the square
    size = 4
    first = size * (start + top * columns + left) // mmap.PAGESIZE * mmap.PAGESIZE
    end = size * (start + bottom * columns + right + 1)
    for begin, length in zip(first.tolist(), (end - first).tolist(), strict=True):
        mapped.madvise(mmap.MADV_WILLNEED, begin, length)


def _file_of(flat: np.memmap[Any, Any]) -> str:
    """Name the file that a whole-file memory map maps."""
    assert flat.filename is not None
    assert flat.offset == 0, "a prepared set's map begins at the file's beginning"
    return str(flat.filename)
