"""Normalisation: the two-component Gaussian mixture of a micrograph's pixels. Pure; knows no files and no settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.errors import InputError

START_WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
"""Weight of the brighter component at each start; 1 is a single Gaussian."""

PRIOR_ALPHA = 900.0
"""Alpha of the Beta(alpha, 1) prior on the weight of the brighter component."""

SMALLEST_GAIN = 1e-3
"""A start stops at the step that raises its log-posterior by no more than this."""

WIDEST_BEND = 0.05
"""Bins so wide beside the components' distance that the second order would mislead are taken at their mean alone."""

QUANTILE_PIXELS = 1 << 17
"""So many pixels are enough to place the bins."""

PIXELS_AT_ONCE = 1 << 23
"""Pixels binned together: bounds memory for images of any size at some 200 MB."""


@dataclass(frozen=True, slots=True)
class MixtureFit:
    """The fit with the highest log-posterior, and all twelve it was chosen from.

    `mean`, `std` and `weight` are of the brighter component, in the image's units; the variance is shared by both.
    The arrays, shape (12,), are in the order of `START_WEIGHTS`; `steps` counts the EM steps each start took.
    """

    mean: float
    std: float
    weight: float
    log_posterior: float
    means: NDArray[np.float64]
    other_means: NDArray[np.float64]
    stds: NDArray[np.float64]
    weights: NDArray[np.float64]
    log_posteriors: NDArray[np.float64]
    steps: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Histogram:
    """Pixels gathered in bins, ascending.

    `moments` rows: count, sum and sum of squares of (pixel - origin); `spread` is the variance within each bin, 0 for
    outlying pixels.
    """

    origin: float
    smallest_std: float
    moments: NDArray[np.float64]
    spread: NDArray[np.float64]


def fit_mixture(
    image: ArrayLike, *, iterations: int = 100, pixel_sampling: int = 1, seed: int = 0, bins: int = 256
) -> MixtureFit:
    """Fit two Gaussians with one shared variance to an image's pixels by expectation-maximisation.

    The weight of the brighter component has a Beta(900, 1) prior (Bepler et al., Nature Methods 2019, methods). Twelve
    starts run as one array operation on a histogram: a pixel's responsibility is expanded about the mean of its bin to
    second order, all else (counts, sums, sums of squares) is exact, so the fit hardly depends on the bins and not at
    all on the image's size. The log-posterior has the logarithm of the Beta density for every start, the single
    Gaussian's included.

    Parameters
    ----------
    image : array_like
        Pixels, any shape, finite.
    iterations : int
        Most EM steps that a start takes.
    pixel_sampling : int
        Fit on one pixel in so many, drawn at random; 1 takes all.
    seed : int
        Of that drawing; without effect where all pixels are taken.
    bins : int
        Bins over the range of all but outlying pixels, which have theirs besides.

    Returns
    -------
    MixtureFit

    Raises
    ------
    InputError
        If the pixels are (nearly) constant or take two values only, so that no variance is left to divide by.
    """
    assert iterations >= 1
    assert pixel_sampling >= 1
    assert bins >= 1
    pixels = np.asarray(image, dtype=np.float32).ravel()
    if pixel_sampling > 1:
        drawn = max(1, pixels.size // pixel_sampling)
        pixels = np.random.default_rng(seed).choice(pixels, drawn, replace=False, shuffle=False)
    histogram = _histogram(pixels, bins)
    return _expectation_maximisation(histogram, iterations)


def _histogram(pixels: NDArray[np.float32], bins: int) -> _Histogram:
    some = pixels[:: max(1, pixels.size // QUANTILE_PIXELS)]
    low, high = np.quantile(some, (0.001, 0.999)).tolist()
    # Half as wide again on each side: of a Gaussian's pixels none is left out, of a few hot ones each.
    low, high = low - (high - low) / 2, high + (high - low) / 2
    darkest, brightest = float(pixels.min()), float(pixels.max())
    low, high = max(low, darkest), min(high, brightest)
    smallest_std = 8 * float(np.finfo(np.float32).eps) * max(abs(low), abs(high))
    if brightest - darkest <= smallest_std:
        raise InputError(f"Its pixels are constant ({darkest:g} to {brightest:g}), so they cannot be normalised.")
    if np.all((pixels == darkest) | (pixels == brightest)):
        raise InputError(f"Its pixels take only two values ({darkest:g} and {brightest:g}), so this is no micrograph.")

    # Counted from the middle, so that the squares lose no digits to a large mean.
    origin = (low + high) / 2
    reach = (high - low) / 2
    within = np.zeros((3, bins))
    beyond: list[NDArray[np.float64]] = []
    for start in range(0, pixels.size, PIXELS_AT_ONCE):
        values = pixels[start : start + PIXELS_AT_ONCE].astype(np.float64)
        values -= origin
        if darkest < low or brightest > high:
            inside = np.abs(values) <= reach
            beyond.append(values[~inside])
            values = values[inside]
        within += _binned(values, reach, bins)
    moments = [within]
    if beyond:
        moments.append(_grouped(np.sort(np.concatenate(beyond)), bins))
    gathered = np.concatenate(moments, axis=1)
    gathered = gathered[:, gathered[0] > 0]
    mean = gathered[1] / gathered[0]
    spread = np.maximum(gathered[2] / gathered[0] - mean * mean, 0.0)
    spread[np.count_nonzero(within[0]) :] = 0.0
    ascending = np.argsort(mean, kind="stable")  # outliers on both sides came last
    return _Histogram(origin, smallest_std, np.ascontiguousarray(gathered[:, ascending]), spread[ascending])


def _binned(values: NDArray[np.float64], reach: float, bins: int) -> NDArray[np.float64]:
    """Count, sum and sum of squares in `bins` equal bins from -reach to reach."""
    scale = bins / (2 * reach) if reach > 0 else 0.0
    index = ((values + reach) * scale).astype(np.intp)
    np.minimum(index, bins - 1, out=index)
    return np.stack(
        [
            np.bincount(index, minlength=bins).astype(np.float64),
            np.bincount(index, weights=values, minlength=bins),
            np.bincount(index, weights=values * values, minlength=bins),
        ]
    )


def _grouped(ascending: NDArray[np.float64], groups: int) -> NDArray[np.float64]:
    """Count, sum and sum of squares of outlying values: each alone where they are few, else neighbours together."""
    starts = np.unique(np.linspace(0, ascending.size, min(groups, ascending.size), endpoint=False).astype(np.intp))
    return np.stack([np.add.reduceat(ascending**power, starts) for power in (0, 1, 2)])


def _expectation_maximisation(histogram: _Histogram, iterations: int) -> MixtureFit:
    counts = histogram.moments[0]
    points = histogram.moments[1] / counts
    half_spread = histogram.spread / 2
    total, total_sum, total_squares = histogram.moments.sum(axis=1)

    weight = np.array(START_WEIGHTS)
    mean, other_mean = _start_means(histogram.moments, weight)
    variance = _variance(total_squares, total * weight, mean, total * (1 - weight), other_mean)
    # The start's own groups hold exactly these weights, so their means give the variance within them as well.
    variance = np.maximum(variance / total, histogram.smallest_std**2)

    starts = len(START_WEIGHTS)
    log_posterior = np.full(starts, -np.inf)
    steps = np.zeros(starts, np.int64)
    running = np.arange(starts)
    for step in range(iterations + 1):
        w, m, o, v = weight[running], mean[running], other_mean[running], variance[running]
        with np.errstate(divide="ignore"):  # a single Gaussian: infinite odds
            log_odds = np.log(w) - np.log1p(-w)
        # log of w N(x; m, v) / ((1 - w) N(x; o, v)): linear in x, because the variance is shared.
        slope = ((m - o) / v)[:, None]
        odds = slope * points
        odds += ((o * o - m * m) / (2 * v) + log_odds)[:, None]
        small = np.exp(-np.abs(odds))
        one_and_small = 1.0 + small
        responsibility = np.where(odds > 0, 1.0, small)
        responsibility /= one_and_small
        # The second order of what is taken at a bin's mean: half its curvature times the variance within the bin.
        bend = slope * slope * half_spread
        bend[bend > WIDEST_BEND] = 0.0
        bend *= responsibility * (1.0 - responsibility)
        # log(w N + (1 - w) N') = log(w N) + softplus(-odds), of which the first part needs no bins.
        excess = np.log(one_and_small)
        excess -= np.minimum(odds, 0.0)
        excess += bend
        gaussian = total * (np.log(w) - 0.5 * np.log(2 * np.pi * v)) - (
            total_squares - 2 * m * total_sum + total * m * m
        ) / (2 * v)
        prior = np.log(PRIOR_ALPHA) + (PRIOR_ALPHA - 1) * np.log(w)
        new = gaussian + np.einsum("sb,b->s", excess, counts) + prior
        gains = new - log_posterior[running] > SMALLEST_GAIN
        log_posterior[running] = new
        steps[running] = step
        if step == iterations or not gains.any():
            break
        # A pixel's place in its bin and its responsibility go together: twice the bend over the slope.
        tilt = np.divide(2 * bend, slope, out=np.zeros_like(bend), where=slope != 0)
        responsibility += bend * (1.0 - 2 * responsibility)
        # einsum, not a matrix product: its sums do not depend on how many threads a linear algebra library takes.
        count, part = np.einsum("sb,kb->ks", responsibility[gains], histogram.moments[:2])
        part += np.einsum("sb,b->s", tilt[gains], counts)
        running = running[gains]
        rest = total - count
        mean[running] = m = np.where(count > 0, part / np.where(count > 0, count, 1), mean[running])
        o = (total_sum - part) / np.where(rest > 0, rest, 1)
        other_mean[running] = o = np.where(rest > 0, o, other_mean[running])
        weight[running] = (PRIOR_ALPHA - 1 + count) / (PRIOR_ALPHA - 1 + total)
        variance[running] = _variance(total_squares, count, m, rest, o) / total
        variance[running] = np.maximum(variance[running], histogram.smallest_std**2)

    best = int(np.argmax(log_posterior))
    stds = np.sqrt(variance)
    if not np.isfinite(log_posterior).all() or stds[best] <= histogram.smallest_std:
        raise InputError(
            f"Its pixels gather round two values ({other_mean[best] + histogram.origin:g} and "
            f"{mean[best] + histogram.origin:g}), so this is no micrograph."
        )
    return MixtureFit(
        mean=float(mean[best] + histogram.origin),
        std=float(stds[best]),
        weight=float(weight[best]),
        log_posterior=float(log_posterior[best]),
        means=mean + histogram.origin,
        other_means=other_mean + histogram.origin,
        stds=stds,
        weights=weight,
        log_posteriors=log_posterior,
        steps=steps,
    )


def _start_means(
    moments: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of the pixels above and below the (1 - weight) quantile, which may divide a bin."""
    count = np.concatenate([[0.0], np.cumsum(moments[0])])
    running_sum = np.concatenate([[0.0], np.cumsum(moments[1])])
    below = count[-1] * (1 - weight)
    sum_below = np.interp(below, count, running_sum)
    mean = (running_sum[-1] - sum_below) / (count[-1] - below)
    return mean, np.where(below > 0, sum_below / np.where(below > 0, below, 1), mean)


def _variance(
    total_squares: float,
    count: NDArray[np.float64],
    mean: NDArray[np.float64],
    rest: NDArray[np.float64],
    other_mean: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sum of squared distances to the component means, when these are the means of their own pixels."""
    return total_squares - count * mean * mean - rest * other_mean * other_mean
