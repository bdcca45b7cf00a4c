import itertools
import math

import numpy as np
import pytest
import scipy.fft

from pickery.simulation.optics import (
    Optics,
    aberration,
    contrast_transfer,
    frequencies,
    image_intensity,
    interaction_parameter,
    wavelength_angstrom,
)

PIXEL_SIZE = 2.0
SHAPE = (256, 256)


def frequency(value: float) -> tuple[np.ndarray, np.ndarray]:
    return np.array([[0.0]]), np.array([[value]])


def weak_noise(seed: int = 0, strength: float = 0.02) -> np.ndarray:
    return (strength * np.random.default_rng(seed).standard_normal(SHAPE)).astype(np.float32)


@pytest.mark.parametrize(("voltage", "wavelength"), [(100, 0.037014), (200, 0.025079), (300, 0.019687)])
def test_wavelength_is_that_of_the_textbooks(voltage: float, wavelength: float) -> None:
    assert wavelength_angstrom(voltage) == pytest.approx(wavelength, rel=1e-4)


def test_interaction_parameter_is_that_of_the_textbooks() -> None:
    # Kirkland's table: 0.9244, 0.7288 and 0.6526 rad / (kV Å) at 100, 200 and 300 kV
    assert interaction_parameter(100) == pytest.approx(0.9244e-3, rel=1e-3)
    assert interaction_parameter(200) == pytest.approx(0.7288e-3, rel=1e-3)
    assert interaction_parameter(300) == pytest.approx(0.6526e-3, rel=1e-3)


def test_aberration_is_the_formula_along_both_axes_of_the_astigmatism() -> None:
    optics = Optics(15000.0, 12000.0, astigmatism_angle_degree=0.0)
    k, wavelength = 0.1, wavelength_angstrom(300)
    spherical = math.pi / 2 * 2.7e7 * wavelength**3 * k**4
    along_u = aberration(*frequency(k), optics).item()
    along_v = aberration(*frequency(k)[::-1], optics).item()
    assert along_u == pytest.approx(math.pi * wavelength * 15000 * k**2 - spherical, rel=1e-6)
    assert along_v == pytest.approx(math.pi * wavelength * 12000 * k**2 - spherical, rel=1e-6)


def test_astigmatism_turns_from_x_towards_y() -> None:
    quarter = Optics(15000.0, 12000.0, astigmatism_angle_degree=90.0)
    upright = Optics(12000.0, 15000.0, astigmatism_angle_degree=0.0)
    y, x = frequencies((32, 32), PIXEL_SIZE)
    np.testing.assert_allclose(aberration(y, x, quarter), aberration(y, x, upright), atol=1e-4)


def test_amplitude_contrast_is_all_that_passes_at_frequency_zero() -> None:
    optics = Optics(15000.0, 15000.0, amplitude_contrast=0.07)
    assert contrast_transfer(*frequency(0.0), optics).item() == pytest.approx(-0.07)


def test_envelope_is_the_b_factor() -> None:
    y, x = frequency(0.1)
    bare = contrast_transfer(y, x, Optics(15000.0, 15000.0))
    damped = contrast_transfer(y, x, Optics(15000.0, 15000.0, b_factor_angstrom2=100.0))
    assert (damped / bare).item() == pytest.approx(math.exp(-100 * 0.01 / 4))


def test_empty_specimen_gives_intensity_one() -> None:
    image = image_intensity(np.zeros(SHAPE, np.float32), Optics(15000.0, 15000.0), PIXEL_SIZE)
    np.testing.assert_allclose(image, 1, atol=1e-5)
    assert image.dtype == np.float32


def test_absorption_alone_takes_its_share_of_electrons() -> None:
    nothing = np.zeros(SHAPE, np.float32)
    image = image_intensity(nothing, Optics(15000.0, 15000.0), PIXEL_SIZE, absorption=nothing + np.float32(0.3))
    np.testing.assert_allclose(image, math.exp(-0.3), atol=1e-5)


def test_image_of_a_weak_phase_is_the_phase_filtered_by_the_contrast_transfer() -> None:
    optics = Optics(16000.0, 14000.0, astigmatism_angle_degree=30.0, b_factor_angstrom2=80.0)
    phase = weak_noise(strength=0.002)
    image = image_intensity(phase, optics, PIXEL_SIZE) - 1
    transfer = contrast_transfer(*frequencies(SHAPE, PIXEL_SIZE), optics)
    expected = 2 * scipy.fft.ifft2(scipy.fft.fft2(phase) * transfer).real
    assert np.abs(image - expected).max() < 0.03 * np.abs(expected).max()


def test_zeros_of_the_power_spectrum_lie_where_theory_puts_them() -> None:
    optics = Optics(18000.0, 18000.0)
    y, x = frequencies(SHAPE, PIXEL_SIZE)
    k = np.hypot(y, x)
    ring = np.rint(k * SHAPE[0] * PIXEL_SIZE).astype(int)
    power = np.zeros(ring.max() + 1)
    for seed in range(8):
        spectrum = np.abs(scipy.fft.fft2(image_intensity(weak_noise(seed), optics, PIXEL_SIZE))) ** 2
        spectrum[0, 0] = 0
        power += np.bincount(ring.ravel(), spectrum.ravel()) / np.bincount(ring.ravel())
    # chi + arcsin(amplitude contrast) = n pi, by bisection of the increasing part of chi
    zeros = []
    for n in range(1, 7):
        low, high = 0.0, 0.15
        for _ in range(60):
            middle = (low + high) / 2
            below = aberration(*frequency(middle), optics).item() + math.asin(optics.amplitude_contrast) < n * math.pi
            low, high = (middle, high) if below else (low, middle)
        zeros.append(low * SHAPE[0] * PIXEL_SIZE)
    for zero, following in itertools.pairwise(zeros):
        near = np.arange(math.floor(zero - 4), math.ceil(zero + 5))
        assert abs(near[power[near].argmin()] - zero) <= 1
        peak = power[math.ceil(zero) : math.floor(following)].max()
        assert power[near].min() < 0.15 * peak


def test_denser_matter_is_dark_at_underfocus() -> None:
    y, x = np.mgrid[:256, :256] - 128
    phase = (0.05 * np.exp(-(y**2 + x**2) / (2 * 8.0**2))).astype(np.float32)
    image = image_intensity(phase, Optics(20000.0, 20000.0), PIXEL_SIZE)
    assert image[128, 128] < 1
    assert image[118:139, 118:139].mean() < image[:40].mean()
