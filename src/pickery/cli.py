"""The command line: finds the command, has its settings checked, runs it, and says plainly what went wrong.

Imports nothing heavy: a mistake in a setting is answered before torch, Lightning or MLflow is loaded.
"""

from __future__ import annotations

import atexit
import errno
import gc
import os
import re
import shutil
import sys
import textwrap
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, TextIO

from pickery.config.commands import COMMANDS, python_name
from pickery.config.errors import ConfigError
from pickery.errors import InputError, PickeryWarning
from pickery.memory import is_full

if TYPE_CHECKING:
    from omegaconf import DictConfig

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
_RESUMED = ("train", "cross-validate", "pick", "preprocess")
_failed_jobs: list[int] = []
_main_process: int | None = None


class JobFailed(Exception):
    """A job of a sweep failed in a process of its own, where it said why; the message says it once more."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments
        The words after ``pickery``; None for those of this process.

    Returns
    -------
    int
        0 when all went well, 1 when the command failed, 2 when the command line cannot be used, 130 after Ctrl-C.
    """
    global _main_process
    _main_process = os.getpid()
    _failed_jobs.clear()
    # leaving Python would else search all that torch and MLflow hold for garbage, a second and a half each time
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words[0] if words and words[0] in COMMANDS else None
    try:
        with _plain_warnings():
            _check_text(words)
            return _answer(words) if command is None else _command(command, words[1:])
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        return _report(error, command)


def _check_text(words: list[str]) -> None:
    """Refuse words that no file of settings and no log could hold."""
    for word in words:
        if any("\ud800" <= sign <= "\udfff" for sign in word):
            raise InputError(
                f"{word!a} has bytes that are no text here: give another name, or, if it has letters beyond ASCII, set "
                "LC_ALL to a locale of UTF-8, such as C.UTF-8"
            )


def _answer(words: list[str]) -> int:
    """Answer what is asked of pickery itself."""
    match words:
        case [] | ["--help" | "-h" | "help"]:
            from pickery.config.help import overview

            print(overview())
        case ["help", command, *names] if command in COMMANDS:
            return _help(command, names)
        case ["--version" | "-V"]:
            from pickery import __version__

            print(f"pickery {__version__}")
        case ["--completion", shell]:
            from pickery.config.completion import script

            print(script(shell), end="")
        case ["--completion"]:
            raise ConfigError(["--completion lacks a value: bash, zsh or fish."])
        case ["--complete", *line]:
            from pickery.config.completion import complete

            print(*complete(line), sep="\n")
        case [word, *_]:
            import difflib

            close = difflib.get_close_matches(word, COMMANDS, n=1)
            question = f" Did you mean pickery {close[0]}?" if close else ""
            raise ConfigError([f"{word} is not a command of pickery; there are {', '.join(COMMANDS)}.{question}"])
    return 0


def _help(command: str, names: Sequence[str]) -> int:
    from pickery.config.help import command_help

    print(command_help(command, names))
    return 0


def _command(command: str, words: list[str]) -> int:
    if "--help" in words or "-h" in words:
        return _help(command, [word for word in words if "=" not in word and not word.startswith("-")])
    if "--version" in words:
        return _answer(["--version"])
    from pickery.config import load
    from pickery.config.flags import split
    from pickery.config.line import for_hydra
    from pickery.config.positions import named

    flags, overrides = split(command, words)
    overrides = named(command, overrides)
    if any(word.lstrip("+").startswith("from_run=") for word in overrides):
        overrides = import_module("pickery.training.earlier").expanded(command, overrides)
    line = for_hydra(command, overrides)
    if not flags:
        with load.hydra_errors(command, line):
            composed = load.compose(command, line)
        if composed.hydra.mode is None or composed.hydra.mode.name != "MULTIRUN":
            _run(command, load.validate(command, composed))
            return 0
        flags = ["--multirun"]  # an experiment may ask for a sweep
    return _through_hydra(command, flags, line)


def _through_hydra(command: str, flags: list[str], line: list[str]) -> int:
    """Let Hydra do what was asked by flag: sweep, show the settings, show how they came about."""
    from pickery.config.load import check_sweep, hydra_errors

    jobs = 0
    if "--multirun" in flags:
        swept = check_sweep(command, line)
        jobs = len(swept)
        # Hydra words what distinguishes a job, in whatever process that runs
        names = [word.partition("=")[0].lstrip("+") for word in line]
        same = ",".join(name for name in names if name not in swept[0] and not name.startswith("hydra"))
        line = [*line, f"hydra.job.config.override_dirname.exclude_keys=[{same}]"]
        _say(f"pickery: a sweep of {jobs} {'job' if jobs == 1 else 'jobs'}")
        if any(word.startswith("hydra/launcher=submitit") for word in line):
            places = [word.partition("=")[2] for word in line if word.startswith("hydra.sweep.dir=")]
            place = [*places, "the newest folder of runs/.sweeps"][0]
            _say(f"pickery: what the jobs say is in .submitit, in {place}")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of ending the process
    import hydra

    composes = hydra.main(version_base="1.3", config_path="pkg://pickery.conf", config_name=python_name(command))
    entry: Any = composes(_Job(command))
    before = sys.argv
    sys.argv = ["pickery", *flags, *line]
    try:
        with hydra_errors(command, line):
            entry()
    except SystemExit as end:  # Hydra's way to end after its own help
        return end.code if isinstance(end.code, int) else 0
    finally:
        sys.argv = before
    if _failed_jobs:
        _say(f"pickery: {len(_failed_jobs)} of {jobs} jobs failed")
    return max(_failed_jobs, default=0)


@dataclass(frozen=True)
class _Job:
    """One job of a sweep; it may find itself in another process or on another machine."""

    command: str

    def __call__(self, composed: DictConfig) -> None:
        from hydra.core.hydra_config import HydraConfig

        from pickery.config.load import validate

        job = HydraConfig.get().job
        differs = str(job.override_dirname).replace(",", " ")
        label = f"job {job.num + 1}" + (f", {differs}" if differs else "")
        elsewhere = os.getpid() != _main_process
        if elsewhere:  # beside others, perhaps on the same terminal: whole lines, no displays
            os.environ["TTY_COMPATIBLE"] = "0"
        with _plain_warnings():
            _say(f"pickery: {label}")
            try:
                _run(self.command, validate(self.command, composed))
            except KeyboardInterrupt as error:
                if elsewhere:
                    raise SystemExit(_report(error, self.command, label)) from None
                raise
            except Exception as error:
                status = _report(error, self.command, label)
                if elsewhere:
                    said = _launchers_words(error) if type(error).__name__ in _OF_LAUNCHERS else error
                    raise JobFailed(f"{label}: {said}") from None
                _failed_jobs.append(status)


def _run(command: str, config: Any) -> None:
    import_module(f"pickery.commands.{python_name(command)}").run(config)


def _report(error: BaseException, command: str | None, where: str = "") -> int:
    """Say what went wrong, and give the exit status."""
    start = f"pickery: {where}: " if where else "pickery: "
    resumes = "; the same command takes up where it stopped" if command in _RESUMED else ""
    match error:
        case ConfigError(problems=[_, _, *_]):
            _say(f"{start}several settings cannot be used:")
            for problem in error.problems:
                _say(f"  {problem}")
            return MISUSED
        case ConfigError():
            _say(f"{start}{error}")
            return MISUSED
        case InputError():
            _say(f"{start}{error}")
        case JobFailed():
            _say(f"pickery: the sweep has failed jobs; the first is {error}")
        case Exception() if type(error).__name__ in _OF_LAUNCHERS:
            _say(f"{start}{_launchers_words(error, resumes)}")
        case KeyboardInterrupt():
            if command == "train" and str(error):  # not all engines take up a training where it stopped
                resumes = f"; {error}"
            _say(f"{start}interrupted{resumes}" if where else f"\n{start}interrupted{resumes}")
            return INTERRUPTED
        case BrokenPipeError():
            # the reader has seen enough; keep Python from complaining once more at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        case OSError() if error.errno is not None:
            _say(f"{start}{_in_words(error)}")
        case Exception() if type(error).__name__ == "OutOfMemoryError":
            _say(f"{start}the GPU's memory is full. {_SMALLER}")
        case Exception() if is_full(error):
            _say(f"{start}the machine's memory is full. {_SMALLER}")
        case _:
            print("".join(traceback.format_exception(error)).rstrip(), file=sys.stderr)
            _say(f"{start}this is a mistake in Pickery itself. Please report it with the lines above.")
    return FAILED


LONGEST = 4000
"""Signs of a sentence, the middle of longer ones left out."""

_SMALLER = (
    "A smaller sampler.minibatch_size, a larger preprocess.downsample or fewer preprocess.workers need less of it."
)


_OF_LAUNCHERS = ("TerminatedWorkerError", "FailedJobError", "UncompletedJobError")


def _launchers_words(error: Exception, resumes: str = "") -> str:
    """Say what joblib or submitit says of a job that did not come back."""
    text = str(error)
    match type(error).__name__:
        case "TerminatedWorkerError":
            return f"a job was killed, for want of memory perhaps, and joblib has ended the others with it{resumes}"
        case "FailedJobError" if not text.startswith("Job"):  # what sbatch said
            return f"the jobs could not be submitted: {' '.join(text.split())}"
        case _ if "timed-out" in text:
            return f"the job's time was up{resumes}"
        case _:
            where = re.search(r"/[^\n]*/\.submitit/", text)
            logs = f" (what they said is in {where[0]})" if where else ""
            return f"a job ended before it was done, killed perhaps; those that are at work go on{logs}{resumes}"


def _in_words(error: OSError) -> str:
    reason = os.strerror(error.errno or 0)
    files = [str(name) for name in (error.filename, error.filename2) if name is not None]
    text = f"{' -> '.join(files)}: {reason}." if files else f"{reason}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        text += " Free some space, then give the same command again."
    return text


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show Pickery's own warnings as one plain line each, every time."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, PickeryWarning):
                _say(f"warning: {message}")
            else:
                others(message, category, filename, lineno, file, line)

        warnings.simplefilter("always", PickeryWarning)
        warnings.showwarning = show
        yield


def _say(text: str) -> None:
    """Print to the terminal, broken between words; elsewhere a sentence stays on its line.

    What a file or its name brings into a sentence may be long, or have signs in it that a terminal would obey.
    """
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
    text = "".join(sign if sign.isprintable() or sign in "\n\t\u3000\xa0" else ascii(sign)[1:-1] for sign in text)
    if sys.stderr.isatty():
        width = shutil.get_terminal_size((80, 24)).columns
        lines = [_broken(line, width) for line in text.split("\n")]
        text = "\n".join(lines)
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # the terminal was closed, or a pipe's reader has ended: nobody hears it
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _broken(line: str, width: int) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(line, width, subsequent_indent=indent + "  ", break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.exit(main())
