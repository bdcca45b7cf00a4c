"""What an objective returns, and the sums that all objectives take. Knows nothing of models."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class LossTerms:
    """An objective's value on a minibatch.

    Attributes
    ----------
    total
        The scalar to minimise.
    terms
        Named scalars that it is made of, without gradients, for logging.
    """

    total: Tensor
    terms: dict[str, Tensor]


@dataclass(frozen=True)
class Regions:
    """Scores of a minibatch, and which regions are labelled positive or negative.

    All sums run over the whole minibatch with weights of 0 and 1: picking out rows would make the device report their
    number to the host and wait.

    Attributes
    ----------
    scores
        Logits (b,), float64: penalties are differences of large numbers, and b numbers cost nothing.
    positive
        True where a region is positive (b,).
    unlabeled
        True where a region is neither positive nor negative (b,).
    negative
        True where a region is known to be negative (b,).
    dtype
        That of the result: the scores' own, at least float32.
    """

    scores: Tensor
    positive: Tensor
    unlabeled: Tensor
    negative: Tensor
    dtype: torch.dtype

    def mean_positive(self, values: Tensor) -> Tensor:
        """Return the mean over the positive regions; 0 where there is none."""
        return _mean(values, self.positive)

    def mean_unlabeled(self, values: Tensor) -> Tensor:
        """Return the mean over the unlabeled regions; 0 where there is none."""
        return _mean(values, self.unlabeled)

    def mean_negative(self, values: Tensor) -> Tensor:
        """Return the mean over the negative regions; 0 where there is none."""
        return _mean(values, self.negative)

    def result(self, total: Tensor, **terms: Tensor) -> LossTerms:
        """Return the objective in the result's precision."""
        return LossTerms(total.to(self.dtype), {name: term.detach().to(self.dtype) for name, term in terms.items()})


def regions(scores: Tensor, labels: Tensor) -> Regions:
    """Pair scores (b,) with labels (b,): 1 or true positive, 0 or false unlabeled, -1 negative."""
    assert scores.shape == labels.shape, (scores.shape, labels.shape)
    assert scores.ndim == 1, scores.shape
    dtype = torch.promote_types(scores.dtype, torch.float32)
    wide = dtype if scores.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    return Regions(scores.to(wide), labels > 0, labels == 0, labels < 0, dtype)


def cross_entropy(scores: Tensor, label: int) -> Tensor:
    """Return softplus(-s) for label 1 and softplus(s) for label 0, for each score."""
    return -functional.logsigmoid(scores if label == 1 else -scores)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    # a count of 0 would make the mean of nothing NaN, and the whole step with it
    return torch.where(where, values, 0).sum() / where.sum().clamp(min=1)
