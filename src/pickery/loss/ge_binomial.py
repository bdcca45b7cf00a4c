"""GE-binomial: the number of positives among the unlabeled regions is held near a binomial distribution."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pickery.loss.terms import LossTerms, cross_entropy, regions


@dataclass(frozen=True)
class GeneralizedExpectationBinomial:
    """`mean_pos bce(s, 1) - slack · Σ_k q_k log Binomial(k; N, pi)` over the N unlabeled regions.

    q is the distribution of the number of positives under the classifier, approximated by a normal distribution of the
    same mean and variance at the whole numbers 0..N.

    Attributes
    ----------
    pi
        Expected fraction of positives among the unlabeled regions.
    slack
        Weight of the penalty.

    Source: Bepler et al., Nature Methods 16, 1153 (2019), doi:10.1038/s41592-019-0575-8.
    """

    pi: float
    slack: float

    def __call__(self, scores: Tensor, labels: Tensor) -> LossTerms:
        """Return the objective of scores (b,) under labels (b,)."""
        batch = regions(scores, labels)
        positive = batch.mean_positive(cross_entropy(batch.scores, 1))

        unlabeled = batch.unlabeled
        probability = batch.scores.sigmoid()
        mean = torch.where(unlabeled, probability, 0).sum()
        variance = torch.where(unlabeled, probability * (1 - probability), 0).sum()
        count = unlabeled.sum(dtype=probability.dtype)
        # the arrays are as long as if every region were unlabeled, since their true length is known to the device alone
        k = torch.arange(len(scores) + 1, dtype=probability.dtype, device=scores.device)
        possible = k <= count
        exponent = -((mean - k) ** 2) / (2 * (variance + 1e-10))
        q = torch.where(possible, exponent, -torch.inf).softmax(0)
        rest = (count - k).clamp(min=0)
        log_binomial = torch.lgamma(count + 1) - torch.lgamma(k + 1) - torch.lgamma(rest + 1)
        log_binomial = log_binomial + k * math.log(self.pi) + rest * math.log1p(-self.pi)
        penalty = -self.slack * torch.where(possible, q * log_binomial, 0).sum()
        return batch.result(positive + penalty, positive=positive, penalty=penalty)
