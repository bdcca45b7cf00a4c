"""The place of regions known to be negative in every objective."""

import pytest
import torch
from torch.nn.functional import softplus

from pickery.errors import InputError
from pickery.loss import OBJECTIVES, build_objective

PI = 0.15
WEIGHT_OF_A_POSITIVE = {"pn": PI, "pu": PI, "ge_kl": 1.0, "ge_binomial": 1.0}


def minibatch(negatives: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Give scores, and labels in no order: 6 positive, so many negative, 40 unlabeled."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.ones(6), -torch.ones(negatives), torch.zeros(40)])
    labels = labels[torch.randperm(len(labels), generator=generator)]
    return torch.randn(len(labels), generator=generator, dtype=torch.float64).requires_grad_(), labels


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_negatives_add_their_mean_cross_entropy_with_the_weight_of_the_positives(name: str, weight: float) -> None:
    scores, labels = minibatch()
    loss = build_objective(name, pi=PI, negative_weight=weight)(scores, labels)
    (gradient,) = torch.autograd.grad(loss.total, scores)

    others, negative = labels >= 0, labels < 0
    without = build_objective(name, pi=PI)(scores[others], labels[others])
    term = weight * WEIGHT_OF_A_POSITIVE[name] * softplus(scores[negative]).mean()
    (expected,) = torch.autograd.grad(without.total + term, scores)
    torch.testing.assert_close(loss.total, without.total + term)
    torch.testing.assert_close(gradient, expected)
    torch.testing.assert_close(loss.terms["negative"], term.detach())
    for key, value in without.terms.items():
        torch.testing.assert_close(loss.terms[key], value)


def test_a_clipped_risk_leaves_the_negatives_their_gradient() -> None:
    scores, labels = minibatch()
    sure = (scores.detach() * 0.1 + torch.where(labels > 0, 4.0, -4.0)).requires_grad_()
    loss = build_objective("pu", pi=0.5, negative_weight=1.0)(sure, labels)
    assert loss.terms["clipped"].item() == 1
    (gradient,) = torch.autograd.grad(loss.total, sure)
    torch.testing.assert_close(gradient[labels < 0], 0.5 / 6 * sure.sigmoid()[labels < 0].detach())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_where_there_are_no_negatives_nothing_changes_to_the_last_bit(name: str) -> None:
    scores, labels = minibatch(negatives=0)
    without = build_objective(name, pi=PI)(scores, labels)
    with_none = build_objective(name, pi=PI, negative_weight=1.0)(scores, labels)
    assert "negative" not in without.terms
    assert with_none.terms["negative"].item() == 0
    assert torch.equal(with_none.total, without.total)
    gradients = [torch.autograd.grad(loss.total, scores)[0] for loss in (without, with_none)]
    assert torch.equal(gradients[0], gradients[1])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_with_negatives_are_those_of_the_value(name: str) -> None:
    scores, labels = minibatch(4)
    objective = build_objective(name, pi=PI, negative_weight=0.7)
    assert torch.autograd.gradcheck(lambda s: objective(s, labels).total, (scores,))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_terms_with_negatives_add_up_in_full_precision(name: str) -> None:
    scores, labels = minibatch()
    half = scores.detach().to(torch.bfloat16).requires_grad_()
    loss = build_objective(name, pi=PI, negative_weight=1.5)(half, labels)
    assert loss.total.dtype == loss.terms["negative"].dtype == torch.float32
    parts = [term for key, term in loss.terms.items() if key != "clipped"]
    torch.testing.assert_close(sum(parts), loss.total.detach())
    loss.total.backward()
    assert half.grad is not None


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_host_never_waits_for_the_device_with_negatives(name: str) -> None:
    scores = torch.empty(16, device="meta", requires_grad=True)
    build_objective(name, pi=PI, negative_weight=1.0)(scores, torch.empty(16, device="meta")).total.backward()
    assert scores.grad is not None


def test_a_weight_below_nothing_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"loss\.negative_weight=-1"):
        build_objective("pn", pi=0.1, negative_weight=-1)
