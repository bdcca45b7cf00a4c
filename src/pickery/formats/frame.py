"""How the coordinates of a file of picks lie in its micrographs: their scale, the order of their axes, their origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickery.errors import InputError


@dataclass(frozen=True)
class Frame:
    """What turns coordinates as a file has them into full-size pixels of the arrays, in the order given here.

    Attributes
    ----------
    coordinate_scale
        Full-size pixels per pixel of the file.
    swap_xy
        Whether the file has y where x belongs, and the reverse.
    flip_x, flip_y
        Whether columns, or rows, are counted from the other side: row r is then row rows - 1 - r.
    offset_px
        What is added last, (x, y) in full-size pixels.
    """

    coordinate_scale: float = 1.0
    swap_xy: bool = False
    flip_x: bool = False
    flip_y: bool = False
    offset_px: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        """Check the scale.

        Raises
        ------
        InputError
            It is no positive number.
        """
        if not (np.isfinite(self.coordinate_scale) and self.coordinate_scale > 0):
            raise InputError(
                f"data.coordinate_scale={self.coordinate_scale:g} must be above 0: give full-size pixels per pixel."
            )

    @property
    def needs_size(self) -> str | None:
        """The setting for which a micrograph's size has to be known, if any."""
        return "flip_y" if self.flip_y else "flip_x" if self.flip_x else None

    def apply(self, xy: NDArray[np.float64], shape: tuple[int, int] | None) -> NDArray[np.float64]:
        """Give full-size pixels.

        Parameters
        ----------
        xy
            float64 (n, 2), as the file has them.
        shape
            (rows, columns) of the full-size micrograph; may be None unless `needs_size`.
        """
        turned = xy[:, ::-1] * self.coordinate_scale if self.swap_xy else xy * self.coordinate_scale
        if self.needs_size:
            assert shape is not None
            if self.flip_x:
                turned[:, 0] = shape[1] - 1 - turned[:, 0]
            if self.flip_y:
                turned[:, 1] = shape[0] - 1 - turned[:, 1]
        moved: NDArray[np.float64] = turned + np.array(self.offset_px)
        return moved

    def size(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Give (rows, columns) of the full-size micrograph whose size the file says."""
        rows, columns = (round(side * self.coordinate_scale) for side in shape)
        return (columns, rows) if self.swap_xy else (rows, columns)


AS_IT_IS = Frame()
"""The frame of a file whose coordinates are full-size pixels."""
