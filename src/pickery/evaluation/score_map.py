"""Score maps: every region of a micrograph (or every stride-th) scored by a model, tile by tile in bounded memory.

The one file of this room that knows models.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from pickery.model.dense import DenseScorer
from pickery.model.picker import Picker

DEFAULT_TILE = 1024


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
        not depend on it but for rounding. Default 1024: half a gigabyte for resnet8 of 32 units.
    device
        Where to compute; the model must be there. Default: where its parameters are.

    Returns
    -------
    (ceil(height / stride), ceil(width / stride)) float32 tensor on the CPU
        Logits. Outside the micrograph the model sees 0, the mean of the normalised background. The labels of these
        regions are ``labels[::stride, ::stride]``.
    """
    pixels = image if isinstance(image, Tensor) else np.asarray(image)
    assert pixels.ndim == 2, f"an image is [y, x], not {tuple(pixels.shape)}"
    height, width = (int(size) for size in pixels.shape)
    device = next(model.parameters()).device if device is None else torch.device(device)
    scorer = DenseScorer(model)
    # tiles are cut in scored regions, so that they meet on multiples of the stride
    side = max(1, (DEFAULT_TILE if tile is None else tile) // stride)
    rows, columns = -(-height // stride), -(-width // stride)
    scores = torch.empty((rows, columns), dtype=torch.float32)
    with torch.inference_mode(), full_precision(device):
        for top, bottom in _spans(rows, side):
            for left, right in _spans(columns, side):
                down = slice(top * stride, (bottom - 1) * stride + 1)
                across = slice(left * stride, (right - 1) * stride + 1)
                padded = _cut(pixels, down, across, model.receptive_field).to(device)
                scores[top:bottom, left:right] = scorer.valid(padded[None, None], stride)[0].float().cpu()
    return scores


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
