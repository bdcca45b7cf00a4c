"""What is said of a training at its beginning and at its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pickery.config.schema import TrainConfig
from pickery.training.division import TrainingData
from pickery.training.listener import Listener
from pickery.training.run_folder import State

if TYPE_CHECKING:
    from pickery.training.finish import Finished
    from pickery.training.fit import FitResult


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number of things: 1 pick, 1,627 picks."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def introduce(config: TrainConfig, data: TrainingData, path: Path, state: State, listener: Listener) -> None:
    """Say what is about to be trained, and where."""
    doing = {"new": "training", "interrupted": "resuming", "longer": "continuing"}[state]
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
    listener.say(longer if config.optimizer.schedule == "constant" else "any other setting makes a new run")


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
        for line in figures(result.finished):
            listener.say(line)
    listener.say(f"  folder     {result.folder}")
    if result.finished is not None:
        listener.say("             model.ckpt, plots/, metrics.csv, summary.json, log.txt")
    if tracked_run is not None:
        listener.say(f"  tracked    as {tracked_run} in experiment {config.tracking.experiment}")


def figures(finished: Finished) -> list[str]:
    """Say the best epoch's figures over all regions and at pick level."""
    where = "held-out" if finished.held_out else "training"
    regions, picks, said = finished.regions, finished.picks, finished.summary["picks"]
    lines = [
        f"  regions    precision {regions['precision']:.3f}, auprc {regions['auprc']:.3f} (all of the {where} ones)"
    ]
    error = said["pick_centre_error_px"]
    if error is None:
        return [*lines, "  picks      none of them hits a particle"]
    return [
        *lines,
        f"  picks      average precision {picks.average_precision:.3f}; at score {picks.threshold:.2f}:",
        f"             precision {picks.precision:.3f}, recall {picks.recall:.3f}, F1 {picks.f1:.3f}, "
        f"centre error {error or 0:.1f} px",
        f"             {said['note']}",
    ]
