"""The one record of metric names: what each is called, which way is better, and what it means.

Imports nothing heavy, so that settings, help texts and plots may all read it.
"""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """What a person should know about one metric.

    Attributes
    ----------
    name
        The key under which it is logged and chosen (`evaluation.monitor=name`).
    label
        The words on a plot's axis, in sentence case.
    better
        ``"higher"`` or ``"lower"``: which direction is an improvement; ``"neither"`` where the value is only a setting
        to carry along (a threshold).
    meaning
        One line for help texts.
    """

    name: str
    label: str
    better: Literal["higher", "lower", "neither"]
    meaning: str

    def is_improvement(self, new: float, old: float) -> bool:
        """Whether `new` is strictly better than `old`; nan is never better, and anything is better than nan."""
        assert self.better != "neither", f"{self.name} has no better direction"
        if new != new:
            return False
        return old != old or (new > old if self.better == "higher" else new < old)


PRECISION: Final = "precision"
ADJUSTED_PRECISION: Final = "adjusted_precision"
TPR: Final = "tpr"
FPR: Final = "fpr"
AUPRC: Final = "auprc"
LOSS: Final = "loss"
PICK_AVERAGE_PRECISION: Final = "pick_average_precision"
PICK_F1: Final = "pick_f1"
PICK_PRECISION: Final = "pick_precision"
PICK_RECALL: Final = "pick_recall"
PICK_THRESHOLD: Final = "pick_threshold"
PICK_CENTRE_ERROR: Final = "pick_centre_error_px"

METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric(
            PRECISION,
            "Precision",
            "higher",
            "soft precision over regions: the share of the summed probabilities that lies on positive regions",
        ),
        Metric(
            ADJUSTED_PRECISION,
            "Adjusted precision",
            "higher",
            "precision times pi / observed: what it would be if the expected particles were all labelled",
        ),
        Metric(TPR, "True positive rate", "higher", "mean probability of the positive regions"),
        Metric(FPR, "False positive rate", "lower", "mean probability of the unlabeled regions"),
        Metric(
            AUPRC,
            "Area under precision-recall",
            "higher",
            "average precision of the scores over regions: does the order of the scores put positives first",
        ),
        Metric(LOSS, "Cross-entropy", "lower", "mean cross-entropy over regions (not the objective trained on)"),
        Metric(
            PICK_AVERAGE_PRECISION,
            "Pick average precision",
            "higher",
            "area under the precision-recall curve of whole picks, over all score thresholds",
        ),
        Metric(PICK_F1, "Pick F1", "higher", "F1 of whole picks at the score threshold where it is highest"),
        Metric(
            PICK_PRECISION,
            "Pick precision",
            "higher",
            "share of the picks that are labelled particles; a lower bound, as labels are partial",
        ),
        Metric(PICK_RECALL, "Pick recall", "higher", "share of the labelled particles that were picked"),
        Metric(PICK_THRESHOLD, "Score threshold", "neither", "the lowest score picked where F1 is highest"),
        Metric(
            PICK_CENTRE_ERROR, "Centre error", "lower", "mean distance from a found pick to its labelled centre, pixels"
        ),
    )
}

REGION_METRICS: Final = (PRECISION, ADJUSTED_PRECISION, TPR, FPR, AUPRC, LOSS)
"""The metrics over regions, in the order in which they are shown."""

MONITORS: Final = (*REGION_METRICS, PICK_AVERAGE_PRECISION, PICK_F1)
"""The metrics that may choose the best epoch (`evaluation.monitor`)."""
