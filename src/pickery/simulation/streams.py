"""Where a data set's randomness comes from: everything follows from the seed, a micrograph's number and a purpose."""

from enum import IntEnum

import numpy as np

from pickery.simulation.settings import SimulationSettings


class Stream(IntEnum):
    """What random numbers are drawn for; the values are part of the data sets, so never renumber."""

    SPREAD = 0
    OPTICS = 1
    LAYOUT = 2
    ORIENTATION = 3
    ICE = 4
    CARBON = 5
    CRYSTALS = 6
    ELECTRONS = 7
    PICKS = 8


def stream(settings: SimulationSettings, index: int, purpose: Stream) -> np.random.Generator:
    """Return the random numbers of one purpose in one micrograph."""
    return np.random.default_rng([settings.seed, index, purpose])


def spread(settings: SimulationSettings, index: int) -> tuple[float, float, float, float]:
    """Four numbers in [0, 1) for defocus, carbon, crystals and the particle count.

    Uniform over seeds, and over the first few micrographs of one data set already spread evenly (the additive
    recurrence on the powers of the root of x⁵ = x + 1, a generalised golden ratio), so that a set of twelve has its
    share of everything.
    """
    start = np.random.default_rng([settings.seed, Stream.SPREAD]).random(4)
    root = 1.1673039782614187
    a, b, c, d = (start + (index + 1) * root ** -np.arange(1.0, 5.0)) % 1
    return float(a), float(b), float(c), float(d)
