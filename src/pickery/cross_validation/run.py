"""`cross_validate`: set up or join, train the points with one worker or several, then the final training, once."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pickery.config.schema import CrossValidateConfig
from pickery.cross_validation.bench import SUMMARY, Bench, set_up
from pickery.cross_validation.conclude import conclude, track_values, write_summary, write_table
from pickery.cross_validation.crew import Crew
from pickery.cross_validation.grid import FINAL, Point
from pickery.cross_validation.results.table import Table
from pickery.cross_validation.study.points import Claim
from pickery.cross_validation.study.presence import Presence, present
from pickery.cross_validation.watch import EVERY_S, Audience, Watch
from pickery.cross_validation.words import introduce, say_end
from pickery.cross_validation.work import LOOK_AGAIN_S, train_point, work
from pickery.errors import InputError
from pickery.sharing import gpu_of
from pickery.tracking import Status
from pickery.training.run import end_tracked
from pickery.training.run_folder import clear


@dataclass(frozen=True)
class CrossValidation:
    """A cross-validation, as far as this process saw it.

    Attributes
    ----------
    path
        Its folder.
    table
        Values and folds.
    summary
        What ``summary.json`` says.
    was_finished
        Whether there was nothing to do.
    """

    path: Path
    table: Table
    summary: Mapping[str, Any]
    was_finished: bool


def cross_validate(config: CrossValidateConfig, audience: Audience) -> CrossValidation:
    """Find a setting's best value by cross-validation, then train with it.

    Any number of processes that share the folder may do this at once: they share the work.

    Parameters
    ----------
    config
        All settings.
    audience
        Told of everything.

    Raises
    ------
    InputError
        When something given cannot be used, or no value could be trained on all folds.
    """
    gpus = _choose_gpu(config)
    bench = set_up(config, audience)
    if bench.finished:
        summary = bench.summary()
        assert summary is not None, "else it were not finished"
        audience.say("this cross-validation is finished: nothing to do")
        say_end(bench, bench.table(), summary, audience)
        return CrossValidation(bench.path, bench.table(), summary, was_finished=True)
    try:
        audience.keep_log(bench.path / "log.txt")
        if config.cross_validation.worker:  # number 0 says what it is about, once for all on the same terminal
            audience.say(f"worker {config.cross_validation.worker} works in {bench.path}")
        else:
            introduce(bench, bench.table(), audience)
        with Presence(bench.path) as presence:
            # a training that was killed with the command before this one is not a training that kills its worker
            for study in (bench.study, bench.finals):
                for point in study.requeue_lost(bench.is_alive, anew=True):
                    audience.say(f"{bench.grid.name(point)} lost its worker and is taken up again")
            found = None
            while found is None:
                _work(bench, presence, _watch(bench, presence, audience), audience, gpus)
                audience.rest()
                found = _finish(bench, presence, _watch(bench, presence, audience), audience)
    except BaseException as error:
        audience.rest()
        # the others go on, if there are any; of two that end at once both are gone by now
        if not present(bench.path) and not (bench.path / SUMMARY).exists():
            status: Status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
            end_tracked(bench.tracker(audience), status, bench.path)
        raise
    return CrossValidation(bench.path, bench.table(), found, was_finished=False)


def _choose_gpu(config: CrossValidateConfig) -> int:
    """Give the number of GPUs to deal out to workers; the process itself takes the one that its number stands for."""
    if config.trainer.accelerator == "cpu":
        return 0
    import torch

    count = torch.cuda.device_count()
    worker = config.cross_validation.worker
    if worker is not None and count > 1:
        gpu = gpu_of(worker, os.environ.get("CUDA_VISIBLE_DEVICES"), count)
        assert gpu is not None
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # torch reads it when it first computes there
        return 1
    return count


def _watch(bench: Bench, presence: Presence, audience: Audience) -> Watch:
    """Watch all that goes on; one of several numbered workers tells of its own trainings, as do the others."""
    own = None if bench.config.cross_validation.worker is None else presence.name
    return Watch(bench, audience, own)


def _work(bench: Bench, presence: Presence, watch: Watch, audience: Audience, gpus: int) -> None:
    workers = bench.config.cross_validation.workers
    if workers == 1:
        work(bench, presence, watch)
        return
    with Crew(bench, workers, gpus=gpus) as crew:
        try:
            while crew.working():
                watch.look()
                time.sleep(EVERY_S)
        except KeyboardInterrupt:
            audience.rest()
            audience.say("interrupted: the workers hand their trainings back")
            raise
        watch.look(now=True)
        crew.check()
        for death in crew.deaths():
            audience.warn(death)
    # what a dead worker left, and what other machines still do
    work(bench, presence, watch)


def _finish(bench: Bench, presence: Presence, watch: Watch, audience: Audience) -> Mapping[str, Any] | None:
    """Do the final training, or wait while another process does; None if there is more to train before it."""
    waiting = False
    while True:
        with bench.locked():
            if (bench.path / SUMMARY).exists():  # another process was first
                audience.rest()
                summary = bench.summary()
                if summary is None:
                    raise InputError(f"{bench.path / SUMMARY} is damaged: give the same command again")
                if bench.config.cross_validation.worker is None:
                    say_end(bench, bench.table(), summary, audience)
                return summary
            table = bench.table()
            if not waiting:
                write_table(bench, table)
            if not table.complete:  # failed trainings are tried again
                return None
            state, claim = _final(bench, table, presence)
            if state == "done":
                audience.rest()
                present(bench.path)  # removes what workers left that were killed
                clear(bench.path)
                concluded = conclude(bench, table, audience)
                say_end(bench, table, concluded, audience)
                end_tracked(bench.tracker(audience), "FINISHED", bench.path)
                write_summary(bench, concluded)  # last: its presence says that all this was done
                return concluded
        if claim is not None:
            audience.head(f"final training: {bench.grid.label(claim.point.value)}")
            track_values(bench, table, audience)
            train_point(bench, bench.finals, claim, presence, watch)
            audience.rest()
        else:
            if not waiting:
                worker = bench.config.cross_validation.worker
                waits = "" if worker is None else f"worker {worker} waits: "
                audience.say(f"{waits}another process does the final training")
            waiting = True
            presence.tell(training=None, doing="waiting")
            watch.look()
            time.sleep(LOOK_AGAIN_S)


def _final(bench: Bench, table: Table, presence: Presence) -> tuple[str, Claim | None]:
    """Say where the final training stands, and take it if it waits."""
    if table.winner is None:
        failed = [one for row in table.rows for one in row.folds if one is not None and one.state == "failed"]
        raise InputError(
            f"no value could be trained on every fold, so none can be chosen; the first that failed: "
            f"{bench.grid.name(failed[0].point)}: {failed[0].reason}"
        )
    point = Point(0, FINAL, table.winner.value)
    bench.finals.enqueue([point])
    bench.finals.requeue_lost(bench.is_alive)
    standing = next(one for one in bench.finals.standings() if one.point == point)
    if standing.state == "done" and bench.missing_of_final(table.winner.value):
        bench.finals.again(point)
        standing = next(one for one in bench.finals.standings() if one.point == point)
    if standing.state == "failed":
        raise InputError(
            f"the final training, {bench.grid.name(point)}, failed: {standing.reason} "
            "(cross_validation.retry=true tries it again)"
        )
    return standing.state, bench.finals.claim(presence.name, point)
