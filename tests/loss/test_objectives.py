from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from pickery.errors import InputError
from pickery.loss import DEFAULT_SLACK, OBJECTIVES, build_objective

REFERENCE = Path(__file__).parents[1] / "reference" / "objectives.npz"
TOPAZ_NAMES = {"pn": "PN", "pu": "PU", "ge_kl": "GE_KL", "ge_binomial": "GE_binomial"}


def minibatch(n=64, positives=6, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(n, generator=generator, dtype=dtype)
    return scores.requires_grad_(), torch.arange(n) < positives


@pytest.mark.parametrize("case", range(3))
@pytest.mark.parametrize("name", OBJECTIVES)
def test_values_and_gradients_equal_topaz(name, case):
    with np.load(REFERENCE) as golden:
        scores = torch.tensor(golden[f"case{case}_logits"], requires_grad=True)
        labels = torch.from_numpy(golden[f"case{case}_labels"])
        pi = float(golden[f"case{case}_pi"])
        report = golden[f"case{case}_{TOPAZ_NAMES[name]}_report"]
        gradient = torch.from_numpy(golden[f"case{case}_{TOPAZ_NAMES[name]}_grad"])
    loss = build_objective(name, pi=pi)(scores, labels)
    loss.total.backward()
    expected = report[0] + report[1] if name.startswith("ge") else report[0]
    assert loss.total.item() == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(scores.grad, gradient, rtol=1e-5, atol=1e-9)
    if name.startswith("ge"):
        assert loss.terms["positive"].item() == pytest.approx(report[0], rel=1e-5)
        # Topaz's own float32 rounding of a small KL divergence is 6e-4 of it
        assert loss.terms["penalty"].item() == pytest.approx(report[1], rel=1e-5, abs=3e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_are_those_of_the_value(name):
    scores, labels = minibatch(12, 3)
    objective = build_objective(name, pi=0.2)
    assert torch.autograd.gradcheck(lambda s: objective(s, labels).total, (scores,))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_terms_add_up_and_carry_no_gradient(name):
    scores, labels = minibatch()
    loss = build_objective(name, pi=0.2)(scores, labels)
    parts = [term for key, term in loss.terms.items() if key != "clipped"]
    torch.testing.assert_close(sum(parts), loss.total.detach())
    assert not any(term.requires_grad for term in loss.terms.values())


def clipped_minibatch():
    """Scores so sure that the negative risk falls below zero."""
    scores, labels = minibatch(32, 8)
    return (scores.detach() * 0.1 + torch.where(labels, 4.0, -4.0)).requires_grad_(), labels


def test_a_negative_risk_counts_as_none_and_turns_the_gradient():
    scores, labels = clipped_minibatch()
    pi = 0.5
    loss = build_objective("pu", pi=pi)(scores, labels)
    (gradient,) = torch.autograd.grad(loss.total, scores)
    as_negative = torch.nn.functional.softplus(scores)
    risk_negative = as_negative[~labels].mean() - pi * as_negative[labels].mean()
    risk_positive = pi * torch.nn.functional.softplus(-scores)[labels].mean()
    assert risk_negative.item() < 0
    assert loss.total.item() == pytest.approx(risk_positive.item(), rel=1e-9)
    assert loss.terms["clipped"].item() == 1
    assert loss.terms["unlabeled"].item() == 0
    (expected,) = torch.autograd.grad(-risk_negative, scores)
    torch.testing.assert_close(gradient, expected)


def test_a_positive_risk_is_not_clipped():
    scores, labels = minibatch()
    assert build_objective("pu", pi=0.1)(scores, labels).terms["clipped"].item() == 0


def test_binomial_penalty_equals_the_sum_written_out():
    scores, labels = minibatch(50, 5)
    pi = 0.07
    p = scores.detach()[~labels].sigmoid().numpy()
    k = np.arange(len(p) + 1)
    exponent = -((p.sum() - k) ** 2) / (2 * (p * (1 - p)).sum() + 2e-10)
    q = np.exp(exponent - exponent.max())
    expected = -2.5 * (q / q.sum() * stats.binom.logpmf(k, len(p), pi)).sum()
    loss = build_objective("ge_binomial", pi=pi, slack=2.5)(scores, labels)
    assert loss.terms["penalty"].item() == pytest.approx(expected, rel=1e-9)


def test_divergence_is_none_where_the_mean_probability_is_pi():
    labels = torch.arange(8) < 2
    scores = torch.full((8,), 0.3, dtype=torch.float64)
    loss = build_objective("ge_kl", pi=torch.sigmoid(scores[0]).item())(scores, labels)
    assert loss.terms["penalty"].item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("positives", [0, 1, 63, 64])
def test_a_minibatch_without_positive_or_unlabeled_regions_stays_finite(name, positives):
    scores, labels = minibatch(64, positives, dtype=torch.float32)
    loss = build_objective(name, pi=0.1)(scores, labels)
    loss.total.backward()
    assert loss.total.isfinite()
    assert scores.grad.isfinite().all()
    if positives == 0:
        assert loss.terms["positive"].item() == 0
    if positives == 64:
        assert loss.terms.get("penalty", loss.terms.get("unlabeled")).item() == 0


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("size", [50.0, 1e4, 1e20])
@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("pi", [1e-6, 0.1, 0.999])
def test_huge_scores_stay_finite(name, size, right, pi):
    labels = torch.arange(256) < 16
    scores = torch.where(labels == right, size, -size).requires_grad_()
    loss = build_objective(name, pi=pi)(scores, labels)
    loss.total.backward()
    assert loss.total.isfinite()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_half_precision_scores_are_summed_in_full_precision(name):
    scores, labels = minibatch(256, 16)
    half = scores.detach().to(torch.bfloat16).requires_grad_()
    objective = build_objective(name, pi=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(half, labels)
    assert loss.total.dtype == torch.float32
    expected = objective(half.detach().double(), labels).total
    torch.testing.assert_close(loss.total.double(), expected, rtol=1e-6, atol=0)
    loss.total.backward()
    assert half.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_host_never_waits_for_the_device(name):
    """A meta tensor holds no numbers: whatever reads one, or counts rows by it, raises."""
    scores = torch.empty(16, device="meta", requires_grad=True)
    loss = build_objective(name, pi=0.1)(scores, torch.empty(16, device="meta"))
    loss.total.backward()
    assert scores.grad.shape == (16,)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_labels_may_be_numbers_or_truth_values_in_any_order(name):
    scores, labels = minibatch(40, 7, seed=3)
    objective = build_objective(name, pi=0.1)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    expected = objective(scores, labels).total
    for other in (labels.float(), labels.long()):
        assert torch.equal(objective(scores, other).total, expected)
    torch.testing.assert_close(objective(scores[order], labels[order]).total, expected)


@pytest.mark.parametrize("name", ["ge_kl", "ge_binomial"])
def test_slack_weighs_the_penalty_and_minus_one_is_the_objectives_own(name):
    scores, labels = minibatch()
    own = build_objective(name, pi=0.1)(scores, labels).terms["penalty"]
    named = build_objective(name, pi=0.1, slack=DEFAULT_SLACK[name])(scores, labels).terms["penalty"]
    double = build_objective(name, pi=0.1, slack=2 * DEFAULT_SLACK[name])(scores, labels).terms["penalty"]
    none = build_objective(name, pi=0.1, slack=0)(scores, labels).terms["penalty"]
    assert torch.equal(own, named)
    torch.testing.assert_close(double, 2 * own)
    assert none.item() == 0
    assert DEFAULT_SLACK == {"ge_kl": 10, "ge_binomial": 1}


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("nnpu", {"pi": 0.1}, "loss.objective=nnpu is none of pn, pu, ge_kl, ge_binomial"),
        ("pn", {"pi": 0.0}, "data.expected_particles"),
        ("pn", {"pi": 1.0}, "data.expected_particles"),
        ("pn", {"pi": float("nan")}, "data.expected_particles"),
        ("ge_kl", {"pi": 0.1, "slack": -2}, "loss.slack=-2"),
    ],
)
def test_impossible_settings_are_refused_by_name(name, settings, words):
    with pytest.raises(InputError, match=words):
        build_objective(name, **settings)
