"""The program as it is called: what it answers, how it fails, and how soon."""

import errno
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pickery import __version__
from pickery.cli import main
from pickery.errors import InputError, PickeryWarning

Run = Callable[[Any], None]


class Outcome:
    """What a command is made to do, and the settings that it was given."""

    def __init__(self) -> None:
        self.configs: list[Any] = []
        self.do: Run = lambda config: None

    def run(self, config: Any) -> None:
        self.configs.append(config)
        self.do(config)


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Outcome]:
    """Stand in for the training, in an empty folder."""
    outcome = Outcome()
    module = ModuleType("pickery.commands.train")
    module.run = outcome.run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pickery.commands.train", module)
    monkeypatch.chdir(tmp_path)
    yield outcome
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"runs"}, "neither Hydra nor the command line writes files, but for a sweep's own"


def raises(error: BaseException) -> Run:
    def run(config: Any) -> None:
        raise error

    return run


# ---- what it answers


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_the_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert "preprocess" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["train", "--help"], ["train", "model=conv31", "trainer.epochs=0", "--help"], ["help", "train"]]
)
def test_help_of_a_command_answers_whatever_else_is_on_the_line(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    assert "trainer.epochs=10" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["train", "--version"]])
def test_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out == f"pickery {__version__}\n"


def test_a_command_is_given_its_valid_settings(train: Outcome) -> None:
    assert main(["train", "model=conv31", "trainer.epochs=2"]) == 0
    (config,) = train.configs
    assert (config.model.architecture, config.trainer.epochs) == ("conv31", 2)


def test_a_command_with_a_dash_is_found_and_swept_over_like_any_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome, module = Outcome(), ModuleType("pickery.commands.cross_validate")
    module.run = outcome.run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pickery.commands.cross_validate", module)
    monkeypatch.chdir(tmp_path)
    assert main(["cross-validate", "cross_validation.times=2"]) == 0
    assert main(["cross-validate", "--multirun", "cross_validation.folds=3,4", "model=conv31"]) == 0
    assert [config.cross_validation.folds for config in outcome.configs] == [2, 3, 4]
    capfd.readouterr()
    assert main(["cross-validate", "--cfg", "job", "--package", "cross_validation"]) == 0
    assert "parameter: learning_rate" in capfd.readouterr().out
    outcome.do = raises(KeyboardInterrupt())
    assert main(["cross-validate"]) == 130
    assert "the same command takes up where it stopped" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "present"),
    [
        (["--cfg", "job", "--package", "trainer"], ["epochs: 6"]),
        (["trainer.epochs=0", "--cfg", "job"], ["epochs: 0"]),
        (["--cfg", "job", "--resolve", "simulation.particles_per_micrograph=50"], ["expected_particles: 50"]),
        (["--cfg=job", "data.picks=a.star"], ["source: files", "picks: a.star"]),
        (["--info", "defaults", "model=conv31"], ["model/conv31"]),
        (["--info", "config"], ["epochs: 6"]),
        (["--hydra-help"], ["Hydra"]),
    ],
)
def test_hydra_shows_the_settings(
    words: list[str], present: list[str], train: Outcome, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words]) == 0
    out = capfd.readouterr().out
    for text in present:
        assert text in out
    assert train.configs == []


def test_experiments_of_ones_own_are_found(train: Outcome, tmp_path: Path, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("mine")
    (folder / "experiment").mkdir()
    (folder / "experiment" / "short.yaml").write_text("# @package _global_\ntrainer: {epochs: 2}\n", encoding="utf-8")
    assert main(["train", "--config-dir", str(folder), "experiment=short"]) == 0
    assert train.configs[0].trainer.epochs == 2


# ---- how it fails


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tarin"], ["tarin is not a command", "Did you mean pickery train?"]),
        (["cross_validate"], ["cross_validate is not a command", "Did you mean pickery cross-validate?"]),
        (["crossvalidation"], ["Did you mean pickery cross-validate?"]),
        (
            ["cross-validate", "cross_validation.parameter=seed"],
            ["cross_validation.parameter=seed cannot be varied: seed decides the folds."],
        ),
        (["cross-validate", "-m", "cross_validation.folds=2,0"], ["job 2 of 2, cross_validation.folds=0: "]),
        (["train", "trainer.epochs=0"], ["trainer.epochs=0: must be at least 1 (got 0)."]),
        (
            ["train", "trainer.epochs=0", "data.radius=-1"],
            ["several settings", "  trainer.epochs=0", "  data.radius=-1"],
        ),
        (["train", "--epochs=5"], ["--epochs=5 is not an option", "Did you mean trainer.epochs=5?"]),
        (["train", "--trainer.epochs", "5"], ["Did you mean trainer.epochs=VALUE?"]),
        (["train", "--frobnicate"], ["--frobnicate is not an option", "pickery train --help"]),
        (["train", "--cfg"], ["--cfg lacks a value"]),
        (["train", "--cfg", "trainer"], ["--cfg trainer: must be one of job, hydra, all."]),
        (["train", "--resolve"], ["--resolve needs --cfg job"]),
        (["train", "--config-dir", "/no/such/folder"], ["/no/such/folder: there is no such folder"]),
        (["train", "--help", "trainer.epoch"], ["trainer.epoch is not a setting", "trainer.epochs"]),
        (["--completion"], ["--completion lacks a value"]),
        (["--completion", "csh"], ["bash, zsh, fish"]),
        (["train", "-m", "trainer.epochs=1,0"], ["job 2 of 2, trainer.epochs=0: "]),
        (["train", "-m", "--cfg", "job"], ["Only one of"]),
    ],
)
def test_a_line_that_cannot_be_used_ends_with_2_and_plain_words(
    words: list[str], said: list[str], train: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("pickery: ")
    for text in said:
        assert text in captured.err
    assert "Traceback" not in captured.err
    assert train.configs == []


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (InputError("a.mrc is a volume: give an image"), 1, "pickery: a.mrc is a volume: give an image\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "runs/a"),
            1,
            "pickery: runs/a: No space left on device. Free some space, then give the same command again.\n",
        ),
        (OSError(errno.ENOSPC, "x"), 1, "pickery: No space left on device. Free"),
        (PermissionError(errno.EACCES, "x", "runs"), 1, "pickery: runs: Permission denied.\n"),
        (FileNotFoundError(errno.ENOENT, "x", "a.mrc"), 1, "pickery: a.mrc: No such file or directory.\n"),
        (MemoryError(), 1, "pickery: the machine's memory is full. A smaller sampler.minibatch_size"),
        (KeyboardInterrupt(), 130, "\npickery: interrupted; the same command takes up where it stopped\n"),
    ],
)
def test_a_failure_is_said_plainly_without_a_traceback(
    error: BaseException, status: int, said: str, train: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    train.do = raises(error)
    assert main(["train"]) == status
    captured = capsys.readouterr()
    assert captured.err.startswith(said)
    assert "Traceback" not in captured.err


def test_only_a_mistake_of_the_program_shows_a_traceback(train: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    train.do = raises(ZeroDivisionError("division by zero"))
    assert main(["train"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert error.splitlines()[-2] == "ZeroDivisionError: division by zero"
    assert error.splitlines()[-1].startswith("pickery: this is a mistake in Pickery itself.")


def test_a_full_gpu_is_said_plainly(train: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    train.do = raises(type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"))
    assert main(["train"]) == 1
    assert capsys.readouterr().err.startswith("pickery: the GPU's memory is full.")


def test_warnings_are_one_plain_line_each(train: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    def run(config: Any) -> None:
        warnings.warn("pi is small", PickeryWarning, stacklevel=2)

    train.do = run
    assert main(["train", "loss=pu", "loss.slack=2"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "warning: loss.slack=2 has no effect with loss=pu, which has no expectation term.",
        "warning: pi is small",
    ]


# ---- sweeps


def test_a_sweep_goes_on_after_a_failed_job_and_ends_with_an_error(
    train: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(config: Any) -> None:
        if config.trainer.epochs == 2:
            raise InputError("two is too many")

    train.do = run
    assert main(["train", "--multirun", "trainer.epochs=1,2,3", "loss=pn"]) == 1
    assert [config.trainer.epochs for config in train.configs] == [1, 2, 3]
    error = capsys.readouterr().err
    assert "pickery: job 2, trainer.epochs=2: two is too many" in error
    assert "pickery: 1 of 3 jobs failed" in error
    assert "Error executing job" not in error


def test_ctrl_c_ends_a_whole_sweep(train: Outcome) -> None:
    train.do = raises(KeyboardInterrupt())
    assert main(["train", "-m", "trainer.epochs=1,2,3"]) == 130
    assert len(train.configs) == 1


def test_a_sweep_that_goes_well_ends_with_0_after_one_that_did_not(train: Outcome) -> None:
    train.do = raises(InputError("no"))
    assert main(["train", "-m", "trainer.epochs=1,2"]) == 1
    train.do = lambda config: None
    assert main(["train", "trainer.epochs=1,2", "-m"]) == 0


STAND_IN = """
import sys, types
from pickery.errors import InputError
def run(config):
    print(f"trained {config.trainer.epochs}\\n", end="", flush=True)  # a whole line at once, as others print too
    if config.trainer.epochs == 2:
        raise InputError("two is too many")
module = types.ModuleType("pickery.commands.train")
module.run = run
sys.modules["pickery.commands.train"] = module
"""


def program(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program with a stand-in for the training, in a folder of its own."""
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(STAND_IN, encoding="utf-8")
    path = os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    # a relative path would be lost, as the program runs elsewhere
    path = os.pathsep.join(str(Path(part).absolute()) for part in path.split(os.pathsep))
    return subprocess.run(
        [sys.executable, "-m", "pickery", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_sweep_over_processes_reports_its_failures(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    line = ["train", "-m", "trainer.epochs=1,2,3", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    done = program(tmp_path, *line)
    assert done.returncode == 1
    assert {line for line in done.stdout.splitlines() if line} == {"trained 1", "trained 2", "trained 3"}
    assert "pickery: job 2, trainer.epochs=2: two is too many" in done.stderr
    assert "Traceback" not in done.stderr


# ---- how soon


WATCH = """
import atexit, sys
heavy = ("torch", "mlflow", "pytorch_lightning", "lightning", "pandas", "scipy", "numpy", "optuna", "matplotlib")
atexit.register(lambda: print("loaded:", *(name for name in heavy if name in sys.modules)))
"""


@pytest.mark.parametrize(
    "words",
    [
        ["train", "trainer.epochs=0"],
        ["train", "trainer.epoch=3"],
        ["train", "model=conv31", "model.pooling=max"],
        ["train", "-m", "trainer.epochs=1,0"],
        ["train", "--cfg", "job"],
        ["train", "--help"],
        ["cross-validate", "cross_validation.increment=-0.0001"],
        ["cross-validate", "--help"],
        ["--help"],
        ["--complete", "train", "model="],
    ],
)
def test_an_answer_loads_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    path = [
        str(tmp_path),
        *(str(Path(part).absolute()) for part in os.environ.get("PYTHONPATH", "").split(":") if part),
    ]
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "pickery", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
    )
    after = os.times()
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert "Traceback" not in done.stderr
    spent_s = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent_s < 2, "about half a second on an idle machine"
