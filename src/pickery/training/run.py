"""A training in its folder: begun, resumed or found finished; tracked; and ended with its true status."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pickery.atomic import write_text
from pickery.config.load import resolved
from pickery.config.schema import TrainConfig
from pickery.errors import InputError, RunFolderError
from pickery.tracking import Status, Tracker, open_tracker, whereabouts
from pickery.training import words
from pickery.training.choices import package_versions, pretrained_hash, training_device
from pickery.training.division import TrainingData, gather
from pickery.training.earlier import differences
from pickery.training.inputs import simulated_data
from pickery.training.listener import Listener
from pickery.training.record import UNREADABLE, damaged, new_key
from pickery.training.run_folder import RunFolder, State, check_given, default_folder, identity
from pickery.training.sizes import provisional

if TYPE_CHECKING:
    from pickery.training.common import FitResult
    from pickery.training.team import Meeting


@dataclass(frozen=True)
class Run:
    """A training, done.

    Attributes
    ----------
    path
        The run's folder.
    found
        The state in which the folder was found.
    result
        What the training gave; None where the run was found finished.
    tracked_run
        The tracked run's identifier; None without one.
    """

    path: Path
    found: State
    result: FitResult | None
    tracked_run: str | None


def train(config: TrainConfig, listener: Listener, meeting: Meeting | None = None) -> Run:
    """Train as the settings say, from the files that they name; or find the run finished.

    Parameters
    ----------
    config
        All settings.
    listener
        Told of everything.
    meeting
        Where the processes wait that were started beside this one to train with it; None without any.

    Raises
    ------
    InputError
        When something given cannot be used.
    """
    training_device(config)  # what it, the engine and the weights lack is said before hours of preparing micrographs
    check_given(config.run_dir)
    engine_version(config)
    pretrained = pretrained_hash(config)
    data = gather(config, listener, simulated=simulated_data(config, listener))
    return run_training(config, data, pretrained, listener, meeting=meeting)


def run_training(
    config: TrainConfig,
    data: TrainingData,
    pretrained: str | None,
    listener: Listener,
    *,
    run_name: str | None = None,
    parent: str | None = None,
    tags: Mapping[str, str] | None = None,
    stop_after: int | None = None,
    meeting: Meeting | None = None,
) -> Run:
    """Train in the run's folder, or find the run finished there.

    Parameters
    ----------
    config
        All settings.
    data
        Prepared and divided data (`pickery.training.division.gather`).
    pretrained
        Hash of the weights begun from (`pickery.training.choices.pretrained_hash`).
    listener
        Told of everything.
    run_name
        Name of the tracked run; None for ``tracking.run_name``, or the folder's name.
    parent
        The tracked run that this one is part of, if any.
    tags
        Words by which to find the tracked run.
    stop_after
        Stop after so many epochs, as if interrupted: the same training can be taken up again. None: train to the end.
    meeting
        Where the processes wait that were started beside this one to train with it; None without any.

    Raises
    ------
    InputError
        When something given cannot be used.
    """
    config = data.settled(config)
    engine = engine_version(config)
    decides = identity(config, data.fingerprint, pretrained, engine)
    named = () if engine is None else (config.engine.name,)
    path = Path(config.run_dir) if config.run_dir is not None else default_folder("train", config, decides, *named)
    folder = RunFolder.open(path, decides, epochs=config.trainer.epochs, given=config.run_dir is not None)
    try:
        opening = {
            **tracking_options(config),
            "run_name": run_name or config.tracking.run_name or folder.path.name,
            "parent": parent,
            "warn": listener.warn,
        }
        if folder.state == "finished":
            _check_model(folder)
            try:
                words.say_finished(path, folder.epochs_done, config, listener)
                _tell_end(config, data, folder, opening, tags or {})
            except InputError:
                raise
            except UNREADABLE as error:  # by whatever was done to it since
                raise damaged(path, path / "summary.json") from error
            return Run(folder.path, folder.state, None, folder.tracked_run)
        listener.keep_log(folder.path / "log.txt")
        folder.tracked_to_end = False
        folder.write()  # the relative names in the settings count from this process's folder
        write_config(config, folder.path)
        folder.reopen()
        words.introduce(config, data, folder.path, folder.state, listener)
        for text in differences(config, data.fingerprint, package_versions()):
            listener.warn(text)
        listener.working("opening the tracking store")
        begun = folder.tracked_run
        if begun is not None and engine is not None:
            # killed without a word; its figures are of a training that is not gone on with, and stay as they are
            open_tracker(**opening | {"system_metrics": False}, run_id=begun).finish("KILLED")
            begun, folder.tracking_key = None, new_key()
            folder.write()
        tracker = open_tracker(**opening, run_id=begun, key=folder.tracking_key)
        result = _train(config, data, folder, tracker, listener, tags or {}, stop_after, meeting)
        if parent is None and not folder.tracked_to_end:
            listener.say("the same command, given again, tells the tracking store what it missed")
        return Run(folder.path, folder.state, result, tracker.run_id)
    finally:
        folder.close()


def _check_model(folder: RunFolder) -> None:
    """Look whether a finished run's model is there, and whole.

    Raises
    ------
    InputError
        When it is not.
    """
    from pickery.model.weights import load_model

    try:
        load_model(folder.path / "model.ckpt")
    except InputError as error:
        kept = "" if folder.tracked_run is None else f", or pick with the tracked run's, runs:/{folder.tracked_run}"
        raise RunFolderError(
            f"{error} The run in {folder.path} was finished: remove the folder, and the same command trains it again"
            f"{kept}."
        ) from error


def engine_version(config: TrainConfig) -> str | None:
    """Give the version of the program that trains; None where Pickery does.

    Raises
    ------
    InputError
        When there is no such program, or settings cannot be used with it.
    """
    if config.engine.name == "native":
        return None
    from pickery.topaz.asked import topaz_program

    return topaz_program(provisional(config)).name


def write_config(config: TrainConfig, folder: Path) -> None:
    """Write ``config.yaml``: all settings, resolved."""
    import yaml

    write_text(folder / "config.yaml", yaml.safe_dump(resolved(config), sort_keys=False, allow_unicode=True))


def tracking_options(config: TrainConfig) -> dict[str, Any]:
    """Give the options of `open_tracker` that the settings decide."""
    settings = config.tracking
    return {
        "enabled": settings.enabled,
        "root": Path(settings.root),
        "uri": settings.uri,
        "experiment": settings.experiment,
        "system_metrics": settings.system_metrics,
    }


def end_tracked(tracker: Tracker, status: Status, folder: Path) -> bool:
    """End a tracked run, its log kept with it; gives whether the store has all of it."""
    log = folder / "log.txt"
    if log.exists():
        tracker.artifacts([log])
    return tracker.finish(status)


def _tell_end(
    config: TrainConfig, data: TrainingData, folder: RunFolder, opening: Mapping[str, Any], tags: Mapping[str, str]
) -> None:
    """Tell a finished run's tracked run what it lacks: whoever finished it was killed, or the store was away."""
    if folder.tracked_to_end or not config.tracking.enabled:
        return
    from pickery.training.retold import retell

    opening = {**opening, "system_metrics": False}
    tracker = open_tracker(**opening, run_id=folder.tracked_run, key=folder.tracking_key)
    tracker.tags(tags)
    retell(config, data, folder.path, tracker)
    told = end_tracked(tracker, "FINISHED", folder.path)
    folder.tracked_run = tracker.run_id
    _ended(folder, told)


def _ended(folder: RunFolder, told: bool) -> None:
    """Record which the tracked run is, and whether it knows its end."""
    folder.tracked_to_end = told
    with suppress(OSError):  # then it is told once more, should anybody ask again
        folder.write()


def _train(
    config: TrainConfig,
    data: TrainingData,
    folder: RunFolder,
    tracker: Tracker,
    listener: Listener,
    tags: Mapping[str, str],
    stop_after: int | None,
    meeting: Meeting | None,
) -> FitResult:
    path = folder.path
    try:
        if tracker.run_id not in (None, folder.tracked_run):
            folder.tracked_run = tracker.run_id
            folder.write()  # before what takes seconds: a run that is killed in between would be nobody's
        tracker.tags(dict(tags) | {"began_in": str(Path.cwd())} | whereabouts(path))
        tracker.artifacts([path / "config.yaml"])  # now: what is killed is to be begun again from it too
        if config.engine.name == "topaz":
            from pickery.topaz.train import train_with_topaz

            assert stop_after is None, "a rule of the settings"
            result = train_with_topaz(config, data, path, tracker, listener)
        else:
            from pickery.training.fit import fit

            result = fit(config, data, path, tracker, listener, stop_after=stop_after, meeting=meeting)
    except KeyboardInterrupt:
        listener.rest()
        listener.log("interrupted")
        end_tracked(tracker, "KILLED", path)
        _leave_tracked(config, folder)
        raise
    except BaseException as error:
        listener.rest()
        listener.log(f"failed: {error}" if isinstance(error, InputError) else traceback.format_exc())
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)  # which of the disks is full
        end_tracked(tracker, "FAILED", path)
        _leave_tracked(config, folder)
        raise
    listener.rest()
    words.summarise(config, result, tracker.run_id, listener)
    told = end_tracked(tracker, "FINISHED", path)
    folder.tracked_run = tracker.run_id  # a store that was away at first has given it only now
    _ended(folder, told)
    return result


def _leave_tracked(config: TrainConfig, folder: RunFolder) -> None:
    """Let a training that will not be gone on with be tracked as another run when it begins anew."""
    if config.engine.name != "native":
        folder.tracked_run, folder.tracking_key = None, new_key()
        with suppress(OSError):  # what went wrong before is to be told, not this
            folder.write()
