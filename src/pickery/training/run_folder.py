"""A run's folder: named after what decides the result, so that the same command finds the same run again."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pickery.atomic import is_unfinished, remove_unfinished
from pickery.config.load import flat
from pickery.config.schema import DataGroup, TrainConfig
from pickery.errors import InputError
from pickery.training.record import RECORD, UNREADABLE, Record, damaged, new_key, read_record, write_record

# settings that do not change the result: where data lie, who works, on what, and who is told.
# Data count by their content (the fingerprint), pretrained weights too.
NOT_COUNTED = (
    "run_dir",
    "from_run",
    "cross_validation.",
    "tracking.",
    "simulation.",
    "data.source",
    "data.micrographs",
    "data.picks",
    "data.test_micrographs",
    "data.test_picks",
    "data.negatives",
    "data.masks",
    "data.ignore_in_names",
    "data.check_picks",
    "data.swap_xy",
    "data.flip_x",
    "data.offset",
    "preprocess.workers",
    "preprocess.write_mrc",
    "preprocess.skip_bad",
    "preprocess.store",
    "sampler.workers",
    "sampler.resident",
    "model.pretrained",
    "trainer.epochs",
    "trainer.accelerator",
    "trainer.devices",
    "engine.executable",
    "trainer.threads",
)

ENDINGS = (".ckpt", ".csv", ".json", ".png", ".study", ".yaml")
"""Of what whoever holds a run's folder writes to it; a report may be being written by somebody else."""

State = Literal["new", "interrupted", "finished", "longer"]


def identity(
    config: TrainConfig, fingerprint: str, pretrained: str | None, engine: str | None = None
) -> dict[str, Any]:
    """Collect what decides a run's result.

    Parameters
    ----------
    config
        All settings.
    fingerprint
        Of the data (`TrainingData.fingerprint`).
    pretrained
        Hash of the weights begun from; None for random ones.
    engine
        Version of the program that trains (`pickery.training.run.engine_version`); None where Pickery does.

    Returns
    -------
    identity : dict
        Dotted settings, ``data`` and ``pretrained``. ``trainer.epochs`` counts only where the learning-rate schedule
        depends on it, or the engine cannot go on with a training; otherwise a longer training continues a shorter one.
    """
    settings = {
        name: value for name, value in flat(config).items() if not any(_under(name, other) for other in NOT_COUNTED)
    }
    if config.optimizer.schedule != "constant" or engine is not None:
        settings["trainer.epochs"] = config.trainer.epochs
    # what earlier runs did not know counts only where it does something, so that they are found again
    if config.data.negatives is None:
        del settings["loss.negative_weight"]
    if config.sampler.name == "patches":
        del settings["sampler.name"], settings["sampler.outputs"]
    if engine is None:
        del settings["engine.name"]
    else:
        settings["engine.version"] = engine
    return settings | {"data": fingerprint, "pretrained": pretrained}


def _of_a_run(name: str) -> bool:
    """Whether a file belongs to any run: the lock, or what a killed process left of a file that it was writing."""
    return name == ".lock" or is_unfinished(name, ENDINGS)


def _under(name: str, other: str) -> bool:
    return name.startswith(other) if other.endswith(".") else name == other


def default_folder(command: str, config: TrainConfig, decides: Mapping[str, Any], *words: str) -> Path:
    """Name the run's folder, ``runs/COMMAND-DATA-MODEL-OBJECTIVE-HASH``, or find it by its hash.

    Parameters
    ----------
    command
        What runs, such as ``train``.
    config
        All settings.
    decides
        What decides the result (`identity`).
    words
        More words for the name, before the hash.
    """
    digest = hashlib.blake2b(json.dumps(decides, sort_keys=True).encode(), digest_size=4).hexdigest()
    name = "-".join([command, data_name(config.data), config.model.architecture, config.loss.objective, *words, digest])
    path = Path("runs") / name
    # data that were moved give the folder another name, but it is the same run
    same = [] if path.exists() else sorted(path.parent.glob(f"{command}-*-{digest}/run.json"))
    return same[0].parent if same else path


def data_name(settings: DataGroup) -> str:
    """Give a word for the data, after the folder that the micrographs lie in."""
    micrographs = settings.micrographs
    if settings.source == "simulated" or micrographs is None:
        return "simulated"
    first = micrographs if isinstance(micrographs, str) else micrographs[0]
    parts = [part for part in Path(first).parts if not any(sign in part for sign in "*?[")]
    named = [part for part in parts if part.lower() not in ("micrographs", "mics", "/", "..", ".")]
    return re.sub(r"[^A-Za-z0-9_]+", "_", named[-1] if named else "data").strip("_")[:40] or "data"


@dataclass
class RunFolder:
    """A run's folder, held under a lock by the process that trains in it.

    Attributes
    ----------
    path
        The folder.
    state
        ``new``; ``interrupted``, to be resumed; ``finished``; ``longer``: finished, but fewer epochs than now asked.
    tracked_run
        The tracked run's identifier, if one was begun.
    tracking_key
        By which the tracked run is found if its identifier was never written here.
    tracked_to_end
        Whether the tracked run was told its end.
    epochs_done
        Epochs of the finished run.
    """

    path: Path
    state: State
    decides: Mapping[str, Any]
    tracked_run: str | None = None
    tracking_key: str = field(default_factory=new_key)
    tracked_to_end: bool = False
    epochs_done: int = 0
    _lock: ExitStack = field(default_factory=ExitStack, repr=False)

    @classmethod
    def open(cls, path: Path, decides: Mapping[str, Any], *, epochs: int, given: bool) -> Self:
        """Make the folder or find the run that is in it.

        Parameters
        ----------
        path
            The folder.
        decides
            What decides the result (`identity`).
        epochs
            Epochs now asked for.
        given
            Whether the user named the folder (``run_dir``).

        Raises
        ------
        InputError
            When another run is in the folder (the first difference is named), something else is, another process
            trains in it, or it cannot be written.
        """
        from filelock import FileLock, Timeout

        make_folder(path, given=given, of_a_run=_of_a_run)
        try:
            lock = ExitStack()
            lock.enter_context(FileLock(path / ".lock", timeout=0))
            clear(path)  # the lock says that their writers are dead
        except Timeout as error:
            raise InputError(f"another process is training in {path}: wait for it, or give another run_dir") from error
        except OSError as error:
            raise _not_writable(path, error, given=given) from error
        if not (path / RECORD).exists():
            run = cls(path, "new", decides, _lock=lock)
            run.write()
            return run
        try:
            run = cls._found(path, decides, epochs, lock)
        except BaseException:
            lock.close()
            raise
        return run

    @classmethod
    def _found(cls, path: Path, decides: Mapping[str, Any], epochs: int, lock: ExitStack) -> Self:
        summary, done = path / "summary.json", 0
        record = read_record(path, decides)
        if summary.exists():
            try:
                done = int(json.loads(summary.read_text(encoding="utf-8"))["epochs"])
            except UNREADABLE as error:
                raise damaged(path, summary) from error
        state: State = "interrupted" if not done else "finished" if done >= epochs else "longer"
        return cls(path, state, decides, record.tracked_run, record.tracking_key, record.tracked_to_end, done, lock)

    def reopen(self) -> None:
        """Take back that a run is finished, before it is gone on with: the model will be another than was summed up."""
        (self.path / "summary.json").unlink(missing_ok=True)

    def write(self) -> None:
        """Record what the run is."""
        record = Record(self.tracked_run, self.tracking_key, self.tracked_to_end)
        write_record(self.path, self.decides, record)

    def close(self) -> None:
        """Let go of the lock."""
        self._lock.close()


def is_at_work(folder: Path) -> bool:
    """Say whether a process of this computer trains in a folder; in doubt it does."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / ".lock", timeout=0, fallback_to_soft=False):
            return False
    except (Timeout, OSError, NotImplementedError):  # the last two where the file system has no locks
        return True


def make_folder(path: Path, *, given: bool, of_a_run: Callable[[str], bool]) -> None:
    """Make a run's folder; one without a record may hold nothing but what `of_a_run` says belongs to any run.

    Raises
    ------
    InputError
        When something else is in it, or it cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        _refuse_others(path, of_a_run)
    except OSError as error:
        raise _not_writable(path, error, given=given) from error


def clear(path: Path) -> None:
    """Remove what killed processes left half written in a run's folder: for whoever holds its lock."""
    remove_unfinished(path, ENDINGS)
    remove_unfinished(path / "plots", ENDINGS)


def check_given(run_dir: str | None) -> None:
    """Refuse a folder that no run can be in, before hours of preparing micrographs for it; nothing is made.

    Parameters
    ----------
    run_dir
        As the user gave it; None where it follows from the settings and the data.

    Raises
    ------
    InputError
        When it cannot be made or written, or something else is in it.
    """
    if run_dir is None:
        return
    path = Path(run_dir)
    try:
        there = next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if there == path:
            _refuse_others(path, of_any_run)
    except OSError as error:
        raise _not_writable(path, error, given=True) from error


def of_any_run(name: str) -> bool:
    """Whether a file may be of a training or a cross-validation that was killed as it began: a lock, half a file."""
    return name.startswith(".")


def _refuse_others(path: Path, of_a_run: Callable[[str], bool]) -> None:
    if not (path / RECORD).exists() and not all(of_a_run(entry.name) for entry in path.iterdir()):
        raise InputError(f"run_dir={path} is not empty and holds no run of Pickery: give another folder")


def _not_writable(path: Path, error: OSError, *, given: bool) -> InputError:
    setting = f"run_dir={path}" if given else f"the run's folder {path}"
    return InputError(f"{setting} cannot be written ({error.strerror or error}): give another run_dir")
