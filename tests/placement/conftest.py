"""Made-up micrographs: dark discs in noise, at known places."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from pickery.placement.rings import Surroundings, surroundings

ROWS, COLUMNS = 600, 800
Made = tuple[dict[str, Surroundings], dict[str, NDArray[np.float64]]]


@pytest.fixture(scope="session")
def discs() -> Callable[..., Made]:
    """Make micrographs with discs of 40 pixels, and give what stands around in them, and the discs' (x, y)."""

    @cache
    def make(seed: int, *, micrographs: int = 4, particles: int = 30, depth: float = 0.6) -> Made:
        around, points = {}, {}
        for number in range(micrographs):
            generator = np.random.default_rng([seed, number])
            image = generator.normal(size=(ROWS, COLUMNS))
            y, x = np.mgrid[:ROWS, :COLUMNS]
            image += 3 * np.sin(y / 300) + x / 200  # ice is never even
            centres: list[tuple[float, float]] = []
            while len(centres) < particles:
                one = (generator.uniform(25, COLUMNS - 25), generator.uniform(25, ROWS - 25))
                if all(np.hypot(one[0] - a, one[1] - b) > 45 for a, b in centres):
                    centres.append(one)
                    image -= depth * ((x - one[0]) ** 2 + (y - one[1]) ** 2 < 20**2)
            around[f"m{number}"] = surroundings(image.astype(np.float32))
            points[f"m{number}"] = np.array(centres)
        return around, points

    return make
