"""`pickery train`: micrographs and picks in, the best Topaz model, its curves and a tracked run out."""

from __future__ import annotations

import shlex
from pathlib import Path

from pickery.config import rules
from pickery.config.schema import TrainConfig
from pickery.terminal import Terminal
from pickery.termination import terminable
from pickery.training.listener import warnings_to


def run(config: TrainConfig) -> None:
    """Train as the settings say, and tell of it.

    Raises
    ------
    InputError
        When something given cannot be used.
    """
    with Terminal() as terminal, warnings_to(terminal), terminable():
        for text in rules.warnings(config):
            terminal.log(f"warning: {text}")  # the terminal has had it before the run had a log
        terminal.working("starting")
        train(config, terminal)


def train(config: TrainConfig, terminal: Terminal) -> Path:
    """Train, or find the run finished; gives the run's folder."""
    from pickery.training.choices import pretrained_hash, training_device
    from pickery.training.division import gather
    from pickery.training.inputs import simulated_data
    from pickery.training.run import engine_version, run_training

    training_device(config)  # what it, the engine and the weights lack is said before hours of preparing micrographs
    engine_version(config)
    pretrained = pretrained_hash(config)
    data = gather(config, terminal, simulated=simulated_data(config, terminal))
    done = run_training(config, data, pretrained, terminal)
    if done.result is not None:
        terminal.say(how_to_pick(done.path))
    if done.result is not None and done.tracked_run is not None:
        terminal.say(how_to_compare(config))
    return done.path


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
