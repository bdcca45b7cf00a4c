from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pickery.errors import InputError
from pickery.evaluation.suppression import suppress

GOLDEN = Path(__file__).parents[1] / "reference" / "metrics.npz"


def one_by_one(scores, radius, threshold):
    """Greedy suppression as it is defined: the slow way."""
    height, width = scores.shape
    y, x = np.mgrid[:height, :width]
    free = scores >= threshold
    points = []
    for position in np.lexsort((x.ravel(), y.ravel(), -scores.ravel().astype(np.float64))):
        row, column = divmod(int(position), width)
        if free[row, column]:
            points.append((column, row))
            free &= (y - row) ** 2 + (x - column) ** 2 > radius**2
    return np.array(points, dtype=np.int64).reshape(-1, 2)


shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)
few_values = st.sampled_from([-1.5, -0.0, 0.0, 0.25, 1.0, float(np.nextafter(np.float32(1), np.float32(2)))])
any_values = st.floats(-10, 10, width=32)


@settings(deadline=None, max_examples=150)
@given(
    scores=shapes.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=few_values | any_values)),
    radius=st.integers(0, 12) | st.floats(0, 12),
    threshold=st.sampled_from([-np.inf, -1.5, 0.0, 0.5]),
)
def test_equals_taking_picks_one_by_one_with_ties_and_plateaus(scores, radius, threshold):
    points, kept = suppress(scores, radius, threshold)
    np.testing.assert_array_equal(points, one_by_one(scores, radius, threshold))
    np.testing.assert_array_equal(kept, scores[points[:, 1], points[:, 0]])


@settings(deadline=None, max_examples=100)
@given(
    scores=shapes.flatmap(
        lambda shape: hnp.arrays(np.float32, shape, elements=few_values | any_values | st.just(-np.inf))
    ),
    radius=st.sampled_from([0, 0.5, 1, 1.5, 23, 24, 33.9, 60]),
    threshold=st.sampled_from([-1e30, -1.5, 0.0]),
)
def test_equals_taking_picks_one_by_one_where_some_regions_are_barred_and_discs_reach_beyond_the_map(
    scores, radius, threshold
):
    points, kept = suppress(scores, radius, threshold)
    np.testing.assert_array_equal(points, one_by_one(scores, radius, threshold))
    assert np.isfinite(kept).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (3, 97)])
@pytest.mark.parametrize("radius", [0, 1, 4, 12, 250])
def test_equals_taking_picks_one_by_one_on_strips_that_are_all_border(shape, radius):
    scores = np.random.default_rng(radius).integers(-4, 5, shape).astype(np.float32)
    np.testing.assert_array_equal(suppress(scores, radius, -3)[0], one_by_one(scores, radius, -3))


def test_a_map_that_is_the_same_everywhere_is_taken_from_its_first_corner():
    scores = np.zeros((31, 47), dtype=np.float32)
    np.testing.assert_array_equal(suppress(scores, 4)[0], one_by_one(scores, 4, -np.inf))
    assert suppress(scores, 4)[0][0].tolist() == [0, 0]
    assert suppress(scores, 100)[0].tolist() == [[0, 0]]


@pytest.mark.parametrize("seed", range(4))
def test_equals_taking_picks_one_by_one_on_a_rough_map_with_ties(seed):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=(70 + 13 * seed, 90 - 7 * seed)), 1).astype(np.float32)
    np.testing.assert_array_equal(suppress(scores, 2 + 2 * seed, -6)[0], one_by_one(scores, 2 + 2 * seed, -6))


@pytest.mark.parametrize(("radius", "ours_only", "theirs_only"), [
    # the golden picks wrap from the right border to the left one: these differ, all within a radius of a border
    (3, {(0, 51), (0, 62)}, {(0, 60), (1, 50)}),
    (7, {(0, 5), (0, 24), (0, 61)}, {(2, 1)}),
])  # fmt: skip
def test_matches_the_golden_picks_but_where_those_wrap_around(radius, ours_only, theirs_only):
    golden = np.load(GOLDEN)
    points, scores = suppress(golden["score_map"], radius, 0)
    ours = {(int(x), int(y)): float(score) for (x, y), score in zip(points, scores, strict=True)}
    theirs = {
        (int(x), int(y)): float(score)
        for (x, y), score in zip(golden[f"nms_r{radius}_xy"], golden[f"nms_r{radius}_scores"], strict=True)
    }
    assert ours.keys() - theirs.keys() == ours_only
    assert theirs.keys() - ours.keys() == theirs_only
    assert all(ours[point] == theirs[point] for point in ours.keys() & theirs.keys())


def test_nothing_wraps_at_the_border():
    scores = np.full((5, 30), -9, dtype=np.float32)
    scores[2, 0], scores[2, 29], scores[0, 15], scores[4, 15] = 4, 3, 2, 1
    points, _ = suppress(scores, 3, 0)
    assert points.tolist() == [[0, 2], [29, 2], [15, 0], [15, 4]]


def test_picks_are_farther_apart_than_the_radius_and_leave_no_gap():
    scores = np.random.default_rng(1).normal(size=(60, 50)).astype(np.float32)
    points, kept = suppress(scores, 5)
    squared = ((points[:, None] - points) ** 2).sum(-1)
    assert squared[~np.eye(len(points), dtype=bool)].min() > 25
    every = np.stack(np.meshgrid(np.arange(50), np.arange(60)), axis=-1).reshape(-1, 1, 2)
    assert ((every - points) ** 2).sum(-1).min(axis=1).max() <= 25
    assert (np.diff(kept) <= 0).all()


def test_the_threshold_itself_is_picked_and_minus_infinity_never():
    scores = np.array([[1.0, -np.inf, 0.5, -np.inf, 0.25]], dtype=np.float32)
    assert suppress(scores, 0, 0.5)[0].tolist() == [[0, 0], [2, 0]]
    assert suppress(scores, 0, -1e30)[0].tolist() == [[0, 0], [2, 0], [4, 0]]


def test_no_candidate_gives_empty_arrays():
    points, scores = suppress(np.zeros((4, 4), dtype=np.float32), 2, 1.0)
    assert points.shape == (0, 2)
    assert scores.shape == (0,)


def test_a_diverged_map_is_refused_in_words():
    scores = np.zeros((4, 4), dtype=np.float32)
    scores[1, 1] = np.nan
    with pytest.raises(InputError, match=r"holds 1 scores that are not numbers.*optimizer\.learning_rate"):
        suppress(scores, 2, 0)
