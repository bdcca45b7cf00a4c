"""PU: unlabeled regions are a mixture of positive and negative ones, of known proportion."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pickery.loss.terms import LossTerms, cross_entropy, regions


@dataclass(frozen=True)
class PositiveUnlabeled:
    """The non-negative risk estimator: `risk_pos + max(0, risk_neg)`.

    `risk_pos = pi · mean_pos bce(s, 1)`, `risk_neg = mean_unl bce(s, 0) - pi · mean_pos bce(s, 0)`. A negative risk_neg
    is overfitting: there the gradient is that of `-risk_neg` alone, which undoes it.

    Attributes
    ----------
    pi
        Expected fraction of positive regions.

    Source: Kiryo et al., NeurIPS 2017, arXiv:1703.00593, equation 6 and algorithm 1.
    """

    pi: float

    def __call__(self, scores: Tensor, labels: Tensor) -> LossTerms:
        """Return the objective of scores (b,) under labels (b,)."""
        batch = regions(scores, labels)
        as_negative = cross_entropy(batch.scores, 0)
        positive = self.pi * batch.mean_positive(cross_entropy(batch.scores, 1))
        negative = batch.mean_unlabeled(as_negative) - self.pi * batch.mean_positive(as_negative)
        clipped = negative < 0
        floored = negative.clamp(min=0)
        # the value is that of the floored risk, the gradient that of the slope
        slope = torch.where(clipped, -negative, positive + negative)
        total = (positive + floored).detach() + (slope - slope.detach())
        return batch.result(total, positive=positive, unlabeled=floored, clipped=clipped)
