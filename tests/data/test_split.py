import numpy as np
import pytest

from pickery.data.split import choose_picks, split_folds, split_test
from pickery.errors import InputError

COUNTS = np.array([5, 0, 80, 10, 40, 3, 0, 90, 20, 60, 7, 15])


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.35, 0.5, 0.8, 0.99])
def test_the_stated_fraction_of_picked_micrographs_is_held_out(fraction: float) -> None:
    held_out = split_test(COUNTS, fraction, seed=0)
    assert held_out.sum() == min(max(1, round(fraction * 10)), 9)
    assert not held_out[COUNTS == 0].any()


def test_no_fraction_holds_out_none() -> None:
    assert not split_test(COUNTS, 0, seed=0).any()


def test_the_split_depends_on_the_seed_alone() -> None:
    splits = [tuple(split_test(COUNTS, 0.3, seed)) for seed in range(20)]
    assert splits == [tuple(split_test(COUNTS, 0.3, seed)) for seed in range(20)]
    assert len(set(splits)) > 5


def test_held_out_micrographs_cover_few_and_many_picks() -> None:
    counts = np.arange(1, 101)
    for seed in range(10):
        held = counts[split_test(counts, 0.2, seed)]
        assert all(5 * stratum < value <= 5 * stratum + 5 for stratum, value in enumerate(held))


def test_too_few_picked_micrographs_to_split_is_an_error_that_names_the_setting() -> None:
    with pytest.raises(InputError, match=r"data\.test_fraction"):
        split_test([0, 4, 0], 0.2, seed=0)


@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_folds_deal_every_picked_micrograph_once_and_evenly(folds: int) -> None:
    fold = split_folds(COUNTS, folds, seed=1)
    assert (fold[COUNTS == 0] == -1).all()
    sizes = np.bincount(fold[fold >= 0], minlength=folds)
    assert sizes.sum() == 10
    assert sizes.max() - sizes.min() <= 1


def test_folds_have_like_numbers_of_picks() -> None:
    counts = np.arange(1, 41) * 10
    fold = split_folds(counts, 4, seed=3)
    means = [counts[fold == k].mean() for k in range(4)]
    assert max(means) - min(means) <= 30


def test_more_folds_than_picked_micrographs_is_an_error() -> None:
    with pytest.raises(InputError, match=r"data\.folds=11"):
        split_folds(COUNTS, 11, seed=0)


def test_a_micrographs_chosen_picks_do_not_depend_on_the_others() -> None:
    points = np.arange(40.0).reshape(20, 2)
    chosen = choose_picks(points, 5, name="a", seed=0)
    assert len(chosen) == 5
    assert {tuple(row) for row in chosen} <= {tuple(row) for row in points}
    assert np.array_equal(chosen, choose_picks(points, 5, name="a", seed=0))
    assert not np.array_equal(chosen, choose_picks(points, 5, name="b", seed=0))
    assert np.array_equal(choose_picks(points, 50, name="a", seed=0), points)
