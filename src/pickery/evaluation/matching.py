"""Picks against labelled particles: one-to-one matching, and the pick-level metrics built on it.

Coordinates are (x, y) in any one unit (regions or full-size pixels); radius and errors are in the same unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import KDTree

from pickery.evaluation.metrics import PrecisionRecallCurve, precision_recall_curve


@dataclass(frozen=True, slots=True)
class MicrographPickMetrics:
    """How the picks of one micrograph fared at the threshold of the whole set; nan where nothing was counted."""

    name: str
    hits: int
    misses: int
    extras: int
    precision: float
    recall: float
    f1: float
    centre_error_px: float


@dataclass(frozen=True, slots=True, eq=False)
class PickMetrics:
    """Pick-level metrics over a set of micrographs; see `pick_metrics`.

    Attributes
    ----------
    threshold : float
        The lowest score that counts as a pick. nan where no pick hits a target, so that no threshold is best.
    precision, recall, f1 : float
        At `threshold`.
    average_precision : float
        Over all thresholds.
    centre_error_px : float
        Mean distance from a hit to its target, in the unit of the coordinates given (pixels of the full-size micrograph
        or regions); nan without hits.
    hits, misses, extras : int
        At `threshold`: picks with a target, targets without a pick, picks without a target.
    targets, candidates : int
        Labelled particles; picks of any score.
    radius : float
        The matching radius, in the unit of the coordinates.
    curve : PrecisionRecallCurve
        Pooled over the micrographs.
    micrographs : tuple of MicrographPickMetrics
        One for each micrograph, in the order given.
    assignments : tuple of (n,) int64
        For each micrograph the index of each candidate's target, or -1 (see `match`).
    """

    threshold: float
    precision: float
    recall: float
    f1: float
    average_precision: float
    centre_error_px: float
    hits: int
    misses: int
    extras: int
    targets: int
    candidates: int
    radius: float
    curve: PrecisionRecallCurve
    micrographs: tuple[MicrographPickMetrics, ...]
    assignments: tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, slots=True, eq=False)
class PickOutcome:
    """Where the picks of one micrograph hit, missed, and found what no label shows; see `pick_outcome`.

    Attributes
    ----------
    hits, extras : (n, 2) float64
        Picks with and without a target.
    misses : (n, 2) float64
        Targets without a pick.
    """

    hits: NDArray[np.float64]
    misses: NDArray[np.float64]
    extras: NDArray[np.float64]


def match(predictions: ArrayLike, targets: ArrayLike, radius: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """One-to-one matching of picks to targets.

    The assignment whose total cost Σ min(0, d² - radius²) is lowest, keeping only pairs of negative cost: every pair is
    closer than `radius`, and no other pairing has more closeness in all. Scores play no part.

    Parameters
    ----------
    predictions : (n, 2)
    targets : (m, 2)
        x, y in the same unit.
    radius
        In that unit; a distance of exactly `radius` does not match.

    Returns
    -------
    assignment : (n,) int64
        Index of each prediction's target, -1 where it has none.
    distance : (n,) float64
        To that target; nan where there is none.
    """
    picks, wanted = _points(predictions), _points(targets)
    assignment = np.full(len(picks), -1, dtype=np.int64)
    distance = np.full(len(picks), np.nan)
    if len(picks) == 0 or len(wanted) == 0:
        return assignment, distance
    near = KDTree(wanted).sparse_distance_matrix(KDTree(picks), radius, output_type="ndarray")
    target, pick = near["i"], near["j"]
    squared = np.sum((picks[pick] - wanted[target]) ** 2, axis=1)
    closer = squared < radius**2
    target, pick, squared = target[closer], pick[closer], squared[closer]
    if len(target) == 0:
        return assignment, distance

    # Only targets and picks with a neighbour take part. Each target may also stay alone, at cost 0, by taking a column
    # of its own, so that a full matching of the targets exists. A constant added to all costs changes nothing, as
    # each target takes exactly one column, and keeps them from 0, which a sparse array would lose.
    target_ids, row = np.unique(target, return_inverse=True)
    pick_ids, column = np.unique(pick, return_inverse=True)
    alone = np.arange(len(target_ids))
    offset = radius**2
    cost = coo_array(
        (
            np.concatenate([squared / offset + 1.0, np.full(len(alone), 2.0)]),  # (d² - r²) / r² + 2, and 0 + 2
            (
                # 32 bits: scipy's matching takes no wider indices, and older versions do not narrow them
                np.concatenate([row, alone]).astype(np.int32),
                np.concatenate([column, len(pick_ids) + alone]).astype(np.int32),
            ),
        ),
        shape=(len(target_ids), len(pick_ids) + len(alone)),
    ).tocsr()
    matched_row, matched_column = min_weight_full_bipartite_matching(cost)
    real = matched_column < len(pick_ids)
    hit = pick_ids[matched_column[real]]
    assignment[hit] = target_ids[matched_row[real]]
    distance[hit] = np.linalg.norm(picks[hit] - wanted[assignment[hit]], axis=1)
    return assignment, distance


def pick_metrics(
    predictions: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    targets: Sequence[ArrayLike],
    *,
    radius: float,
    threshold: float | None = None,
    names: Sequence[str] | None = None,
) -> PickMetrics:
    """Pick-level metrics of scored picks against labelled particles, pooled over micrographs.

    All candidates of a micrograph are matched to its targets once, whatever their scores (`match`). A candidate with a
    target is a hit at any threshold at or below its score. Hence at a threshold t, over all micrographs together:
    precision = hits(t) / candidates(t), recall = hits(t) / targets, F1 their harmonic mean; average precision = the
    sum over thresholds of precision times the gain in recall, equal scores in one bucket. Recall counts every target,
    also those that no candidate comes near, so average precision is at most the share of targets within reach.

    Labels are partial in practice: a true particle that nobody labelled counts as an extra. Precision, F1 and average
    precision are therefore lower bounds; say so wherever they are shown.

    Parameters
    ----------
    predictions, scores, targets
        One (n, 2), (n,) and (m, 2) array for each micrograph; x, y all in one unit.
    radius
        Matching radius in that unit.
    threshold
        Take precision, recall, F1, counts and centre error at this score. Default: where F1 is highest (the higher
        threshold of two equally good).
    names
        Of the micrographs, for their rows. Default: their numbers from 0.

    Returns
    -------
    PickMetrics
        nan: recall and average precision without any target; precision without any pick at the threshold; F1 where
        there is neither; threshold and centre error without any hit.
    """
    assert len(predictions) == len(scores) == len(targets), "one entry of each for every micrograph"
    if names is None:
        names = [str(number) for number in range(len(predictions))]
    all_scores = [np.asarray(score).ravel() for score in scores]
    matched = [match(found, wanted, radius) for found, wanted in zip(predictions, targets, strict=True)]
    wanted_counts = [len(_points(wanted)) for wanted in targets]
    curve = precision_recall_curve(
        np.concatenate([*all_scores, np.zeros(0, np.float32)]),
        np.concatenate([*(assignment >= 0 for assignment, _ in matched), np.zeros(0, bool)]),
        positives=sum(wanted_counts),
    )
    if threshold is None:
        best_f1 = float(curve.f1.max(initial=0.0))
        # a nan (no target at all) fails the comparison, as a best F1 of 0 does
        threshold = float(curve.threshold[np.argmax(curve.f1)]) if best_f1 > 0 else float("nan")

    rows = []
    distances = []
    for name, score, (assignment, distance), wanted_count in zip(
        names, all_scores, matched, wanted_counts, strict=True
    ):
        assert len(score) == len(assignment), f"{len(score)} scores for {len(assignment)} picks of {name}"
        picked = score >= threshold
        hit = picked & (assignment >= 0)
        rows.append(_row(name, int(hit.sum()), int(picked.sum()), wanted_count, distance[hit]))
        distances.append(distance[hit])
    hits = sum(row.hits for row in rows)
    extras = sum(row.extras for row in rows)
    total = _row("", hits, hits + extras, sum(wanted_counts), np.concatenate([*distances, np.zeros(0)]))
    return PickMetrics(
        threshold=threshold,
        precision=total.precision,
        recall=total.recall,
        f1=total.f1,
        average_precision=curve.average_precision if sum(wanted_counts) else float("nan"),
        centre_error_px=total.centre_error_px,
        hits=hits,
        misses=total.misses,
        extras=extras,
        targets=sum(wanted_counts),
        candidates=sum(len(score) for score in all_scores),
        radius=radius,
        curve=curve,
        micrographs=tuple(rows),
        assignments=tuple(assignment for assignment, _ in matched),
    )


def pick_outcome(
    predictions: ArrayLike, scores: ArrayLike, targets: ArrayLike, assignment: ArrayLike, *, threshold: float
) -> PickOutcome:
    """Sort one micrograph's picks at or above a threshold, and its targets, into hits, misses and extras.

    Parameters
    ----------
    predictions : (n, 2)
    scores : (n,)
    targets : (m, 2)
    assignment : (n,)
        From `match` or `PickMetrics.assignments`.
    threshold
        The lowest score that counts as a pick; nan: none does.
    """
    found, wanted, target = _points(predictions), _points(targets), np.asarray(assignment)
    picked = np.asarray(scores) >= threshold
    hit = picked & (target >= 0)
    missed = np.ones(len(wanted), dtype=bool)
    missed[target[hit]] = False
    return PickOutcome(hits=found[hit], misses=wanted[missed], extras=found[picked & (target < 0)])


def _row(name: str, hits: int, picked: int, targets: int, distance: NDArray[np.float64]) -> MicrographPickMetrics:
    nan = float("nan")
    return MicrographPickMetrics(
        name=name,
        hits=hits,
        misses=targets - hits,
        extras=picked - hits,
        precision=hits / picked if picked else nan,
        recall=hits / targets if targets else nan,
        f1=2 * hits / (picked + targets) if picked + targets else nan,
        centre_error_px=float(distance.mean()) if len(distance) else nan,
    )


def _points(points: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(points, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, 2))
    assert array.ndim == 2, f"points are (n, 2), not {array.shape}"
    assert array.shape[1] == 2, f"points are (n, 2), not {array.shape}"
    return array
