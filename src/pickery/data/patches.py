"""Cutting, rotating and mirroring patches: whole minibatches at once, on whatever device the tensors live."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def crop_side(patch_side: int) -> int:
    """Side of the square crop that a patch of this side, rotated by any angle, can be interpolated from (odd)."""
    # the patch's corner pixel lies (side - 1)/√2 from the centre; bilinear interpolation needs the next pixel too
    return 2 * math.ceil((patch_side - 1) / math.sqrt(2) + 1) + 1


def crop(flat: Tensor, start: Tensor, rows: Tensor, columns: Tensor, y: Tensor, x: Tensor, side: int) -> Tensor:
    """Cut square crops out of micrographs that lie one behind the other.

    Parameters
    ----------
    flat : float32, shape (pixels,)
        All micrographs, each row-major.
    start, rows, columns : int64, shape (b,)
        Where each crop's micrograph begins in ``flat``, and its shape.
    y, x : int64, shape (b,)
        The crop's centre.
    side
        Odd side of the crop in pixels.

    Returns
    -------
    crops : float32, shape (b, side, side)
        Outside the micrograph 0, the normalised background mean.
    """
    reach = torch.arange(side, device=flat.device) - side // 2
    row, column = y[:, None] + reach, x[:, None] + reach
    inside_row = (row >= 0) & (row < rows[:, None])
    inside_column = (column >= 0) & (column < columns[:, None])
    line = start[:, None] + row.clamp(min=0).minimum(rows[:, None] - 1) * columns[:, None]
    column = column.clamp(min=0).minimum(columns[:, None] - 1)
    crops = flat[line[:, :, None] + column[:, None, :]]
    return crops.mul_(inside_row[:, :, None]).mul_(inside_column[:, None, :])


def rotate(crops: Tensor, angle: Tensor, mirror: Tensor, side: int) -> Tensor:
    """Rotate crops about their centre, mirror them, and cut them to patches.

    Parameters
    ----------
    crops : float32, shape (b, s, s)
        ``s`` at least ``crop_side(side)``.
    angle : float32, shape (b,)
        Radians.
    mirror : bool, shape (b,)
        Whether left and right are exchanged (before the rotation).
    side
        Odd side of the patches.

    Returns
    -------
    patches : float32, shape (b, 1, side, side)
        Bilinear interpolation.
    """
    reach = (torch.arange(side, device=crops.device, dtype=crops.dtype) - side // 2) / (crops.shape[-1] // 2)
    u = torch.where(mirror, -1.0, 1.0)[:, None] * reach  # (b, side), half the crop being the grid's unit
    cosine, sine = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    across, down = u[:, None, :], reach[None, :, None]
    grid = torch.stack([cosine * across - sine * down, sine * across + cosine * down], dim=-1)
    return torch.nn.functional.grid_sample(
        crops[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=True
    )
