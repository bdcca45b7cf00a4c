"""The microscope: from the phase that a specimen gives the electrons to the intensity on the detector.

Sign convention: underfocus is positive, matter denser than its surroundings delays the wave by a positive phase and
looks darker in the image, as in raw micrographs.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

PLANCK = 6.62607015e-34  # J s
ELECTRON_MASS = 9.1093837e-31  # kg
ELEMENTARY_CHARGE = 1.602176634e-19  # C
LIGHT_SPEED = 2.99792458e8  # m / s


def wavelength_angstrom(voltage_kilovolt: float) -> float:
    """Wavelength of an electron, relativistic (0.0197 Å at 300 kV).

    Parameters
    ----------
    voltage_kilovolt
        Accelerating voltage in kV.

    Returns
    -------
    float
        In Å.
    """
    energy = ELEMENTARY_CHARGE * voltage_kilovolt * 1e3
    rest_energy = ELECTRON_MASS * LIGHT_SPEED**2
    momentum = math.sqrt(2 * ELECTRON_MASS * energy * (1 + energy / (2 * rest_energy)))
    return PLANCK / momentum * 1e10


def interaction_parameter(voltage_kilovolt: float) -> float:
    """Phase in radians that one volt over one Å gives to an electron (6.5e-4 at 300 kV).

    Source: Kirkland, Advanced Computing in Electron Microscopy, eq. 5.6.
    """
    energy = voltage_kilovolt * 1e3  # eV
    rest_energy = ELECTRON_MASS * LIGHT_SPEED**2 / ELEMENTARY_CHARGE  # eV
    wavelength = wavelength_angstrom(voltage_kilovolt)
    return 2 * math.pi / (wavelength * energy) * (rest_energy + energy) / (2 * rest_energy + energy)


@dataclass(frozen=True, slots=True)
class Optics:
    """The state of the microscope for one micrograph.

    Attributes
    ----------
    defocus_u_angstrom, defocus_v_angstrom
        Underfocus along the two axes of the astigmatism, positive, in Å.
    astigmatism_angle_degree
        Angle of the u axis from x towards y.
    voltage_kilovolt, spherical_aberration_millimetre, amplitude_contrast, b_factor_angstrom2
        As in the settings of the simulation.
    """

    defocus_u_angstrom: float
    defocus_v_angstrom: float
    astigmatism_angle_degree: float = 0.0
    voltage_kilovolt: float = 300.0
    spherical_aberration_millimetre: float = 2.7
    amplitude_contrast: float = 0.1
    b_factor_angstrom2: float = 0.0


def aberration(
    frequency_y: NDArray[np.floating], frequency_x: NDArray[np.floating], optics: Optics
) -> NDArray[np.floating]:
    """Phase that defocus, astigmatism and spherical aberration add to the wave, in radians.

    chi(k) = pi lambda defocus(angle) k² - pi/2 Cs lambda³ k⁴ (Rohou & Grigorieff 2015, eq. 3).

    Parameters
    ----------
    frequency_y, frequency_x
        Spatial frequencies in 1/Å, of shapes that broadcast.
    optics
        The microscope.

    Returns
    -------
    ndarray
        Of the broadcast shape.
    """
    wavelength = wavelength_angstrom(optics.voltage_kilovolt)
    aberration_angstrom = optics.spherical_aberration_millimetre * 1e7
    mean = (optics.defocus_u_angstrom + optics.defocus_v_angstrom) / 2
    half_difference = (optics.defocus_u_angstrom - optics.defocus_v_angstrom) / 2
    angle = 2 * math.radians(optics.astigmatism_angle_degree)
    y2, x2 = frequency_y**2, frequency_x**2
    k2 = y2 + x2
    # k² cos 2(theta - angle), written out so that no arctangent is taken
    turned = (x2 - y2) * math.cos(angle) + (2 * math.sin(angle)) * frequency_x * frequency_y
    chi: NDArray[np.floating] = math.pi * wavelength * (mean * k2 + half_difference * turned)
    chi -= math.pi / 2 * aberration_angstrom * wavelength**3 * k2**2
    return chi


def envelope(k2: NDArray[np.floating], b_factor_angstrom2: float) -> NDArray[np.floating]:
    """Return exp(-B k²/4): what is left of a wave scattered to the squared spatial frequency k² (1/Å²)."""
    left: NDArray[np.floating] = np.exp(k2 * np.float32(-b_factor_angstrom2 / 4))
    return left


def contrast_transfer(
    frequency_y: NDArray[np.floating], frequency_x: NDArray[np.floating], optics: Optics
) -> NDArray[np.floating]:
    """Contrast transfer function with its envelope.

    -sin(chi(k) + arcsin(amplitude contrast)) exp(-B k²/4): negative at low frequencies, so matter is dark. The image
    of a weak phase is 1 + 2 · (phase filtered by it). Source: Rohou & Grigorieff 2015, eq. 2.

    Parameters
    ----------
    frequency_y, frequency_x
        Spatial frequencies in 1/Å, of shapes that broadcast.
    optics
        The microscope.

    Returns
    -------
    ndarray
        Of the broadcast shape, between -1 and 1.
    """
    shift = math.asin(optics.amplitude_contrast)
    transfer: NDArray[np.floating] = -np.sin(aberration(frequency_y, frequency_x, optics) + np.float32(shift))
    transfer *= envelope(frequency_y**2 + frequency_x**2, optics.b_factor_angstrom2)
    return transfer


@lru_cache(maxsize=4)
def frequencies(
    shape: tuple[int, int], pixel_size_angstrom: float, *, half: bool = False
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Spatial frequencies of an image's Fourier transform, in 1/Å: a column (rows, 1) and a row (1, columns).

    Parameters
    ----------
    shape
        Of the image, [rows, columns].
    pixel_size_angstrom
        Å per pixel.
    half
        Those of the transform of a real image (`rfft2`).
    """
    along_x = scipy.fft.rfftfreq if half else scipy.fft.fftfreq
    frequency_y = scipy.fft.fftfreq(shape[0], pixel_size_angstrom).astype(np.float32)[:, None]
    frequency_x = along_x(shape[1], pixel_size_angstrom).astype(np.float32)[None, :]
    return frequency_y, frequency_x


def image_intensity(
    phase: NDArray[np.floating],
    optics: Optics,
    pixel_size_angstrom: float,
    *,
    absorption: NDArray[np.floating] | None = None,
) -> NDArray[np.floating]:
    """Intensity behind the lens, 1 where there is no specimen.

    The wave behind the specimen is exp(i phase e^(i w) - absorption/2), sin w the amplitude contrast; the lens
    multiplies its transform by exp(i chi(k) - B k²/4), and the intensity is its squared modulus. For a weak phase this
    is `contrast_transfer`; for ice crystals and carbon it stays right. The image is periodic: leave a margin.

    Parameters
    ----------
    phase
        [rows, columns], in radians.
    optics
        The microscope.
    pixel_size_angstrom
        Å per pixel.
    absorption
        Natural logarithm of the share of electrons lost outright, positive, where any are.

    Returns
    -------
    ndarray
        [rows, columns] float32, not negative.
    """
    frequency_y, frequency_x = frequencies(phase.shape, pixel_size_angstrom)
    tilt = math.asin(optics.amplitude_contrast)
    logarithm = -math.sin(tilt) * phase
    if absorption is not None:
        logarithm -= absorption / 2
    wave = _complex_exponential(logarithm, math.cos(tilt) * phase)
    spectrum = scipy.fft.fft2(wave, overwrite_x=True)
    fading = (frequency_y**2 + frequency_x**2) * np.float32(-optics.b_factor_angstrom2 / 4)
    spectrum *= _complex_exponential(fading, aberration(frequency_y, frequency_x, optics))
    wave = scipy.fft.ifft2(spectrum, overwrite_x=True)
    intensity: NDArray[np.floating] = wave.real**2 + wave.imag**2
    return intensity


def _complex_exponential(real: NDArray[np.floating], imaginary: NDArray[np.floating]) -> NDArray[np.complex64]:
    """exp(real + i imaginary); twice as fast as numpy's own on complex numbers."""
    modulus = np.exp(real)
    result = np.empty(imaginary.shape, np.complex64)
    np.multiply(modulus, np.cos(imaginary), out=result.real)
    np.multiply(modulus, np.sin(imaginary), out=result.imag)
    return result
