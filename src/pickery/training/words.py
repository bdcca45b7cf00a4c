"""What is said of a training at its beginning and at its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pickery.config.schema import TrainConfig
from pickery.evaluation.names import AUPRC
from pickery.training.division import TrainingData
from pickery.training.listener import Listener
from pickery.training.run_folder import State

if TYPE_CHECKING:
    from pickery.training.common import FitResult


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number of things: 1 pick, 1,627 picks."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def introduce(config: TrainConfig, data: TrainingData, path: Path, state: State, listener: Listener) -> None:
    """Say what is about to be trained, and where."""
    doing = {"new": "training", "interrupted": "resuming", "longer": "continuing"}[state]
    if config.engine.name == "topaz" and state == "interrupted":
        doing = "Topaz cannot go on where it stopped: training from the beginning again"
    listener.head(f"{doing} in {path}")
    unpicked = sum(len(data.points[name]) == 0 for name in data.train)
    listener.say(
        f"{count(len(data.train), 'micrograph')} to train on with {count(data.picks(data.train), 'pick')}"
        + (f" ({unpicked} without any, as unlabeled data)" if unpicked else "")
        + (
            f"; {count(len(data.test), 'held-out micrograph')} with {count(data.picks(data.test), 'pick')}"
            if data.test
            else ""
        )
    )
    if data.negatives:
        beside = data.negative_count(data.test)
        listener.say(
            f"{count(data.negative_count(data.train), 'known negative')} on the training micrographs"
            + (f" (and {beside:,} on held-out ones, not used)" if beside else "")
        )
    if data.masked:
        used = (*data.train, *data.test)
        listener.say(
            f"masks leave out {100 * data.masked_fraction(used):.3g} % of the area, on "
            f"{sum(name in data.masked for name in used)} of {count(len(used), 'micrograph')}"
        )
    for text in data.remarks:
        listener.say(text)
    listener.say(
        f"model {config.model.architecture} of {config.model.units} units, objective {config.loss.objective}, "
        f"{count(config.trainer.epochs, 'epoch')} of {count(config.sampler.epoch_size, 'minibatch', 'minibatches')}"
    )


def say_finished(path: Path, done: int, config: TrainConfig, listener: Listener) -> None:
    """Say that there is nothing to do, and what would be."""
    summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    listener.say(f"this run is finished, with {count(done, 'epoch')}: nothing to do")
    listener.say(f"best epoch {summary['best_epoch']}, {summary['monitor']} {summary['monitored']:.3f}")
    listener.say(f"model      {path / 'model.ckpt'}")
    longer = f"trainer.epochs={done + config.trainer.epochs} would continue it; any other setting makes a new run"
    goes_on = config.optimizer.schedule == "constant" and config.engine.name == "native"
    listener.say(longer if goes_on else "any other setting makes a new run")


def summarise(config: TrainConfig, result: FitResult, tracked_run: str | None, listener: Listener) -> None:
    """Say what a training gave."""
    best = result.best
    monitor = config.evaluation.monitor
    where = "training" if best.test is None else "held-out"
    listener.head(
        f"best epoch {best.number} of {len(result.epochs)}, by {where} {monitor} {best.monitored(monitor):.3f}"
    )
    if result.finished is None:
        listener.say(f"  stopped    after epoch {len(result.epochs)} of {config.trainer.epochs}")
    else:
        for line in figures(result.finished.summary):
            listener.say(line)
    listener.say(f"  folder     {result.folder}")
    if result.finished is not None:
        listener.say("             model.ckpt, plots/, metrics.csv, summary.json, log.txt")
    if result.finished is not None and not result.finished.summary["chance"]["beaten"]:
        area, chance = result.finished.regions[AUPRC], result.finished.summary["chance"][AUPRC]
        listener.warn(
            f"it has learned next to nothing: its area under the precision-recall curve is {area:.3g}, and random "
            f"scores have {chance:.2g}. Look whether the picks sit on particles (pickery doctor with the same data), "
            "then try more epochs or another optimizer.learning_rate"
        )
    if tracked_run is not None:
        listener.say(f"  tracked    as {tracked_run} in experiment {config.tracking.experiment}")


def figures(summary: Mapping[str, Any]) -> list[str]:
    """Say the best epoch's figures over all regions and at pick level, as ``summary.json`` has them."""
    regions, picks = summary["regions"], summary["picks"]
    where = str(summary["evaluated_on"]).partition(" ")[0]
    lines = [
        f"  regions    precision {_f(regions['precision'])}, auprc {_f(regions['auprc'])} (all of the {where} ones)"
    ]
    if picks["pick_centre_error_px"] is None:
        return [*lines, "  picks      none of them hits a particle"]
    return [
        *lines,
        f"  picks      average precision {_f(picks['pick_average_precision'])}; "
        f"at score {picks['pick_threshold']:.2f}:",
        f"             precision {_f(picks['pick_precision'])}, recall {_f(picks['pick_recall'])}, "
        f"F1 {_f(picks['pick_f1'])}, centre error {picks['pick_centre_error_px']:.1f} px",
        f"             {picks['note']}",
    ]


def _f(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
