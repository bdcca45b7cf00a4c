"""Score maps: every region of a micrograph (or every stride-th) scored by a model, tile by tile in bounded memory.

The one file of this room that knows models.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from pickery.errors import InputError, PickeryWarning
from pickery.memory import is_full
from pickery.model.dense import DenseScorer
from pickery.model.picker import Picker

DEFAULT_TILE = 1024
SMALLEST_TILE = 32
"""Below this a tile is mostly the surroundings that it brings: halving it saves no memory."""

_found_to_fit: WeakKeyDictionary[Picker, int] = WeakKeyDictionary()
"""The tile at which memory sufficed for a model for which it had not before: found once, and not for each image."""


def score_map(
    model: Picker,
    image: ArrayLike | Tensor,
    *,
    stride: int = 1,
    tile: int | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Score every `stride`-th region of each axis of one micrograph.

    Parameters
    ----------
    model
        The picker; it scores as in evaluation, whatever mode it is in, and is left as it was.
    image : (height, width)
        A prepared (downsampled, normalised) micrograph; a memory-mapped array is read tile by tile.
    stride
        A power of two: regions at rows and columns 0, stride, 2·stride, …
    tile
        Side of the square tiles scored at a time, in pixels of `image`; memory grows with its square. The result does
        not depend on it but for rounding. Default 1024: half a gigabyte for resnet8 of 32 units. Where memory does not
        suffice it is halved, with a warning, and stays so for this model.
    device
        Where to compute; the model must be there. Default: where its parameters are.

    Returns
    -------
    (ceil(height / stride), ceil(width / stride)) float32 tensor on the CPU
        Logits. Outside the micrograph the model sees 0, the mean of the normalised background. The labels of these
        regions are ``labels[::stride, ::stride]``.

    Raises
    ------
    InputError
        When memory does not suffice for the smallest tile.
    """
    pixels = image if isinstance(image, Tensor) else np.asarray(image)
    assert pixels.ndim == 2, f"an image is [y, x], not {tuple(pixels.shape)}"
    height, width = (int(size) for size in pixels.shape)
    device = next(model.parameters()).device if device is None else torch.device(device)
    scorer = DenseScorer(model)
    tile = min(DEFAULT_TILE if tile is None else tile, _found_to_fit.get(model, height + width))
    # tiles are cut in scored regions, so that they meet on multiples of the stride
    rows, columns = -(-height // stride), -(-width // stride)
    scores = torch.empty((rows, columns), dtype=torch.float32)
    waiting = _Rectangle(0, rows, 0, columns).cut(max(1, tile // stride))
    with torch.inference_mode(), full_precision(device):
        while waiting:
            one = waiting[-1]
            try:
                padded = _cut(pixels, *one.pixels(stride), model.receptive_field)
                found = scorer.valid(padded.to(device)[None, None], stride)[0].float().cpu()
            except (MemoryError, RuntimeError) as error:
                if not is_full(error):
                    raise
            else:
                scores[one.top : one.bottom, one.left : one.right] = found
                waiting.pop()
                continue
            # here and not where it was caught: the error holds on to all that was being computed
            if device.type == "cuda":
                torch.cuda.empty_cache()
            tile = _smaller(model, one, stride, device)
            waiting = [part for rectangle in waiting for part in rectangle.cut(max(1, tile // stride))]
    return scores


@dataclass(frozen=True)
class _Rectangle:
    """Rows top to bottom and columns left to right of the map of scores."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def side(self) -> int:
        """The longer side."""
        return max(self.bottom - self.top, self.right - self.left)

    def cut(self, longest: int) -> list["_Rectangle"]:
        """Cut it into the fewest that are no longer than `longest`; the first of them comes last."""
        return [
            _Rectangle(self.top + top, self.top + bottom, self.left + left, self.left + right)
            for top, bottom in reversed(_spans(self.bottom - self.top, longest))
            for left, right in reversed(_spans(self.right - self.left, longest))
        ]

    def pixels(self, stride: int) -> tuple[slice, slice]:
        """Give the rows and columns of the image that the first to the last region lie in."""
        return (
            slice(self.top * stride, (self.bottom - 1) * stride + 1),
            slice(self.left * stride, (self.right - 1) * stride + 1),
        )


def _smaller(model: Picker, full: _Rectangle, stride: int, device: torch.device) -> int:
    """Give half the tile for which memory did not suffice, and tell of it.

    Raises
    ------
    InputError
        When that is too small.
    """
    tried = full.side * stride
    where = "the GPU's memory" if device.type == "cuda" else "the machine's memory"
    if tried // 2 < SMALLEST_TILE:
        free = ""
        if device.type == "cuda":
            free = f", of which {torch.cuda.mem_get_info(device)[0] / 1e6:.0f} MB are free"
        needed = _needed_bytes(model, tried) / 1e6
        raise InputError(
            f"{where[0].upper()}{where[1:]} does not suffice{free}: scoring {tried} x {tried} pixels at a time, the "
            f"least there is, needs about {needed:.0f} MB. End what else uses it, or take a network of fewer units."
        )
    tile = tried // 2
    _found_to_fit[model] = tile
    # said with numbers, as scores of two tile sizes may differ in their last bits
    warnings.warn(
        f"{where} does not suffice to score {tried} x {tried} pixels at a time (about "
        f"{_needed_bytes(model, tried) / 1e6:.0f} MB); from here on {tile} x {tile} are (about "
        f"{_needed_bytes(model, tile) / 1e6:.0f} MB), to the same scores but for rounding",
        PickeryWarning,
        stacklevel=3,
    )
    return tile


def _needed_bytes(model: Picker, tile: int) -> int:
    """Estimate what scoring a tile takes: what goes into a layer, comes out of it and is computed on the way.

    All layers take the same: where channels double, a stride has made the image half as large each way.
    """
    channels = next(parameter.shape[0] for parameter in model.parameters() if parameter.ndim == 4)
    return 4 * 3 * channels * (tile + model.receptive_field) ** 2


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute with all 32 bits, whatever a training around computes with.

    Scores with fewer bits would differ from the patches' (by 1e-3 with the TF32 that a GPU convolves with by default).
    """
    cudnn = torch.backends.cudnn
    with torch.autocast(device.type, enabled=False):
        if device.type != "cuda":
            yield
            return
        with cudnn.flags(enabled=cudnn.enabled, benchmark=cudnn.benchmark, allow_tf32=False):
            yield


def _spans(count: int, longest: int) -> list[tuple[int, int]]:
    """Cut 0..count into the fewest spans no longer than `longest`, as equal as can be."""
    pieces = -(-count // longest)
    return list(pairwise(count * piece // pieces for piece in range(pieces + 1)))


def _cut(image: NDArray[np.generic] | Tensor, rows: slice, columns: slice, field: int) -> Tensor:
    """Cut the pixels that decide the scores of a rectangle of regions: half a receptive field more on each side."""
    half = field // 2
    height, width = (int(size) for size in image.shape)
    top, bottom = rows.start - half, rows.stop + half
    left, right = columns.start - half, columns.stop + half
    inside = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    # copied: a memory-mapped image is read-only, which a tensor cannot be
    tensor = inside if isinstance(inside, Tensor) else torch.from_numpy(np.array(inside, dtype=np.float32))
    padding = (max(-left, 0), max(right - width, 0), max(-top, 0), max(bottom - height, 0))
    return functional.pad(tensor.to(torch.float32), padding)
