"""Labelled regions: which pixels of the downsampled micrographs are positive, negative, or left out. Pure arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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


def in_runs(regions: NDArray[np.int64], runs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which regions lie in runs."""
    # an odd number of begins and ends at or before a region: one run has begun and not ended
    inside: NDArray[np.bool_] = np.searchsorted(runs.ravel(), regions, side="right") % 2 == 1
    return inside


def _as_runs(regions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write sorted unique region numbers as runs."""
    gaps = np.flatnonzero(np.diff(regions) > 1)
    first, last = np.insert(gaps + 1, 0, 0), np.append(gaps, len(regions) - 1)
    return np.stack([regions[first], regions[last] + 1], axis=1) if len(regions) else np.empty((0, 2), np.int64)


@dataclass(frozen=True)
class Remaining:
    """The regions outside some runs, in order: what is left is numbered without being listed.

    Parameters
    ----------
    runs : int64, shape (k, 2)
        Disjoint and ascending.
    total
        Number of regions, those of the runs included.
    """

    runs: NDArray[np.int64]
    total: int

    @cached_property
    def _taken(self) -> NDArray[np.int64]:
        """How many regions the runs before each one hold, and all of them."""
        return np.concatenate([[0], np.cumsum(self.runs[:, 1] - self.runs[:, 0])]).astype(np.int64)

    @cached_property
    def _before(self) -> NDArray[np.int64]:
        """How many of the remaining regions come before each run."""
        return self.runs[:, 0] - self._taken[:-1]

    def __len__(self) -> int:
        return self.total - int(self._taken[-1])

    def numbers(self, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the region numbers of the remaining regions of these ranks (0 is the first)."""
        return ranks + self._taken[np.searchsorted(self._before, ranks, side="right")]


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
    positives, negatives : int64, shape (p,) and (q,)
        Sorted numbers of the positive and the negative regions.
    masked : int64, shape (k, 2)
        Runs of numbers of the masked regions.
    contested
        Number of positive regions that would be negative if no pick were near.
    """

    starts: NDArray[np.int64]
    shapes: NDArray[np.int64]
    first: NDArray[np.int64]
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]
    masked: NDArray[np.int64]
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
        positive, negative, left_out, contested = [], [], [], 0
        for index, ((rows, columns), begin) in enumerate(zip(shapes_, first[:-1], strict=True)):
            shape = (int(rows), int(columns))
            runs = masked[index] if masked else np.empty((0, 2), dtype=np.int64)
            near = positive_regions(points[index], shape, radius)
            near = near[~in_runs(near, runs)]
            positive.append(near + begin)
            left_out.append(runs + begin)
            if negatives:
                refused = positive_regions(negatives[index], shape, radius)
                refused = refused[~in_runs(refused, runs)]
                clear = np.setdiff1d(refused, near, assume_unique=True)
                contested += len(refused) - len(clear)
                negative.append(clear + begin)
        none, no_runs = np.empty(0, dtype=np.int64), np.empty((0, 2), dtype=np.int64)
        return cls(
            starts=np.asarray(starts, dtype=np.int64),
            shapes=shapes_,
            first=first,
            positives=np.concatenate([none, *positive]),
            negatives=np.concatenate([none, *negative]),
            masked=np.concatenate([no_runs, *left_out]),
            contested=contested,
        )

    @property
    def total(self) -> int:
        """Number of regions, masked ones included."""
        return int(self.first[-1])

    @cached_property
    def unmasked(self) -> Remaining:
        """All regions that no mask leaves out."""
        return Remaining(self.masked, self.total)

    @cached_property
    def unlabeled(self) -> Remaining:
        """The regions that are neither positive nor negative nor masked."""
        runs = np.concatenate([self.masked, _as_runs(self.positives), _as_runs(self.negatives)])
        return Remaining(runs[np.argsort(runs[:, 0], kind="stable")], self.total)

    @property
    def observed(self) -> float:
        """Fraction of the unmasked regions that are positive."""
        return len(self.positives) / len(self.unmasked)

    def locate(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Turn region numbers into micrograph index, row and column."""
        index = np.searchsorted(self.first, numbers, side="right") - 1
        y, x = np.divmod(numbers - self.first[index], self.shapes[index, 1])
        return index, y, x
