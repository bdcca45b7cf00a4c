"""One simulated micrograph: specimen → wave → intensity → electrons, with every particle's place known.

Micrograph `index` follows from the settings and `index` alone. Each purpose draws from its own random stream, so that
for instance another dose leaves every particle where it was.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickery.simulation.calibration import imaging_optics
from pickery.simulation.layout import Layout
from pickery.simulation.optics import Optics, image_intensity
from pickery.simulation.settings import SimulationSettings
from pickery.simulation.specimen import build_specimen
from pickery.simulation.streams import Stream, spread, stream

PICK_JITTER = 0.025
"""Standard deviation of a handed-out pick's displacement along each axis, in particle diameters."""
LARGEST_JITTER = 2.0
"""No pick is displaced further along an axis than this many standard deviations."""


@dataclass(frozen=True, slots=True)
class SimulatedMicrograph:
    """A micrograph and all that is known about it.

    Attributes
    ----------
    name
        As its file will be called, without ending.
    image
        [rows, columns] float32, whole numbers of electrons.
    points
        (n, 2) x, y of every particle wholly inside, in pixels.
    picks
        (k, 2) x, y of the picks handed out: some of the points, slightly displaced.
    picked
        (k,) which of the points each pick is of.
    optics
        The microscope.
    layout
        Where everything else lies.
    carbon
        Whether the carbon film reaches into it.
    """

    name: str
    image: NDArray[np.float32]
    points: NDArray[np.float64]
    picks: NDArray[np.float64]
    picked: NDArray[np.int64]
    optics: Optics
    layout: Layout
    carbon: bool


def simulate_micrograph(settings: SimulationSettings, index: int) -> SimulatedMicrograph:
    """Return micrograph `index` of a data set, the same whatever the number of micrographs.

    Parameters
    ----------
    settings
        Of the data set.
    index
        From 0.

    Returns
    -------
    SimulatedMicrograph
    """
    optics = micrograph_optics(settings, index)
    matter = build_specimen(settings, index)
    intensity = image_intensity(matter.phase, optics, settings.pixel_size_angstrom, absorption=matter.absorption)
    intensity *= matter.transmission
    inside = slice(matter.margin, matter.margin + settings.rows), slice(matter.margin, matter.margin + settings.columns)
    electrons = stream(settings, index, Stream.ELECTRONS).poisson(intensity[inside] * settings.electrons_per_px)
    points = matter.layout.particles
    picks, picked = _hand_out(settings, index, points)
    return SimulatedMicrograph(
        name=micrograph_name(index),
        image=electrons.astype(np.float32),
        points=points,
        picks=picks,
        picked=picked,
        optics=optics,
        layout=matter.layout,
        carbon=matter.carbon,
    )


def micrograph_name(index: int) -> str:
    """Return the name of micrograph `index`, counted from 1 in its name."""
    return f"simulated_{index + 1:04d}"


def micrograph_optics(settings: SimulationSettings, index: int) -> Optics:
    """Return the state of the microscope for micrograph `index`: its defocus, with some 20 nm of astigmatism."""
    rng = stream(settings, index, Stream.OPTICS)
    lowest, highest = settings.defocus_lowest_micrometre, settings.defocus_highest_micrometre
    mean = 1e4 * (lowest + (highest - lowest) * spread(settings, index)[0])
    astigmatism = rng.uniform(20.0, 400.0)
    return imaging_optics(settings, mean + astigmatism / 2, mean - astigmatism / 2, rng.uniform(0, 180))


def _hand_out(
    settings: SimulationSettings, index: int, points: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Choose the picks that are handed out, and displace them as a person's hand does."""
    rng = stream(settings, index, Stream.PICKS)
    count = min(len(points), max(1, round(settings.picked_fraction * len(points))))
    picked = np.sort(rng.permutation(len(points))[:count])
    jitter = np.clip(rng.standard_normal((count, 2)), -LARGEST_JITTER, LARGEST_JITTER)
    return points[picked] + PICK_JITTER * settings.particle_diameter_px * jitter, picked
