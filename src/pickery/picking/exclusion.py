"""Where nothing is to be picked: in masks and along the border.

Picks are taken first and left out afterwards: what lies in an area hides its own slopes, which would else be picked
along the area's edge, and other masks or margins take no scoring.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pickery.errors import InputError
from pickery.formats.masks import Mask
from pickery.picking.candidates import Candidates


def allowed(candidates: Candidates, mask: Mask | None, margin_px: float) -> Candidates:
    """Leave out the picks whose regions lie in the mask, or whose centres lie nearer to the border than the margin.

    Parameters
    ----------
    candidates
        Of one micrograph.
    mask
        The micrograph's, if it has one.
    margin_px
        Full-size pixels, from the centres of the outermost ones.

    Raises
    ------
    InputError
        If the mask cannot be read.
    """
    points = candidates.full_size()
    rows, columns = candidates.full_shape
    centred = (points >= margin_px) & (points <= (columns - 1 - margin_px, rows - 1 - margin_px))
    inside = np.logical_and(centred[:, 0], centred[:, 1])
    if mask is not None:
        (height, width), (column, row) = candidates.shape, candidates.points.T
        inside &= ~mask.regions((height, width), (rows / height, columns / width))[row, column]
    return Candidates(candidates.points[inside], candidates.scores[inside], candidates.shape, candidates.full_shape)


def check_margin(margin_px: float, shape: tuple[int, int]) -> None:
    """Refuse a margin that leaves nothing of a micrograph of this shape, (rows, columns).

    Raises
    ------
    InputError
        If so.
    """
    if 2 * margin_px > min(shape) - 1:
        raise InputError(
            f"picking.margin={margin_px:g} leaves nothing of a micrograph of {shape[1]} x {shape[0]} pixels: lower it"
        )


def left_out(
    mask: Mask | None, margin_px: float, shape: tuple[int, int], full_shape: tuple[int, int]
) -> NDArray[np.bool_] | None:
    """Tell where in a shrunk picture of a micrograph nothing is picked: [y, x]; None where nothing is left out.

    Raises
    ------
    InputError
        If the mask cannot be read, or nothing is left.
    """
    scale = (full_shape[0] / shape[0], full_shape[1] / shape[1])
    area = None if mask is None else mask.regions(shape, scale)
    if margin_px > 0:
        down, across = (
            (centres >= margin_px) & (centres <= size - 1 - margin_px)
            for centres, size in (
                (np.arange(count) * factor, size) for count, factor, size in zip(shape, scale, full_shape, strict=True)
            )
        )
        border = ~(down[:, None] & across)
        area = border if area is None else area | border
    return area
