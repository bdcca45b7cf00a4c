"""What the curves say, in plain words: still improving, overfitting, bounded by unlabelled particles, and the like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from pickery.evaluation.names import ADJUSTED_PRECISION, AUPRC, LOSS, METRICS, PRECISION

LONG = 6
"""Epochs from which a trend can be told from chance."""
TOO_GOOD = 1.02
"""Adjusted precision above this is more than rounding."""


@dataclass(frozen=True)
class Remark:
    """A sentence or two about the curves.

    Attributes
    ----------
    kind
        ``good``, ``think`` (it could be better) or ``bad`` (the figures cannot be trusted, or nothing was learned).
    head
        In a few words.
    text
        What it means, and what to do.
    """

    kind: Literal["good", "think", "bad"]
    head: str
    text: str


def read_curves(
    epochs: Sequence[Mapping[str, float]],
    *,
    monitor: str,
    best: int,
    summary: Mapping[str, Any],
    partial_labels: bool,
    goes_on: bool = True,
) -> list[Remark]:
    """Say what the curves of a training show.

    Parameters
    ----------
    epochs
        The rows of ``metrics.csv``: figures by column; nan where there is none.
    monitor
        The figure that chose the best epoch.
    best
        Its number.
    summary
        What ``summary.json`` says.
    partial_labels
        Whether there may be particles that nobody labelled.
    goes_on
        Whether a larger number of epochs continues the training.
    """
    held_out = any(not math.isnan(row.get(f"test_{LOSS}", math.nan)) for row in epochs)
    side = "test" if held_out else "train"
    found = []
    if not held_out:
        found.append(
            Remark(
                "think",
                "Nothing was held out",
                "The best epoch was chosen by figures of the training data, which flatter it. data.test_fraction=0.2 "
                "holds a fifth of the micrographs out.",
            )
        )
    found += _objective(summary)
    found += _learned(summary)
    found += _trend(epochs, side, monitor, best, goes_on)
    if held_out:
        found += _overfitting(epochs, monitor, best)
    found += _adjusted(epochs, side, summary)
    if partial_labels:
        found += _bounded(summary)
    found += _picks(summary, partial_labels)
    return found


def _column(epochs: Sequence[Mapping[str, float]], name: str) -> list[float]:
    return [float(row.get(name, math.nan)) for row in epochs]


def _objective(summary: Mapping[str, Any]) -> list[Remark]:
    objective = summary["objective"]
    if objective["asked"] == objective["used"]:
        return []
    return [
        Remark(
            "think",
            f"{objective['asked']} was replaced by {objective['used']}",
            f"The picks already label {100 * objective['observed']:.2g} % of all regions, and data.expected_particles "
            f"allows {100 * objective['pi']:.2g} %: nothing is left to be found among the unlabeled ones. If there are "
            "particles without a label, data.expected_particles is too low.",
        )
    ]


def _learned(summary: Mapping[str, Any]) -> list[Remark]:
    """Whether positive regions score above others at all; runs of before this was recorded say nothing."""
    chance = summary.get("chance")
    if chance is None or chance["beaten"]:
        return []
    return [
        Remark(
            "bad",
            "It has learned next to nothing",
            f"The area under the precision-recall curve is {summary['regions'][AUPRC]:.3g}, and random scores have "
            f"{chance[AUPRC]:.2g}. Look whether the picks sit on particles: pickery doctor with the same data.",
        )
    ]


def _trend(epochs: Sequence[Mapping[str, float]], side: str, monitor: str, best: int, goes_on: bool) -> list[Remark]:
    curve = _column(epochs, f"{side}_{monitor}")
    metric = METRICS[monitor]
    last = len(curve)
    if last < 2:
        return [
            Remark("think", "One epoch tells no trend", "More epochs (trainer.epochs) show whether it has settled.")
        ]
    sign = 1.0 if metric.better == "higher" else -1.0
    name = metric.label.lower()
    more = (
        f"trainer.epochs={2 * last} goes on with this run where it stopped."
        if goes_on
        else f"trainer.epochs={2 * last} trains that long, from the beginning."
    )
    known = [value for value in curve if not math.isnan(value)]
    span = max(known, default=0.0) - min(known, default=0.0)
    if last < LONG:
        rises = best == last and span > 0
        head, text = ("Still improving", f"The last epoch is the best one. {more}") if rises else ("", "")
        return [Remark("think", head, text)] if rises else []
    third = max(2, last // 3)
    late, before = curve[-third:], curve[-2 * third : -third]
    gain, noise = sign * (_mean(late) - _mean(before)), _roughness(curve)
    if best > last - third and gain > max(noise, 0.05 * span):
        return [
            Remark(
                "think",
                "Still improving",
                f"The best epoch is among the last, and {name} has gained {gain:.3g} in the last third. {more}",
            )
        ]
    if gain < -max(2 * noise, 0.1 * span):
        return [
            Remark(
                "think",
                "It has become worse",
                f"In the last third {name} has lost {-gain:.3g}. The best epoch, {best}, was kept; fewer epochs or a "
                "lower optimizer.learning_rate would do.",
            )
        ]
    return [
        Remark(
            "good",
            "It has settled",
            f"{metric.label} moves by {noise:.2g} from epoch to epoch and no longer in one direction; longer training "
            "would hardly change it. Differences between runs smaller than that mean nothing.",
        )
    ]


def _overfitting(epochs: Sequence[Mapping[str, float]], monitor: str, best: int) -> list[Remark]:
    last = len(epochs)
    if last < LONG:
        return []
    held_out, training = _column(epochs, f"test_{LOSS}"), _column(epochs, "train_objective")
    lowest = min(range(last), key=lambda at: (math.isnan(held_out[at]), held_out[at]))
    rise = held_out[-1] - held_out[lowest]
    falls = training[-1] < training[lowest]
    if lowest + 1 > 0.7 * last or rise < max(0.1 * abs(held_out[lowest]), 2 * _roughness(held_out)) or not falls:
        return []
    kept = "" if best > lowest + 1 else " The epoch that was kept is not one of them."
    return [
        Remark(
            "think",
            f"Overfitting since epoch {lowest + 1}",
            f"The held-out cross-entropy has risen from {held_out[lowest]:.3g} to {held_out[-1]:.3g} since then while "
            f"the training objective fell on: it learns the training picks by heart.{kept} Fewer epochs, more picks or "
            "micrographs, loss.l2, model.dropout (resnets) or a smaller network (model.units) help.",
        )
    ]


def _adjusted(epochs: Sequence[Mapping[str, float]], side: str, summary: Mapping[str, Any]) -> list[Remark]:
    value = summary["regions"].get(ADJUSTED_PRECISION)
    highest = value if value is not None else max(_column(epochs, f"{side}_{ADJUSTED_PRECISION}"), default=math.nan)
    if not highest > TOO_GOOD:
        return []
    expected = summary["provenance"].get("expected_particles")
    at_most = "" if not expected else f" At most {expected / highest:.0f} agrees with what was found."
    return [
        Remark(
            "bad",
            "data.expected_particles is too high",
            f"Adjusted precision, what precision would be if all expected particles were labelled, is {highest:.2f}: "
            f"above 1, which cannot be.{at_most}",
        )
    ]


def _bounded(summary: Mapping[str, Any]) -> list[Remark]:
    precision = summary["regions"].get(PRECISION)
    adjusted = summary["regions"].get(ADJUSTED_PRECISION)
    if precision is None or adjusted is None or not adjusted > 0:
        return []
    ceiling = precision / adjusted
    if ceiling > 0.95:
        return []
    return [
        Remark(
            "think",
            "Precision is bounded by particles without a label",
            f"Of the particles that are expected, {100 * ceiling:.0f} % are labelled, so precision cannot exceed about "
            f"{ceiling:.2f}; it is {precision:.2f}. Every unlabelled particle that is found counts as a mistake. "
            "Compare runs on the same data by it; it is no measure of how good the picks are.",
        )
    ]


def _picks(summary: Mapping[str, Any], partial_labels: bool) -> list[Remark]:
    picks = summary["picks"]
    average, recall, precision = picks["pick_average_precision"], picks["pick_recall"], picks["pick_precision"]
    if average is None or recall is None or precision is None:
        return [Remark("bad", "No pick hits a particle", "Look at the picture, and at pickery doctor's.")]
    if average > 0.9:
        return [
            Remark(
                "good",
                "The picks find the particles",
                f"At the threshold of best F1, {100 * recall:.0f} % of the labelled particles are found and "
                f"{100 * precision:.0f} % of the picks are labelled particles.",
            )
        ]
    low = "precision" if precision < recall else "recall"
    why = (
        "many picks are where nobody labelled a particle"
        + (" (they may be right: look at the picture)" if partial_labels else "")
        if low == "precision"
        else "many labelled particles are missed; a lower picking.threshold finds more of them"
    )
    return [
        Remark(
            "think",
            f"Picks: {low} is the weaker half",
            f"At the threshold of best F1 recall is {recall:.2f} and precision {precision:.2f}: {why}.",
        )
    ]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _roughness(curve: Sequence[float]) -> float:
    """Give the usual change from one epoch to the next in the later half, beside its trend: a median."""
    late = [value for value in curve[len(curve) // 2 :] if not math.isnan(value)]
    steps = sorted(b - a for a, b in pairwise(late))
    if not steps:
        return 0.0
    middle = steps[len(steps) // 2]
    return sorted(abs(step - middle) for step in steps)[len(steps) // 2]
