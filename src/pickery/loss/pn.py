"""PN: unlabeled regions are taken for negative."""

from dataclasses import dataclass

from torch import Tensor

from pickery.loss.terms import LossTerms, cross_entropy, regions


@dataclass(frozen=True)
class PositiveNegative:
    """`pi · mean_pos bce(s, 1) + (1 - pi) · mean_unl bce(s, 0)`.

    Attributes
    ----------
    pi
        Expected fraction of positive regions.
    """

    pi: float

    def __call__(self, scores: Tensor, labels: Tensor) -> LossTerms:
        """Return the objective of scores (b,) under labels (b,)."""
        batch = regions(scores, labels)
        positive = self.pi * batch.mean_positive(cross_entropy(batch.scores, 1))
        unlabeled = (1 - self.pi) * batch.mean_unlabeled(cross_entropy(batch.scores, 0))
        return batch.result(positive + unlabeled, positive=positive, unlabeled=unlabeled)
