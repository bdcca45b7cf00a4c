"""Downsampling by cropping the Fourier transform: a pure function of one image; knows no files and no settings."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.errors import InputError

ROWS_AT_ONCE = 128
"""Rows transformed together: few enough to stay in the cache, so that no spectrum of the whole image is ever held."""


def downsampled_shape(shape: tuple[int, int], factor: float) -> tuple[int, int]:
    """Give the shape of an image after downsampling.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the image.
    factor : float
        How many pixels become one along each axis; at least 1, need not be whole.

    Returns
    -------
    tuple of int
        ``int(size / factor)`` for each axis. The real factor of an axis is ``size / new size``: scale picks with it.

    Raises
    ------
    InputError
        If the factor is not a number of at least 1, or leaves nothing of an axis.
    """
    if not (math.isfinite(factor) and factor >= 1):
        raise InputError(f"preprocess.downsample={factor:g} must be a number of at least 1.")
    new_shape = int(shape[0] / factor), int(shape[1] / factor)
    if min(new_shape) < 1:
        raise InputError(
            f"preprocess.downsample={factor:g} leaves nothing of an image of {shape[0]} rows and {shape[1]} columns: "
            f"lower it."
        )
    return new_shape


def downsample(image: ArrayLike, factor: float) -> NDArray[np.float32]:
    """Downsample an image by keeping the low frequencies of its Fourier transform; the mean is preserved.

    Of the m rows kept, m // 2 are the first of the full transform and m - m // 2 the last, so that for odd m the
    highest frequency kept is the negative one, as in Topaz; of the half transform the first n // 2 + 1 columns. Rows
    are transformed first and cropped at once, so that the transform along the columns is needed only for those kept.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Real numbers of any kind.
    factor : float
        How many pixels become one along each axis; at least 1, need not be whole.

    Returns
    -------
    ndarray of float32, shape ``downsampled_shape(image.shape, factor)``
        With factor 1 the image itself as float32 (no copy where it is that already).

    Raises
    ------
    InputError
        If the factor is not a number of at least 1, or leaves nothing of an axis.
    """
    pixels = np.asarray(image)
    assert pixels.ndim == 2, "an image has two axes"
    rows, columns = pixels.shape
    new_rows, new_columns = downsampled_shape((rows, columns), factor)
    if (new_rows, new_columns) == (rows, columns):
        return pixels.astype(np.float32, copy=False)

    import scipy.fft  # takes longer to import than most images to downsample: not before it is needed

    # The mean goes round the transform: single precision then loses nothing to it where it is large beside the signal.
    mean = pixels.mean(dtype=np.float64)
    kept_columns = new_columns // 2 + 1
    spectrum = np.empty((rows, kept_columns), np.complex64)
    for start in range(0, rows, ROWS_AT_ONCE):
        block = np.subtract(pixels[start : start + ROWS_AT_ONCE], mean, dtype=np.float64).astype(np.float32)
        spectrum[start : start + ROWS_AT_ONCE] = scipy.fft.rfft(block, axis=1, workers=1)[:, :kept_columns]
    spectrum = scipy.fft.fft(spectrum, axis=0, overwrite_x=True, workers=1)
    first = new_rows // 2
    spectrum = np.concatenate([spectrum[:first], spectrum[rows - (new_rows - first) :]])
    small = scipy.fft.irfft2(spectrum, s=(new_rows, new_columns), workers=1, overwrite_x=True)
    small *= (new_rows * new_columns) / (rows * columns)
    small += mean
    return np.asarray(small, dtype=np.float32)
