"""`pickery train`: micrographs and picks in, the best Topaz model, its curves and a tracked run out."""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pickery.config import rules
from pickery.config.schema import TrainConfig
from pickery.errors import InputError
from pickery.terminal import Terminal
from pickery.termination import terminable
from pickery.training.listener import warnings_to

if TYPE_CHECKING:
    from pickery.training.team import Meeting, Started

_trainings = itertools.count()


def run(config: TrainConfig) -> None:
    """Train as the settings say, and tell of it.

    Raises
    ------
    InputError
        When something given cannot be used.
    """
    started = None
    if "RANK" in os.environ:  # as torchrun and others set it
        from pickery.training.team import started_beside_others

        started = started_beside_others(os.environ)
    number = next(_trainings)
    if started is not None:
        _fits(config, started)
        if not started.team.leads:
            from pickery.training.follower import follow_elsewhere

            follow_elsewhere(started, number)
            return
    with Terminal() as terminal, warnings_to(terminal), terminable():
        for text in rules.warnings(config):
            terminal.log(f"warning: {text}")  # the terminal has had it before the run had a log
        terminal.working("starting")
        with _met(started, number) as meeting:
            train(config, terminal, meeting)


def _fits(config: TrainConfig, started: Started) -> None:
    """Refuse settings with which processes that were started together cannot train together."""
    size, here, devices = started.team.size, started.local_size, config.trainer.devices
    together = f"{size} processes were started together (WORLD_SIZE={size}) to train one model"
    if config.engine.name != "native":
        raise InputError(f"{together}, and engine={config.engine.name} trains on one: start one process")
    if devices not in (1, here):
        raise InputError(f"{together}, {here} of them on this machine: leave trainer.devices={devices} out")
    if config.sampler.minibatch_size % size:
        raise InputError(
            f"{together}, and sampler.minibatch_size={config.sampler.minibatch_size} cannot be shared out equally to "
            f"them: write sampler.minibatch_size={-(-config.sampler.minibatch_size // size) * size}"
        )


@contextmanager
def _met(started: Started | None, number: int) -> Iterator[Meeting | None]:
    """Meet those that were started beside this process, and let them go at the end, whatever it is."""
    if started is None:
        yield None
        return
    from pickery.training.team import meeting_of

    meeting = meeting_of(started, number)
    try:
        yield meeting
    except BaseException:
        meeting.call_off("failed")
        raise
    meeting.call_off("over")


def train(config: TrainConfig, terminal: Terminal, meeting: Meeting | None = None) -> Path:
    """Train, or find the run finished; gives the run's folder.

    Parameters
    ----------
    config
        All settings.
    terminal
        Told of everything.
    meeting
        Where the processes wait that were started beside this one to train with it; None without any.
    """
    from pickery.training import run

    done = run.train(config, terminal, meeting)
    if done.result is not None:
        terminal.say(how_to_read(done.path))
        terminal.say(how_to_pick(done.path))
    if done.result is not None and done.tracked_run is not None:
        terminal.say(how_to_compare(config))
    return done.path


def how_to_read(run: Path) -> str:
    """Say which command explains a run."""
    return f"to read about it: pickery report {shlex.quote(str(run))}"


def how_to_pick(run: Path) -> str:
    """Say which command picks with the model of a run's folder."""
    words = [f"picking.model={run}", "data.micrographs=MICROGRAPHS", "picking.out=picks.star"]
    return f"to pick with it: pickery pick {shlex.join(words)}"


def how_to_compare(config: TrainConfig) -> str:
    """Say which command shows the tracked runs."""
    told = {"root": "mlruns", "uri": None, "experiment": "pickery"}
    given = {name: getattr(config.tracking, name) for name in told}
    options = [f"tracking.{name}={value}" for name, value in given.items() if value != told[name]]
    return f"to compare runs: pickery ui {shlex.join(options)}".rstrip()
