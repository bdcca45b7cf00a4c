from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from pickery.evaluation.matching import match, pick_metrics, pick_outcome

GOLDEN = Path(__file__).parents[1] / "reference" / "metrics.npz"


def test_golden_matching():
    golden = np.load(GOLDEN)
    assignment, distance = match(golden["match_predictions"], golden["match_targets"], float(golden["match_radius"]))
    hit = assignment >= 0
    np.testing.assert_array_equal(hit, golden["match_assignment"] == 1)
    np.testing.assert_allclose(distance[hit], golden["match_distance"][hit], atol=1e-6)


def points(most):
    coordinate = st.integers(0, 40).map(lambda number: number / 2) | st.floats(0, 20)
    return st.integers(0, most).flatmap(lambda n: hnp.arrays(np.float64, (n, 2), elements=coordinate))


@settings(deadline=None, max_examples=150)
@given(predictions=points(25), targets=points(15), radius=st.sampled_from([0.5, 2.0, 5.0, 30.0]))
def test_matching_is_one_to_one_near_and_of_the_lowest_total_cost(predictions, targets, radius):
    assignment, distance = match(predictions, targets, radius)
    hit = assignment >= 0
    assert len(set(assignment[hit])) == hit.sum()
    assert (distance[hit] < radius).all()
    assert np.isnan(distance[~hit]).all()
    np.testing.assert_allclose(distance[hit], np.linalg.norm(predictions[hit] - targets[assignment[hit]], axis=1))
    costs = np.minimum(0, ((predictions[:, None] - targets) ** 2).sum(-1) - radius**2)
    lowest = costs[linear_sum_assignment(costs)].sum() if costs.size else 0.0
    assert (distance[hit] ** 2 - radius**2).sum() == pytest.approx(lowest, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(predictions=points(5), targets=points(4), radius=st.sampled_from([0.5, 3.0, 8.0, 40.0]))
def test_no_pairing_at_all_costs_less(predictions, targets, radius):
    """Every way to give each target a pick or none is tried, one after the other."""
    assignment, distance = match(predictions, targets, radius)
    costs = np.minimum(0, ((predictions[:, None] - targets) ** 2).sum(-1) - radius**2)
    places = [*range(len(predictions)), *[None] * len(targets)]
    every = {
        sum(costs[pick, target] for target, pick in enumerate(picks) if pick is not None)
        for picks in permutations(places, len(targets))
    }
    hit = assignment >= 0
    assert (distance[hit] ** 2 - radius**2).sum() == pytest.approx(min(every), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("radius", [3.0, 8.0, 25.0])
def test_a_crowd_is_matched_at_the_lowest_total_cost(radius):
    rng = np.random.default_rng(int(radius))
    targets = rng.uniform(0, 200, (150, 2))
    predictions = np.concatenate([targets[:120] + rng.normal(scale=4, size=(120, 2)), rng.uniform(0, 200, (90, 2))])
    assignment, distance = match(predictions, targets, radius)
    costs = np.minimum(0, ((predictions[:, None] - targets) ** 2).sum(-1) - radius**2)
    hit = assignment >= 0
    assert hit.sum() > 30
    assert (distance[hit] ** 2 - radius**2).sum() == pytest.approx(costs[linear_sum_assignment(costs)].sum())


def test_a_near_pair_gives_way_where_two_pairs_together_are_closer():
    # greedily, the pick at 6 would take the target at 5 and leave the pick at 0 without one
    assert match([[0.0, 0], [6.0, 0]], [[5.0, 0], [11.0, 0]], 8)[0].tolist() == [0, 1]
    assert match([[4.0, 0], [4.5, 0]], [[5.0, 0]], 6)[0].tolist() == [-1, 0]


def test_a_distance_of_exactly_the_radius_does_not_match():
    assert match([[0, 0]], [[3, 4]], 5)[0].tolist() == [-1]
    assert match([[0, 0]], [[3, 4]], 5.001)[0].tolist() == [0]


def test_nothing_to_match():
    for predictions, targets in (([], []), ([], [[1, 2]]), ([[1, 2]], [])):
        assignment, distance = match(predictions, targets, 3)
        assert assignment.tolist() == [-1] * len(predictions)
        assert distance.shape == (len(predictions),)


def test_pick_metrics_of_a_case_worked_by_hand():
    # first micrograph: 5 hits a target at distance 1, 4 an extra; 3 hits. Second: 4 an extra, one target never found.
    found = pick_metrics(
        [[[10, 10], [50, 50], [31, 30]], [[5, 5]]],
        [[5.0, 4.0, 3.0], [4.0]],
        [[[10, 11], [30, 30]], [[40, 40]]],
        radius=3,
        names=["a", "b"],
    )
    # thresholds 5: 1 of 1; 4: 1 of 3 (two share the bucket); 3: 2 of 4; three targets
    assert found.curve.threshold.tolist() == [5, 4, 3]
    np.testing.assert_allclose(found.curve.precision, [1, 1 / 3, 1 / 2])
    np.testing.assert_allclose(found.curve.recall, [1 / 3, 1 / 3, 2 / 3])
    assert found.average_precision == pytest.approx(1 / 3 + 1 / 2 * 1 / 3)
    np.testing.assert_allclose(found.curve.f1, [1 / 2, 1 / 3, 4 / 7])
    assert (found.threshold, found.hits, found.misses, found.extras) == (3.0, 2, 1, 2)
    assert (found.targets, found.candidates, found.radius) == (3, 4, 3)
    assert found.precision == pytest.approx(1 / 2)
    assert found.recall == pytest.approx(2 / 3)
    assert found.f1 == pytest.approx(4 / 7)
    assert found.centre_error_px == pytest.approx(1.0)
    first, second = found.micrographs
    assert (first.name, first.hits, first.misses, first.extras, first.recall) == ("a", 2, 0, 1, 1.0)
    assert (second.name, second.hits, second.misses, second.extras, second.f1) == ("b", 0, 1, 1, 0.0)
    assert np.isnan(second.centre_error_px)
    assert [list(assignment) for assignment in found.assignments] == [[0, -1, 1], [-1]]


def test_the_totals_are_those_of_the_rows_and_f1_is_the_curves_highest():
    rng = np.random.default_rng(3)
    targets = [rng.uniform(0, 100, (n, 2)) for n in (20, 0, 35)]
    picks = [
        np.concatenate([wanted + rng.normal(size=wanted.shape), rng.uniform(0, 100, (15, 2))]) for wanted in targets
    ]
    scores = [rng.normal(size=len(found)).astype(np.float32) + (np.arange(len(found)) < 20) for found in picks]
    found = pick_metrics(picks, scores, targets, radius=4)
    assert found.f1 == pytest.approx(found.curve.f1.max())
    assert found.hits == sum(row.hits for row in found.micrographs)
    assert found.hits + found.misses == found.targets == 55
    assert found.hits + found.extras == sum((score >= found.threshold).sum() for score in scores)
    at = list(found.curve.threshold).index(np.float32(found.threshold))
    assert found.precision == pytest.approx(found.curve.precision[at])
    assert found.recall == pytest.approx(found.curve.recall[at])
    for row, *one in zip(found.micrographs, picks, scores, targets, found.assignments, strict=True):
        outcome = pick_outcome(*one, threshold=found.threshold)
        assert (len(outcome.hits), len(outcome.misses), len(outcome.extras)) == (row.hits, row.misses, row.extras)


def test_recall_counts_targets_that_no_pick_comes_near():
    found = pick_metrics([[[1, 1]]], [[0.5]], [[[1, 1], [90, 90], [50, 90], [10, 90]]], radius=3)
    assert found.average_precision == found.recall == 0.25
    assert found.precision == 1.0


def test_a_threshold_that_is_given_is_used():
    found = pick_metrics([[[1, 1], [9, 9]]], [[0.5, -2.0]], [[[1, 1], [9, 9]]], radius=3, threshold=0.5)
    assert (found.threshold, found.hits, found.misses, found.recall) == (0.5, 1, 1, 0.5)
    assert found.average_precision == 1.0


@pytest.mark.parametrize(
    ("picks", "scores", "targets", "expected"),
    [  # precision, recall, f1, average precision; nan: None
        ([[]], [[]], [[[1, 1]]], (None, 0.0, 0.0, 0.0)),
        ([[[50, 50]]], [[1.0]], [[[1, 1]]], (None, 0.0, 0.0, 0.0)),
        ([[[50, 50]]], [[1.0]], [[]], (None, None, None, None)),
        ([], [], [], (None, None, None, None)),
    ],
)
def test_without_hits_there_is_no_best_threshold(picks, scores, targets, expected):
    found = pick_metrics(picks, scores, targets, radius=3)
    assert np.isnan(found.threshold)
    assert np.isnan(found.centre_error_px)
    assert (found.hits, found.extras) == (0, 0)
    numbers = (found.precision, found.recall, found.f1, found.average_precision)
    assert tuple(None if np.isnan(number) else number for number in numbers) == expected


def test_a_low_score_near_a_target_does_not_make_a_hit_above_its_score():
    outcome = pick_outcome([[1, 1], [30, 30]], [-3.0, 2.0], [[1, 1]], [0, -1], threshold=0.0)
    assert outcome.hits.shape == (0, 2)
    assert outcome.misses.tolist() == [[1, 1]]
    assert outcome.extras.tolist() == [[30, 30]]
