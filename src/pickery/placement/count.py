"""How many particles a micrograph holds, told from how its labelled ones stand out: for partial labels.

What tells picks from any other place of the micrographs is turned into one score per place (Fisher's discriminant over
the rings). Its peaks, a particle's width apart, are candidates. Of the picks a share R(t) peaks at t or above; if N
particles look as the picked ones do, R(t) N of the peaks at t or above are theirs, so N is at most the number of those
peaks over R(t). That bound is tight where only particles score so high; its lowest value over t bounds N from above
(the mixture proportion of Blanchard, Lee & Scott 2010). In noise it is loose. Noise alone gives as many troughs as
peaks, and a particle's own rings some more: with the troughs at -t or below taken off the peaks, N is bounded from
below. The estimate is the geometric mean of the two, which are one where particles are plain to see.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pickery.formats.assignment import lies_inside
from pickery.formats.frame import Frame
from pickery.placement.fit import Anywhere, Coordinates
from pickery.placement.rings import Surroundings

SHARES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.9)
"""Shares of the picks above the thresholds that are tried: with fewer the bound is chance, with more it is loose."""
DRAWS = 200
"""Resampled sets of micrographs, for the uncertainty."""
LEAST_PICKS = 30
"""Picks of which a share can be told."""


@dataclass(frozen=True)
class Estimate:
    """An estimated number of particles.

    Attributes
    ----------
    particles
        Mean number in a micrograph.
    lowest, highest
        The lower bound that nineteen of twenty resampled sets of micrographs and picks keep above, and the upper one
        that as many keep below.
    picks
        Mean number of picks in them.
    micrographs
        How many were looked at.
    """

    particles: float
    lowest: float
    highest: float
    picks: float
    micrographs: int


def estimate(
    coordinates: Coordinates,
    around: Mapping[str, Surroundings],
    frame: Frame,
    *,
    diameter_px: float,
    seed: int,
) -> Estimate | None:
    """Estimate the number of particles in a micrograph.

    Parameters
    ----------
    coordinates
        Micrograph's name → x and y of its picks as their file has them.
    around
        The micrographs looked at.
    frame
        How coordinates are read.
    diameter_px
        Of the particle, in full-size pixels.
    seed
        The resampling follows from it.

    Returns
    -------
    Estimate or None
        None where there are too few picks to tell.
    """
    anywhere = Anywhere(around)
    seen: list[_Seen] = []
    for name, one in around.items():
        raw = coordinates.get(name)
        points = frame.apply(raw, one.shape) if raw is not None and len(raw) else np.zeros((0, 2))
        pixels = one.pixels(points[lies_inside(points, one.shape)])
        # what is told apart on a micrograph was learned on the others: on its own picks it would look too good
        others = {other: xy for other, xy in coordinates.items() if other != name or len(around) == 1}
        discriminant = anywhere.discriminant(frame, others)
        if discriminant is None:
            return None
        scores = np.tensordot(discriminant, one.maps, axes=1)
        apart = 0.5 * diameter_px / one.factor
        seen.append(_Seen(_peaks(scores, apart), _peaks(-scores, apart), _near(scores, pixels, apart / 2)))
    picks = sum(len(one.picked) for one in seen)
    if picks < LEAST_PICKS:
        return None
    mean_picks = picks / len(seen)
    generator = np.random.default_rng([seed, len(seen)])
    drawn = []
    for _ in range(DRAWS):
        chosen = [_again(seen[index], generator) for index in generator.integers(0, len(seen), len(seen))]
        if sum(len(one.picked) for one in chosen) >= LEAST_PICKS / 2:
            drawn.append(_bounds(chosen, mean_picks))
    lower, upper = _bounds(seen, mean_picks)
    lowers, uppers = zip(*drawn, strict=True)
    return Estimate(
        particles=math.sqrt(lower * upper),
        lowest=float(np.percentile(lowers, 5)),
        highest=float(np.percentile(uppers, 95)),
        picks=mean_picks,
        micrographs=len(seen),
    )


@dataclass(frozen=True, eq=False)
class _Seen:
    """Scores of one micrograph: of its peaks, of its troughs (their depths), and about its picks."""

    peaks: NDArray[np.float64]
    troughs: NDArray[np.float64]
    picked: NDArray[np.float64]


def _again(one: _Seen, generator: np.random.Generator) -> _Seen:
    """Draw its picks again: a share of few of them is chance."""
    count = len(one.picked)
    return replace(one, picked=one.picked[generator.integers(0, count, count)] if count else one.picked)


def _bounds(seen: Sequence[_Seen], least: float) -> tuple[float, float]:
    """Bound the mean number of particles from below and above, where the upper bound is tightest."""
    of_picks = np.concatenate([one.picked for one in seen])
    thresholds = np.quantile(of_picks, 1 - np.array(SHARES))
    shares = np.array([np.mean(of_picks >= threshold) for threshold in thresholds]) * len(seen)
    above, below = (
        len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left")
        for scores in (np.concatenate([one.peaks for one in seen]), np.concatenate([one.troughs for one in seen]))
    )
    # of several bounds the lowest is too low by chance, the more so the less sure each is: each at its upper end
    doubt = np.sqrt((1 - np.array(SHARES)) / (np.array(SHARES) * len(of_picks)))
    tightest = int(np.argmin(above / shares * (1 + doubt)))
    upper = max(least, float(above[tightest] / shares[tightest]))
    return min(upper, max(least, float((above - below)[tightest] / shares[tightest]))), upper


def _peaks(scores: NDArray[np.floating], apart: float) -> NDArray[np.float64]:
    """Give the heights of the peaks of a map: pixels higher than everything within `apart` of them."""
    found: NDArray[np.float64] = scores[scores == _highest(scores, apart)].astype(np.float64)
    return found


def _near(scores: NDArray[np.floating], pixels: NDArray[np.int64], reach: float) -> NDArray[np.float64]:
    """Give the highest score near each pixel: a pick is seldom on the very peak."""
    found: NDArray[np.float64] = _highest(scores, reach)[pixels[:, 0], pixels[:, 1]].astype(np.float64)
    return found


def _highest(scores: NDArray[np.floating], reach: float) -> NDArray[np.floating]:
    """Give the highest score about each pixel, in a square as large as the disc of that radius: discs take seconds."""
    from scipy.ndimage import maximum_filter

    side = 2 * max(1, round(max(reach, 1.0) * math.sqrt(math.pi) / 2)) + 1
    highest: NDArray[np.floating] = maximum_filter(scores, size=side, mode="nearest")
    return highest
