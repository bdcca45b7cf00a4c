"""Whole cross-validations of the tiny data set: in this process, or as programs that can be killed."""

import json
import re
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
from tests.programs import NO_DRAWING, Launcher, Program, killed_at

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


@dataclass(frozen=True)
class Programs:
    """`pickery cross-validate` as programs, each in a session and process group of its own."""

    launcher: Launcher

    def start(self, words: list[str], folder: Path, moment: tuple[str, str, int] | None = None) -> Program:
        """Start it in a folder; it may be killed when a function of a module is called for the how-manieth time."""
        fault = NO_DRAWING if moment is None else NO_DRAWING + killed_at(*moment)
        return self.launcher.start(["cross-validate", *words], folder, fault=fault)

    def run(self, words: list[str], folder: Path, moment: tuple[str, str, int] | None = None) -> Program:
        """Start it and wait for its end."""
        program = self.start(words, folder, moment)
        program.wait()
        return program


@pytest.fixture(scope="session")
def programs(launcher: Launcher) -> Programs:
    return Programs(launcher)


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
