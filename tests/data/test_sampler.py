import numpy as np
import pytest

from pickery.data.regions import LabelledRegions
from pickery.data.sampler import RegionSampler, positives_per_minibatch
from pickery.errors import InputError


def make_sampler(**options: object) -> RegionSampler:
    points = [np.array([[20.0, 10.0], [5.0, 30.0]]), np.array([[8.0, 8.0]])]
    regions = LabelledRegions.label([0, 1600], [[40, 40], [50, 30]], points, radius=3)
    settings = {"minibatch_size": 64, "balance": 0.125, "seed": 7} | options
    return RegionSampler(regions, **settings)  # type: ignore[arg-type]


def numbers_of(sampler: RegionSampler, step: int) -> tuple[np.ndarray, np.ndarray]:
    cuts = sampler.draw(step)
    index = np.searchsorted(sampler.regions.starts, cuts.start)
    return sampler.regions.first[index] + cuts.y * cuts.columns + cuts.x, cuts.label


@pytest.mark.parametrize(
    ("size", "balance", "positives"), [(256, 0.0625, 16), (8, 0.0625, 1), (4, 0.01, 1), (64, 0.5, 32)]
)
def test_a_minibatch_holds_exactly_the_stated_positives(size: int, balance: float, positives: int) -> None:
    assert positives_per_minibatch(size, balance) == positives
    numbers, label = numbers_of(make_sampler(minibatch_size=size, balance=balance), step=3)
    assert label.sum() == positives
    assert len(numbers) == size


def test_unlabeled_patches_avoid_positive_regions_unless_drawn_from_all() -> None:
    for from_all in (False, True):
        sampler = make_sampler(unlabeled_from_all=from_all, minibatch_size=512)
        hits = 0
        for step in range(20):
            numbers, label = numbers_of(sampler, step)
            assert np.isin(numbers[label == 1], sampler.regions.positives).all()
            hits += np.isin(numbers[label == 0], sampler.regions.positives).sum()
        assert (hits > 0) == from_all


def test_every_region_is_drawn_equally_often() -> None:
    sampler = make_sampler(minibatch_size=4096, balance=0.25)
    drawn = np.concatenate([numbers_of(sampler, step)[0][1024:] for step in range(30)])
    counts = np.bincount(drawn, minlength=sampler.regions.total)
    unlabeled = np.setdiff1d(np.arange(sampler.regions.total), sampler.regions.positives)
    expected = len(drawn) / len(unlabeled)
    chi_square = ((counts[unlabeled] - expected) ** 2 / expected).sum()
    assert abs(chi_square - len(unlabeled)) < 5 * np.sqrt(2 * len(unlabeled))


def test_a_minibatch_follows_from_seed_and_step_alone() -> None:
    one, other = make_sampler(), make_sampler()
    other.draw(99)
    for name, array in vars(one.draw(5)).items():
        assert np.array_equal(array, getattr(other.draw(5), name))
    assert not np.array_equal(one.draw(5).angle, one.draw(6).angle)
    assert not np.array_equal(one.draw(5).angle, make_sampler(seed=8).draw(5).angle)


def test_nothing_positive_or_nothing_unlabeled_is_an_error() -> None:
    empty = LabelledRegions.label([0], [[10, 10]], [np.empty((0, 2))], radius=3)
    with pytest.raises(InputError, match=r"data\.picks"):
        RegionSampler(empty, minibatch_size=8, balance=0.1, seed=0)
    full = LabelledRegions.label([0], [[10, 10]], [np.array([[5.0, 5.0]])], radius=30)
    with pytest.raises(InputError, match=r"data\.radius"):
        RegionSampler(full, minibatch_size=8, balance=0.1, seed=0)
