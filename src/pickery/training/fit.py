"""`fit`: from prepared, split data to a run's folder with the best model, its curves and a tracked run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import nn

from pickery.config.schema import TrainConfig
from pickery.data.datamodule import LabelledMicrographs, PickerDataModule
from pickery.data.regions import LabelledRegions
from pickery.data.sampler import RegionSampler
from pickery.loss import build_objective
from pickery.loss.penalty import autoencoder_weight
from pickery.loss.prior import ObjectiveChoice
from pickery.model import Picker
from pickery.model.decoder import decoder_for
from pickery.model.synchronised import synchronise
from pickery.tracking import Tracker
from pickery.training.callbacks import EpochRecorder, ProgressTeller
from pickery.training.choices import (
    about_negatives,
    describe,
    own_gpu,
    pi_of,
    training_device,
)
from pickery.training.common import Beginning, FitResult, begin, conclude, introduce, save_epoch, track_epoch
from pickery.training.division import TrainingData
from pickery.training.follower import Task
from pickery.training.held_out import HeldOutEvaluation
from pickery.training.history import Epoch
from pickery.training.images import image_side, outputs_along_side
from pickery.training.leading import Leader
from pickery.training.listener import Listener, Silence
from pickery.training.loop import run_loop
from pickery.training.module import PickerModule
from pickery.training.optimizers import build_optimizer, build_schedule
from pickery.training.team import Meeting, Team


def fit(
    config: TrainConfig,
    data: TrainingData,
    folder: Path,
    tracker: Tracker,
    listener: Listener,
    *,
    stop_after: int | None = None,
    meeting: Meeting | None = None,
) -> FitResult:
    """Train a picker, or go on where an interrupted training stopped.

    Parameters
    ----------
    config
        All settings.
    data
        Prepared and split data (`pickery.training.division.gather`).
    folder
        The run's folder; a ``last.ckpt`` in it is resumed from.
    tracker
        Told of settings, figures, plots and the model.
    listener
        Told of progress.
    stop_after
        Stop after so many epochs, with nothing finished: a later call goes on from there. None: train to the end.
    meeting
        Where the processes wait that were started beside this one to train with it; None starts them here, if
        ``trainer.devices`` asks for any.

    Raises
    ------
    InputError
        When the data do not suit the settings: patches larger than a micrograph, pi of 1 or more, nothing to choose
        the best epoch by, weights of another architecture, a diverging training; or when a process of several died.
    """
    config = data.settled(config)
    epochs = config.trainer.epochs if stop_after is None else min(stop_after, config.trainer.epochs)
    device = training_device(config)
    beginning = begin(config, data, listener)
    model, picks, choice = beginning.model, beginning.picks, beginning.choice
    with Leader(config, meeting, device) as leader:
        team = leader.team
        leader.give(Task(config, data, folder, epochs, leader.threads))
        for text in about_negatives(data, beginning.regions):
            listener.warn(text)
        provenance = describe(config, data, choice, devices=team.size)
        introduce(config, data, tracker, provenance)
        module, minibatches = _assemble(config, data, beginning, folder, team)
        if config.loss.autoencoder == "auto":
            listener.say(f"loss.autoencoder=auto gives it the weight {module.autoencoder_weight:g}")
            tracker.tags({"autoencoder_weight": f"{module.autoencoder_weight:g}"})

        def save_best(epoch: Epoch) -> None:
            save_epoch(folder, config, model, epoch, picks=picks, provenance=provenance)

        tracked = tracker.steps("train/precision")

        def on_epoch(epoch: Epoch, is_best: bool) -> None:
            track_epoch(tracker, epoch)
            listener.epoch(epoch, config.trainer.epochs, config.evaluation.monitor, is_best)

        recorder = EpochRecorder(
            folder, monitor=config.evaluation.monitor, save_best=save_best, on_epoch=on_epoch, team=team
        )
        of_all = config.trainer.epochs
        tell = ProgressTeller(
            lambda epoch, done, total, evaluating: listener.training(epoch, of_all, done, total, evaluating)
        )
        if team.size > 1:
            what = "GPUs" if device.type == "cuda" else "processes"
            share = config.sampler.minibatch_size // team.size
            listener.say(f"{team.size} {what} train together, each on {share} images of every minibatch")
            listener.working("waiting for all of them")
        with leader.joined():
            run_loop(config, module, minibatches, [recorder, tell], folder, epochs=epochs, team=team)
    if len(recorder.epochs) > of_all:
        listener.say(f"{len(recorder.epochs)} epochs were trained before, more than trainer.epochs={of_all}: all count")
    for epoch in recorder.epochs:
        if epoch.number <= recorder.resumed_epochs and epoch.number not in tracked:
            track_epoch(tracker, epoch)
    return conclude(
        folder,
        config,
        data,
        recorder.epochs,
        picks=picks,
        choice=choice,
        provenance=provenance,
        tracker=tracker,
        listener=listener,
    )


def follow(task: Task, meeting: Meeting, *, local_rank: int) -> None:
    """Train with others, as the one that leads them says: `fit` without anything written or told.

    Parameters
    ----------
    task
        What the leader gives.
    meeting
        Where it waits.
    local_rank
        Which of the processes on this machine this one is.
    """
    config, team = task.config, meeting.team
    device = training_device(config)
    if device.type == "cuda":
        device = own_gpu(local_rank)
    beginning = begin(config, task.data, Silence())
    if task.threads is not None:
        torch.set_num_threads(task.threads)
    module, minibatches = _assemble(config, task.data, beginning, task.folder, team)
    recorder = EpochRecorder(
        task.folder,
        monitor=config.evaluation.monitor,
        save_best=lambda epoch: None,
        on_epoch=lambda epoch, is_best: None,
        team=team,
    )

    def still_led() -> None:
        """Have nothing to look after: who waits here ends with its leader."""

    with meeting.joined(device, still_led):
        run_loop(config, module, minibatches, [recorder], task.folder, epochs=task.epochs, team=team)


def _assemble(
    config: TrainConfig, data: TrainingData, beginning: Beginning, folder: Path, team: Team
) -> tuple[PickerModule, PickerDataModule]:
    """Put together what trains and what it trains on, for one process of a team."""
    train, test, model, choice = beginning.train, beginning.test, beginning.model, beginning.choice
    held_out = None
    if test is not None:
        monitored_picks = beginning.picks if config.evaluation.monitor.startswith("pick_") else None
        held_out = HeldOutEvaluation(
            names=test.names,
            points=test.points,
            stride=config.evaluation.stride,
            pi=pi_of(data, test),
            picks=monitored_picks,
            mask=test.mask,
            folder=folder,
        )
    sampler = _sampler(config, beginning.regions, choice, model)
    module = _module(config, data, model, choice, beginning.regions, held_out, is_partial=sampler.is_partial, team=team)
    if team.size > 1:
        synchronise(module)
    return module, _data_module(config, train, test, sampler, model, team)


def check(config: TrainConfig, data: TrainingData) -> None:
    """Refuse what `fit` would refuse before its first minibatch.

    Raises
    ------
    InputError
        As `fit` does.
    """
    begin(data.settled(config), data, Silence())


def _module(
    config: TrainConfig,
    data: TrainingData,
    model: Picker,
    choice: ObjectiveChoice,
    regions: LabelledRegions,
    held_out: HeldOutEvaluation | None,
    *,
    is_partial: bool,
    team: Team,
) -> PickerModule:
    has_decoder = model.settings["architecture"].startswith("conv")
    weight = autoencoder_weight(config.loss.autoencoder, picks=data.picks(data.train), has_decoder=has_decoder)
    decoder: nn.Module | None = None
    if weight > 0:
        decoder = decoder_for(model, units=config.loss.decoder_unit_scaling, seed=config.seed)
    total_steps = config.trainer.epochs * config.sampler.epoch_size
    return PickerModule(
        model=model,
        objective=build_objective(
            choice.used,
            pi=choice.objective_pi,
            slack=config.loss.slack,
            negative_weight=config.loss.negative_weight if len(regions.negatives) else None,
        ),
        optimizer=lambda parameters: build_optimizer(
            config.optimizer.name,
            parameters,
            learning_rate=config.optimizer.learning_rate,
            weight_decay=config.optimizer.weight_decay,
            momentum=config.optimizer.momentum,
        ),
        schedule=partial(build_schedule, config.optimizer.schedule, total_steps=total_steps),
        decoder=decoder,
        autoencoder_weight=weight,
        l2=config.loss.l2,
        held_out=held_out,
        pi=choice.pi,
        observed=choice.observed,
        is_partial=is_partial,
        dropout_seed=config.seed if config.model.dropout > 0 else None,
        compiled=config.trainer.compile,
        team=team,
    )


def _sampler(config: TrainConfig, regions: LabelledRegions, choice: ObjectiveChoice, model: Picker) -> RegionSampler:
    return RegionSampler(
        regions,
        minibatch_size=config.sampler.minibatch_size,
        balance=config.sampler.balance,
        seed=config.seed,
        unlabeled_from_all=choice.used == "pu",
        outputs=outputs_along_side(config),
        stride=model.stride,
    )


def _data_module(
    config: TrainConfig,
    train: LabelledMicrographs,
    test: LabelledMicrographs | None,
    sampler: RegionSampler,
    model: Picker,
    team: Team,
) -> PickerDataModule:
    resident = config.sampler.resident
    if resident == "auto":
        device = training_device(config)
        # on the CPU the mapped file is as good as memory; on a GPU leave half of what is free to the network
        resident = device.type == "cpu" or train.flat.nbytes < torch.cuda.mem_get_info(device)[0] // 2
    return PickerDataModule(
        train=train,
        test=test,
        sampler=sampler,
        epoch_size=config.sampler.epoch_size,
        side=image_side(config, model),
        workers=config.sampler.workers,
        resident=resident,
        rank=team.rank,
        ranks=team.size,
    )
