"""How clearly what stands around picks differs from what stands anywhere: Hotelling's T-squared over rings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickery.formats.assignment import lies_inside
from pickery.formats.frame import Frame
from pickery.placement.rings import EDGES_PX, Surroundings

RINGS = len(EDGES_PX) - 1
CELL_PX = 12
"""Picks within one square of so many shrunk pixels are one observation: their surroundings overlap."""
RIDGE = 1e-3
"""Share of the mean variance that is added to each ring's, since neighbouring rings say much the same."""

Coordinates = Mapping[str, NDArray[np.float64]]
"""Micrograph's name → (n, 2), x and y as the file of picks has them."""


@dataclass(frozen=True)
class Fit:
    """How picks lie in one frame.

    Attributes
    ----------
    frame
        How their coordinates are read.
    inside, picks
        How many lie within the micrographs, of how many.
    span
        Share of the micrographs' sides over which nine of ten of those inside spread, the lesser of the two.
    observations
        Places that are far enough from each other to count one by one.
    statistic
        Hotelling's T-squared of the mean rings about those places: about the number of rings, 12, where picks lie
        anywhere (clusters of picks make it some times that), and it grows with the number of picks that sit on
        something.
    """

    frame: Frame
    inside: int
    picks: int
    span: float
    observations: int
    statistic: float

    @property
    def distance(self) -> float:
        """Squared distance of the mean rings from those anywhere, in the spread of a single place; chance taken off."""
        return max(0.0, self.statistic - RINGS) / max(1, self.observations)


class Anywhere:
    """How rings vary over all pixels of some micrographs, and how far picks are from that.

    Parameters
    ----------
    around
        Micrograph's name → its surroundings.
    """

    def __init__(self, around: Mapping[str, Surroundings]) -> None:
        self.around = around
        total = np.zeros((RINGS, RINGS))
        for one in around.values():
            values = one.maps[:, ::3, ::3].reshape(RINGS, -1).astype(np.float64)  # neighbours say the same
            total += values @ values.T / values.shape[1]
        covariance = total / max(1, len(around))
        ridge = RIDGE * max(float(np.trace(covariance)) / RINGS, 1e-12)
        self._inverse = np.linalg.inv(covariance + ridge * np.eye(RINGS))

    def fit(self, frame: Frame, coordinates: Coordinates) -> Fit:
        """Judge picks in a frame; `coordinates` may name micrographs that are not around, which do not count."""
        rings, places, picks = self._observed(frame, coordinates)
        statistic = self._statistic(rings.mean(axis=0), len(rings)) if len(rings) else 0.0
        span = float(np.min(np.diff(np.percentile(places, (5, 95), axis=0), axis=0))) if len(places) else 0.0
        return Fit(frame, len(places), picks, span, len(rings), statistic)

    def discriminant(self, frame: Frame, coordinates: Coordinates) -> NDArray[np.float64] | None:
        """Give the weights of the rings whose sum tells picks from any place best (Fisher 1936): float64 (rings,).

        None where no pick lies inside.
        """
        rings, _, _ = self._observed(frame, coordinates)
        return self._inverse @ rings.mean(axis=0) if len(rings) else None

    def _observed(self, frame: Frame, coordinates: Coordinates) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """Give the rings about the picks, an observation a row.

        Also where those lie that are inside, in shares of the micrographs' sides, and how many picks there are.
        """
        picks = 0
        observed, places = [], [np.zeros((0, 2))]
        for one, kept, given in inside(self.around, frame, coordinates):
            picks += given
            if len(kept):
                places.append(kept / np.array(one.shape[::-1]))
                observed.append(_by_cell(one, one.pixels(kept)))
        return np.concatenate(observed) if observed else np.zeros((0, RINGS)), np.concatenate(places), picks

    def moved(
        self, frame: Frame, coordinates: Coordinates, steps: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Judge picks that are moved in whole shrunk pixels.

        Parameters
        ----------
        steps
            int64 (m, 2), (rows, columns) by which all picks move.

        Returns
        -------
        statistics : float64 (m,)
            Likewise; picks that would leave the image do not count.
        observations : int64 (m,)
        """
        sums = np.zeros((len(steps), RINGS))
        counts = np.zeros(len(steps), dtype=np.int64)
        for one, points, _ in inside(self.around, frame, coordinates):
            if not len(points):
                continue
            pixels = one.pixels(points)
            _, first = np.unique(pixels // CELL_PX, axis=0, return_index=True)
            pixels = pixels[first]
            there = pixels[None] + steps[:, None]  # (m, n, 2)
            valid = np.all((there >= 0) & (there < np.array(one.image.shape)), axis=2)
            there = np.clip(there, 0, np.array(one.image.shape) - 1)
            for ring in range(RINGS):
                sums[:, ring] += np.where(valid, one.maps[ring][there[..., 0], there[..., 1]], 0).sum(axis=1)
            counts += valid.sum(axis=1)
        means = sums / np.maximum(counts, 1)[:, None]
        statistics = np.array([self._statistic(mean, int(n)) for mean, n in zip(means, counts, strict=True)])
        return statistics, counts

    def _statistic(self, mean: NDArray[np.floating], count: int) -> float:
        return float(count * mean @ self._inverse @ mean) if count else 0.0


def inside(
    around: Mapping[str, Surroundings], frame: Frame, coordinates: Coordinates
) -> Iterator[tuple[Surroundings, NDArray[np.float64], int]]:
    """Give each micrograph that has picks, those inside it as full-size (x, y), and how many it has in all."""
    for name, one in around.items():
        raw = coordinates.get(name)
        if raw is not None and len(raw):
            points = frame.apply(raw, one.shape)
            yield one, points[lies_inside(points, one.shape)], len(raw)


def _by_cell(one: Surroundings, pixels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the mean rings of the picks of each cell."""
    _, cell = np.unique(pixels // CELL_PX, axis=0, return_inverse=True)
    counts = np.bincount(cell.ravel())
    rings = one.at(pixels).astype(np.float64)
    return np.column_stack([np.bincount(cell.ravel(), weights=rings[:, k]) for k in range(RINGS)]) / counts[:, None]


def mean_patch(
    around: Mapping[str, Surroundings], frame: Frame, coordinates: Coordinates, half_px: int
) -> tuple[NDArray[np.float64], int]:
    """Average the flattened images about picks.

    Parameters
    ----------
    half_px
        The patch has 2 · half_px + 1 shrunk pixels on a side; picks nearer to an edge are left out.

    Returns
    -------
    patch : float64 (side, side)
        nan throughout where no pick is far enough from the edges.
    count : int
        Picks averaged.
    """
    side = 2 * half_px + 1
    total, count = np.zeros((side, side)), 0
    for one, points, _ in inside(around, frame, coordinates):
        if min(one.image.shape) < side:
            continue
        pixels = one.pixels(points)
        far = np.all((pixels >= half_px) & (pixels < np.array(one.image.shape) - half_px), axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(one.image, (side, side))
        for row, column in pixels[far] - half_px:
            total += windows[row, column]
        count += int(far.sum())
    return (total / count if count else np.full((side, side), np.nan)), count


def anywhere(
    around: Mapping[str, Surroundings], counts: Mapping[str, int], seed: Sequence[int]
) -> dict[str, NDArray[np.float64]]:
    """Draw as many places in each micrograph as it has picks, uniformly: full-size (x, y)."""
    generator = np.random.default_rng(list(seed))
    return {
        name: generator.uniform(0, 1, (counts[name], 2)) * (np.array(one.shape[::-1]) - 1)
        for name, one in around.items()
        if counts.get(name)
    }
