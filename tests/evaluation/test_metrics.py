from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pickery.evaluation.metrics import (
    METRICS,
    MONITORS,
    average_precision,
    precision_recall_curve,
    region_metrics,
)

GOLDEN = Path(__file__).parents[1] / "reference" / "metrics.npz"


def test_average_precision_and_curve_match_the_golden_numbers():
    golden = np.load(GOLDEN)
    curve = precision_recall_curve(golden["scores"], golden["labels"])
    np.testing.assert_allclose(curve.precision, golden["pr_precision"], atol=1e-6)
    np.testing.assert_allclose(curve.recall, golden["pr_recall"], atol=1e-6)
    np.testing.assert_array_equal(curve.threshold, golden["pr_threshold"])
    assert average_precision(golden["scores"], golden["labels"]) == pytest.approx(float(golden["auprc"]), abs=1e-6)
    assert curve.average_precision == pytest.approx(float(golden["auprc"]), abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([-3.0, -0.5, 0.0, 0.1, 2.0]), st.booleans()), min_size=1, max_size=40))
def test_average_precision_is_the_area_under_the_curve_whatever_the_order_of_equal_scores(pairs):
    scores = np.array([score for score, _ in pairs])
    labels = np.array([label for _, label in pairs])
    expected = average_precision(scores, labels)
    assert average_precision(scores[::-1], labels[::-1]) == pytest.approx(expected, nan_ok=True)
    assert precision_recall_curve(scores, labels).average_precision == pytest.approx(expected, nan_ok=True)
    assert np.isnan(expected) == (not labels.any())


def test_equal_scores_share_one_bucket():
    assert average_precision([1, 1, 1, 1], [True, False, False, False]) == 0.25
    assert len(precision_recall_curve([1, 1, 1, 1], [1, 0, 0, 0]).threshold) == 1


def test_positives_without_a_score_lower_recall():
    curve = precision_recall_curve([3.0, 2.0], [True, True], positives=4)
    assert curve.recall.tolist() == [0.25, 0.5]
    assert curve.average_precision == 0.5


def test_region_metrics_are_the_sums_they_say():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=5000).astype(np.float32)
    labels = rng.random(5000) < 0.1
    got = region_metrics(scores, labels, pi=0.2, observed=0.1)
    p = 1 / (1 + np.exp(-scores.astype(np.float64)))
    assert got.precision == pytest.approx(p[labels].sum() / p.sum(), rel=1e-12)
    assert got.adjusted_precision == pytest.approx(2 * got.precision, rel=1e-12)
    assert got.tpr == pytest.approx(p[labels].mean(), rel=1e-12)
    assert got.fpr == pytest.approx(p[~labels].mean(), rel=1e-12)
    assert got.loss == pytest.approx(-np.where(labels, np.log(p), np.log1p(-p)).mean(), rel=1e-12)
    assert got.auprc == average_precision(scores, labels)


def test_chunks_add_up_to_the_whole(monkeypatch):
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=1000), rng.random(1000) < 0.1
    whole = region_metrics(scores, labels, pi=0.2, observed=0.1)
    monkeypatch.setattr("pickery.evaluation.tally.CHUNK", 37)
    pieces = region_metrics(scores, labels, pi=0.2, observed=0.1)
    for name in whole.__slots__:
        assert getattr(pieces, name) == pytest.approx(getattr(whole, name), rel=1e-12)


def test_tensors_are_taken_as_arrays():
    scores, labels = torch.tensor([1.0, -1.0, 0.5]), torch.tensor([True, False, False])
    assert region_metrics(scores, labels, pi=0.1, observed=0.1) == region_metrics(
        scores.numpy(), labels.numpy(), pi=0.1, observed=0.1
    )


def test_huge_scores_do_not_overflow():
    got = region_metrics(np.array([-1e6, 1e6, 0], dtype=np.float32), [True, False, True], pi=0.5, observed=0.5)
    assert got.loss == pytest.approx((2e6 + np.log(2)) / 3)
    assert got.tpr == 0.25
    assert got.fpr == 1.0


def test_what_cannot_be_defined_is_nan_and_the_rest_is_kept():
    unlabeled = region_metrics([0.0, 1.0], [False, False], pi=0.1, observed=0.0)
    assert np.isnan([unlabeled.tpr, unlabeled.auprc, unlabeled.adjusted_precision]).all()
    assert unlabeled.precision == 0.0
    assert 0 < unlabeled.fpr < 1
    positive = region_metrics([0.0, 1.0], [True, True], pi=1, observed=1)
    assert np.isnan(positive.fpr)
    assert positive.precision == positive.auprc == 1.0
    empty = region_metrics([], [], pi=0.1, observed=0.0)
    assert np.isnan([getattr(empty, name) for name in empty.__slots__]).all()
    diverged = region_metrics([np.nan, 1.0, 0.0], [True, True, False], pi=0.1, observed=0.1)
    assert np.isnan([diverged.loss, diverged.precision, diverged.tpr, diverged.auprc]).all()


def test_every_monitor_is_a_metric_with_a_direction():
    assert set(MONITORS) == {
        "precision", "adjusted_precision", "tpr", "fpr", "auprc", "loss", "pick_average_precision", "pick_f1",
    }  # fmt: skip
    assert {name for name in MONITORS if METRICS[name].better == "lower"} == {"fpr", "loss"}
    assert all(METRICS[name].better != "neither" for name in MONITORS)
    assert all(name == metric.name for name, metric in METRICS.items())


def test_an_improvement_is_strict_and_nan_never_one():
    assert METRICS["precision"].is_improvement(0.2, 0.1)
    assert METRICS["fpr"].is_improvement(0.1, 0.2)
    assert not METRICS["precision"].is_improvement(0.2, 0.2)
    assert not METRICS["loss"].is_improvement(float("nan"), 0.2)
    assert METRICS["loss"].is_improvement(0.2, float("nan"))
