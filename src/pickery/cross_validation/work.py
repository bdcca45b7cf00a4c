"""What a worker does: take a point, train it, tell the study, until nothing is left for anybody."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import Timeout

from pickery.cross_validation.bench import Bench
from pickery.cross_validation.conclude import summary_of
from pickery.cross_validation.grid import FINAL, Point
from pickery.cross_validation.results.halving import survivors
from pickery.cross_validation.study.points import Claim, PointStudy, Standing
from pickery.cross_validation.study.presence import SILENT_S, Presence
from pickery.cross_validation.watch import Watch
from pickery.errors import InputError, RunFolderError
from pickery.training.history import Epoch
from pickery.training.listener import RunLog, Silence, epoch_line, epoch_title, warnings_to
from pickery.training.run import Run, run_training

LOOK_AGAIN_S = 0.5
OCCUPIED_S = 2.0
SAY_SO_AFTER_S = 10.0


class PointListener(Silence):
    """Hears of one training among many: its lines go to its own log, its progress to whoever watches."""

    def __init__(self, name: str, presence: Presence, watch: Watch) -> None:
        self.warnings: list[str] = []
        self._name, self._presence, self._watch = name, presence, watch
        self._log = RunLog()
        self._titled = False
        self._tell(epoch=0, epochs=0, part=0.0, doing="starting")

    def say(self, text: str) -> None:
        """Keep the line."""
        self._log.write(text)

    def head(self, text: str) -> None:
        """Keep the line."""
        self._log.write(text)

    def log(self, text: str) -> None:
        """Keep the lines."""
        self._log.write(text)

    def warn(self, text: str) -> None:
        """Keep the warning, for whoever watches too."""
        self._log.write(f"warning: {text}")
        self.warnings.append(text)

    def keep_log(self, path: Path) -> None:
        """Keep the lines in this file."""
        self._log.keep(path)

    def training(self, epoch: int, epochs: int, done: int, total: int, evaluating: bool) -> None:
        """Tell how far the training is."""
        part = (epoch - 1 + (1.0 if evaluating else done / total)) / epochs
        self._tell(epoch=epoch, epochs=epochs, part=part, doing="evaluating" if evaluating else "training")

    def epoch(self, epoch: Epoch, epochs: int, monitor: str, is_best: bool) -> None:
        """Keep the epoch's figures."""
        if not self._titled:
            self._log.write(epoch_title(epoch, monitor))
            self._titled = True
        self._log.write(epoch_line(epoch, epochs, monitor, is_best))

    def working(self, text: str) -> None:
        """Tell what is going on beside training."""
        self._log.write(text)

    def close(self) -> None:
        """Let go of the log."""
        self._log.close()

    def _tell(self, **progress: Any) -> None:
        self._presence.tell(training=self._name, **progress)
        self._watch.look()


def work(bench: Bench, presence: Presence, watch: Watch) -> None:
    """Train points until none is left, here or with another worker.

    A worker with nothing to do waits for the others: one of them may die and leave its point behind, or the next rung
    of halving may begin.
    """
    idle_since, said = time.monotonic(), False
    while True:
        for point in bench.study.requeue_lost(bench.is_alive):
            watch.note(f"{bench.grid.name(point)} lost its worker and is taken up again")
        claim = bench.study.claim(presence.name)
        if claim is not None:
            train_point(bench, bench.study, claim, presence, watch)
            idle_since = time.monotonic()
        elif not climb(bench):
            standings = bench.study.standings()
            if not any(standing.state in ("waiting", "running") for standing in standings):
                return
            if not said and time.monotonic() - idle_since > SAY_SO_AFTER_S:
                said = True
                watch.note(_waits(bench, standings))
            presence.tell(training=None, doing="waiting")
            watch.look()
            time.sleep(LOOK_AGAIN_S)


def _waits(bench: Bench, standings: Sequence[Standing]) -> str:
    """Say what a worker waits for, and how long at most should nobody be at it any more."""
    others = [f"{bench.grid.name(one.point)} (worker {one.worker})" for one in standings if one.state == "running"]
    return (
        f"nothing is left to begin; waiting for {', '.join(others) or 'others'}. A worker of another computer that is "
        f"silent for {SILENT_S / 60:g} minutes counts as dead, and what it had is taken up"
    )


def climb(bench: Bench) -> bool:
    """Begin the next rung of halving, if this one is done and there is one."""
    if len(bench.ladder) == 1:
        return False
    with bench.locked():
        standings = bench.study.standings()
        rung = max(standing.point.rung for standing in standings)
        here = [standing for standing in standings if standing.point.rung == rung]
        if rung + 1 == len(bench.ladder) or any(standing.state in ("waiting", "running") for standing in here):
            return False
        table = bench.table()
        kept = survivors(
            [row.mean if row.state == "done" else float("nan") for row in table.rows],
            bench.ladder[rung + 1].values,
            "higher" if table.sign > 0 else "lower",
            table.distances,
        )
        bench.study.enqueue(bench.grid.points(rung + 1, kept))
    return bool(kept)


def train_point(bench: Bench, study: PointStudy, claim: Claim, presence: Presence, watch: Watch) -> Run | None:
    """Train one point and tell the study how it went; None where it failed, or another process is in its folder.

    Raises
    ------
    KeyboardInterrupt, OSError, MemoryError, InputError
        What is not the point's own fault, such as a full disk: the point is handed back first.
    """
    point = claim.point
    name = bench.grid.name(point)
    listener = PointListener(name, presence, watch)
    try:
        with warnings_to(listener):
            run = _train(bench, point, listener)
        monitored, attributes = result_of(run, bench.monitor)
    except BaseException as error:
        if not _is_of_the_point(error):
            study.release(claim)
            if isinstance(error.__cause__, Timeout):
                # whoever trains in the folder was taken for dead, or is a training of somebody's
                time.sleep(OCCUPIED_S)
                return None
            raise
        listener.log(traceback.format_exc())
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        study.fail(claim, reason)
        watch.look(now=True)
        return None
    finally:
        listener.close()
        presence.tell(training=None, doing="between trainings")
    if not study.complete(claim, monitored, {**attributes, "warnings": listener.warnings}):
        watch.note(f"{name} was taken over by another worker in the meantime, which finds it finished")
    watch.look(now=True)
    return run


def _is_of_the_point(error: BaseException) -> bool:
    """Whether training failed for its own settings.

    A full disk or memory, told in words or not, and what lies damaged in its folder are another matter.
    """
    others = (OSError, MemoryError, RunFolderError)
    elsewhere = any(isinstance(one, others) for one in (error, error.__cause__))
    return isinstance(error, Exception) and not elsewhere


def _train(bench: Bench, point: Point, listener: PointListener) -> Run:
    config = bench.training_config(point)
    value = bench.grid.values[point.value]
    tags = {f"cross_validation.{axis.short}": str(number) for axis, number in zip(bench.grid.axes, value, strict=True)}
    fold = "final" if point.fold == FINAL else str(point.fold)
    stop_after = None
    if point.fold != FINAL and point.rung + 1 < len(bench.ladder):
        stop_after = bench.ladder[point.rung].epochs
    try:
        return run_training(
            config,
            bench.shelf.data(config, listener),
            bench.pretrained,
            listener,
            run_name=bench.grid.run_name(point),
            parent=bench.parent,
            tags=tags | {"cross_validation": bench.path.name, "cross_validation.fold": fold},
            stop_after=stop_after,
        )
    except RunFolderError as error:  # what it says of run_dir holds for a training alone
        folder = bench.path / bench.grid.folder(point)
        raise RunFolderError(
            f"{str(error).rstrip('.')}. In a cross-validation: remove {folder}, and the same command trains it again"
        ) from error


def result_of(run: Run, monitor: str) -> tuple[float, Mapping[str, Any]]:
    """Give a training's monitored figure and what the table says of it besides."""
    if run.result is not None and run.result.finished is None:
        best = run.result.best
        return best.monitored(monitor), {
            "best_epoch": best.number,
            "epochs": len(run.result.epochs),
            "objective": run.result.objective.used,
            "figures": {},
            "tracked_run": run.tracked_run,
        }
    summary = summary_of(run.path)
    figures = {name: summary["regions"][name] for name in ("precision", "auprc")}
    figures |= {name: summary["picks"][name] for name in ("pick_average_precision", "pick_f1")}
    return float(summary["monitored"]), {
        "best_epoch": summary["best_epoch"],
        "epochs": summary["epochs"],
        "objective": summary["objective"]["used"],
        "figures": figures,
        "tracked_run": run.tracked_run,
    }
