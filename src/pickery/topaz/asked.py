"""What the settings ask of the topaz program, in its words; refused by name where it has no word for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from pickery.config.schema import TrainConfig
from pickery.errors import InputError
from pickery.model.picker import Picker
from pickery.topaz.files import Side
from pickery.topaz.options import OBJECTIVES, Option, command, network
from pickery.topaz.program import TopazProgram, find_program
from pickery.topaz.versions import loader_workers

_NOWHERE = Side(Path("images.txt"), Path("targets.txt"))


@dataclass(frozen=True)
class Given:
    """What settings and data together give the program.

    Attributes
    ----------
    train, test
        The files of the training and of the held-out micrographs.
    first
        The file of the network to begin with; None: Topaz draws the first weights itself.
    objective
        The objective used, by Pickery's name.
    pi
        As the program is to be given it.
    autoencoder_weight
        Weight of the reconstruction error.
    device
        Where to train.
    prefix
        Where the program leaves its models: with ``_epochN.sav`` added.
    """

    train: Side
    test: Side | None
    first: Path | None
    objective: str
    pi: float
    autoencoder_weight: float
    device: torch.device
    prefix: Path


def topaz_program(config: TrainConfig) -> TopazProgram:
    """Find the program, and refuse settings that it has no word for.

    Raises
    ------
    InputError
        When there is no program, or a setting cannot be used with it: named.
    """
    assert config.engine.executable is not None, "a rule of the settings"
    program = find_program(config.engine.executable)
    autoencoder = config.loss.autoencoder
    weight = autoencoder if autoencoder != "auto" and config.model.architecture.startswith("conv") else 0.0
    command_line(
        config,
        program,
        Given(
            train=_NOWHERE,
            test=_NOWHERE,
            first=None if weight else Path("first.sav"),
            objective=config.loss.objective,
            pi=0.5,
            autoencoder_weight=weight,
            device=torch.device("cpu"),
            prefix=Path("model"),
        ),
    )
    return program


def command_line(config: TrainConfig, program: TopazProgram, given: Given, model: Picker | None = None) -> list[str]:
    """Put together the command line of a training; `model` is the network, where Topaz draws its first weights."""
    sampler, loss = config.sampler, config.loss
    workers = loader_workers(program, sampler.workers)
    options = [
        Option("--train-images", str(given.train.images), "data.micrographs"),
        Option("--train-targets", str(given.train.targets), "data.picks"),
        Option("--pi", given.pi, "data.expected_particles"),
        Option("--radius", config.data.disc_radius, "data.radius"),
        Option("--method", OBJECTIVES[given.objective], f"loss={given.objective}"),
        Option("--learning-rate", config.optimizer.learning_rate, "optimizer.learning_rate"),
        Option("--minibatch-size", sampler.minibatch_size, "sampler.minibatch_size"),
        Option("--minibatch-balance", sampler.balance, "sampler.balance"),
        Option("--epoch-size", sampler.epoch_size, "sampler.epoch_size"),
        Option("--num-epochs", config.trainer.epochs, "trainer.epochs"),
        Option("--device", -1 if given.device.index is None else given.device.index, "trainer.accelerator"),
        Option("--num-workers", workers, "sampler.workers", needed=workers > 0),
        Option("--num-threads", torch.get_num_threads(), "trainer.threads", needed=config.trainer.threads is not None),
        Option("--no-pretrained", None, "model.pretrained", needed=False),
        Option("--save-prefix", str(given.prefix), "engine=topaz"),
    ]
    if given.test is not None:
        options += [
            Option("--test-images", str(given.test.images), "data.test_fraction"),
            Option("--test-targets", str(given.test.targets), "data.test_fraction"),
        ]
    if given.objective.startswith("ge_") and loss.slack != -1:
        options.append(Option("--slack", loss.slack, "loss.slack"))
    if loss.l2 > 0:
        options.append(Option("--l2", loss.l2, "loss.l2"))
    if given.autoencoder_weight > 0:
        options.append(Option("--autoencoder", given.autoencoder_weight, "loss.autoencoder"))
        options.append(Option("--ngf", loss.decoder_unit_scaling, "loss.decoder_unit_scaling"))
    if given.first is not None:
        options.append(Option("--model", str(given.first), "model"))
    else:
        options += network(config.model.model_dump() if model is None else model.settings)
    return command(program, options)


def refuse_pi(pi: float, program: TopazProgram) -> None:
    """Refuse a pi of 1 or more, with which Topaz ends well and leaves a model of nans.

    Raises
    ------
    InputError
        Then.
    """
    if not 0 < pi < 1:
        raise InputError(
            f"{program.name} would need pi = {pi:.4g}, to make up for what it counts wrongly: take a smaller "
            "data.radius or fewer picks (data.picks_per_micrograph), Topaz 0.2.5, or engine=native"
        )
