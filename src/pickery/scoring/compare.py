"""Figures of picks against the truth: the pick-level metrics, where hits sit beside their particles, and doubts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickery.evaluation.matching import PickMetrics, match, pick_metrics
from pickery.scoring.sides import Sides

# what a table of shrunk micrographs is usually shrunk by
FACTORS = (2.0, 4.0, 8.0, 16.0, 0.5, 0.25, 0.125, 0.0625)
MOST_TRIED = 40


@dataclass(frozen=True, eq=False)
class Comparison:
    """Picks held against the truth.

    Attributes
    ----------
    metrics
        At the threshold that was given, or where F1 is best; lengths in full-size pixels. Picks without scores all
        count, and have no threshold, average precision or curve.
    best_f1, best_threshold
        Where F1 is best, whatever threshold was given; nan where there is none.
    offsets : (n, 2)
        x, y from the particle to the pick, of each hit at the threshold.
    hit_scores, extra_scores
        Of all candidates, whatever the threshold.
    remarks
        What makes one doubt that picks and truth are of the same coordinates, in sentences.
    """

    metrics: PickMetrics
    best_f1: float
    best_threshold: float
    offsets: NDArray[np.float64]
    hit_scores: NDArray[np.float64]
    extra_scores: NDArray[np.float64]
    remarks: tuple[str, ...]


def compare(sides: Sides, *, radius: float, threshold: float | None = None) -> Comparison:
    """Hold picks against the truth.

    Parameters
    ----------
    sides
    radius
        Within which a pick finds a particle, full-size pixels.
    threshold
        The lowest score that counts; default: where F1 is best, all picks where they are not ranked.
    """
    found = [sides.picks[name] for name in sides.names]
    wanted = [sides.truth[name] for name in sides.names]
    scores = [sides.scores[name] if sides.ranked else np.zeros(len(sides.scores[name])) for name in sides.names]
    metrics = pick_metrics(
        found, scores, wanted, radius=radius, threshold=threshold if sides.ranked else 0.0, names=sides.names
    )
    f1 = metrics.curve.f1
    best = int(np.argmax(f1)) if len(f1) and f1.max() > 0 else None
    offsets, hits, extras = [np.zeros((0, 2))], [np.zeros(0)], [np.zeros(0)]
    for xy, score, target, assignment in zip(found, scores, wanted, metrics.assignments, strict=True):
        hit = assignment >= 0
        counted = hit & (score >= metrics.threshold)
        offsets.append(xy[counted] - target[assignment[counted]])
        hits.append(score[hit])
        extras.append(score[~hit])
    beside = np.concatenate(offsets)
    return Comparison(
        metrics=metrics,
        best_f1=float("nan") if best is None else float(f1[best]),
        best_threshold=float("nan") if best is None or not sides.ranked else float(metrics.curve.threshold[best]),
        offsets=beside,
        hit_scores=np.concatenate(hits),
        extra_scores=np.concatenate(extras),
        remarks=tuple(filter(None, (_shift(beside, radius), _other_coordinates(sides, radius, metrics)))),
    )


def _shift(offsets: NDArray[np.float64], radius: float) -> str:
    """Say that hits lie to one side of their particles, where chance does not explain it and it matters."""
    if len(offsets) < 10:
        return ""
    x, y = offsets.mean(axis=0)
    error = float(np.hypot(*(offsets.std(axis=0) / np.sqrt(len(offsets)))))
    length = float(np.hypot(x, y))
    if length <= max(4 * error, 0.1 * radius):
        return ""
    return (
        f"the picks lie ({x:+.1f}, {y:+.1f}) px beside their particles on average, x and y: a shift of one of the two "
        "files, a coordinate scale that is a little off, or a model that does not centre its picks well"
    )


def _other_coordinates(sides: Sides, radius: float, metrics: PickMetrics) -> str:
    """Say which scale or flip of the picks would find far more particles, where hardly any are found."""
    hits = sum(int(np.count_nonzero(assignment >= 0)) for assignment in metrics.assignments)
    if metrics.targets == 0 or hits > 0.2 * metrics.targets:
        return ""
    both = [name for name in sides.names if len(sides.truth[name]) and len(sides.picks[name])][:MOST_TRIED]
    if not both:
        return ""
    now = _hits(sides, both, radius, 1.0, False)
    tried = {
        (factor, flip): _hits(sides, both, radius, factor, flip)
        for factor in (1.0, *FACTORS)
        for flip in (False, True)
        if (factor, flip) != (1.0, False) and not (flip and any(name not in sides.shapes for name in both))
    }
    if not tried:
        return ""
    (factor, flip), most = max(tried.items(), key=lambda item: item[1])
    particles = sum(len(sides.truth[name]) for name in both)
    if most < max(3 * now, 0.3 * particles):
        return ""
    how = [f"coordinates times {factor:g} (score.coordinate_scale)"] if factor != 1 else []
    how += ["y turned about (score.flip_y)"] if flip else []
    return (
        f"only {now:,} of {particles:,} particles have a pick within {radius:g} px, and {most:,} would with "
        f"{' and '.join(how)}"
    )


def _hits(sides: Sides, names: list[str], radius: float, factor: float, flip: bool) -> int:
    total = 0
    for name in names:
        xy = sides.picks[name] * factor
        if flip:
            xy[:, 1] = sides.shapes[name][0] - 1 - xy[:, 1]
        total += int(np.count_nonzero(match(xy, sides.truth[name], radius)[0] >= 0))
    return total
