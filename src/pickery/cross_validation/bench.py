"""Where a cross-validation is worked at: its settings, data, folder and study, the same for all who join."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from pickery.atomic import write_text
from pickery.config.cross_validation import grid_of, training_config, unchanged
from pickery.config.schema import CrossValidateConfig, TrainConfig
from pickery.config.schema.base import as_word
from pickery.cross_validation.grid import FINAL, Grid, Point
from pickery.cross_validation.results.halving import Rung, rungs
from pickery.cross_validation.results.table import Table
from pickery.cross_validation.shelf import Shelf, check_all
from pickery.cross_validation.standings import outcomes
from pickery.cross_validation.study.points import PointStudy
from pickery.cross_validation.study.presence import is_alive, present
from pickery.errors import InputError
from pickery.evaluation.names import METRICS
from pickery.tracking import Tracker, open_tracker, whereabouts
from pickery.training.choices import pretrained_hash, training_device
from pickery.training.inputs import simulated_data
from pickery.training.listener import Listener, Silence
from pickery.training.record import RECORD, UNREADABLE, Record, read_record, write_record
from pickery.training.run import engine_version, tracking_options, write_config
from pickery.training.run_folder import check_given, default_folder, identity, make_folder, of_any_run

LOCK = ".cross_validation.lock"
SUMMARY = "summary.json"
TABLE = "cross_validation.csv"
LEFT = ("model.ckpt", "micrographs.csv", "plots/cross_validation.png", "plots/curves.png")
"""What a finished cross-validation has besides."""


@dataclass
class Bench:
    """A cross-validation, as one process sees it.

    Attributes
    ----------
    config
        All settings.
    grid
        The values and folds.
    path
        The cross-validation's folder.
    shelf
        The data.
    pretrained
        Hash of the weights begun from, if any.
    study
        The points.
    finals
        The final training: a study of its own, so that it too is done once.
    parent
        The tracked run that all trainings are part of.
    finished
        Whether there was nothing left to do when it was set up.
    """

    config: CrossValidateConfig
    grid: Grid
    path: Path
    shelf: Shelf
    pretrained: str | None
    study: PointStudy
    finals: PointStudy
    parent: str | None
    finished: bool = False
    _tracker: Tracker | None = field(default=None, repr=False)

    @property
    def monitor(self) -> str:
        """The metric that ranks the values."""
        return self.config.evaluation.monitor

    @property
    def ladder(self) -> tuple[Rung, ...]:
        """The rungs of halving; without it one, of all values and epochs."""
        epochs = self.config.trainer.epochs
        if self.config.cross_validation.pruning == "halving":
            return rungs(len(self.grid.values), epochs)
        return (Rung(len(self.grid.values), epochs),)

    def training_config(self, point: Point) -> TrainConfig:
        """Give the settings of one training."""
        return training_config(self.config, self.grid, point, str(self.path / self.grid.folder(point)))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the other processes waiting for a moment."""
        with FileLock(self.path / LOCK):
            yield

    def is_alive(self, worker: str) -> bool:
        """Say whether a worker, of this process or another, is alive."""
        return is_alive(self.path, worker)

    def table(self) -> Table:
        """Put together what is known so far."""
        with self.study.in_words():
            found = outcomes(self.grid, self.study.standings())
        return Table(
            self.grid,
            self.monitor,
            unchanged(self.config, self.grid),
            found,
            asked_objective=self.config.loss.objective,
        )

    def final_folder(self, value: int) -> Path:
        """Give the folder of the final training with a value."""
        return self.path / self.grid.folder(Point(0, FINAL, value))

    def missing_of_final(self, value: int) -> list[str]:
        """Name what the final training with a value, once done, should have left and is not there."""
        files = [self.final_folder(value) / name for name in (SUMMARY, "model.ckpt")]
        return [str(file) for file in files if not file.is_file()]

    def summary(self) -> Mapping[str, Any] | None:
        """Read what ``summary.json`` says; None where it is missing or damaged."""
        try:
            found = json.loads((self.path / SUMMARY).read_text(encoding="utf-8"))
            halving = found.get("halving", {"epochs_trained": 0, "epochs_without": 1})
            right = isinstance(found["tracked_run"], str | None) and all(isinstance(n, int) for n in halving.values())
        except (OSError, *UNREADABLE):
            return None
        return found if right else None

    def missing(self) -> list[str]:
        """Name what a finished cross-validation should have left, and is not there or not as it was."""
        table = self.table()
        if table.winner is None:
            return []
        found = self.missing_of_final(table.winner.value)
        found += [str(self.path / name) for name in LEFT if not (self.path / name).is_file()]
        if self.summary() is None:
            found.append(str(self.path / SUMMARY))
        try:
            if (self.path / TABLE).read_text(encoding="utf-8") != table.csv():
                found.append(str(self.path / TABLE))
        except (OSError, ValueError):
            found.append(str(self.path / TABLE))
        return found

    def tracker(self, listener: Listener) -> Tracker:
        """Give the tracked run of the whole; nothing is tracked where there is none."""
        if self._tracker is None:
            self._tracker = Tracker()
            if self.parent is not None:
                options = tracking_options(self.config) | {"system_metrics": False}
                self._tracker = open_tracker(**options, run_name=self.path.name, run_id=self.parent, warn=listener.warn)
        return self._tracker


def set_up(config: CrossValidateConfig, listener: Listener) -> Bench:
    """Check every training, prepare the data, and make the folder and the study or join those that are there.

    Raises
    ------
    InputError
        When any of the trainings cannot be done, or the folder holds something else.
    """
    grid = grid_of(config)
    first = training_config(config, grid, Point(0, FINAL, 0), None)
    training_device(first)
    check_given(config.run_dir)
    engine = engine_version(first)
    pretrained = pretrained_hash(first)
    shelf = Shelf(simulated_data(first, listener))
    fingerprint, settled = check_all(config, grid, shelf, listener)
    decides = identity(settled, fingerprint, pretrained, engine)
    decides |= {
        "trainer.epochs": config.trainer.epochs,
        "cross_validation.parameter": [axis.parameter for axis in grid.axes],
        "cross_validation.values": [list(axis.values) for axis in grid.axes],
        "cross_validation.folds": grid.folds,
        "cross_validation.pruning": config.cross_validation.pruning,
    }
    short = "_x_".join(axis.short for axis in grid.axes)
    if config.run_dir is not None:
        path = Path(config.run_dir)
    else:
        path = default_folder("cross-validate", config, decides, short)
    try:
        make_folder(path, given=config.run_dir is not None, of_a_run=of_any_run)
    except InputError:
        if not (path / RECORD).exists():  # else another process has begun it at this moment
            raise
    if _holds_a_training(path):
        raise InputError(f"run_dir={path} holds a training and no cross-validation: give another folder")
    with FileLock(path / LOCK):
        record = Record()
        if (path / RECORD).exists():
            record = read_record(path, decides)
        else:
            write_record(path, decides, record)
        if not (path / "config.yaml").exists():
            write_config(config, path)
        bench = _open(config, grid, path, shelf, pretrained, record.tracked_run)
        bench.study.enqueue(grid.points())
        if config.cross_validation.retry:
            for point in bench.study.retry_failed():
                listener.say(f"trying again: {grid.name(point)}")
            bench.finals.retry_failed()
        bench.finished = (path / SUMMARY).exists() and bench.table().complete
        if bench.finished and (missing := bench.missing()):
            listener.say(f"it was finished, and is put right: missing or changed is {', '.join(missing)}")
            bench.finished = False
        if not bench.finished:
            (path / SUMMARY).unlink(missing_ok=True)  # failed trainings are tried again
            if config.tracking.enabled:
                _begin_parent(bench, decides, record, listener)
    return bench


def _holds_a_training(path: Path) -> bool:
    try:
        decides = json.loads((path / RECORD).read_text(encoding="utf-8"))["decides"]
        return isinstance(decides, dict) and "cross_validation.folds" not in decides
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged: `read_record` says so
        return False


def join(config: CrossValidateConfig, path: Path, pretrained: str | None, parent: str | None) -> Bench:
    """Join a cross-validation that another process of this machine has set up."""
    grid = grid_of(config)
    first = training_config(config, grid, Point(0, FINAL, 0), None)
    return _open(config, grid, path, Shelf(simulated_data(first, Silence()), looked=True), pretrained, parent)


def _open(
    config: CrossValidateConfig, grid: Grid, path: Path, shelf: Shelf, pretrained: str | None, parent: str | None
) -> Bench:
    better, storage = METRICS[config.evaluation.monitor].better, config.cross_validation.storage
    name = "pickery" if storage is None else f"pickery {path.name} {_mark(path)}"
    return Bench(
        config=config,
        grid=grid,
        path=path,
        shelf=shelf,
        pretrained=pretrained,
        study=PointStudy.open(path, grid, name=name, storage=storage, better=better),
        finals=PointStudy.open(path, grid, name=f"{name} final", storage=storage, better=better),
        parent=parent,
    )


def _mark(path: Path) -> str:
    """Give what tells this folder's study from others in a database: another folder may have the same name."""
    file = path / ".study"
    if not file.exists():
        write_text(file, secrets.token_hex(4))
    return file.read_text()


def _begin_parent(bench: Bench, decides: dict[str, Any], record: Record, listener: Listener) -> None:
    """Begin the tracked run of the whole, or go on with it."""
    config = bench.config
    tracker = open_tracker(
        **(tracking_options(config) | {"system_metrics": False}),
        run_name=config.tracking.run_name or bench.path.name,
        run_id=bench.parent,
        key=record.tracking_key,
        warn=listener.warn,
    )
    bench._tracker = tracker
    try:
        _introduce(bench, tracker, decides, record)
    except KeyboardInterrupt:
        if not present(bench.path):  # else others go on
            tracker.finish("KILLED")
        raise


def _introduce(bench: Bench, tracker: Tracker, decides: dict[str, Any], record: Record) -> None:
    """Write down the tracked run of the whole, and tell it what it is."""
    from pickery.config.load import flat

    config, grid = bench.config, bench.grid
    if tracker.run_id not in (None, bench.parent):
        bench.parent = tracker.run_id
        write_record(bench.path, decides, replace(record, tracked_run=bench.parent))
        write_config(config, bench.path)  # both speak of this process's folder
    # again and again: whoever began it may have been killed before this; what is known stays as it is
    # what is varied has no one value
    varied = {axis.parameter: ", ".join(map(as_word, axis.values)) for axis in grid.axes}
    tracker.parameters(flat(config) | varied)
    tracker.tags(
        {
            "mlflow.source.name": "pickery cross-validate",
            "mlflow.source.type": "LOCAL",
            "cross_validation.parameter": ", ".join(axis.parameter for axis in grid.axes),
            "data_fingerprint": str(decides["data"]),
            "began_in": str(Path.cwd()),
        }
        | whereabouts(bench.path)
    )
    tracker.artifacts([bench.path / "config.yaml"])
