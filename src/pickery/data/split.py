"""Train-test split and folds: by micrograph, stratified by the number of picks, from a seed. Pure."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.errors import InputError


def _by_count(counts: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Order the picked micrographs by their number of picks, ties at random."""
    picked = np.flatnonzero(counts > 0)
    shuffled = generator.permutation(picked)
    return shuffled[np.argsort(counts[shuffled], kind="stable")]


def split_test(counts: ArrayLike, test_fraction: float, seed: int) -> NDArray[np.bool_]:
    """Choose the micrographs to hold out.

    The picked micrographs, in order of their number of picks, are cut into as many equal strata as micrographs are to
    be held out, and one is drawn from each. Micrographs without picks are never held out: a missing label is not an
    absence.

    Parameters
    ----------
    counts : shape (n,)
        Picks of each micrograph.
    test_fraction
        Share of the picked micrographs to hold out, ``0 ≤ test_fraction < 1``; at least one unless it is 0.
    seed
        The same seed and counts give the same split.

    Returns
    -------
    held_out : bool, shape (n,)

    Raises
    ------
    InputError
        When fewer than two micrographs have picks, so that none can be held out.
    """
    counts_ = np.asarray(counts, dtype=np.int64)
    held_out = np.zeros(len(counts_), dtype=np.bool_)
    if test_fraction == 0:
        return held_out
    generator = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(b"split")]))
    ordered = _by_count(counts_, generator)
    if len(ordered) < 2:
        raise InputError(
            f"data.test_fraction={test_fraction:g} holds out whole micrographs, but only {len(ordered)} has picks: "
            "give picks for at least two, or data.test_fraction=0 to train without a test set"
        )
    held = min(max(1, round(test_fraction * len(ordered))), len(ordered) - 1)
    for stratum in np.array_split(ordered, held):
        held_out[generator.choice(stratum)] = True
    return held_out


def split_folds(counts: ArrayLike, folds: int, seed: int) -> NDArray[np.int64]:
    """Deal the picked micrographs to folds, like numbers of picks to different folds.

    Parameters
    ----------
    counts : shape (n,)
        Picks of each micrograph.
    folds
        Number of folds, at least 2.
    seed
        The same seed, counts and number of folds give the same folds.

    Returns
    -------
    fold : int64, shape (n,)
        The fold that holds each micrograph out; -1 for those without picks, which train in every fold.

    Raises
    ------
    InputError
        When there are fewer picked micrographs than folds.
    """
    counts_ = np.asarray(counts, dtype=np.int64)
    generator = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(b"folds")]))
    ordered = _by_count(counts_, generator)
    if len(ordered) < folds:
        raise InputError(
            f"data.folds={folds} needs at least {folds} micrographs with picks, got {len(ordered)}: "
            f"use fewer folds or pick more micrographs"
        )
    fold = np.full(len(counts_), -1, dtype=np.int64)
    for begin in range(0, len(ordered), folds):
        block = ordered[begin : begin + folds]
        fold[block] = generator.permutation(folds)[: len(block)]
    return fold


def choose_picks(points: NDArray[np.float64], keep: int, *, name: str, seed: int) -> NDArray[np.float64]:
    """Keep a random few of a micrograph's picks, the same few whatever other micrographs there are.

    Parameters
    ----------
    points : shape (n, 2)
        The micrograph's picks.
    keep
        How many to keep; all of them when there are no more.
    name
        The micrograph's name: with the seed it decides which are kept.
    seed
        The run's seed.
    """
    if len(points) <= keep:
        return points
    generator = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))
    return points[np.sort(generator.choice(len(points), size=keep, replace=False))]
