"""GE-KL: the mean probability of the unlabeled regions is held near the expected fraction of positives."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pickery.loss.terms import LossTerms, cross_entropy, regions


@dataclass(frozen=True)
class GeneralizedExpectationKL:
    """`mean_pos bce(s, 1) + slack · KL(pi ‖ mean_unl sigmoid(s))`, of two Bernoulli distributions.

    Attributes
    ----------
    pi
        Expected fraction of positives among the unlabeled regions.
    slack
        Weight of the penalty.

    Source: Bepler et al., Nature Methods 16, 1153 (2019), doi:10.1038/s41592-019-0575-8; Mann and McCallum,
    JMLR 11, 955 (2010).
    """

    pi: float
    slack: float

    def __call__(self, scores: Tensor, labels: Tensor) -> LossTerms:
        """Return the objective of scores (b,) under labels (b,)."""
        batch = regions(scores, labels)
        positive = batch.mean_positive(cross_entropy(batch.scores, 1))

        # in logarithms, so that a mean probability too small to write is still no zero
        unlabeled = batch.unlabeled
        count = unlabeled.sum(dtype=batch.scores.dtype)
        taken = unlabeled | (count == 0)  # without unlabeled regions, any numbers: the penalty is then left out
        log_count = count.clamp(min=1).log()
        log_mean = _log_sum(functional.logsigmoid(batch.scores), taken) - log_count
        log_mean_complement = _log_sum(functional.logsigmoid(-batch.scores), taken) - log_count
        divergence = self.pi * (math.log(self.pi) - log_mean)
        divergence = divergence + (1 - self.pi) * (math.log1p(-self.pi) - log_mean_complement)
        penalty = self.slack * torch.where(count > 0, divergence, 0)
        return batch.result(positive + penalty, positive=positive, penalty=penalty)


def _log_sum(logarithms: Tensor, where: Tensor) -> Tensor:
    return torch.where(where, logarithms, -torch.inf).logsumexp(0)
