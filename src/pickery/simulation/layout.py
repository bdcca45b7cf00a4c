"""Where things lie in a micrograph: particles, free subunits, crystals; which parts stay free of particles."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickery.simulation.settings import SimulationSettings

CLOSEST = 0.88
"""Smallest distance of two particles' centres in diameters: their longest tips may cross, their bodies never."""

_COMPANY = 0.35  # share of particles that sit beside another one, as they do in real ice
_TRIES = 20_000


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions in pixels of the micrograph, x and y, pixel centres at whole numbers.

    Attributes
    ----------
    particles
        (n, 2) centres of the particles that lie wholly inside: the truth.
    cut_off
        (m, 2) centres of particles that lie outside but reach into the picture.
    subunits
        (k, 2) centres of free subunits.
    crystals
        (c, 3) centres and radii of ice crystals.
    """

    particles: NDArray[np.float64]
    cut_off: NDArray[np.float64]
    subunits: NDArray[np.float64]
    crystals: NDArray[np.float64]


def lay_out(
    rng: np.random.Generator,
    settings: SimulationSettings,
    *,
    particles: int,
    crystals: NDArray[np.float64],
    on_carbon: Callable[[float, float, float], bool],
) -> Layout:
    """Put particles and free subunits where neither carbon nor crystals are.

    Parameters
    ----------
    rng
        Source of randomness.
    settings
        Of the data set.
    particles
        How many lie wholly inside; fewer where they do not fit.
    crystals
        (c, 3) x, y and radius in pixels.
    on_carbon
        Whether a disc around x, y of a radius, all in pixels, touches the carbon film.

    Returns
    -------
    Layout
    """
    diameter, radius = settings.particle_diameter_px, settings.particle_diameter_px / 2
    placed: list[tuple[float, float]] = []

    def is_free(x: float, y: float, size: float, apart: float, others: list[tuple[float, float]]) -> bool:
        if any((x - other_x) ** 2 + (y - other_y) ** 2 < apart**2 for other_x, other_y in others):
            return False
        if any((x - c_x) ** 2 + (y - c_y) ** 2 < (size + c_radius) ** 2 for c_x, c_y, c_radius in crystals):
            return False
        return not on_carbon(x, y, size)

    def anywhere(margin: float) -> tuple[float, float]:
        x, y = rng.uniform(margin, settings.columns - 1 - margin), rng.uniform(margin, settings.rows - 1 - margin)
        return float(x), float(y)

    def beside(point: tuple[float, float]) -> tuple[float, float]:
        angle, distance = rng.uniform(0, 2 * math.pi), rng.uniform(CLOSEST, 1.1) * diameter
        return point[0] + distance * math.cos(angle), point[1] + distance * math.sin(angle)

    tries = 0
    while len(placed) < particles and tries < _TRIES:
        tries += 1
        wants_company = placed and rng.random() < _COMPANY
        x, y = beside(placed[rng.integers(len(placed))]) if wants_company else anywhere(radius)
        inside = radius <= x <= settings.columns - 1 - radius and radius <= y <= settings.rows - 1 - radius
        if inside and is_free(x, y, radius, CLOSEST * diameter, placed):
            placed.append((x, y))
    truth = list(placed)

    # a band of half a diameter outside, where a particle still shows a sliver of less than a third
    outermost, innermost = -radius, -0.2 * diameter
    outline = 2 * (settings.rows + settings.columns)
    crossing = particles / (settings.rows * settings.columns) * outline * (innermost - outermost)
    for _ in range(int(rng.poisson(crossing))):
        depth, along = float(rng.uniform(outermost, innermost)), float(rng.uniform(0, outline / 2))
        x, y = (depth, along) if along < settings.rows else (along - settings.rows, depth)
        if rng.random() < 0.5:
            x, y = settings.columns - 1 - x, settings.rows - 1 - y
        if is_free(x, y, radius, CLOSEST * diameter, placed):
            placed.append((x, y))

    subunits: list[tuple[float, float]] = []
    for _ in range(int(rng.poisson(settings.debris * particles))):
        x, y = anywhere(0)
        if is_free(x, y, radius / 2, 0.8 * diameter, placed + subunits):
            subunits.append((x, y))
    return Layout(_points(truth), _points(placed[len(truth) :]), _points(subunits), crystals)


def scatter_crystals(rng: np.random.Generator, settings: SimulationSettings) -> NDArray[np.float64]:
    """Draw one to five ice crystals from half the particle's size to three times it, small ones most often.

    Parameters
    ----------
    rng
        Source of randomness.
    settings
        Of the data set.

    Returns
    -------
    ndarray
        (c, 3) x, y and radius in pixels.
    """
    count = int(rng.integers(1, 6))
    largest = min(1.5, 0.2 * min(settings.rows, settings.columns) / settings.particle_diameter_px)
    radii = settings.particle_diameter_px * np.exp(rng.uniform(math.log(0.25), math.log(largest), size=count))
    x, y = rng.uniform(0, settings.columns, size=count), rng.uniform(0, settings.rows, size=count)
    return np.stack([x, y, radii], axis=1)


def _points(points: list[tuple[float, float]]) -> NDArray[np.float64]:
    return np.array(points, np.float64).reshape(-1, 2)
