"""`train_with_topaz`: the original program trains on what is prepared here, and its best epoch is judged as ours."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from pickery.config.schema import TrainConfig
from pickery.data.datamodule import LabelledMicrographs
from pickery.errors import InputError
from pickery.loss.penalty import autoencoder_weight
from pickery.loss.prior import GE_OBJECTIVES, ObjectiveChoice
from pickery.model import Picker
from pickery.model.topaz_module import save_topaz_module
from pickery.topaz.asked import Given, command_line, refuse_pi, topaz_program
from pickery.topaz.files import Side, write_side
from pickery.topaz.follow import KEPT, Follower
from pickery.topaz.process import run_program
from pickery.topaz.program import TopazProgram, environment
from pickery.topaz.versions import believed_observed, counts_discs_wrongly, pi_to_give, warnings
from pickery.tracking import Tracker
from pickery.training.choices import (
    describe,
    pi_of,
    training_device,
)
from pickery.training.common import FitResult, begin, conclude, introduce, save_epoch, track_epoch
from pickery.training.division import TrainingData
from pickery.training.history import Epoch
from pickery.training.listener import Listener

WORK = "topaz"
"""The folder, in that of the run, of what Topaz reads and writes while it trains."""


def train_with_topaz(
    config: TrainConfig, data: TrainingData, folder: Path, tracker: Tracker, listener: Listener
) -> FitResult:
    """Have the original program train; then go on with its best epoch as `pickery.training.fit.fit` does with its own.

    Topaz cannot go on where a training was interrupted: this always begins anew.

    Parameters
    ----------
    config
        All settings.
    data
        Prepared and split data (`pickery.training.division.gather`).
    folder
        The run's folder.
    tracker
        Told of settings, figures, plots and the model.
    listener
        Told of progress.

    Raises
    ------
    InputError
        When the data do not suit the settings, the program fails, or the training diverges.
    """
    program = topaz_program(config)
    beginning = begin(config, data, listener)
    train, test, model, picks = beginning.train, beginning.test, beginning.model, beginning.picks
    choice = beginning.choice
    for text in warnings(program, workers=config.sampler.workers):
        listener.warn(text)
    is_ge, labels = choice.used in GE_OBJECTIVES, {"picks": data.picks(data.train), "radius": data.radius}
    pi = pi_to_give(
        program,
        is_ge=is_ge,
        pi=choice.pi,
        objective_pi=choice.objective_pi,
        regions=train.region_count,
        **labels,
    )
    refuse_pi(pi, program)
    labelled = choice.observed
    if counts_discs_wrongly(program):
        labelled = believed_observed(program, regions=train.region_count, **labels)
    provenance = describe(config, data, choice) | {
        "engine": {"name": "topaz", "version": program.version, "taken_for": program.name, "pi_given": pi}
    }
    introduce(config, data, tracker, provenance)
    tracker.tags({"engine_version": program.version, "engine_pi": f"{pi:.6g}"})
    listener.say(f"trained by {program.name}, {program.path}")

    def save_best(epoch: Epoch) -> None:
        save_epoch(folder, config, model, epoch, picks=picks, provenance=provenance)

    def on_epoch(epoch: Epoch, is_best: bool) -> None:
        track_epoch(tracker, epoch)
        listener.epoch(epoch, config.trainer.epochs, config.evaluation.monitor, is_best)

    work = (folder / WORK).resolve()
    shutil.rmtree(work, ignore_errors=True)
    try:
        listener.working("writing the micrographs for Topaz")
        given = _given(config, data, choice, program, model, train, test, work, pi, listener)
        words = command_line(config, program, given, model)
        follower = Follower(
            program=program,
            folder=folder,
            prefix=given.prefix,
            model=model,
            monitor=config.evaluation.monitor,
            epochs=config.trainer.epochs,
            epoch_size=config.sampler.epoch_size,
            learning_rate=config.optimizer.learning_rate,
            objective=choice.used,
            autoencoder_weight=given.autoencoder_weight,
            held_out=None if test is None else (len(test), pi_of(data, test), test.regions().observed),
            labelled=labelled if is_ge else None,
            save_best=save_best,
            on_epoch=on_epoch,
            listener=listener,
        )
        listener.log(shlex.join(words))
        listener.working("starting Topaz")
        status = run_program(
            words, folder=work, environment=environment(), on_output=follower.output, on_error=follower.error
        )
        follower.end(status)
    except KeyboardInterrupt as error:
        raise type(error)("the same command begins this training again, which Topaz cannot go on with") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    tracker.artifacts([folder / KEPT], "model")
    return conclude(
        folder,
        config,
        data,
        follower.epochs,
        picks=picks,
        choice=choice,
        provenance=provenance,
        tracker=tracker,
        listener=listener,
    )


def _given(
    config: TrainConfig,
    data: TrainingData,
    choice: ObjectiveChoice,
    program: TopazProgram,
    model: Picker,
    train: LabelledMicrographs,
    test: LabelledMicrographs | None,
    work: Path,
    pi: float,
    listener: Listener,
) -> Given:
    """Write what the program is to read, and say what it is to do."""
    has_decoder = config.model.architecture.startswith("conv")
    weight = autoencoder_weight(config.loss.autoencoder, picks=data.picks(data.train), has_decoder=has_decoder)
    if config.loss.autoencoder == "auto":
        listener.say(f"loss.autoencoder=auto gives it the weight {weight:g}")
    side: Side = write_side(work, "train", train)
    first: Path | None = None
    if weight == 0:
        first = work / "first.sav"
        save_topaz_module(first, model, since_0_3=program.since_0_3, dropout=True)
    elif config.model.pretrained is not None:
        raise InputError(
            f"model.pretrained={config.model.pretrained} cannot be used with engine=topaz and the autoencoder, with "
            "which Topaz begins with weights of its own: write loss.autoencoder=0, or engine=native"
        )
    else:
        listener.say("Topaz draws the first weights itself, and begins by expecting half of the regions to be positive")
    return Given(
        train=side,
        test=None if test is None else write_side(work, "test", test),
        first=first,
        objective=choice.used,
        pi=pi,
        autoencoder_weight=weight,
        device=training_device(config),
        prefix=work / "model",
    )
