from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pickery.errors import InputError
from pickery.formats.micrographs import find_micrographs, read_micrograph
from pickery.preprocess.fourier import downsample
from pickery.preprocess.mixture import START_WEIGHTS, MixtureFit, fit_mixture

REFERENCE = Path(__file__).parents[1] / "reference" / "normalize.npz"


def two_levels(size: int, seed: int = 0) -> NDArray[np.float32]:
    """Pixels of which 98 in 100 are around 20 and the others around 12, all with standard deviation 1.5."""
    random = np.random.default_rng(seed)
    dark = random.random(size) < 0.02
    return (random.normal(20, 1.5, size) - 8 * dark).astype(np.float32)


def assert_same(fit: MixtureFit, other: MixtureFit, *, within: float) -> None:
    for name in ("mean", "std", "weight", "means", "stds", "weights"):
        np.testing.assert_allclose(getattr(fit, name), getattr(other, name), atol=within)


@pytest.mark.parametrize("case", range(3))
def test_all_twelve_fits_agree_with_topaz(case: int) -> None:
    with np.load(REFERENCE) as golden:
        fit = fit_mixture(golden[f"case{case}_input"], iterations=200)
        np.testing.assert_allclose(fit.means, golden[f"case{case}_mus"], atol=4e-4)
        np.testing.assert_allclose(fit.stds, golden[f"case{case}_stds"], atol=4e-4)
        np.testing.assert_allclose(fit.weights, golden[f"case{case}_pis"], atol=4e-4)
        log_posteriors = golden[f"case{case}_logps"].copy()
    log_posteriors[-1] += np.log(900) - 900  # Topaz adds the density, 900, where its logarithm belongs
    np.testing.assert_allclose(fit.log_posteriors, log_posteriors, atol=0.1)


def test_the_highest_log_posterior_wins() -> None:
    with np.load(REFERENCE) as golden:
        fit = fit_mixture(golden["case0_input"], iterations=200)
    best = int(np.argmax(fit.log_posteriors))
    assert START_WEIGHTS[best] < 1
    assert (fit.mean, fit.std, fit.weight) == (fit.means[best], fit.stds[best], fit.weights[best])


def test_a_single_gaussian_is_fitted_by_mean_and_std() -> None:
    image = np.random.default_rng(0).normal(7, 2, 30_000).astype(np.float32)
    fit = fit_mixture(image)
    assert fit.means[-1] == pytest.approx(image.mean(dtype=float), abs=1e-6)
    assert fit.stds[-1] == pytest.approx(image.std(dtype=float), abs=1e-6)
    assert fit.weights[-1] == 1
    assert fit.steps[-1] == 1


def test_two_levels_are_told_apart() -> None:
    fit = fit_mixture(two_levels(100_000), iterations=300)
    assert fit.mean == pytest.approx(20, abs=0.02)
    assert fit.std == pytest.approx(1.5, abs=0.02)
    assert fit.weight == pytest.approx(0.98, abs=0.002)


def test_log_posterior_never_falls() -> None:
    image = two_levels(20_000)
    fits = [fit_mixture(image, iterations=steps).log_posteriors for steps in (1, 2, 5, 20, 100)]
    assert np.all(np.diff(fits, axis=0) >= -1e-6)


def test_each_start_stops_for_itself() -> None:
    fit = fit_mixture(two_levels(20_000), iterations=500)
    assert len(set(fit.steps.tolist())) > 3
    assert fit.steps.max() < 500
    assert fit_mixture(two_levels(20_000), iterations=7).steps.max() == 7


def test_bins_hardly_matter() -> None:
    image = two_levels(50_000)
    assert_same(fit_mixture(image), fit_mixture(image, bins=1 << 16), within=1e-4)


@pytest.mark.parametrize("offset", [-1e5, 0, 1e5])
def test_a_large_mean_costs_no_digits(offset: float) -> None:
    whole = np.round(two_levels(20_000) * 256).astype(np.float32) / 256  # with room for the offset in 24 bits
    fit, shifted = fit_mixture(whole), fit_mixture(whole + np.float32(offset))
    assert shifted.mean - offset == pytest.approx(fit.mean, abs=1e-3)
    assert shifted.std == pytest.approx(fit.std, abs=1e-3)


def test_outliers_do_not_coarsen_the_bins() -> None:
    image = two_levels(50_000)
    hot = np.concatenate([image, np.full(3, 1e6, np.float32), [-40, 80]]).astype(np.float32)
    assert_same(fit_mixture(hot), fit_mixture(hot, bins=1 << 17), within=1e-3)
    fit = fit_mixture(hot, iterations=1)
    exact = hot.astype(float)
    assert fit.means[-1] == pytest.approx(exact.mean(), rel=1e-9)
    assert fit.stds[-1] == pytest.approx(exact.std(), rel=1e-9)


def test_outliers_count_at_their_place_in_every_start() -> None:
    dark_and_bright = np.concatenate([np.full(15, -200.0), two_levels(20_000), np.full(10, 150.0)]).astype(np.float32)
    fit = fit_mixture(dark_and_bright, iterations=1)
    for start, weight in enumerate(START_WEIGHTS[:-1]):
        mean, std, share = plain_em(dark_and_bright.astype(float), weight, steps=1)
        assert fit.means[start] == pytest.approx(mean, abs=0.02)
        assert fit.stds[start] == pytest.approx(std, rel=1e-3)
        assert fit.weights[start] == pytest.approx(share, abs=2e-3)


def test_many_outliers_are_grouped() -> None:
    image = np.concatenate([np.full(2_000_000, 5, np.float32), two_levels(1_500)])
    fit = fit_mixture(image, bins=64)
    assert fit.means[-1] == pytest.approx(image.mean(dtype=float), rel=1e-9)
    assert fit.stds[-1] == pytest.approx(image.std(dtype=float), rel=1e-9)


def test_sampled_pixels_follow_the_seed() -> None:
    image = two_levels(50_000)
    first, again, other = (fit_mixture(image, pixel_sampling=10, seed=seed) for seed in (1, 1, 2))
    assert first.mean == again.mean
    assert first.mean != other.mean
    assert first.mean == pytest.approx(fit_mixture(image).mean, abs=0.1)


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (np.full((20, 20), 7.0), "constant"),
        (np.full((20, 20), 1e6) + 0.06 * (np.arange(400).reshape(20, 20) % 2), "constant"),
        (np.arange(400).reshape(20, 20) % 2, "two values"),
        (np.where(np.arange(400) == 7, 9.0, 4.0), "two values"),
        ((np.arange(4000) % 2) + 1e-7 * (np.arange(4000) % 3), "two values"),
    ],
)
def test_pixels_without_variance_are_refused(image: NDArray[np.float64], word: str) -> None:
    with pytest.raises(InputError, match=word):
        fit_mixture(image)


@pytest.mark.parametrize("levels", [3, 5, 100])
def test_few_grey_levels_are_fitted(levels: int) -> None:
    fit = fit_mixture(np.random.default_rng(0).integers(0, levels, 10_000))
    assert np.isfinite([fit.mean, fit.std, fit.weight, fit.log_posterior]).all()
    assert np.isfinite(fit.log_posteriors).all()


def test_real_micrograph_agrees_with_em_on_its_pixels() -> None:
    if "PICKERY_REFERENCE" not in os.environ:
        pytest.skip("needs the real micrographs")
    folder = Path(os.environ["PICKERY_REFERENCE"]) / "data" / "apoferritin" / "micrographs"
    image = downsample(read_micrograph(find_micrographs(str(folder))[0].path), 8).astype(float).ravel()
    fit = fit_mixture(image, iterations=20)
    for start in (0, 4, 8):
        mean, std, weight = plain_em(image, START_WEIGHTS[start], steps=20)
        assert fit.means[start] == pytest.approx(mean, abs=1e-3 * std)
        assert fit.stds[start] == pytest.approx(std, rel=1e-3)
        assert fit.weights[start] == pytest.approx(weight, abs=1e-3)


def plain_em(x: NDArray[np.float64], weight: float, *, steps: int) -> tuple[float, float, float]:
    """EM as the textbook has it, pixel by pixel."""
    brighter = x > np.quantile(x, 1 - weight)
    mean, other = x[brighter].mean(), x[~brighter].mean()
    variance = np.where(brighter, (x - mean) ** 2, (x - other) ** 2).mean()
    for _ in range(steps):
        ours = weight * np.exp(-((x - mean) ** 2) / (2 * variance))
        theirs = (1 - weight) * np.exp(-((x - other) ** 2) / (2 * variance))
        share = ours / (ours + theirs)
        mean, other = np.average(x, weights=share), np.average(x, weights=1 - share)
        variance = (share * (x - mean) ** 2 + (1 - share) * (x - other) ** 2).mean()
        weight = (899 + share.sum()) / (899 + x.size)
    return float(mean), float(np.sqrt(variance)), float(weight)
