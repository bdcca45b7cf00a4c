"""Sets of regions kept as runs, eight bytes each: any region found by its rank, inside the set or outside. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Runs = NDArray[np.int64]
"""Shape (k, 2): flat indices ``y · columns + x`` within one micrograph, each run's first and the one after its last."""


@dataclass(frozen=True, eq=False)
class RegionSet:
    """Some of the regions of several micrographs, numbered through all of them.

    A pick's disc is some thirty regions but only seven runs, and within its micrograph a run needs only small numbers;
    so the positive regions of ten thousand micrographs need a hundred megabytes, which every loader process gets a
    copy of, and the unlabeled ones, which are all others, nothing.

    Attributes
    ----------
    first : int64, shape (n + 1,)
        Number of each micrograph's first region; the last entry is the number of all regions.
    counts : int64, shape (n + 1,)
        How many regions of the set come before each micrograph, and all of them.
    places : int64, shape (n + 1,)
        Where each micrograph's runs begin in the next two; they end with one that holds nothing and lies behind them.
    begins : int32, shape (k,)
        Each run's first region, counted from its micrograph's first.
    before : int32, shape (k,)
        How many regions of the set its micrograph has before the run.
    """

    first: NDArray[np.int64]
    counts: NDArray[np.int64]
    places: NDArray[np.int64]
    begins: NDArray[np.int32]
    before: NDArray[np.int32]

    @classmethod
    def of(cls, first: NDArray[np.int64], runs: Iterable[Runs]) -> RegionSet:
        """Collect the runs of each micrograph, which are disjoint and ascending; they may touch."""
        begins, before, counts, places = [], [], [0], [0]
        for index, own in enumerate(runs):
            size = int(first[index + 1] - first[index])
            assert size < 2**31, "a region's number within its micrograph needs 31 bits"
            reached = np.cumsum(own[:, 1] - own[:, 0])
            begins.append(np.append(own[:, 0], size).astype(np.int32))
            before.append(np.insert(reached, 0, 0).astype(np.int32))
            counts.append(counts[-1] + int(before[-1][-1]))
            places.append(places[-1] + len(begins[-1]))
        assert len(counts) == len(first), "runs for each micrograph"
        none = np.empty(0, np.int32)
        joined = np.concatenate([none, *begins])
        begins.clear()  # one list of many small arrays at a time beside what is made of it
        return cls(
            first, np.array(counts, np.int64), np.array(places, np.int64), joined, np.concatenate([none, *before])
        )

    def __len__(self) -> int:
        return int(self.counts[-1])

    def runs(self, index: int) -> Runs:
        """Give the runs of one micrograph."""
        own = slice(int(self.places[index]), int(self.places[index + 1]))
        begins = self.begins[own][:-1].astype(np.int64)
        return np.stack([begins, begins + np.diff(self.before[own])], axis=1)

    def numbers(self, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the numbers of the regions of these ranks in the set; 0 is the first."""
        index = np.searchsorted(self.counts, ranks, side="right") - 1
        rank = ranks - self.counts[index]
        run = self._first_beyond(lambda run: self.before[run], index, rank) - 1
        found: NDArray[np.int64] = self.first[index] + rank + (self.begins[run] - self.before[run])
        return found

    def numbers_outside(self, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the numbers of the regions of these ranks among those that are not in the set."""
        others = self.first - self.counts
        index = np.searchsorted(others, ranks, side="right") - 1
        rank = ranks - others[index]
        run = self._first_beyond(lambda run: self.begins[run] - self.before[run], index, rank)
        found: NDArray[np.int64] = self.first[index] + rank + self.before[run]
        return found

    def holds(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which regions are in the set, by their numbers, in any shape."""
        if not len(self):
            return np.zeros(np.shape(numbers), dtype=np.bool_)
        index = np.searchsorted(self.first, numbers, side="right") - 1
        place = numbers - self.first[index]
        run = self._first_beyond(lambda run: self.begins[run], index, place)
        # the last run that begins at or before the region, if its micrograph has one, is long enough or not
        found: NDArray[np.bool_] = (run > self.places[index]) & (
            place - self.begins[run - 1] < self.before[run] - self.before[run - 1]
        )
        return found

    def _first_beyond(
        self, key: Callable[[NDArray[np.int64]], NDArray[np.int32]], index: NDArray[np.int64], wanted: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Find the first run of each micrograph whose key is above what is wanted; keys ascend, the last always is."""
        low, high = self.places[index], self.places[index + 1] - 1
        while np.any(low < high):
            middle = (low + high) // 2
            reaches = key(middle) > wanted
            low, high = np.where(reaches, low, middle + 1), np.where(reaches, middle, high)
        return low


@dataclass(frozen=True, eq=False)
class Outside:
    """All regions that are not in a set, in order: numbered without being listed."""

    left_out: RegionSet

    def __len__(self) -> int:
        return int(self.left_out.first[-1]) - len(self.left_out)

    def numbers(self, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the numbers of the regions of these ranks; 0 is the first."""
        return self.left_out.numbers_outside(ranks)
