"""What the electrons of one micrograph pass: protein, ice, carbon and crystals put together on a padded grid."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pickery.simulation import materials
from pickery.simulation.calibration import ICE_ANGSTROM, delocalisation_px, residue_blur, residue_phase
from pickery.simulation.layout import Layout, lay_out, scatter_crystals
from pickery.simulation.particle import build_particle, deposit, project, random_rotations
from pickery.simulation.settings import SimulationSettings
from pickery.simulation.streams import Stream, spread, stream

_HOLE_RADIUS_ANGSTROM = 6000.0


@dataclass(frozen=True, slots=True)
class Specimen:
    """What the electrons pass, on a grid with a margin round the micrograph.

    Attributes
    ----------
    phase
        [rows, columns] of the padded grid, radians.
    absorption
        Logarithm of the share of electrons lost in carbon and crystals; None where there are neither.
    transmission
        Share of electrons that the ice lets through, 1 at its ordinary thickness.
    layout
        Where everything lies, in pixels of the micrograph.
    carbon
        Whether the carbon film reaches into the micrograph.
    margin
        Width of the padding in pixels.
    """

    phase: NDArray[np.floating]
    absorption: NDArray[np.floating] | None
    transmission: NDArray[np.floating]
    layout: Layout
    carbon: bool
    margin: int


def build_specimen(settings: SimulationSettings, index: int, *, only_particles: bool = False) -> Specimen:
    """Put together what the electrons of micrograph `index` pass.

    Parameters
    ----------
    settings
        Of the data set.
    index
        From 0.
    only_particles
        Leave out solvent, carbon, crystals and free subunits: the signal alone.

    Returns
    -------
    Specimen
    """
    margin, shape = _padded(settings)
    pixel_size, voltage = settings.pixel_size_angstrom, settings.voltage_kilovolt
    y = (np.arange(shape[0], dtype=np.float32) - margin)[:, None]
    x = (np.arange(shape[1], dtype=np.float32) - margin)[None, :]
    _, carbon_draw, crystal_draw, count_draw = spread(settings, index)

    crystal_rng = stream(settings, index, Stream.CRYSTALS)
    crystals = np.empty((0, 3))
    if crystal_draw < settings.contamination_probability:
        crystals = scatter_crystals(crystal_rng, settings)

    carbon_rng = stream(settings, index, Stream.CARBON)
    distance: NDArray[np.floating] | None = None
    if carbon_draw < settings.carbon_probability:
        from_middle = (y - settings.rows / 2) * pixel_size, (x - settings.columns / 2) * pixel_size
        distance = materials.carbon_distance(carbon_rng, *from_middle, _HOLE_RADIUS_ANGSTROM)

    def on_carbon(at_x: float, at_y: float, radius: float) -> bool:
        if distance is None:
            return False
        row = min(max(round(at_y) + margin, 0), shape[0] - 1)
        column = min(max(round(at_x) + margin, 0), shape[1] - 1)
        return bool(distance[row, column] > -radius * pixel_size)

    layout = lay_out(
        stream(settings, index, Stream.LAYOUT),
        settings,
        particles=round(settings.particles_per_micrograph * (0.5 + count_draw)),
        crystals=crystals,
        on_carbon=on_carbon,
    )
    spectrum = _protein_spectrum(settings, index, layout, margin, shape, only_particles=only_particles)
    ice_rng = stream(settings, index, Stream.ICE)
    mean_thickness = ICE_ANGSTROM * ice_rng.uniform(0.75, 1.35)
    unit_y, unit_x = 2 * y / settings.rows - 1, 2 * x / settings.columns - 1
    thickness = materials.ice_thickness(ice_rng, unit_y, unit_x, mean_thickness)
    transmission = materials.ice_transmission(thickness, ICE_ANGSTROM)
    if only_particles:
        return Specimen(scipy.fft.irfft2(spectrum, s=shape), None, transmission, layout, distance is not None, margin)
    film = {"voltage_kilovolt": voltage, "thickness_angstrom": mean_thickness}
    spectrum += materials.random_phase(ice_rng, shape, pixel_size, material="ice", **film)
    phase: NDArray[np.floating] = scipy.fft.irfft2(spectrum, s=shape, overwrite_x=True)

    absorption: NDArray[np.floating] | None = None
    if distance is not None:
        film_thickness = carbon_rng.uniform(60, 110)
        share, film_phase, absorption = materials.carbon_film(distance, film_thickness, voltage)
        film = {"voltage_kilovolt": voltage, "thickness_angstrom": film_thickness}
        texture = materials.random_phase(carbon_rng, shape, pixel_size, material="carbon", **film)
        phase += film_phase + np.sqrt(share) * scipy.fft.irfft2(texture, s=shape)
    if len(crystals):
        absorption = np.zeros(shape, np.float32) if absorption is None else absorption
        for crystal_x, crystal_y, radius in crystals.tolist():
            _add_crystal(phase, absorption, crystal_rng, settings, (crystal_x + margin, crystal_y + margin), radius)
    return Specimen(phase, absorption, transmission, layout, distance is not None, margin)


def _padded(settings: SimulationSettings) -> tuple[int, tuple[int, int]]:
    """Margin for what lies outside and for what the lens spreads, and the padded shape, quick to transform."""
    margin = math.ceil(max(delocalisation_px(settings), settings.particle_diameter_px))
    rows, columns = (scipy.fft.next_fast_len(size + 2 * margin) for size in (settings.rows, settings.columns))
    # an even width keeps the half transform's inverse simple
    return margin, (rows, columns + columns % 2)


def _protein_spectrum(
    settings: SimulationSettings,
    index: int,
    layout: Layout,
    margin: int,
    shape: tuple[int, int],
    *,
    only_particles: bool,
) -> NDArray[np.complex64]:
    """Transform of the phase of all protein, in radians."""
    rng = stream(settings, index, Stream.ORIENTATION)
    particle = build_particle(settings.particle_diameter_angstrom)
    centres = np.concatenate([layout.particles, layout.cut_off]) + margin
    clouds = [project(particle.residues, random_rotations(rng, len(centres)), centres, settings.pixel_size_angstrom)]
    subunits = particle.subunits()[1:]  # without the larger lobe, which is half the particle
    shares = np.array([len(residues) for residues in subunits]) / sum(len(residues) for residues in subunits)
    for centre in layout.subunits if not only_particles else ():
        residues = subunits[rng.choice(len(subunits), p=shares)]
        clouds.append(project(residues, random_rotations(rng, 1), centre[None] + margin, settings.pixel_size_angstrom))
    scale = np.float32(residue_phase(settings) / settings.pixel_size_angstrom**2)
    spectrum: NDArray[np.complex64] = scipy.fft.rfft2(deposit(np.concatenate(clouds), shape))
    spectrum *= scale * residue_blur(settings, shape)
    return spectrum


def _add_crystal(
    phase: NDArray[np.floating],
    absorption: NDArray[np.floating],
    rng: np.random.Generator,
    settings: SimulationSettings,
    centre: tuple[float, float],
    radius: float,
) -> None:
    """Add one crystal in place; x, y and radius in pixels of the padded grid."""
    reach = radius
    x0, y0 = (max(0, math.floor(value - reach)) for value in centre)
    x1, y1 = math.ceil(centre[0] + reach) + 1, math.ceil(centre[1] + reach) + 1
    window = (slice(y0, y1), slice(x0, x1))
    size_y, size_x = phase[window].shape
    y = (np.arange(y0, y0 + size_y, dtype=np.float32)[:, None] - np.float32(centre[1])) * settings.pixel_size_angstrom
    x = (np.arange(x0, x0 + size_x, dtype=np.float32)[None, :] - np.float32(centre[0])) * settings.pixel_size_angstrom
    thickness = materials.crystal_thickness(rng, y, x, radius * settings.pixel_size_angstrom)
    added_phase, added_absorption = materials.crystal_phase(thickness, settings.voltage_kilovolt)
    phase[window] += added_phase
    absorption[window] += added_absorption
