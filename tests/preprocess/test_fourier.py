from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickery.errors import InputError
from pickery.preprocess.fourier import downsample, downsampled_shape

REFERENCE = Path(__file__).parents[1] / "reference" / "downsample.npz"


@pytest.mark.parametrize("case", range(4))
def test_agrees_with_topaz(case: int) -> None:
    with np.load(REFERENCE) as golden:
        result = downsample(golden[f"case{case}_input"], float(golden[f"case{case}_factor"]))
        np.testing.assert_allclose(result, golden[f"case{case}_output"], atol=1e-4)
    assert result.dtype == np.float32


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(st.integers(16, 70), st.integers(16, 70)),
    factor=st.floats(1.01, 7.9),
    seed=st.integers(0, 100),
)
def test_equals_the_whole_transform_cropped(shape: tuple[int, int], factor: float, seed: int) -> None:
    image = np.random.default_rng(seed).normal(1000, 3, shape)
    rows, columns = downsampled_shape(shape, factor)
    whole = np.fft.rfft2(image.astype(np.float32).astype(np.float64))
    cropped = whole[[*range(rows // 2), *range(shape[0] - (rows - rows // 2), shape[0])], : columns // 2 + 1]
    expected = np.fft.irfft2(cropped, s=(rows, columns)) * (rows * columns) / (shape[0] * shape[1])
    np.testing.assert_allclose(downsample(image.astype(np.float32), factor), expected, atol=2e-4)


@pytest.mark.parametrize("factor", [1.3, 2, 3.7, 8])
def test_mean_is_preserved(factor: float) -> None:
    image = np.random.default_rng(0).normal(30_000, 50, (301, 200)).astype(np.uint16)
    assert downsample(image, factor).mean(dtype=float) == pytest.approx(image.mean(), abs=0.01)


def test_a_wave_slow_enough_keeps_its_values() -> None:
    y, x = np.mgrid[:64, :96]
    image = 5 + np.cos(2 * np.pi * (3 * y / 64 + 5 * x / 96))
    np.testing.assert_allclose(downsample(image, 2), image[::2, ::2], atol=1e-5)


def test_factor_one_returns_the_image() -> None:
    image = np.random.default_rng(0).normal(size=(9, 12)).astype(np.float32)
    assert downsample(image, 1) is image
    integers = np.arange(12, dtype=np.uint16).reshape(3, 4)
    np.testing.assert_array_equal(downsample(integers, 1), integers)
    assert downsample(integers, 1).dtype == np.float32


def test_input_is_left_as_it_was() -> None:
    image = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    before = image.copy()
    downsample(image, 2)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("factor", [0, 0.5, -1, float("nan"), float("inf")])
def test_factor_below_one_is_refused(factor: float) -> None:
    with pytest.raises(InputError, match=r"preprocess\.downsample"):
        downsampled_shape((100, 100), factor)


def test_factor_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"preprocess\.downsample=64 leaves nothing"):
        downsampled_shape((100, 50), 64)
