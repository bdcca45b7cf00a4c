"""`cross_validate`: set up or join, train the points with one worker or several, then the final training, once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pickery.config.schema import CrossValidateConfig
from pickery.cross_validation.bench import SUMMARY, Bench, set_up
from pickery.cross_validation.conclude import conclude, track_values, write_table
from pickery.cross_validation.crew import Crew, gpu_of
from pickery.cross_validation.grid import FINAL, Point
from pickery.cross_validation.presence import Presence, is_alive, present
from pickery.cross_validation.table import Table
from pickery.cross_validation.watch import EVERY_S, Audience, Watch
from pickery.cross_validation.words import introduce, say_end
from pickery.cross_validation.work import train_point, work
from pickery.errors import InputError
from pickery.tracking import Status
from pickery.training.run import end_tracked


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
        What ``summary.json`` says; None where another process does the final training.
    was_finished
        Whether there was nothing to do.
    """

    path: Path
    table: Table
    summary: Mapping[str, Any] | None
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
    table = bench.table()
    if (bench.path / SUMMARY).exists():
        if table.complete:
            summary = json.loads((bench.path / SUMMARY).read_text(encoding="utf-8"))
            audience.say("this cross-validation is finished: nothing to do")
            say_end(bench, table, summary, audience)
            return CrossValidation(bench.path, table, summary, was_finished=True)
        (bench.path / SUMMARY).unlink()  # failed trainings are tried again
    audience.keep_log(bench.path / "log.txt")
    introduce(bench, table, audience)
    with Presence(bench.path) as presence:
        try:
            _work(bench, presence, Watch(bench, audience), audience, gpus)
            audience.rest()
            summary = _finish(bench, presence, Watch(bench, audience), audience)
            if summary is not None:
                say_end(bench, bench.table(), summary, audience)
                end_tracked(bench.tracker(audience), "FINISHED", bench.path)
        except BaseException as error:
            audience.rest()
            # the others go on, if there are any
            if [one.name for one in present(bench.path)] in ([], [presence.name]):
                status: Status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
                end_tracked(bench.tracker(audience), status, bench.path)
            raise
    return CrossValidation(bench.path, bench.table(), summary, was_finished=False)


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


def _work(bench: Bench, presence: Presence, watch: Watch, audience: Audience, gpus: int) -> None:
    workers = bench.config.cross_validation.workers
    if workers == 1:
        work(bench, presence, watch)
        return
    with Crew(bench, workers, gpus=gpus) as crew:
        while crew.working():
            watch.look()
            time.sleep(EVERY_S)
        watch.look(now=True)
        crew.check()
        for death in crew.deaths():
            audience.warn(death)
    # what a dead worker left, and what other machines still do
    work(bench, presence, watch)


def _finish(bench: Bench, presence: Presence, watch: Watch, audience: Audience) -> Mapping[str, Any] | None:
    with bench.locked():
        table = bench.table()
        write_table(bench, table)
        if table.winner is None:
            failed = [one for row in table.rows for one in row.folds if one is not None and one.state == "failed"]
            raise InputError(
                f"no value could be trained on every fold, so none can be chosen; the first that failed: "
                f"{bench.grid.name(failed[0].point)}: {failed[0].reason}"
            )
        track_values(bench, table, audience)
        point = Point(0, FINAL, table.winner.value)
        bench.finals.enqueue([point])
        bench.finals.requeue_lost(lambda name: is_alive(bench.path, name))
        if bench.config.cross_validation.retry:
            bench.finals.retry_failed()
        claim = bench.finals.claim(presence.name)
        while claim is not None and claim.point != point:
            bench.finals.fail(claim, "another value has won since")
            claim = bench.finals.claim(presence.name)
        if claim is None:
            standing = next(one for one in bench.finals.standings() if one.point == point)
            if standing.state == "running":
                audience.say(f"another process ({standing.worker}) does the final training")
                return None
            if standing.state == "failed":
                raise InputError(
                    f"the final training, {bench.grid.name(point)}, failed: {standing.reason} "
                    "(cross_validation.retry=true tries it again)"
                )
    if claim is not None:
        audience.head(f"final training: {table.winner.label}")
        run = train_point(bench, bench.finals, claim, presence, watch)
        audience.rest()
        if run is None:
            raise InputError(
                f"the final training, {bench.grid.name(point)}, failed: see {bench.path / bench.grid.folder(point)}"
            )
    with bench.locked():
        if (bench.path / SUMMARY).exists():  # another process was first
            concluded: Mapping[str, Any] = json.loads((bench.path / SUMMARY).read_text(encoding="utf-8"))
            return concluded
        return conclude(bench, table, audience)
