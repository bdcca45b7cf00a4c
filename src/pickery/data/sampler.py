"""What to cut for each minibatch: indices and rotations, a function of (seed, step) alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickery.data.regions import LabelledRegions
from pickery.errors import InputError


@dataclass(frozen=True)
class Cuts:
    """Where and how to cut the patches of one minibatch, all arrays of shape (b,).

    Positive regions come first, then negative ones, then unlabeled ones.

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
        1 for a positive region, 0 for an unlabeled one, -1 for a negative one.
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
    unlabeled regions together, both with replacement. Where there are negative regions, as many of them as positive
    ones take the places of unlabeled ones, drawn likewise. A masked region is never drawn.

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
        Draw the unlabeled ones from all regions that are not masked, positive and negative ones included, as the PU
        risk asks.

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
        self.negatives = self.positives if len(regions.negatives) else 0
        self.seed = seed
        self.unlabeled_from_all = unlabeled_from_all
        self._unlabeled = regions.unmasked if unlabeled_from_all else regions.unlabeled
        if len(regions.positives) == 0:
            raise InputError(
                "no training micrograph has a positive region: give picks (data.picks) that lie on the micrographs"
                + (" and outside the masks (data.masks)" if len(regions.masked) else "")
            )
        if len(self._unlabeled) == 0:
            others = " or negative" if self.negatives else ""
            raise InputError(
                f"every region of the training micrographs is positive{others}, none is unlabeled: data.radius is too "
                "large for preprocess.downsample; make it smaller"
            )
        if self.positives + self.negatives >= minibatch_size:
            raise InputError(
                f"sampler.balance={balance:g} of sampler.minibatch_size={minibatch_size} leaves no unlabeled patch "
                f"beside {self.positives} positive and {self.negatives} negative ones: lower sampler.balance"
            )

    def draw(self, step: int) -> Cuts:
        """Draw the minibatch of this global step."""
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, step])))
        regions, size, unlabeled = self.regions, self.minibatch_size, self.minibatch_size - self.positives
        chosen = [regions.positives[generator.integers(len(regions.positives), size=self.positives)]]
        if self.negatives:
            chosen.append(regions.negatives[generator.integers(len(regions.negatives), size=self.negatives)])
            unlabeled -= self.negatives
        chosen.append(self._unlabeled.numbers(generator.integers(len(self._unlabeled), size=unlabeled)))
        index, y, x = regions.locate(np.concatenate(chosen))
        angle = generator.random(size, dtype=np.float32) * np.float32(2 * np.pi)
        mirror = generator.random(size) < 0.5
        label = np.repeat(np.array([1, -1, 0], dtype=np.float32), [self.positives, self.negatives, unlabeled])
        rows, columns = regions.shapes[index].T
        return Cuts(regions.starts[index], rows, columns, y, x, angle, mirror, label)
