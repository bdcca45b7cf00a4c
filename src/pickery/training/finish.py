"""The end of a run: the best epoch scored on all regions and at pick level, plots, summary, the finished model file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pickery.atomic import write_text
from pickery.config.schema import TrainConfig
from pickery.data.datamodule import LabelledMicrographs
from pickery.errors import InputError, RunFolderError
from pickery.evaluation.matching import PickMetrics, pick_outcome
from pickery.evaluation.names import AUPRC, PRECISION
from pickery.loss.prior import ObjectiveChoice
from pickery.model.weights import load_model, save_model
from pickery.plots.curves import plot_metrics, plot_precision
from pickery.plots.picks import plot_picks
from pickery.plots.precision_recall import plot_precision_recall
from pickery.plots.style import save_figure
from pickery.tracking import Tracker
from pickery.training.common import track_finished
from pickery.training.division import TrainingData
from pickery.training.held_out import HeldOutEvaluation, PickLevel, evaluate
from pickery.training.history import Epoch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEATS_CHANCE = 2.0
"""Times the area of random scores below which a network has learned next to nothing."""
WORTH_A_WORST = 3
"""Judged micrographs from which the worst is shown beside the median one."""


@dataclass(frozen=True)
class Finished:
    """The best epoch, looked at closely.

    Attributes
    ----------
    regions
        Region-level figures over all regions, by metric name.
    picks
        Pick-level figures.
    held_out
        Whether they are of held-out micrographs; False: of the training micrographs, for want of others.
    summary
        What ``summary.json`` says.
    """

    regions: Mapping[str, float]
    picks: PickMetrics
    held_out: bool
    summary: Mapping[str, Any]


def finish_run(
    folder: Path,
    *,
    config: TrainConfig,
    data: TrainingData,
    epochs: Sequence[Epoch],
    best: Epoch,
    picks: PickLevel,
    pi: float,
    choice: ObjectiveChoice,
    provenance: Mapping[str, Any],
    tracker: Tracker,
    device: torch.device,
) -> Finished:
    """Score the best model on all regions, write what the run's folder still lacks, and track it.

    ``summary.json`` is written last: its presence says that the run is finished, and tracked as far as it can be.
    """
    path = folder / "model.ckpt"
    try:
        model, stored = load_model(path)
    except InputError as error:
        again = f"Remove {folder / 'last.ckpt'}, and the same command trains this run again."
        raise RunFolderError(f"{error} {again}") from error
    if (held := stored["metrics"].get("epoch")) != best.number:
        # killed between the model and the checkpoint, then gone on with on a machine of other last digits
        raise RunFolderError(
            f"{path} holds the network of epoch {held}, and epoch {best.number} was the best. "
            f"Remove {folder / 'last.ckpt'}, and the same command trains this run again."
        )
    model.eval().to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs know this of tensors only

    micrographs = data.labelled(data.test or data.train)
    names, points = micrographs.names, micrographs.points
    judged = HeldOutEvaluation(
        names=names, points=points, stride=1, pi=pi, picks=picks, mask=micrographs.mask, folder=folder
    )
    indices = range(len(names))
    regions = evaluate(model, judged, map(micrographs.image, indices), map(micrographs.labels, indices))
    found = judged.pick_metrics
    assert found is not None
    chance = chance_of(epochs, regions, micrographs.regions().observed)
    summary = _summary(config, data, epochs, best, regions, found, choice, provenance, tracker) | {"chance": chance}
    save_model(
        path,
        model,
        preprocess=stored["preprocess"],
        picking=stored["picking"]
        | {"threshold_best_f1": found.threshold, "score_threshold": picks.score_threshold, "radius": data.radius},
        metrics=stored["metrics"] | {name: value for name, value in regions.items() if value == value},
        provenance=stored["provenance"],
    )
    _plots(folder / "plots", config, data, epochs, best, found, judged, micrographs)
    write_micrographs(folder / "micrographs.csv", data)

    track_finished(tracker, folder, config, summary)
    write_text(folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    tracker.artifacts([folder / "summary.json"])
    return Finished(regions, found, bool(data.test), summary)


def chance_of(epochs: Sequence[Epoch], regions: Mapping[str, float], labelled: float) -> dict[str, Any]:
    """Hold the area under the precision-recall curve against that of scores which tell nothing.

    Parameters
    ----------
    epochs
        All of them: one that was good counts, even if it was not the best by what was monitored.
    regions
        Figures of the best epoch over all regions.
    labelled
        Share of the regions that are labelled as positive, which is the area that random scores have.

    Returns
    -------
    dict
        ``auprc``, that of chance, and ``beaten``: whether any epoch had at least `BEATS_CHANCE` times as much.
    """
    areas = [(epoch.test or {}).get(AUPRC, float("nan")) for epoch in epochs] + [regions[AUPRC]]
    highest = max((area for area in areas if area == area), default=0.0)
    return {AUPRC: labelled, "beaten": highest >= BEATS_CHANCE * labelled}


def _summary(
    config: TrainConfig,
    data: TrainingData,
    epochs: Sequence[Epoch],
    best: Epoch,
    regions: Mapping[str, float],
    found: PickMetrics,
    choice: ObjectiveChoice,
    provenance: Mapping[str, Any],
    tracker: Tracker,
) -> dict[str, Any]:
    scale = float(np.mean([data.prepared.scale(i) for i in range(len(data.prepared))]))
    error_px = found.centre_error_px * scale
    pixel = data.pixel_size_angstrom
    return {
        "epochs": len(epochs),
        "steps": epochs[-1].step,
        "best_epoch": best.number,
        "monitor": config.evaluation.monitor,
        "monitored": _number(best.monitored(config.evaluation.monitor)),
        "evaluated_on": "held-out micrographs" if data.test else "training micrographs (nothing was held out)",
        "regions": {name: _number(value) for name, value in regions.items()},
        "picks": {
            "pick_average_precision": _number(found.average_precision),
            "pick_f1": _number(found.f1),
            "pick_threshold": _number(found.threshold),
            "pick_precision": _number(found.precision),
            "pick_recall": _number(found.recall),
            "pick_centre_error_px": _number(error_px),
            "pick_centre_error_angstrom": _number(error_px * pixel) if pixel else None,
            "hits": found.hits,
            "misses": found.misses,
            "extras": found.extras,
            "note": "labels may be partial: precision and what follows are lower bounds"
            if data.partial_labels
            else "all particles are known",
        },
        "objective": {
            "asked": choice.asked,
            "used": choice.used,
            "pi": choice.pi,
            "observed": choice.observed,
            "pi_given_to_the_objective": choice.objective_pi,
            "warning": choice.warning,
        },
        "data": {
            "training_micrographs": len(data.train),
            "test_micrographs": len(data.test),
            "skipped_micrographs": len(data.skipped),
            "training_picks": data.picks(data.train),
            "test_picks": data.picks(data.test),
            "unpicked_training_micrographs": sum(len(data.points[name]) == 0 for name in data.train),
            "training_negatives": data.negative_count(data.train),
            "training_masked_fraction": data.masked_fraction(data.train),
            "test_masked_fraction": data.masked_fraction(data.test),
        },
        "tracked_run": tracker.run_id,
        "provenance": dict(provenance),
    }


def _number(value: float) -> float | None:
    """JSON has no nan."""
    return float(value) if value == value else None


def _plots(
    folder: Path,
    config: TrainConfig,
    data: TrainingData,
    epochs: Sequence[Epoch],
    best: Epoch,
    found: PickMetrics,
    judged: HeldOutEvaluation,
    micrographs: LabelledMicrographs,
) -> list[Path]:
    numbers = [epoch.number for epoch in epochs]
    train = {name: [epoch.train.get(name, float("nan")) for epoch in epochs] for name in epochs[-1].train}
    last_test = epochs[-1].test
    test = None
    if last_test is not None:
        test = {name: [(epoch.test or {}).get(name, float("nan")) for epoch in epochs] for name in last_test}
    precision = plot_precision(
        numbers,
        train[PRECISION],
        None if test is None else test[PRECISION],
        best_epoch=best.number,
        monitor=config.evaluation.monitor,
    )
    curve = plot_precision_recall(
        found.curve,
        average_precision=found.average_precision,
        threshold=found.threshold,
        partial_labels=data.partial_labels,
    )
    # the micrograph with the median number of picks is a fair example
    order = np.argsort([len(xy) for xy in micrographs.points], kind="stable")
    shown = {"picks": int(order[len(order) // 2])}
    if len(micrographs) >= WORTH_A_WORST:
        worst = _worst(found, judged, micrographs)
        shown |= {} if worst == shown["picks"] else {"picks_worst": worst}
    figures = {
        "precision": precision,
        "metrics": plot_metrics(numbers, train, test, best_epoch=best.number),
        "precision_recall": curve,
    } | {name: _picture(index, data, found, judged, micrographs) for name, index in shown.items()}
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        save_figure(figure, paths[-1])
    return paths


def _worst(found: PickMetrics, judged: HeldOutEvaluation, micrographs: LabelledMicrographs) -> int:
    """Give the micrograph on which picks and labels agree least, by F1 at the threshold of all."""
    agreement = []
    for index, points in enumerate(micrographs.points):
        candidates = judged.candidates[index]
        assigned = found.assignments[index]
        outcome = pick_outcome(candidates.points, candidates.scores, points, assigned, threshold=found.threshold)
        hits, wrong = len(outcome.hits), len(outcome.misses) + len(outcome.extras)
        # without a label there is nothing to disagree with
        agreement.append(2 * hits / (2 * hits + wrong) if len(points) else 1.0)
    return int(np.argmin(agreement))


def _picture(
    shown: int,
    data: TrainingData,
    found: PickMetrics,
    judged: HeldOutEvaluation,
    micrographs: LabelledMicrographs,
) -> Figure:
    candidates = judged.candidates[shown]
    outcome = pick_outcome(
        candidates.points,
        candidates.scores,
        micrographs.points[shown],
        found.assignments[shown],
        threshold=found.threshold,
    )
    pixel = data.pixel_size_angstrom
    scale = data.prepared.select([micrographs.names[shown]]).scale(0)
    assert judged.picks is not None
    return plot_picks(
        micrographs.image(shown),
        hits=outcome.hits,
        misses=outcome.misses,
        extras=outcome.extras,
        radius=judged.picks.extraction_radius,
        title=f"{micrographs.names[shown]} ({'held out' if data.test else 'trained on'})",
        pixel_size_angstrom=None if pixel is None else pixel * scale[1],
        left_out=micrographs.mask(shown),
    )


def write_micrographs(path: Path, data: TrainingData) -> None:
    """Write ``micrographs.csv``: every micrograph, what it served for, and where its prepared pixels are."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "path", "set", "reason", "picks", "prepared", "negatives", "masked_fraction"])
    sides = dict.fromkeys(data.train, "train") | dict.fromkeys(data.test, "test")
    for name, file in data.files.items():
        side = sides.get(name, "skipped")
        prepared = "" if side == "skipped" else str(data.prepared.directory)
        picks = len(data.points[name]) if name in data.points else 0
        masked = 0.0 if side == "skipped" else data.masked_fraction([name])
        row = [name, file.path, side, data.skipped.get(name, ""), picks, prepared]
        writer.writerow([*row, data.negative_count([name]), f"{masked:.4g}"])
    write_text(path, text.getvalue())
