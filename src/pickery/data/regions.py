"""Labelled regions: which pixels of the downsampled micrographs are positive, negative, or left out. Pure arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.data.region_set import Outside, RegionSet


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
    regions = y[inside] * columns + x[inside]
    regions.sort()  # np.unique may hash, which takes four times as long
    once: NDArray[np.int64] = regions[np.append(True, regions[1:] != regions[:-1])[: len(regions)]]
    return once


def label_map(points: ArrayLike, shape: tuple[int, int], radius: int) -> NDArray[np.bool_]:
    """Mark the positive regions of one micrograph as a ``(rows, columns)`` image."""
    labels = np.zeros(shape[0] * shape[1], dtype=np.bool_)
    labels[positive_regions(points, shape, radius)] = True
    return labels.reshape(shape)


def runs_of(marked: ArrayLike) -> NDArray[np.int64]:
    """Write the marked regions of one micrograph as runs, which for areas are few.

    Parameters
    ----------
    marked : bool, shape (rows, columns)

    Returns
    -------
    runs : int64, shape (k, 2)
        Flat indices ``y · columns + x``: each run's first, and the one after its last; ascending, with gaps between.
    """
    flat = np.concatenate([[False], np.asarray(marked, dtype=np.bool_).ravel(), [False]])
    return np.flatnonzero(flat[1:] != flat[:-1]).astype(np.int64).reshape(-1, 2)


def marked_by(runs: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Mark the regions of runs (`runs_of`) as a ``(rows, columns)`` image."""
    change = np.zeros(shape[0] * shape[1] + 1, dtype=np.bool_)
    change[runs.ravel()] = True
    marked: NDArray[np.bool_] = np.logical_xor.accumulate(change[:-1]).reshape(shape)
    return marked


def _as_runs(regions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write sorted unique region numbers as runs."""
    gaps = np.flatnonzero(np.diff(regions) > 1)
    first, last = np.insert(gaps + 1, 0, 0), np.append(gaps, len(regions) - 1)
    return np.stack([regions[first], regions[last] + 1], axis=1) if len(regions) else np.empty((0, 2), np.int64)


def _ascending(runs: NDArray[np.int64]) -> NDArray[np.int64]:
    return runs[np.argsort(runs[:, 0], kind="stable")]


@dataclass(frozen=True)
class LabelledRegions:
    """The regions of several micrographs, numbered through: which are positive, negative, or left out by a mask.

    All others are unlabeled. A masked region is neither positive nor negative nor unlabeled, and where discs of
    positive and negative points overlap, the regions are positive.

    Attributes
    ----------
    starts : int64, shape (n,)
        Where each micrograph's pixels begin in the prepared set's flat image.
    shapes : int64, shape (n, 2)
        ``(rows, columns)`` of each downsampled micrograph.
    first : int64, shape (n + 1,)
        Number of each micrograph's first region; the last entry is the number of regions, masked ones included.
    positives, negatives, masked
        The regions that are so.
    labelled
        All of these together.
    contested
        Number of positive regions that would be negative if no pick were near.
    """

    starts: NDArray[np.int64]
    shapes: NDArray[np.int64]
    first: NDArray[np.int64]
    positives: RegionSet
    negatives: RegionSet
    masked: RegionSet
    labelled: RegionSet
    contested: int = 0

    @classmethod
    def label(
        cls,
        starts: ArrayLike,
        shapes: ArrayLike,
        points: Sequence[ArrayLike],
        radius: int,
        *,
        negatives: Sequence[ArrayLike] = (),
        masked: Sequence[NDArray[np.int64]] = (),
    ) -> LabelledRegions:
        """Label the regions of each micrograph.

        Parameters
        ----------
        starts, shapes
            As the attributes.
        points
            Each micrograph's picks, ``(x, y)`` in pixels of the downsampled micrograph: the regions within ``radius``
            are positive.
        radius
            In those pixels.
        negatives
            Likewise the points whose regions are negative; empty: none.
        masked
            Each micrograph's masked regions (`runs_of`); empty: none.
        """
        shapes_ = np.asarray(shapes, dtype=np.int64).reshape(-1, 2)
        first = np.concatenate([[0], np.cumsum(shapes_.prod(axis=1))]).astype(np.int64)
        sides = [(rows, columns) for rows, columns in shapes_.tolist()]
        nothing = RegionSet.of(first, [np.empty((0, 2), dtype=np.int64)] * len(sides))
        left_out = RegionSet.of(first, masked) if masked else nothing

        def near(given: Sequence[ArrayLike], index: int) -> NDArray[np.int64]:
            regions = positive_regions(given[index], sides[index], radius)
            return regions[~left_out.holds(regions + first[index])]

        positive = RegionSet.of(first, (_as_runs(near(points, index)) for index in range(len(sides))))
        negative, contested = nothing, 0
        if negatives:
            clear = []
            for index in range(len(sides)):
                refused = near(negatives, index)
                picked = positive.holds(refused + first[index])
                contested += int(picked.sum())
                clear.append(_as_runs(refused[~picked]))
            negative = RegionSet.of(first, clear)
        labelled = positive
        if masked or negatives:
            # disjoint, so that sorting them is joining them
            together = ((positive.runs(i), negative.runs(i), left_out.runs(i)) for i in range(len(sides)))
            labelled = RegionSet.of(first, (_ascending(np.concatenate(runs)) for runs in together))
        return cls(
            starts=np.asarray(starts, dtype=np.int64),
            shapes=shapes_,
            first=first,
            positives=positive,
            negatives=negative,
            masked=left_out,
            labelled=labelled,
            contested=contested,
        )

    @property
    def total(self) -> int:
        """Number of regions, masked ones included."""
        return int(self.first[-1])

    @property
    def unmasked(self) -> Outside:
        """All regions that no mask leaves out."""
        return Outside(self.masked)

    @property
    def unlabeled(self) -> Outside:
        """The regions that are neither positive nor negative nor masked."""
        return Outside(self.labelled)

    @property
    def observed(self) -> float:
        """Fraction of the unmasked regions that are positive."""
        return len(self.positives) / len(self.unmasked)

    def locate(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Turn region numbers into micrograph index, row and column."""
        index = np.searchsorted(self.first, numbers, side="right") - 1
        y, x = np.divmod(numbers - self.first[index], self.shapes[index, 1])
        return index, y, x
