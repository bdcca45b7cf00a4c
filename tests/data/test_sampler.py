import hashlib

import numpy as np
import pytest

from pickery.data.regions import LabelledRegions, runs_of
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
    return sampler.regions.first[index] + cuts.y * cuts.columns + cuts.x, cuts.label.ravel()


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
            assert sampler.regions.positives.holds(numbers[label == 1]).all()
            hits += sampler.regions.positives.holds(numbers[label == 0]).sum()
        assert (hits > 0) == from_all


def test_every_region_is_drawn_equally_often() -> None:
    sampler = make_sampler(minibatch_size=4096, balance=0.25)
    drawn = np.concatenate([numbers_of(sampler, step)[0][1024:] for step in range(30)])
    counts = np.bincount(drawn, minlength=sampler.regions.total)
    unlabeled = np.flatnonzero(~sampler.regions.positives.holds(np.arange(sampler.regions.total)))
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


@pytest.mark.parametrize(
    ("from_all", "digest"), [(False, "7f0d4fa177d30c5d38750ea96dc06428"), (True, "851b4fd26fe373fca71908778de17498")]
)
def test_without_masks_and_negatives_minibatches_are_what_they_ever_were(from_all: bool, digest: str) -> None:
    sampler, drawn = make_sampler(unlabeled_from_all=from_all), hashlib.blake2b(digest_size=16)
    for step in (0, 1, 5, 1000):
        for name, array in vars(sampler.draw(step)).items():
            if name in ("below", "beside"):
                assert not array.any()  # the centre of a patch is a pixel
                continue
            drawn.update(name.encode() + str(array.dtype).encode() + np.ascontiguousarray(array).tobytes())
    assert drawn.hexdigest() == digest


def make_masked(*, negatives: bool = True, **options: object) -> RegionSampler:
    points = [np.array([[20.0, 10.0], [5.0, 30.0]]), np.array([[8.0, 8.0]])]
    wrong = [np.array([[30.0, 30.0]]), np.array([[20.0, 40.0], [9.0, 8.0]])] if negatives else []
    masks = [np.zeros((40, 40), bool), np.zeros((50, 30), bool)]
    masks[0][:, 15:22] = True
    masks[1][30:] = True
    regions = LabelledRegions.label(
        [0, 1600], [[40, 40], [50, 30]], points, radius=3, negatives=wrong, masked=[runs_of(mask) for mask in masks]
    )
    settings = {"minibatch_size": 512, "balance": 0.125, "seed": 7} | options
    return RegionSampler(regions, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("from_all", [False, True])
@pytest.mark.parametrize("negatives", [False, True])
def test_no_patch_is_ever_centred_on_a_masked_region(from_all: bool, negatives: bool) -> None:
    sampler = make_masked(unlabeled_from_all=from_all, negatives=negatives)
    for step in range(20):
        assert not sampler.regions.masked.holds(numbers_of(sampler, step)[0]).any()


@pytest.mark.parametrize("from_all", [False, True])
def test_each_minibatch_holds_as_many_negatives_as_positives_in_place_of_unlabeled_ones(from_all: bool) -> None:
    sampler = make_masked(unlabeled_from_all=from_all)
    regions = sampler.regions
    met = {"positive": 0, "negative": 0}
    for step in range(20):
        numbers, label = numbers_of(sampler, step)
        assert [np.count_nonzero(label == value) for value in (1, -1, 0)] == [64, 64, 384]
        assert regions.positives.holds(numbers[label == 1]).all()
        assert regions.negatives.holds(numbers[label == -1]).all()
        met["positive"] += regions.positives.holds(numbers[label == 0]).sum()
        met["negative"] += regions.negatives.holds(numbers[label == 0]).sum()
    # PU's unlabeled regions are drawn from all that are not masked, whatever is known of them
    assert all((count > 0) == from_all for count in met.values())


def test_every_unmasked_region_is_drawn_equally_often() -> None:
    sampler = make_masked(minibatch_size=4096, balance=0.25)
    drawn = np.concatenate([numbers_of(sampler, step)[0][2048:] for step in range(30)])
    counts = np.bincount(drawn, minlength=sampler.regions.total)
    unlabeled = sampler.regions.unlabeled.numbers(np.arange(len(sampler.regions.unlabeled)))
    expected = len(drawn) / len(unlabeled)
    chi_square = ((counts[unlabeled] - expected) ** 2 / expected).sum()
    assert counts[unlabeled].sum() == len(drawn)
    assert abs(chi_square - len(unlabeled)) < 5 * np.sqrt(2 * len(unlabeled))


def test_a_minibatch_with_negatives_follows_from_seed_and_step_alone() -> None:
    one, other = make_masked(), make_masked()
    other.draw(99)
    for name, array in vars(one.draw(5)).items():
        assert np.array_equal(array, getattr(other.draw(5), name))


def test_what_leaves_no_positive_or_unlabeled_region_is_an_error_that_says_so() -> None:
    everything = [runs_of(np.ones((10, 10), bool))]
    masked = LabelledRegions.label([0], [[10, 10]], [np.array([[5.0, 5.0]])], radius=3, masked=everything)
    with pytest.raises(InputError, match=r"outside the masks \(data\.masks\)"):
        RegionSampler(masked, minibatch_size=8, balance=0.1, seed=0)
    with pytest.raises(InputError, match=r"sampler\.balance=0\.5 of .*4 for positive and 4 for negative ones"):
        make_masked(minibatch_size=8, balance=0.5)
