"""What lies on the grid besides protein: vitreous ice, the carbon film and ice crystals.

Each gives the electrons a phase; carbon and crystals also take some of them away.
"""

import math

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pickery.simulation.optics import frequencies, interaction_parameter

# amorphous ice, 0.94 g/cm³
_WATER_PER_ANGSTROM3 = 0.0314
_WATER_POTENTIAL = 120.0  # volt Å³ of one molecule: 3.8 V of mean inner potential
# amorphous carbon, 2 g/cm³
_CARBON_PER_ANGSTROM3 = 0.1
_CARBON_POTENTIAL = 90.0  # volt Å³ of one atom: 9 V of mean inner potential
_CARBON_DISORDER = 1.5  # of the fluctuation of a gas: grains and voids of many atoms
_CARBON_ROUGHNESS = 80.0  # Å: beyond this length the film's unevenness outweighs the disorder
_CARBON_MEAN_FREE_PATH = 4000.0  # Å
_ICE_MEAN_FREE_PATH = 3100.0  # Å, with the energy filter's slit shut
_CRYSTAL_POTENTIAL = 3.8  # volt
_CRYSTAL_MEAN_FREE_PATH = 900.0  # Å: Bragg reflections miss the aperture
_CRYSTAL_CONTOUR = 70.0  # Å of thickness from one dark contour to the next


def random_phase(
    rng: np.random.Generator,
    shape: tuple[int, int],
    pixel_size_angstrom: float,
    *,
    voltage_kilovolt: float,
    thickness_angstrom: float,
    material: str,
) -> NDArray[np.complex64]:
    """Fourier transform of the phase that the disorder of an amorphous film gives, without its mean.

    The numbers of molecules in the columns of pixels fluctuate as those of a gas (Poisson), times the structure factor
    of the material at each spatial frequency: water is nearly incompressible (0.06 at low frequencies) and has its
    first diffuse ring at 3.7 Å.

    Parameters
    ----------
    rng
        Source of randomness.
    shape
        [rows, columns].
    pixel_size_angstrom
        Å per pixel.
    voltage_kilovolt
        Accelerating voltage in kV.
    thickness_angstrom
        Of the film, in Å.
    material
        "ice" or "carbon".

    Returns
    -------
    ndarray
        (rows, columns // 2 + 1), as of `rfft2`, in radians.
    """
    density, potential = {
        "ice": (_WATER_PER_ANGSTROM3, _WATER_POTENTIAL),
        "carbon": (_CARBON_PER_ANGSTROM3, _CARBON_POTENTIAL),
    }[material]
    in_a_column = density * thickness_angstrom * pixel_size_angstrom**2
    of_one = interaction_parameter(voltage_kilovolt) * potential / pixel_size_angstrom**2
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise *= np.float32(math.sqrt(in_a_column) * of_one)
    spectrum: NDArray[np.complex64] = scipy.fft.rfft2(noise)
    spectrum *= np.sqrt(structure_factor(shape, pixel_size_angstrom, material))
    spectrum[0, 0] = 0
    return spectrum


def structure_factor(shape: tuple[int, int], pixel_size_angstrom: float, material: str) -> NDArray[np.floating]:
    """Fluctuation of the density of a material, 1 for a gas, on the grid of `rfft2`."""
    frequency_y, frequency_x = frequencies(shape, pixel_size_angstrom, half=True)
    k = np.sqrt(frequency_y**2 + frequency_x**2)
    if material == "carbon":
        longest = 1 / (4 * _CARBON_ROUGHNESS)
        rough: NDArray[np.floating] = 1 + 1 / (_CARBON_ROUGHNESS * np.maximum(k, longest)) ** 2
        return np.float32(_CARBON_DISORDER) * rough
    ring: NDArray[np.floating] = 0.06 + 1.4 * np.exp(-(((k - 1 / 3.7) / 0.06) ** 2))
    return ring


def ice_thickness(
    rng: np.random.Generator, y: NDArray[np.floating], x: NDArray[np.floating], mean_angstrom: float
) -> NDArray[np.floating]:
    """Thickness of the ice in Å: a slope, a hollow and a slow unevenness.

    Parameters
    ----------
    rng
        Source of randomness.
    y, x
        Coordinates as a column and a row, from -1 to 1 over the micrograph.
    mean_angstrom
        Mean thickness in Å.

    Returns
    -------
    ndarray
        Of the broadcast shape, at least a fifth of the mean.
    """
    direction = rng.uniform(0, 2 * math.pi)
    slope = rng.uniform(0.05, 0.25)
    hollow = rng.uniform(0.0, 0.15)
    relief = slope * (math.cos(direction) * x + math.sin(direction) * y) + hollow * (x**2 + y**2 - 2 / 3)
    for _ in range(3):
        wave_y, wave_x = rng.normal(0, 2.5, size=2).tolist()
        relief = relief + 0.03 * np.sin(wave_y * y + wave_x * x + rng.uniform(0, 2 * math.pi))
    thickness: NDArray[np.floating] = np.maximum(mean_angstrom * (1 + relief), 0.2 * mean_angstrom)
    return thickness


def ice_transmission(thickness_angstrom: NDArray[np.floating], ordinary_angstrom: float) -> NDArray[np.floating]:
    """Share of electrons that the ice lets through, 1 at the ordinary thickness."""
    share: NDArray[np.floating] = np.exp((ordinary_angstrom - thickness_angstrom) / _ICE_MEAN_FREE_PATH)
    return share


def carbon_distance(
    rng: np.random.Generator, y: NDArray[np.floating], x: NDArray[np.floating], hole_radius_angstrom: float
) -> NDArray[np.floating]:
    """Distance from the edge of a hole in the carbon film, in Å: positive on the carbon.

    The edge of the round hole crosses the micrograph from a random side and covers about 8 to 30 % of it.

    Parameters
    ----------
    rng
        Source of randomness.
    y, x
        Coordinates in Å as a column and a row, 0 in the middle of the micrograph.
    hole_radius_angstrom
        Of the hole, in Å.

    Returns
    -------
    ndarray
        Of the broadcast shape.
    """
    direction = rng.uniform(0, 2 * math.pi)
    centre_y, centre_x = -hole_radius_angstrom * math.sin(direction), -hole_radius_angstrom * math.cos(direction)
    distance: NDArray[np.floating] = np.hypot(y - centre_y, x - centre_x) - hole_radius_angstrom
    for wavelength in (1200.0, 500.0, 250.0, 120.0):  # the edge is torn, not cut
        bearing, along = rng.uniform(0, 2 * math.pi), 2 * math.pi / wavelength
        wave_y, wave_x = along * math.sin(bearing), along * math.cos(bearing)
        distance += 0.012 * wavelength * np.sin(wave_y * y + wave_x * x + rng.uniform(0, 2 * math.pi))
    share = rng.uniform(0.08, 0.30)
    # every eighth pixel is plenty for a quantile
    distance -= float(np.quantile(distance[::8, ::8], 1 - share))
    return distance


def carbon_film(
    distance_angstrom: NDArray[np.floating], thickness_angstrom: float, voltage_kilovolt: float
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """Carbon film that thins out towards its edge.

    Parameters
    ----------
    distance_angstrom
        As `carbon_distance` gives it.
    thickness_angstrom
        Of the film, in Å.
    voltage_kilovolt
        Accelerating voltage in kV.

    Returns
    -------
    share, phase, absorption
        Thickness as a share of the full one; mean phase in radians; logarithm of the share of electrons lost.
    """
    ramp = np.clip(distance_angstrom / 120, 0, 1)
    share = ramp * ramp * (3 - 2 * ramp)
    mean_potential = _CARBON_PER_ANGSTROM3 * _CARBON_POTENTIAL
    phase = share * (interaction_parameter(voltage_kilovolt) * mean_potential * thickness_angstrom)
    return share, phase, share * (thickness_angstrom / _CARBON_MEAN_FREE_PATH)


def crystal_thickness(
    rng: np.random.Generator, y: NDArray[np.floating], x: NDArray[np.floating], radius_angstrom: float
) -> NDArray[np.floating]:
    """Thickness of an ice crystal in Å: a few rounded lumps grown together.

    Parameters
    ----------
    rng
        Source of randomness.
    y, x
        Coordinates in Å as a column and a row, 0 in the middle of the crystal.
    radius_angstrom
        Nothing lies further from the middle than this, in Å.

    Returns
    -------
    ndarray
        Of the broadcast shape, 0 outside.
    """
    thickness = np.zeros(np.broadcast_shapes(y.shape, x.shape), np.float32)
    for _ in range(int(rng.integers(2, 5))):
        size = rng.uniform(0.4, 0.65) * radius_angstrom
        away, direction = (radius_angstrom - 1.2 * size) * math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi)
        from_y, from_x = y - away * math.sin(direction), x - away * math.cos(direction)
        angle = np.arctan2(from_y, from_x)
        outline = np.ones_like(angle)
        for waves in (2, 3, 4, 6):  # six corners, pressed out of shape; at most 1.2 in all
            outline += rng.uniform(0, 0.05) * np.cos(waves * angle + rng.uniform(0, 2 * math.pi))
        inside = 1 - (from_y**2 + from_x**2) / (size * outline) ** 2
        thickness += rng.uniform(0.5, 1.0) * size * np.maximum(inside, 0) ** 0.6
    return thickness


def crystal_phase(
    thickness_angstrom: NDArray[np.floating], voltage_kilovolt: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Phase in radians, and logarithm of the share of electrons lost, behind ice crystals of a thickness in Å.

    The loss swings with the thickness (Bragg contrast), which draws contours into the crystals.
    """
    potential = interaction_parameter(voltage_kilovolt) * _CRYSTAL_POTENTIAL
    swing = 1 + 0.2 * np.sin(thickness_angstrom * (2 * math.pi / _CRYSTAL_CONTOUR))
    return thickness_angstrom * potential, thickness_angstrom * swing / _CRYSTAL_MEAN_FREE_PATH
