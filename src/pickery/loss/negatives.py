"""Regions known to be negative: their place in every objective."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pickery.loss.terms import LossTerms, cross_entropy, regions


@dataclass(frozen=True)
class WithNegatives:
    """`objective + negative_weight · w · mean_neg bce(s, 0)`.

    The mean is over the regions labelled negative, and w is the weight that the objective gives its positive term
    (`pi · mean_pos bce(s, 1)` of PN and PU: pi; `mean_pos bce(s, 1)` of the GE objectives: 1). So a negative region
    pushes its score down as hard as a positive one pushes its own up, whatever the objective. All other terms are
    those of the objective without negatives: negative regions are not among the unlabeled ones.

    Attributes
    ----------
    objective
        Any of the four.
    weight
        `negative_weight · w`.
    """

    objective: Callable[[Tensor, Tensor], LossTerms]
    weight: float

    def __call__(self, scores: Tensor, labels: Tensor) -> LossTerms:
        """Return the objective of scores (b,) under labels (b,)."""
        others = self.objective(scores, labels)
        batch = regions(scores, labels)
        negative = self.weight * batch.mean_negative(cross_entropy(batch.scores, 0)).to(batch.dtype)
        return LossTerms(others.total + negative, others.terms | {"negative": negative.detach()})
