"""What stands around a place of a micrograph: the mean brightness of rings about it, on a shrunk and flattened image.

Rings have no direction, so they see a particle in any orientation, and a dozen of them see sizes from a fiftieth to a
sixth of the micrograph's longer side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

LONGEST_PX = 512
"""A micrograph is shrunk until no side is longer: particles are then some ten pixels wide, and the noise is low."""
EDGES_PX = (0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 26, 34, 44)
"""Radii between which the rings lie, in shrunk pixels."""
BACKGROUND_PX = 64
"""Standard deviation of the Gaussian whose result counts as background: ice and beam vary that slowly."""
CLIP = 4.0
"""Brightness, in standard deviations of the noise, above which gold and dust count no further."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """A micrograph, shrunk, and what stands around each of its pixels.

    Attributes
    ----------
    image
        float32 (h, w), flattened: the background is 0 and the noise about 1.
    maps
        float32 (rings, h, w), the mean of each ring about each pixel, less the map's own mean.
    factor
        Full-size pixels per shrunk pixel.
    shape
        (rows, columns) of the full-size micrograph.
    """

    image: NDArray[np.float32]
    maps: NDArray[np.float32]
    factor: int
    shape: tuple[int, int]

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Give the shrunk pixel of each full-size (x, y): int64 (n, 2), (row, column), kept within the image."""
        shrunk = np.rint((points[:, ::-1] + 0.5) / self.factor - 0.5).astype(np.int64)
        inside: NDArray[np.int64] = np.clip(shrunk, 0, np.array(self.image.shape) - 1)
        return inside

    def at(self, pixels: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give the rings about shrunk pixels (n, 2) within the image: float32 (n, rings)."""
        found: NDArray[np.float32] = self.maps[:, pixels[:, 0], pixels[:, 1]].T
        return found


def surroundings(pixels: NDArray[np.floating] | NDArray[np.integer]) -> Surroundings:
    """Shrink and flatten a micrograph, and measure the rings about each pixel.

    Parameters
    ----------
    pixels
        (rows, columns), the full-size micrograph.
    """
    factor = max(1, math.ceil(max(pixels.shape) / LONGEST_PX))
    image = _flattened(_shrunk(pixels, factor))
    return Surroundings(image, _ring_means(image), factor, (pixels.shape[0], pixels.shape[1]))


def _shrunk(pixels: NDArray[np.floating] | NDArray[np.integer], factor: int) -> NDArray[np.float32]:
    """Mean of each square of `factor` pixels; what is left over at the far edges is dropped."""
    rows, columns = (max(1, side // factor) for side in pixels.shape)
    height, width = min(factor, pixels.shape[0]), min(factor, pixels.shape[1])
    squares = pixels[: rows * height, : columns * width].reshape(rows, height, columns, width)
    mean: NDArray[np.float32] = squares.mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
    return mean


def _flattened(image: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    low, high = np.percentile(image, (0.1, 99.9))
    tamed = np.clip(image, low, high)  # one hot pixel must not make a hill
    flat = tamed - gaussian_filter(tamed, BACKGROUND_PX, mode="reflect")
    flat -= np.median(flat)
    noise = 1.4826 * float(np.median(np.abs(flat)))
    clipped: NDArray[np.float32] = np.clip(flat / max(noise, 1e-12), -CLIP, CLIP).astype(np.float32)
    return clipped


def _ring_means(image: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy import fft

    margin = EDGES_PX[-1] + 1
    padded = np.pad(image, margin, mode="symmetric")
    shape = tuple(fft.next_fast_len(side, real=True) for side in padded.shape)
    spectrum = fft.rfft2(padded, shape)
    y, x = (np.minimum(np.arange(side), side - np.arange(side)) for side in shape)
    distance = np.hypot(y[:, None], x[None, :])
    maps = np.empty((len(EDGES_PX) - 1, *image.shape), dtype=np.float32)
    for index, (inner, outer) in enumerate(pairwise(EDGES_PX)):
        ring = ((distance >= inner) & (distance < outer)).astype(np.float32)
        mean = fft.irfft2(spectrum * fft.rfft2(ring / ring.sum()), shape)
        maps[index] = mean[margin : margin + image.shape[0], margin : margin + image.shape[1]]
    maps -= maps.mean(axis=(1, 2), keepdims=True)
    return maps
