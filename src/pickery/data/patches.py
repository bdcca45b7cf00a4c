"""Cutting, rotating and mirroring images: whole minibatches at once, on whatever device the tensors live."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cut_side(side: int, *, between: bool = False) -> int:
    """Side of the square that an image of this side, rotated by any angle, can be interpolated from (odd).

    With ``between`` the image's centre may lie up to half a pixel beside the square's.
    """
    # the image's corner pixel lies (side - 1)/√2 from the centre; bilinear interpolation needs the next pixel too
    return 2 * math.ceil((side - 1) / math.sqrt(2) + (1.5 if between else 1)) + 1


def cut(flat: Tensor, start: Tensor, rows: Tensor, columns: Tensor, y: Tensor, x: Tensor, side: int) -> Tensor:
    """Cut squares out of micrographs that lie one behind the other.

    Parameters
    ----------
    flat : float32, shape (pixels,)
        All micrographs, each row-major.
    start, rows, columns : int64, shape (b,)
        Where each square's micrograph begins in ``flat``, and its shape.
    y, x : int64, shape (b,)
        The square's centre.
    side
        Odd side of the square in pixels.

    Returns
    -------
    squares : float32, shape (b, side, side)
        Outside the micrograph 0, the normalised background mean.
    """
    reach = torch.arange(side, device=flat.device) - side // 2
    row, column = y[:, None] + reach, x[:, None] + reach
    inside_row = (row >= 0) & (row < rows[:, None])
    inside_column = (column >= 0) & (column < columns[:, None])
    line = start[:, None] + row.clamp(min=0).minimum(rows[:, None] - 1) * columns[:, None]
    column = column.clamp(min=0).minimum(columns[:, None] - 1)
    squares = flat[line[:, :, None] + column[:, None, :]]
    return squares.mul_(inside_row[:, :, None]).mul_(inside_column[:, None, :])


def rotate(
    squares: Tensor,
    angle: Tensor,
    mirror: Tensor,
    side: int,
    *,
    below: Tensor | None = None,
    beside: Tensor | None = None,
) -> Tensor:
    """Rotate squares, mirror them, and cut them to their middle.

    Parameters
    ----------
    squares : float32, shape (b, s, s)
        ``s`` at least ``cut_side(side)``.
    angle : float32, shape (b,)
        Radians.
    mirror : bool, shape (b,)
        Whether left and right are exchanged (before the rotation).
    side
        Odd side of the images.
    below, beside : float32, shape (b,), optional
        How far below and to the right of the square's centre the image's lies, in pixels, at most half a pixel.

    Returns
    -------
    images : float32, shape (b, 1, side, side)
        Bilinear interpolation.
    """
    unit = squares.shape[-1] // 2  # half the square
    reach = (torch.arange(side, device=squares.device, dtype=squares.dtype) - side // 2) / unit
    u = torch.where(mirror, -1.0, 1.0)[:, None] * reach  # (b, side)
    cosine, sine = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    across, down = u[:, None, :], reach[None, :, None]
    grid = torch.stack([cosine * across - sine * down, sine * across + cosine * down], dim=-1)
    if below is not None and beside is not None:
        grid += torch.stack([beside, below], dim=-1)[:, None, None] / unit
    return torch.nn.functional.grid_sample(
        squares[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=True
    )
