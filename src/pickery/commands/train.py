"""`pickery train`: micrographs and picks in, the best Topaz model, its curves and a tracked run out."""

from __future__ import annotations

import shlex
import signal
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from pickery.atomic import write_text
from pickery.config import rules
from pickery.config.load import resolved
from pickery.config.schema import TrainConfig
from pickery.errors import InputError, PickeryWarning
from pickery.terminal import Terminal
from pickery.tracking import Tracker, open_tracker

if TYPE_CHECKING:
    from pickery.simulation.data_set import DataSet
    from pickery.training.fit import FitResult
    from pickery.training.inputs import TrainingData
    from pickery.training.run_folder import RunFolder


class Terminated(KeyboardInterrupt):
    """The system asked the program to end (SIGTERM)."""


def run(config: TrainConfig) -> None:
    """Train as the settings say, and tell of it.

    Raises
    ------
    InputError
        When something given cannot be used.
    """
    with Terminal() as terminal, _warnings_to(terminal), _terminable():
        for text in rules.warnings(config):
            terminal.log(f"warning: {text}")  # the terminal has had it before the run had a log
        terminal.working("starting")
        train(config, terminal)


def train(config: TrainConfig, terminal: Terminal) -> Path:
    """Train, or find the run finished; gives the run's folder."""
    from pickery.training.choices import pretrained_hash, training_device
    from pickery.training.inputs import gather
    from pickery.training.run_folder import RunFolder, default_folder, identity

    training_device(config)  # what it and the weights lack is said before hours of preparing micrographs
    pretrained = pretrained_hash(config)
    simulated = None
    if config.data.source == "simulated":
        simulated = _simulated(config, terminal)
    data = gather(config, terminal, simulated=simulated)
    decides = identity(config, data.fingerprint, pretrained)
    path = Path(config.run_dir) if config.run_dir is not None else default_folder(config, decides)
    folder = RunFolder.open(path, decides, epochs=config.trainer.epochs, given=config.run_dir is not None)
    try:
        if folder.state == "finished":
            _say_finished(folder.path, folder.epochs_done, config, terminal)
            return folder.path
        terminal.keep_log(folder.path / "log.txt")
        _write_config(config, folder.path)
        _introduce(config, data, folder.path, folder.state, terminal)
        _train(config, data, folder, _tracker(config, folder, terminal), terminal)
        return folder.path
    finally:
        folder.close()


def _train(config: TrainConfig, data: TrainingData, folder: RunFolder, tracker: Tracker, terminal: Terminal) -> None:
    path = folder.path
    try:
        from pickery.training.fit import fit

        if tracker.run_id not in (None, folder.tracked_run):
            folder.tracked_run = tracker.run_id
            folder.write()
        result = fit(config, data, path, tracker, terminal)
    except KeyboardInterrupt:
        terminal.rest()
        terminal.log("interrupted")
        _end(tracker, "KILLED", path)
        raise
    except BaseException as error:
        terminal.rest()
        terminal.log(f"failed: {error}" if isinstance(error, InputError) else traceback.format_exc())
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)  # which of the disks is full
        _end(tracker, "FAILED", path)
        raise
    terminal.rest()
    _summarise(config, result, tracker, terminal)
    _end(tracker, "FINISHED", path)


def _end(tracker: Tracker, status: Any, path: Path) -> None:
    log = path / "log.txt"
    if log.exists():
        tracker.artifacts([log])
    tracker.finish(status)


def _simulated(config: TrainConfig, terminal: Terminal) -> DataSet:
    from pickery.simulation.data_set import cached_data_set
    from pickery.simulation.settings import SimulationSettings

    settings = SimulationSettings(**config.simulation.model_dump())
    return cached_data_set(Path(config.preprocess.store), settings, progress=terminal.simulating)


def _write_config(config: TrainConfig, path: Path) -> None:
    import yaml

    write_text(path / "config.yaml", yaml.safe_dump(resolved(config), sort_keys=False, allow_unicode=True))


def _tracker(config: TrainConfig, folder: Any, terminal: Terminal) -> Tracker:
    settings = config.tracking
    terminal.working("opening the tracking store")
    return open_tracker(
        enabled=settings.enabled,
        root=Path(settings.root),
        uri=settings.uri,
        experiment=settings.experiment,
        run_name=settings.run_name or folder.path.name,
        run_id=folder.tracked_run,
        system_metrics=settings.system_metrics,
        warn=terminal.warn,
    )


def _introduce(config: TrainConfig, data: TrainingData, path: Path, state: str, terminal: Terminal) -> None:
    doing = {"new": "training", "interrupted": "resuming", "longer": "continuing"}[state]
    terminal.head(f"{doing} in {path}")
    unpicked = sum(len(data.points[name]) == 0 for name in data.train)
    terminal.say(
        f"{_count(len(data.train), 'micrograph')} to train on with {_count(data.picks(data.train), 'pick')}"
        + (f" ({unpicked} without any, as unlabeled data)" if unpicked else "")
        + (
            f"; {_count(len(data.test), 'held-out micrograph')} with {_count(data.picks(data.test), 'pick')}"
            if data.test
            else ""
        )
    )
    terminal.say(
        f"model {config.model.architecture} of {config.model.units} units, objective {config.loss.objective}, "
        f"{_count(config.trainer.epochs, 'epoch')} of {_count(config.sampler.epoch_size, 'minibatch', 'minibatches')}"
    )


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _say_finished(path: Path, done: int, config: TrainConfig, terminal: Terminal) -> None:
    import json

    summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    terminal.say(f"this run is finished, with {_count(done, 'epoch')}: nothing to do")
    terminal.say(f"best epoch {summary['best_epoch']}, {summary['monitor']} {summary['monitored']:.3f}")
    terminal.say(f"model      {path / 'model.ckpt'}")
    longer = f"trainer.epochs={done + config.trainer.epochs} would continue it; any other setting makes a new run"
    terminal.say(longer if config.optimizer.schedule == "constant" else "any other setting makes a new run")


def _summarise(config: TrainConfig, result: FitResult, tracker: Tracker, terminal: Terminal) -> None:
    best, regions, picks = result.best, result.finished.regions, result.finished.picks
    where = "held-out" if result.finished.held_out else "training"
    monitor = config.evaluation.monitor
    error = result.finished.summary["picks"]["pick_centre_error_px"]
    at_pick_level = [
        f"  picks      average precision {picks.average_precision:.3f}; at score {picks.threshold:.2f}:",
        f"             precision {picks.precision:.3f}, recall {picks.recall:.3f}, F1 {picks.f1:.3f}, "
        f"centre error {error or 0:.1f} px",
        f"             {result.finished.summary['picks']['note']}",
    ]
    if error is None:
        at_pick_level = ["  picks      none of them hits a particle"]
    lines = [
        f"best epoch {best.number} of {len(result.epochs)}, by {where} {monitor} {best.monitored(monitor):.3f}",
        f"  regions    precision {regions['precision']:.3f}, auprc {regions['auprc']:.3f} (all of the {where} ones)",
        *at_pick_level,
        f"  folder     {result.folder}",
        "             model.ckpt, plots/, metrics.csv, summary.json, log.txt",
    ]
    if tracker.run_id is not None:
        lines.append(f"  tracked    as {tracker.run_id} in experiment {config.tracking.experiment}")
    terminal.head(lines[0])
    for line in lines[1:]:
        terminal.say(line)
    if tracker.run_id is not None:
        told = {"root": "mlruns", "uri": None, "experiment": "pickery"}
        given = {name: getattr(config.tracking, name) for name in told}
        options = [f"tracking.{name}={value}" for name, value in given.items() if value != told[name]]
        terminal.say(f"to compare runs: pickery ui {shlex.join(options)}".rstrip())


@contextmanager
def _warnings_to(terminal: Terminal) -> Iterator[None]:
    """Show the rooms' warnings as lines of the run."""
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        if issubclass(category, PickeryWarning):
            terminal.warn(str(message))
        else:
            shown(message, category, *rest, **named)

    with warnings.catch_warnings():
        warnings.simplefilter("always", PickeryWarning)
        warnings.showwarning = show
        yield


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that a run that is ended by the system is marked so."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not in the main thread: whoever called has the signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
