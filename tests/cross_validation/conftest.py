"""Whole cross-validations of the tiny data set: in this process, or as programs that can be killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from pickery.errors import PickeryWarning
from tests.conftest import TinyData

# the worked example
EXAMPLE = (
    "cross_validation.parameter=learning_rate", "cross_validation.initial=0.0001",
    "cross_validation.increment=0.0001", "cross_validation.times=3", "cross_validation.folds=2",
)  # fmt: skip


def tracked(root: Path) -> list[str]:
    """Give the settings of a run that is tracked in a folder."""
    return ["tracking=mlflow", "tracking.system_metrics=false", f"tracking.root={root}"]


@dataclass(frozen=True)
class Done:
    """A cross-validation that has ended well."""

    path: Path
    was_finished: bool
    said: str

    @property
    def table(self) -> str:
        return (self.path / "cross_validation.csv").read_text()

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads((self.path / "summary.json").read_text())  # type: ignore[no-any-return]


def cross_validate(words: list[str]) -> Done:
    """Do what `pickery cross-validate WORDS` does, in this process."""
    from pickery.config.load import load
    from pickery.cross_validation.run import cross_validate
    from pickery.terminal.cross_validation import CrossValidationTerminal

    said = StringIO()
    with CrossValidationTerminal(said) as terminal, _its_warnings_aside():
        done = cross_validate(load("cross-validate", words), terminal)
    return Done(done.path.resolve(), done.was_finished, said.getvalue())


def train(words: list[str]) -> Path:
    """Do what `pickery train WORDS` does, in this process."""
    from pickery.commands import train
    from pickery.config.load import load
    from pickery.terminal import Terminal

    with Terminal(StringIO()) as terminal, _its_warnings_aside():
        return train.train(load("train", words), terminal).resolve()


@contextmanager
def _its_warnings_aside() -> Iterator[None]:
    """Let advice on settings be none of a test's business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PickeryWarning)
        yield


@pytest.fixture(scope="session")
def reference(tiny: TinyData, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Give the worked example, undisturbed and tracked."""
    folder = tmp_path_factory.mktemp("worked_example")
    return cross_validate(tiny.overrides(*EXAMPLE, *tracked(folder / "mlruns"), f"run_dir={folder / 'run'}"))


# ---- programs

_LAUNCHER = '''
"""Starts pickery again and again without importing everything each time: forks, and the child is the program."""
import json, os, signal, sys
from importlib import import_module

from pickery.tracking import quiet_mlflow

quiet_mlflow()
for name in ("pickery.cross_validation.run", "pickery.commands.cross_validate", "pickery.training.fit",
             "pickery.config.load", "optuna.storages.journal", "mlflow.tracking", "matplotlib.pyplot"):
    import_module(name)
from pickery.cli import main


def save(figure, path):
    path.parent.mkdir(exist_ok=True)
    path.touch()


# drawing takes most of the time of trainings as short as these
for name in ("pickery.training.finish", "pickery.cross_validation.conclude"):
    import_module(name).save_figure = save


def be_killed_at(module, function, times):
    owner = import_module(module)
    before, calls = getattr(owner, function), []

    def reached(*given, **named):
        calls.append(1)
        if len(calls) == times:
            os.kill(os.getpid(), signal.SIGKILL)
        return before(*given, **named)

    setattr(owner, function, reached)


def start(words, folder, said, moment):
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    if moment:
        be_killed_at(*moment)
    status = main(words)
    sys.stdout.flush()
    sys.exit(status)


def poll(child):
    ended, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


print("ready", flush=True)
for line in iter(sys.stdin.readline, ""):
    name, *given = json.loads(line)
    print(json.dumps({"start": start, "poll": poll}[name](*given)), flush=True)
'''


class Launcher:
    """Runs `pickery cross-validate` as programs, each in a session and process group of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100"},
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def ask(self, *request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, words: list[str], folder: Path, moment: tuple[str, str, int] | None = None) -> "Program":
        """Start it in a folder; it may be killed when a function of a module is called for the how-manieth time."""
        said = folder / f"said.{time.monotonic_ns()}"
        return Program(self, self.ask("start", ["cross-validate", *words], str(folder), str(said), moment), said)

    def run(self, words: list[str], folder: Path, moment: tuple[str, str, int] | None = None) -> "Program":
        """Start it and wait for its end."""
        program = self.start(words, folder, moment)
        program.wait()
        return program

    def end(self) -> None:
        self._process.communicate()


class Program:
    """A `pickery` that was started."""

    def __init__(self, launcher: Launcher, pid: int, said: Path) -> None:
        self.pid = pid
        self._launcher, self._said = launcher, said
        self.status: int | None = None

    @property
    def said(self) -> str:
        return self._said.read_text() if self._said.exists() else ""

    def ended(self) -> bool:
        if self.status is None:
            self.status = self._launcher.ask("poll", self.pid)
        return self.status is not None

    def wait(self, timeout: float = 600) -> int:
        until = time.monotonic() + timeout
        while not self.ended():
            assert time.monotonic() < until, f"still at work:\n{self.said}"
            time.sleep(0.02)
        assert self.status is not None
        return self.status

    def kill(self) -> None:
        """End it as a power cut would, with all of its process group."""
        if not self.ended():
            os.killpg(self.pid, signal.SIGKILL)
            self.wait()


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.end()


# ---- what was done


def epochs_said(folder: Path) -> dict[str, list[int]]:
    """Give the epochs that each training of a cross-validation says it has trained, in the order of its log."""
    said = {}
    for log in sorted(folder.glob("*/log.txt")):
        lines = [line.split(maxsplit=2)[-1] for line in log.read_text().splitlines() if len(line.split()) > 2]
        said[log.parent.name] = [int(found[1]) for line in lines if (found := re.match(r"(\d+) of \d+ ", line))]
    return said


def runs_of(root: Path, experiment: str = "pickery") -> list[Any]:
    """Give all tracked runs."""
    from mlflow import MlflowClient

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = MlflowClient(tracking_uri=f"sqlite:///{root.resolve() / 'mlflow.db'}")
        found = client.get_experiment_by_name(experiment)
        return [] if found is None else list(client.search_runs([found.experiment_id]))


def history(root: Path, run_id: str, metric: str) -> list[tuple[int, float]]:
    """Give the steps and values of a tracked metric; one that was recorded twice is there twice."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{root.resolve() / 'mlflow.db'}")
    return sorted((entry.step, entry.value) for entry in client.get_metric_history(run_id, metric))
