import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickery.data.region_set import Outside, RegionSet
from pickery.data.regions import LabelledRegions, runs_of

MARKS = st.lists(st.lists(st.booleans(), min_size=1, max_size=15), min_size=1, max_size=6)


def make(marks: list[list[bool]]) -> tuple[RegionSet, np.ndarray]:
    first = np.concatenate([[0], np.cumsum([len(own) for own in marks])])
    some = RegionSet.of(first, (runs_of(np.array([own])) for own in marks))
    return some, np.concatenate([np.array(own) for own in marks])


@settings(deadline=None)
@given(MARKS)
def test_ranks_inside_and_outside_give_exactly_the_regions_that_are_so(marks: list[list[bool]]) -> None:
    some, marked = make(marks)
    assert len(some) == marked.sum()
    assert some.numbers(np.arange(len(some))).tolist() == np.flatnonzero(marked).tolist()
    others = Outside(some)
    assert len(others) == (~marked).sum()
    assert others.numbers(np.arange(len(others))).tolist() == np.flatnonzero(~marked).tolist()


@settings(deadline=None)
@given(MARKS)
def test_a_set_holds_its_regions_and_no_others_in_any_shape(marks: list[list[bool]]) -> None:
    some, marked = make(marks)
    assert np.array_equal(some.holds(np.arange(len(marked))), marked)
    assert np.array_equal(some.holds(np.arange(len(marked))[None, :, None])[0, :, 0], marked)


@settings(deadline=None)
@given(MARKS)
def test_a_micrographs_runs_are_those_that_it_was_given(marks: list[list[bool]]) -> None:
    some, _ = make(marks)
    for index, own in enumerate(marks):
        assert np.array_equal(some.runs(index), runs_of(np.array([own])))


def test_regions_beyond_32_bits_keep_their_numbers() -> None:
    first = np.arange(5) * 2_000_000_000
    some = RegionSet.of(first, [np.array([[1_999_999_990, 2_000_000_000]])] * 4)
    assert some.numbers(np.array([0, 39])).tolist() == [1_999_999_990, 7_999_999_999]
    assert Outside(some).numbers(np.array([len(Outside(some)) - 1])).tolist() == [7_999_999_989]
    assert some.holds(np.array([7_999_999_990, 7_999_999_989])).tolist() == [True, False]


@pytest.mark.parametrize("radius", [3, 7])
def test_labels_of_many_large_micrographs_need_little_memory_and_travel_as_little(radius: int) -> None:
    points = np.random.default_rng(0).uniform(0, 1024, (200, 2))
    regions = LabelledRegions.label([0], [[1024, 1024]], [points], radius)
    # a run for each row of a disc, and nothing for the unlabeled regions
    most = 200 * (2 * radius + 1) * 8
    assert len(pickle.dumps(regions)) < most + 4000
    assert most * 10_000 < 250e6
