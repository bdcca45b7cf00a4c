"""How strongly protein scatters, so that the particles have the stated signal-to-noise ratio."""

import math
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pickery.simulation import materials
from pickery.simulation.optics import Optics, contrast_transfer, frequencies, wavelength_angstrom
from pickery.simulation.particle import build_particle, deposit, project, random_rotations
from pickery.simulation.settings import SimulationSettings

ICE_ANGSTROM = 450.0
"""Ordinary thickness of the ice, in Å."""

_ORIENTATIONS = 64


@lru_cache(maxsize=8)
def residue_phase(settings: SimulationSettings) -> float:
    """Phase integrated over one residue's image, in radian Å², that gives the stated signal-to-noise ratio.

    The signal is the weak-phase image of the particle at the middle defocus; its variance is taken over the disc of
    the particle's diameter and averaged over orientations. The noise is that of ordinary ice and of the electrons.

    Parameters
    ----------
    settings
        Of the data set.

    Returns
    -------
    float
        About 0.1 to 0.2 for protein in ice.
    """
    pixel_size = settings.pixel_size_angstrom
    middle = 1e4 * (settings.defocus_lowest_micrometre + settings.defocus_highest_micrometre) / 2
    optics = imaging_optics(settings, middle, middle, 0.0)
    side = scipy.fft.next_fast_len(math.ceil(2 * settings.particle_diameter_px) + 2 * delocalisation_px(settings))
    shape = (side, side)
    frequency_y, frequency_x = frequencies(shape, pixel_size, half=True)
    transfer = 2 * contrast_transfer(frequency_y, frequency_x, optics)

    particle = build_particle(settings.particle_diameter_angstrom)
    rotations = random_rotations(np.random.default_rng(0), _ORIENTATIONS)
    centre = np.full((1, 2), side // 2, np.float64)
    blur = transfer * residue_blur(settings, shape) / np.float32(pixel_size**2)
    offset = np.arange(side) - side // 2
    disc = offset[:, None] ** 2 + offset**2 <= (settings.particle_diameter_px / 2) ** 2
    variances = []
    for rotation in rotations:
        points = project(particle.residues, rotation[None], centre, pixel_size)
        image = scipy.fft.irfft2(scipy.fft.rfft2(deposit(points, shape)) * blur, s=shape)
        variances.append(float(image[disc].var()))

    rng = np.random.default_rng(0)
    ice = materials.random_phase(
        rng,
        shape,
        pixel_size,
        voltage_kilovolt=settings.voltage_kilovolt,
        thickness_angstrom=ICE_ANGSTROM,
        material="ice",
    )
    solvent = float(scipy.fft.irfft2(ice * transfer, s=shape).var())
    noise = solvent + 1 / settings.electrons_per_px
    return math.sqrt(settings.signal_to_noise * noise / float(np.mean(variances)))


def imaging_optics(settings: SimulationSettings, defocus_u: float, defocus_v: float, angle_degree: float) -> Optics:
    """Return the settings' microscope at a defocus, both axes in Å, with the angle of the u axis in degrees."""
    return Optics(
        defocus_u_angstrom=defocus_u,
        defocus_v_angstrom=defocus_v,
        astigmatism_angle_degree=angle_degree,
        voltage_kilovolt=settings.voltage_kilovolt,
        spherical_aberration_millimetre=settings.spherical_aberration_millimetre,
        amplitude_contrast=settings.amplitude_contrast,
        b_factor_angstrom2=settings.b_factor_angstrom2,
    )


def delocalisation_px(settings: SimulationSettings) -> int:
    """How far defocus carries what is scattered to half the pixels' highest frequency and a little beyond."""
    highest = 1 / (2 * settings.pixel_size_angstrom)
    defocus = 1e4 * settings.defocus_highest_micrometre
    shift = wavelength_angstrom(settings.voltage_kilovolt) * defocus * highest
    return math.ceil(0.6 * shift / settings.pixel_size_angstrom)


def residue_blur(settings: SimulationSettings, shape: tuple[int, int]) -> NDArray[np.floating]:
    """Fourier transform of the Gaussian that stands for a residue, on the grid of `rfft2`."""
    frequency_y, frequency_x = frequencies(shape, settings.pixel_size_angstrom, half=True)
    width = build_particle(settings.particle_diameter_angstrom).width_angstrom
    return np.exp((frequency_y**2 + frequency_x**2) * np.float32(-2 * (math.pi * width) ** 2))
