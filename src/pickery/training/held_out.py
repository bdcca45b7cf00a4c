"""Evaluation on whole held-out micrographs: gathers their scores, gives region and pick-level figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pickery.evaluation.matching import PickMetrics, pick_metrics
from pickery.evaluation.score_map import score_map
from pickery.evaluation.suppression import suppress
from pickery.evaluation.tally import Exchange, RegionTally, alone
from pickery.model import Picker


@dataclass(frozen=True)
class PickLevel:
    """How picks are taken from score maps and matched; radii in regions.

    Attributes
    ----------
    extraction_radius
        Non-maximum suppression radius.
    match_radius
        Largest distance of a hit.
    score_threshold
        The lowest score that counts as a candidate pick.
    """

    extraction_radius: int
    match_radius: float
    score_threshold: float


@dataclass(frozen=True)
class Candidates:
    """Candidate picks of one micrograph: ``(x, y)`` in regions, shape (n, 2), and scores, shape (n,)."""

    points: NDArray[np.int32]
    scores: NDArray[np.float32]


class HeldOutEvaluation:
    """Gathers the scores of held-out micrographs, then gives their figures.

    Parameters
    ----------
    names, points
        The micrographs' names and their picks, ``(x, y)`` in regions.
    stride
        Score every stride-th region of each axis, exactly.
    pi
        Expected fraction of positive regions in these micrographs.
    picks
        Take picks as well; this scores every region, and the region-level figures keep their stride.
    mask
        Gives a micrograph's masked regions, bool (rows, columns), by its index, or None where it has none: they take
        no part in the region-level figures, and nothing is picked there. Picks there should not be among `points`.
    folder
        Where the scores wait that do not fit into memory; None keeps them all there.
    """

    def __init__(
        self,
        *,
        names: Sequence[str],
        points: Sequence[NDArray[np.float64]],
        stride: int,
        pi: float,
        picks: PickLevel | None = None,
        mask: Callable[[int], NDArray[np.bool_] | None] = lambda index: None,
        folder: Path | None = None,
    ) -> None:
        self.names, self.points = tuple(names), tuple(points)
        self.stride, self.pi, self.picks = stride, pi, picks
        self._mask = mask
        self._folder = folder
        self._begin()
        self.pick_metrics: PickMetrics | None = None
        self.candidates: Mapping[int, Candidates] = {}

    def _begin(self) -> None:
        self._tally = RegionTally(self._folder)
        self._gathered: dict[int, Candidates] = {}

    def add(self, model: Picker, image: Tensor, labels: Tensor, index: int) -> None:
        """Score one micrograph.

        Parameters
        ----------
        model
            In evaluation mode.
        image : float32, shape (rows, columns)
        labels : bool, shape (rows, columns)
        index
            Which of the micrographs it is.
        """
        scored = 1 if self.picks is not None else self.stride
        scores = np.asarray(score_map(model, image, stride=scored))
        mask = self._mask(index)
        if self.picks is not None:
            points, values = suppress(scores, self.picks.extraction_radius, self.picks.score_threshold)
            if mask is not None:
                # only now: the slope of a peak in the mask would else be a pick along its edge
                seen_there = ~mask[points[:, 1], points[:, 0]]
                points, values = points[seen_there], values[seen_there]
            self._gathered[index] = Candidates(points.astype(np.int32), values)
            scores = scores[:: self.stride, :: self.stride]
        seen = labels[:: self.stride, :: self.stride].cpu().numpy()
        if mask is not None:
            kept = ~mask[:: self.stride, :: self.stride]
            scores, seen = scores[kept], seen[kept]
        self._tally.add(scores.ravel(), seen.ravel())

    def result(self, exchange: Exchange = alone) -> dict[str, float]:
        """Give the figures of all micrographs added since the last call, by metric name.

        Parameters
        ----------
        exchange
            Gathers what the processes have that evaluate together, each some of the micrographs; the figures are those
            of all micrographs, the same for each process and whatever the number of processes.
        """
        tally, gathered = self._tally, self._gathered
        self._begin()
        regions = tally.metrics(pi=self.pi, exchange=exchange)
        figures = {name: float(getattr(regions, name)) for name in REGION_FIGURES}
        if self.picks is not None:
            gathered = {index: found for part in exchange(gathered) for index, found in part.items()}
            order = sorted(gathered)
            self.candidates = gathered
            self.pick_metrics = pick_metrics(
                [gathered[i].points for i in order],
                [gathered[i].scores for i in order],
                [self.points[i] for i in order],
                radius=self.picks.match_radius,
                names=[self.names[i] for i in order],
            )
            figures["pick_average_precision"] = self.pick_metrics.average_precision
            figures["pick_f1"] = self.pick_metrics.f1
        return figures


REGION_FIGURES = ("loss", "precision", "adjusted_precision", "tpr", "fpr", "auprc")


@torch.inference_mode()
def evaluate(
    model: Picker,
    held_out: HeldOutEvaluation,
    images: Iterable[NDArray[np.float32]],
    labels: Iterable[NDArray[np.bool_]],
) -> dict[str, float]:
    """Evaluate a model in evaluation mode on these micrographs, outside Lightning."""
    assert not model.training
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        held_out.add(model, torch.from_numpy(np.array(image)), torch.from_numpy(label), index)
    return held_out.result()
