"""What to cut for each minibatch: indices and rotations, a function of (seed, step) alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickery.data.regions import LabelledRegions
from pickery.errors import InputError


@dataclass(frozen=True)
class Cuts:
    """Where and how to cut the patches of one minibatch, positive regions first; all arrays of shape (b,).

    Attributes
    ----------
    start : int64
        Where the micrograph's pixels begin in the flat image.
    rows, columns : int64
        The micrograph's shape.
    y, x : int64
        The region at the patch's centre.
    angle : float32
        Rotation in radians.
    mirror : bool
        Whether the patch is mirrored.
    label : float32
        1 for a positive region, 0 for an unlabeled one.
    """

    start: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    angle: NDArray[np.float32]
    mirror: NDArray[np.bool_]
    label: NDArray[np.float32]


def positives_per_minibatch(minibatch_size: int, balance: float) -> int:
    """Count the positive regions of a minibatch: ``balance`` of it, rounded, at least one."""
    return max(1, round(balance * minibatch_size))


class RegionSampler:
    """Draws minibatches of regions.

    Positive regions are drawn uniformly over all positive regions of all micrographs, the others uniformly over all
    unlabeled regions together, both with replacement.

    Parameters
    ----------
    regions
        The labelled regions of the training micrographs.
    minibatch_size
        Patches in a minibatch.
    balance
        Share of positive regions in a minibatch.
    seed
        The run's seed.
    unlabeled_from_all
        Draw the unlabeled ones from all regions, positive ones included, as the PU risk asks.

    Notes
    -----
    ``draw(step)`` builds its generator from the seed and the step, so it does not matter who draws a step, in which
    order, or how often.
    """

    def __init__(
        self,
        regions: LabelledRegions,
        *,
        minibatch_size: int,
        balance: float,
        seed: int,
        unlabeled_from_all: bool = False,
    ) -> None:
        self.regions = regions
        self.minibatch_size = minibatch_size
        self.positives = positives_per_minibatch(minibatch_size, balance)
        self.seed = seed
        self.unlabeled_from_all = unlabeled_from_all
        if len(regions.positives) == 0:
            raise InputError(
                "no training micrograph has a positive region: give picks (data.picks) that lie on the micrographs"
            )
        if self._unlabeled_total <= 0:
            raise InputError(
                "every region of the training micrographs is positive, none is unlabeled: data.radius is too large "
                "for preprocess.downsample; make it smaller"
            )

    @property
    def _unlabeled_total(self) -> int:
        return self.regions.total - (0 if self.unlabeled_from_all else len(self.regions.positives))

    def draw(self, step: int) -> Cuts:
        """Draw the minibatch of this global step."""
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, step])))
        regions, size, positives = self.regions, self.minibatch_size, self.positives
        chosen = regions.positives[generator.integers(len(regions.positives), size=positives)]
        ranks = generator.integers(self._unlabeled_total, size=size - positives)
        others = ranks if self.unlabeled_from_all else regions.unlabeled(ranks)
        index, y, x = regions.locate(np.concatenate([chosen, others]))
        angle = generator.random(size, dtype=np.float32) * np.float32(2 * np.pi)
        mirror = generator.random(size) < 0.5
        label = (np.arange(size) < positives).astype(np.float32)
        rows, columns = regions.shapes[index].T
        return Cuts(regions.starts[index], rows, columns, y, x, angle, mirror, label)
