"""A tiny simulated data set that whole runs train on in seconds, and the way to run them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs import Launcher

# a shell in the background begins its programs with Ctrl-C ignored, and theirs would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class TinyData:
    """Six simulated micrographs of 384 x 384 pixels."""

    folder: Path

    @property
    def micrographs(self) -> Path:
        return self.folder / "micrographs"

    @property
    def picks(self) -> Path:
        return self.folder / "picks.txt"

    def overrides(self, *more: str) -> list[str]:
        """Give the settings of a run of seconds: a small network, short epochs, one process, no tracking."""
        settings = {
            "data.micrographs": self.micrographs,
            "data.picks": self.picks,
            "data.expected_particles": 8,
            "data.test_fraction": 0.34,
            "preprocess.downsample": 4,
            "preprocess.workers": 1,
            "preprocess.store": self.folder.parent / "prepared",
            "model": "conv31",
            "model.units": 4,
            "sampler.minibatch_size": 16,
            "sampler.epoch_size": 6,
            "optimizer.learning_rate": 0.002,
            "trainer.epochs": 3,
            "trainer.threads": 1,
            "trainer.accelerator": "cpu",
            "tracking": "off",
        }
        given = {word.split("=", 1)[0] for word in more}
        return [f"{name}={value}" for name, value in settings.items() if name not in given] + list(more)


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    """Give what starts `pickery` as programs that can be killed."""
    if sys.platform == "win32":
        pytest.skip("forks programs")
    launcher = Launcher()
    yield launcher
    launcher.end()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyData:
    from pickery.simulation.data_set import write_data_set
    from pickery.simulation.settings import SimulationSettings

    folder = tmp_path_factory.mktemp("tiny") / "data"
    settings = SimulationSettings(
        micrographs=6, rows=384, columns=384, particles_per_micrograph=8, picked_fraction=0.5, carbon_probability=0
    )
    write_data_set(folder, settings)
    return TinyData(folder)


Said = Callable[..., str]


@pytest.fixture
def said_by(launcher: Launcher, tmp_path: Path) -> Said:
    """Run `pickery WORDS...` in an empty folder to its good end, spared the seconds of imports; gives what it said."""

    def run(*words: str) -> str:
        program = launcher.run(list(words), tmp_path)
        assert program.status == 0, f"pickery {' '.join(words)}\n{program.said}"
        return program.said

    return run


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def pickery(tmp_path: Path) -> Command:
    """Run `pickery WORDS...` in an empty folder, as a person does, with its output and its errors apart."""

    def run(*words: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "pickery", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | {"COLUMNS": "100"},
        )
        if check:
            assert done.returncode == 0, f"pickery {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done

    return run
