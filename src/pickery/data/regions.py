"""Labelled regions: which pixels of the downsampled micrographs are positive. Pure array operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


def disc_offsets(radius: int) -> NDArray[np.int64]:
    """List the pixel offsets of a disc.

    Parameters
    ----------
    radius
        Radius in pixels of the downsampled micrograph; the disc is ``dy² + dx² ≤ radius²``.

    Returns
    -------
    offsets : int64, shape (k, 2)
        ``(dy, dx)`` in row-major order; k is 1 for radius 0, 29 for 3, 49 for 4, 149 for 7.
    """
    dy, dx = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside = dy**2 + dx**2 <= radius**2
    return np.stack([dy[inside], dx[inside]], axis=1).astype(np.int64)


def disc_size(radius: int) -> int:
    """Count the regions of a disc of this radius (pixels of the downsampled micrograph)."""
    return len(disc_offsets(radius))


def positive_regions(points: ArrayLike, shape: tuple[int, int], radius: int) -> NDArray[np.int64]:
    """Find the positive regions of one micrograph.

    Parameters
    ----------
    points : shape (n, 2)
        Picks ``(x, y)`` in pixels of the downsampled micrograph; each is rounded to the nearest pixel, halves up.
    shape
        ``(rows, columns)`` of the downsampled micrograph.
    radius
        Disc radius in the same pixels.

    Returns
    -------
    regions : int64, shape (k,)
        Sorted unique flat indices ``y · columns + x``. The part of a disc outside the micrograph is left out.
    """
    rows, columns = shape
    xy = np.floor(np.asarray(points, dtype=np.float64).reshape(-1, 2) + 0.5).astype(np.int64)
    disc = disc_offsets(radius)
    y = (xy[:, 1, None] + disc[:, 0]).ravel()
    x = (xy[:, 0, None] + disc[:, 1]).ravel()
    inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    return np.unique(y[inside] * columns + x[inside])


def label_map(points: ArrayLike, shape: tuple[int, int], radius: int) -> NDArray[np.bool_]:
    """Mark the positive regions of one micrograph as a ``(rows, columns)`` image."""
    labels = np.zeros(shape[0] * shape[1], dtype=np.bool_)
    labels[positive_regions(points, shape, radius)] = True
    return labels.reshape(shape)


@dataclass(frozen=True)
class LabelledRegions:
    """The regions of several micrographs, numbered through, and which of them are positive.

    Attributes
    ----------
    starts : int64, shape (n,)
        Where each micrograph's pixels begin in the prepared set's flat image.
    shapes : int64, shape (n, 2)
        ``(rows, columns)`` of each downsampled micrograph.
    first : int64, shape (n + 1,)
        Number of each micrograph's first region; the last entry is the number of regions.
    positives : int64, shape (p,)
        Sorted numbers of the positive regions.
    """

    starts: NDArray[np.int64]
    shapes: NDArray[np.int64]
    first: NDArray[np.int64]
    positives: NDArray[np.int64]

    @classmethod
    def label(cls, starts: ArrayLike, shapes: ArrayLike, points: Sequence[ArrayLike], radius: int) -> LabelledRegions:
        """Label the regions within ``radius`` of a pick, micrograph by micrograph.

        ``points`` holds each micrograph's picks, ``(x, y)`` in pixels of the downsampled micrograph.
        """
        shapes_ = np.asarray(shapes, dtype=np.int64).reshape(-1, 2)
        first = np.concatenate([[0], np.cumsum(shapes_.prod(axis=1))]).astype(np.int64)
        positives = [
            positive_regions(xy, (int(rows), int(columns)), radius) + begin
            for xy, (rows, columns), begin in zip(points, shapes_, first[:-1], strict=True)
        ]
        joined = np.concatenate(positives) if positives else np.empty(0, dtype=np.int64)
        return cls(np.asarray(starts, dtype=np.int64), shapes_, first, joined)

    @property
    def total(self) -> int:
        """Number of regions."""
        return int(self.first[-1])

    @property
    def observed(self) -> float:
        """Fraction of the regions that are positive."""
        return len(self.positives) / self.total

    def unlabeled(self, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the region numbers of the unlabeled regions of these ranks (0 is the first unlabeled region)."""
        # positives[i] - i unlabeled regions come before the i-th positive one
        before = self.positives - np.arange(len(self.positives))
        return ranks + np.searchsorted(before, ranks, side="right")

    def locate(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Turn region numbers into micrograph index, row and column."""
        index = np.searchsorted(self.first, numbers, side="right") - 1
        y, x = np.divmod(numbers - self.first[index], self.shapes[index, 1])
        return index, y, x
