"""Region metrics counted micrograph by micrograph: sums and positives in memory, unlabeled scores on disk if many."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

CHUNK = 1 << 20
"""Scores become probabilities this many at a time, so that float64 sums need little memory; also read back so."""

MOST_IN_MEMORY = 1 << 24
"""Unlabeled scores beyond so many wait on disk; 64 MB in single precision."""

Exchange: TypeAlias = Callable[[Any], Sequence[Any]]
"""Gives what each of the processes that evaluate together gave it; all of them call it, equally often."""


@dataclass(frozen=True, slots=True)
class RegionMetrics:
    """Metrics over the regions of a set of micrographs; see `pickery.evaluation.metrics.region_metrics`."""

    loss: float
    precision: float
    adjusted_precision: float
    tpr: float
    fpr: float
    auprc: float


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a process tells the others of its micrographs before the unlabeled scores are counted.

    Attributes
    ----------
    counts : int64, shape (k, 2)
        For each micrograph its regions and the positive ones among them.
    sums : float64, shape (k, 3)
        For each micrograph the sums of the probabilities of the positive regions, of those of all regions, and of the
        cross-entropies.
    positives : shape (p,)
        Scores of the positive regions of all of them.
    """

    counts: NDArray[np.int64]
    sums: NDArray[np.float64]
    positives: NDArray[np.floating]


def alone(own: Any) -> Sequence[Any]:
    """Exchange with nobody."""
    return [own]


class RegionTally:
    """Takes the scores and labels of micrograph after micrograph, then gives the metrics of all their regions.

    What stays in memory is four bytes (the size of a score) for each positive region, fifty while they are counted, and
    `MOST_IN_MEMORY` unlabeled scores; beyond those, unlabeled scores wait in a file without a name, which is gone with
    the process, however it ends. Average precision only asks how many of them lie at or above each positive score, so
    they are read back piece by piece, in pieces no smaller than the number of positives, and none of it is an
    approximation. The figures do not depend on the order of the micrographs, nor on which process took which.

    Parameters
    ----------
    folder
        Where that file may grow; None keeps everything in memory.
    dtype
        Of the scores.
    """

    def __init__(self, folder: Path | None = None, dtype: DTypeLike = np.float32) -> None:
        self.folder, self.dtype = folder, np.dtype(dtype)
        self._counts: list[tuple[int, int]] = []
        self._sums: list[tuple[float, float, float]] = []
        self._positives: list[NDArray[np.floating]] = []
        self._unlabeled: list[NDArray[np.floating]] = []
        self._in_memory = 0
        self._file: IO[bytes] | None = None

    def add(self, scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> None:
        """Take the regions of one micrograph.

        Parameters
        ----------
        scores : (n,)
            Logits.
        labels : (n,)
            True for positive regions, False for unlabeled ones.

        Raises
        ------
        OSError
            If the unlabeled scores cannot be written; it names the folder.
        """
        assert scores.dtype == self.dtype, f"{scores.dtype} scores for a tally of {self.dtype}"
        assert scores.ndim == 1, f"scores are one flat array, not {scores.shape}"
        assert scores.shape == labels.shape, f"{scores.shape} scores against {labels.shape} labels"
        sum_positive = sum_all = sum_loss = 0.0
        for start in range(0, len(scores), CHUNK):
            score = scores[start : start + CHUNK].astype(np.float64)
            label = labels[start : start + CHUNK]
            # exp(-|s|) is in (0, 1]: neither the sigmoid nor the softplus built on it can overflow
            small = np.exp(-np.abs(score))
            probability = np.where(score >= 0, 1.0, small) / (1.0 + small)
            sum_all += float(probability.sum())
            sum_positive += float(probability[label].sum())
            sum_loss += float(np.sum(np.maximum(np.where(label, -score, score), 0.0) + np.log1p(small)))
        positives = scores[labels]
        self._counts.append((len(scores), len(positives)))
        self._sums.append((sum_positive, sum_all, sum_loss))
        self._positives.append(positives)
        self._unlabeled.append(scores[~labels])
        self._in_memory += len(self._unlabeled[-1])
        if self.folder is not None and self._in_memory > MOST_IN_MEMORY:
            self._move_to_disk(self.folder)

    def metrics(self, *, pi: float, observed: float | None = None, exchange: Exchange = alone) -> RegionMetrics:
        """Give the metrics of everything added, by this process and those that it exchanges with. The tally ends.

        Parameters
        ----------
        pi
            Expected fraction of positive regions.
        observed
            Labelled fraction of them; None for that of the regions added.
        exchange
            Gathers what each process has.
        """
        try:
            parts: Sequence[Part] = exchange(self._part())
            regions, positives = (int(count) for count in np.concatenate([part.counts for part in parts]).sum(axis=0))
            # rounded once, whatever the order
            sums = np.concatenate([part.sums for part in parts])
            scores = np.concatenate([part.positives for part in parts])
            del parts  # they hold those scores once more
            sum_positive, sum_all, sum_loss = (math.fsum(column) for column in sums.T.tolist())
            if math.isnan(sum_all):  # so is a score
                nan = float("nan")
                return RegionMetrics(nan, nan, nan, nan, nan, nan)
            if observed is None:
                observed = _ratio(positives, regions)
            precision = _ratio(sum_positive, sum_all)
            return RegionMetrics(
                loss=_ratio(sum_loss, regions),
                precision=precision,
                adjusted_precision=_ratio(precision * pi, observed),
                tpr=_ratio(sum_positive, positives),
                fpr=_ratio(sum_all - sum_positive, regions - positives),
                auprc=self._average_precision(scores, exchange),
            )
        finally:
            self.close()

    def close(self) -> None:
        """Forget everything; the file on disk goes too."""
        self._positives, self._unlabeled, self._in_memory = [], [], 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _part(self) -> Part:
        positives = np.concatenate([np.empty(0, self.dtype), *self._positives])
        self._positives = []
        counts = np.array(self._counts, dtype=np.int64).reshape(-1, 2)
        return Part(counts, np.array(self._sums, dtype=np.float64).reshape(-1, 3), positives)

    def _average_precision(self, positives: NDArray[np.floating], exchange: Exchange) -> float:
        if not len(positives):
            return float("nan")
        positives.sort()
        # only thresholds at which recall grows count, and equal scores share one
        first = np.flatnonzero(np.append(True, positives[1:] != positives[:-1]))
        others = sum(exchange(self._at_or_above(positives[first])))
        hits = len(positives) - first
        picked = hits + others
        gained = np.diff(first, append=len(positives))
        return float(np.sum(hits / picked * gained) / len(positives))

    def _at_or_above(self, thresholds: NDArray[np.floating]) -> NDArray[np.int64]:
        """Count this process's unlabeled scores at or above each of these ascending thresholds."""
        counted = np.zeros(len(thresholds), dtype=np.int64)
        # each piece is asked for every threshold, so pieces grow with their number
        for piece in self._pieces(max(CHUNK, len(thresholds))):
            piece.sort()
            counted += len(piece)
            counted -= np.searchsorted(piece, thresholds, side="left")
        return counted

    def _pieces(self, size: int) -> Iterator[NDArray[np.floating]]:
        """Give the unlabeled scores, from the disk and from memory, in pieces of this size; each may be changed."""
        if self._file is not None:
            self._file.seek(0)
            piece = np.empty(size, self.dtype)
            room = piece.data.cast("B")
            while filled := _fill(self._file, room):
                yield piece[: filled // self.dtype.itemsize]
        waiting = np.concatenate([np.empty(0, self.dtype), *self._unlabeled])
        self._unlabeled = []
        for start in range(0, len(waiting), size):
            yield waiting[start : start + size]

    def _move_to_disk(self, folder: Path) -> None:
        from tempfile import TemporaryFile

        try:
            if self._file is None:
                # in the run's folder: the system's own for temporary files may be memory
                self._file = TemporaryFile(dir=folder, buffering=0)
            for scores in self._unlabeled:
                remaining = np.ascontiguousarray(scores).data.cast("B")
                while remaining:
                    remaining = remaining[self._file.write(remaining) :]
        except OSError as error:
            if error.filename is None:
                error.filename = str(folder)  # which of the disks is full
            raise
        self._unlabeled, self._in_memory = [], 0


def _fill(file: IO[bytes], room: memoryview) -> int:
    """Read so many bytes as there are, or as there is room for; gives their number."""
    filled = 0
    while filled < len(room) and (got := file.readinto(room[filled:])):  # type: ignore[attr-defined]
        filled += got
    return filled


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
