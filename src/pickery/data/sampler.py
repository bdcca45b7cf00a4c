"""What to cut for each minibatch: indices, rotations and labels, a function of (seed, step) alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickery.data.regions import LabelledRegions
from pickery.errors import InputError


@dataclass(frozen=True)
class Cuts:
    """Where and how to cut the images of one minibatch: patches, or crops with several scores each.

    Those drawn for a positive region come first, then those for a negative one, then those for an unlabeled one.

    Attributes
    ----------
    start : int64, shape (b,)
        Where the micrograph's pixels begin in the flat image.
    rows, columns : int64, shape (b,)
        The micrograph's shape.
    y, x : int64, shape (b,)
        The pixel nearest to the image's centre; for a patch its region.
    below, beside : float32, shape (b,)
        How far below and to the right of it the centre lies, in pixels; 0 for patches.
    angle : float32, shape (b,)
        Rotation in radians.
    mirror : bool, shape (b,)
        Whether the image is mirrored.
    label : float32, shape (b, outputs, outputs)
        For each score of an image: 1 for a positive region, 0 for an unlabeled one, -1 for a negative one, NaN for one
        that is left out.
    """

    start: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    below: NDArray[np.float32]
    beside: NDArray[np.float32]
    angle: NDArray[np.float32]
    mirror: NDArray[np.bool_]
    label: NDArray[np.float32]


def positives_per_minibatch(minibatch_size: int, balance: float) -> int:
    """Count the images of a minibatch that are drawn for positive regions: ``balance`` of it, rounded, at least one."""
    return max(1, round(balance * minibatch_size))


class RegionSampler:
    """Draws minibatches of regions, and how to cut an image around each.

    Positive regions are drawn uniformly over all positive regions of all micrographs, the others uniformly over all
    unlabeled regions together, both with replacement. Where there are negative regions, as many of them as positive
    ones take the places of unlabeled ones, drawn likewise. A masked region is never drawn.

    A patch has one score, that of the region drawn. A crop has ``outputs`` × ``outputs`` of them, ``stride`` pixels
    apart along its (rotated) sides, and the region drawn lies under one of them at random. The others lie between
    regions and take the label of the nearest one: of a crop drawn for a positive region only the positive regions
    count, of one drawn for an unlabeled region only the unlabeled ones, and nothing outside the micrograph.

    Parameters
    ----------
    regions
        The labelled regions of the training micrographs.
    minibatch_size
        Patches or crops in a minibatch.
    balance
        Share of them that is drawn for positive regions.
    seed
        The run's seed.
    unlabeled_from_all
        Draw the unlabeled ones from all regions that are not masked, positive and negative ones included, as the PU
        risk asks.
    outputs
        Scores along each side of a crop; 1 for patches.
    stride
        Pixels between neighbouring scores.

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
        outputs: int = 1,
        stride: int = 1,
    ) -> None:
        self.regions = regions
        self.minibatch_size = minibatch_size
        self.positives = positives_per_minibatch(minibatch_size, balance)
        self.negatives = self.positives if len(regions.negatives) else 0
        self.seed = seed
        self.unlabeled_from_all = unlabeled_from_all
        self.outputs, self.stride = outputs, stride
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
                f"sampler.balance={balance:g} of sampler.minibatch_size={minibatch_size} leaves none for "
                f"unlabeled regions beside {self.positives} for positive and {self.negatives} for negative ones: lower "
                "sampler.balance"
            )

    @property
    def is_partial(self) -> bool:
        """Whether some scores are neither positive nor unlabeled."""
        return self.outputs > 1 or self.negatives > 0

    def draw(self, step: int) -> Cuts:
        """Draw the minibatch of this global step."""
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, step])))
        regions, size, unlabeled = self.regions, self.minibatch_size, self.minibatch_size - self.positives
        chosen = [regions.positives.numbers(generator.integers(len(regions.positives), size=self.positives))]
        if self.negatives:
            chosen.append(regions.negatives.numbers(generator.integers(len(regions.negatives), size=self.negatives)))
            unlabeled -= self.negatives
        chosen.append(self._unlabeled.numbers(generator.integers(len(self._unlabeled), size=unlabeled)))
        index, y, x = regions.locate(np.concatenate(chosen))
        angle = generator.random(size, dtype=np.float32) * np.float32(2 * np.pi)
        mirror = generator.random(size) < 0.5
        kind = np.repeat(np.array([1, -1, 0], dtype=np.float32), [self.positives, self.negatives, unlabeled])
        rows, columns = regions.shapes[index].T
        if self.outputs == 1:
            nowhere, label = np.zeros(size, dtype=np.float32), kind[:, None, None]
            return Cuts(regions.starts[index], rows, columns, y, x, nowhere, nowhere, angle, mirror, label)

        # each score's place around the crop's centre, as it lies on the micrograph, and the centre itself
        reach = (np.arange(self.outputs, dtype=np.float64) - (self.outputs - 1) / 2) * self.stride
        below, beside = turned(reach[:, None], reach, angle[:, None, None], mirror[:, None, None])
        under = (np.arange(size), *np.divmod(generator.integers(self.outputs**2, size=size), self.outputs))
        centre_y, centre_x = y - below[under], x - beside[under]
        label = self._labels(kind, index, centre_y[:, None, None] + below, centre_x[:, None, None] + beside)
        pixel_y, pixel_x = _nearest(centre_y), _nearest(centre_x)
        off_y, off_x = (centre_y - pixel_y).astype(np.float32), (centre_x - pixel_x).astype(np.float32)
        return Cuts(regions.starts[index], rows, columns, pixel_y, pixel_x, off_y, off_x, angle, mirror, label)

    def _labels(
        self,
        kind: NDArray[np.float32],
        index: NDArray[np.int64],
        y: NDArray[np.float64],
        x: NDArray[np.float64],
    ) -> NDArray[np.float32]:
        """Label the scores at places (b, outputs, outputs) on micrographs (b,) of crops drawn for a kind of region."""
        regions = self.regions
        row, column = _nearest(y), _nearest(x)
        rows, columns = regions.shapes[index].T[:, :, None, None]
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        number = np.where(inside, regions.first[index][:, None, None] + row * columns + column, 0)
        positive, negative = regions.positives.holds(number), regions.negatives.holds(number)
        unlabeled = ~regions.masked.holds(number)
        if not self.unlabeled_from_all:
            unlabeled &= ~(positive | negative)
        drawn_for = kind[:, None, None]
        counts = inside & np.where(drawn_for == 0, unlabeled, np.where(drawn_for == 1, positive, negative))
        return np.where(counts, drawn_for, np.float32(np.nan)).astype(np.float32)


def turned(
    down: NDArray[np.float64], across: NDArray[np.float64], angle: NDArray[np.float32], mirror: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the offset (down, across) from a rotated image's centre as it lies on the micrograph.

    Mirrored first, then rotated, as `pickery.data.patches.rotate` does; all arrays of shapes that go together.
    """
    cosine, sine = np.cos(angle.astype(np.float64)), np.sin(angle.astype(np.float64))
    across = np.where(mirror, -across, across)
    return sine * across + cosine * down, cosine * across - sine * down


def _nearest(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round to whole numbers, halves up."""
    return np.floor(values + 0.5).astype(np.int64)
