"""The training figures of an epoch: soft metrics of each minibatch, and their means, kept on the device."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import softplus


def minibatch_figures(
    scores: Tensor, labels: Tensor, *, pi: float, observed: float, is_partial: bool = False
) -> dict[str, Tensor]:
    """Compute the soft metrics of one minibatch.

    Regions known to be negative take no part: they are drawn more often than they occur, and the held-out figures,
    with which these are compared, do not know them.

    Parameters
    ----------
    scores, labels : shape (b,)
        Logits, and 1 for positive, 0 for unlabeled, -1 for negative, or NaN for what is left out.
    pi, observed
        Expected and labelled fraction of positive regions in the training micrographs. A minibatch holds a larger
        share of positives than the micrographs do, so its own expected fraction is its positives plus, among its
        unlabeled regions, the share that unlabelled particles have there.
    is_partial
        Whether any label is neither 1 nor 0.

    Returns
    -------
    figures : dict of scalar tensors
        ``loss`` (mean cross-entropy), ``precision``, ``adjusted_precision``, ``tpr`` and ``fpr``.
    """
    scores, labels = scores.float(), labels.float()
    probability = torch.sigmoid(scores)
    count: int | Tensor = len(labels)
    if is_partial:
        is_positive, is_unlabeled = (labels > 0).float(), (labels == 0).float()
        count = (is_positive + is_unlabeled).sum()
        loss = ((is_positive + is_unlabeled) * softplus(scores) - is_positive * scores).sum() / count
    else:
        is_positive, is_unlabeled = labels, 1 - labels
        loss = (softplus(scores) - labels * scores).mean()
    positive, hit = is_positive.sum(), (probability * is_positive).sum()
    unlabeled, false = is_unlabeled.sum(), (probability * is_unlabeled).sum()
    precision = hit / (hit + false)
    hidden = max(0.0, (pi - observed) / (1 - observed))
    share = positive / count
    return {
        "loss": loss,
        "precision": precision,
        "adjusted_precision": precision * (share + (1 - share) * hidden) / share,
        "tpr": hit / positive,
        "fpr": false / unlabeled,
    }


class RunningMeans:
    """Means of named figures over an epoch; sums stay on the device until they are asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, figures: Mapping[str, Tensor]) -> None:
        """Add one minibatch's figures."""
        for name, value in figures.items():
            value = value.double() if value.device.type != "mps" else value
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count += 1

    def pop(self) -> dict[str, float]:
        """Give the means and begin anew."""
        means = {name: float(value) / self._count for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        return means


class FirstBroken:
    """Which of some figures was the first that is not finite, and at which step; on the device until asked for."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._first: Tensor | None = None

    def watch(self, step: int, figures: Mapping[str, Tensor]) -> None:
        """Look at the figures of a step, the same ones at each; of several that break at once the first is meant."""
        broken = torch.stack([~torch.isfinite(value.detach()).all() for value in figures.values()])
        if self._first is None:
            self._names = tuple(figures)
            self._first = torch.full((len(figures),), -1, dtype=torch.int64, device=broken.device)
        self._first = torch.where((self._first < 0) & broken, step, self._first)

    def found(self) -> tuple[str, int] | None:
        """Give the figure's name and the step; None while all are finite."""
        if self._first is None:
            return None
        steps = self._first.tolist()
        earliest = min((step for step in steps if step >= 0), default=None)
        return None if earliest is None else (self._names[steps.index(earliest)], earliest)
