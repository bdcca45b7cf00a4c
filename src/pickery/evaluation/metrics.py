"""Metrics over regions: soft precision and its kin, average precision, the precision-recall curve.

Arrays in, numbers out. A region with label 0 is unlabeled, not known to be empty.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.evaluation.names import METRICS, MONITORS, REGION_METRICS, Metric
from pickery.evaluation.tally import RegionMetrics, RegionTally

__all__ = [
    "METRICS",
    "MONITORS",
    "REGION_METRICS",
    "Metric",
    "PrecisionRecallCurve",
    "RegionMetrics",
    "average_precision",
    "precision_recall_curve",
    "region_metrics",
]


@dataclass(frozen=True, slots=True, eq=False)
class PrecisionRecallCurve:
    """Precision and recall at every score threshold that occurs, highest threshold first.

    Attributes
    ----------
    precision, recall : (k,) float64
        At ``score >= threshold``. Recall is nan throughout where nothing is positive.
    threshold : (k,)
        The distinct scores, descending; equal scores share one entry.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    threshold: NDArray[np.floating]

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall at each threshold; 0 where both are 0."""
        total = self.precision + self.recall
        mean = 2 * self.precision * self.recall
        # nan recall must stay nan, hence `!= 0` and not `> 0`; in place, as there may be millions of thresholds
        return np.divide(mean, total, out=mean, where=total != 0)

    @property
    def average_precision(self) -> float:
        """Sum over thresholds of precision times the gain in recall; 0 for an empty curve, nan without positives."""
        return float(np.sum(self.precision * np.diff(self.recall, prepend=0.0)))


def region_metrics(scores: ArrayLike, labels: ArrayLike, *, pi: float, observed: float) -> RegionMetrics:
    """Metrics of region scores against partial labels.

    With probabilities p = sigmoid(score): precision = Σ_positive p / Σ p (soft: no threshold), adjusted precision =
    precision · pi / observed, tpr = mean p over positive regions, fpr = mean p over unlabeled regions, auprc =
    `average_precision`, loss = mean cross-entropy. Sums are taken in float64.

    Parameters
    ----------
    scores : (n,)
        Logits.
    labels : (n,)
        True (or 1) for positive regions, False (or 0) for unlabeled ones.
    pi, observed
        Expected and labelled fraction of positive regions of the set that the scores come from. They are asked for
        because the scores may be of every n-th region only.

    Returns
    -------
    RegionMetrics
        What cannot be defined is nan: everything where there is no region; tpr and auprc without a positive region;
        fpr without an unlabeled one; adjusted precision where `observed` is 0. Where any score is nan (a model that
        diverged), all are nan. Precision without a positive region is 0.
    """
    return _tallied(scores, labels).metrics(pi=pi, observed=observed)


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the precision-recall curve as a sum of steps, equal scores in one bucket.

    Σ over thresholds t of precision(t) · (recall(t) - recall(next higher t)).

    Parameters
    ----------
    scores, labels : (n,)
        As for `region_metrics`; the scores' order alone matters.

    Returns
    -------
    float
        nan where nothing is positive or a score is nan.
    """
    # neither pi nor the observed fraction takes part in it
    return _tallied(scores, labels).metrics(pi=0.0, observed=0.0).auprc


def precision_recall_curve(
    scores: ArrayLike, labels: ArrayLike, *, positives: int | None = None
) -> PrecisionRecallCurve:
    """Precision and recall at each distinct score.

    Parameters
    ----------
    scores, labels : (n,)
        As for `region_metrics`; no score may be nan.
    positives
        How many positives there are, where more exist than carry a score (labelled particles that no pick came near).
        Default: those in `labels`.

    Returns
    -------
    PrecisionRecallCurve
        Empty where there is no score.
    """
    scores, positive = _checked(scores, labels)
    assert not np.isnan(scores).any(), "a precision-recall curve needs scores that can be ordered"
    found = int(np.count_nonzero(positive))
    total = found if positives is None else positives
    assert total >= found, f"{found} positives carry a score, but only {total} exist"
    # two sorts and a look-up: several times faster than an argsort of many regions
    descending = np.sort(scores)[::-1]
    last_of_bucket = (
        np.flatnonzero(np.append(descending[1:] != descending[:-1], True)) if len(scores) else np.zeros(0, int)
    )
    threshold = descending[last_of_bucket]
    hits = found - np.searchsorted(np.sort(scores[positive]), threshold, side="left")
    recall = hits / total if total else np.full(len(hits), np.nan)
    return PrecisionRecallCurve(hits / (last_of_bucket + 1), recall, threshold)


def _tallied(scores: ArrayLike, labels: ArrayLike) -> RegionTally:
    score, positive = _checked(scores, labels)
    tally = RegionTally(dtype=score.dtype)
    tally.add(score, positive)
    return tally


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    score = np.asarray(scores)
    label = np.asarray(labels)
    assert score.ndim == 1, f"scores are one flat array, not {score.shape}"
    assert score.shape == label.shape, f"{score.shape} scores against {label.shape} labels"
    if not np.issubdtype(score.dtype, np.floating):
        score = score.astype(np.float64)
    return score, label.astype(bool, copy=False)
