"""`pickery` as programs that can be killed and into which faults are put, and what is asked of them afterwards."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

LAUNCHER = Path(__file__).with_name("launcher.py")
PATIENCE_S = 300.0
"""Longer than any of these programs takes on a busy machine: one that is at work for so long hangs."""

SMALL_POOL = "import pickery.preprocess.pool as pool; pool.POOL_PAYS_FROM_PIXELS = 0"
"""So that these few small micrographs are prepared by several processes."""

HIDDEN = {".lock", ".locks", ".cross_validation.lock", ".mlflow.lock", ".study", ".study.lock"}
"""What a finished run may have that its user does not see."""

NO_DRAWING = """
from matplotlib.figure import Figure
Figure.savefig = lambda figure, path, **how: path.touch()
"""
"""Drawing takes most of the time of trainings as short as these; all plots are empty files then."""


def killed_at(module: str, function: str, times: int) -> str:
    """Give the fault of which a program dies when a function of a module is called for the how-manieth time."""
    return f"""
import os, signal
from importlib import import_module

def to_be_killed(owner, before, calls):
    def reached(*given, **named):
        calls.append(1)
        if len(calls) == {times}:
            os.kill(os.getpid(), signal.SIGKILL)
        return before(*given, **named)
    owner.{function} = reached

owner = import_module("{module}")
to_be_killed(owner, owner.{function}, [])
"""


def killed_writing(file: str) -> str:
    """Give the fault of which a program dies when it has half written one that is written whole, such as ``run/a.csv``.

    Parameters
    ----------
    file
        Its name, after that of its folder.
    """
    folder, name = file.split("/")
    return f"""
import os, signal
import pickery.atomic as atomic

def dying(path, before=atomic._sync):
    if path.parent.name == "{folder}" and path.name.startswith(".{name}."):
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    before(path)

atomic._sync = dying
"""


class LauncherError(Exception):
    """What was asked could not be done."""


class Launcher:
    """Starts `pickery`, each time in a session and process group of its own.

    Parameters
    ----------
    wrapped
        A command to run it by, such as ``unshare -rm``.
    """

    def __init__(self, wrapped: tuple[str, ...] = ()) -> None:
        self._process = subprocess.Popen(
            [*wrapped, sys.executable, str(LAUNCHER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100"},
        )  # fmt: skip
        assert self._process.stdout is not None
        ready = self._process.stdout.readline()
        assert ready == "ready\n", ready

    def ask(self, *request: Any) -> Any:
        """Ask it anything; raises `LauncherError` when it cannot be done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        if "error" in said:
            raise LauncherError(said["error"])
        return said["answer"]

    def start(
        self, words: list[str], folder: Path, *, fault: str | None = None, said: Path | None = None, **environment: str
    ) -> Program:
        """Start `pickery WORDS` in a folder, with a fault (Python that it runs before anything else)."""
        said = said or folder / f"said.{time.monotonic_ns()}"
        return Program(self, self.ask("start", words, str(folder), str(said), fault, environment), said)

    def run(self, words: list[str], folder: Path, **options: Any) -> Program:
        """Start it and wait for its end."""
        program = self.start(words, folder, **options)
        program.wait()
        return program

    def mount(self, folder: Path, size: str) -> None:
        """Put a disk of a size, such as 2m, in the place of a folder, or change the size of the one that is there."""
        self.ask("mount", str(folder), size)

    def unmount(self, folder: Path) -> None:
        """Take the disk away again, with all that is on it."""
        self.ask("unmount", str(folder))

    def read_only(self, folder: Path) -> None:
        """Let nothing be written in a folder any more, but to files that are open; `unmount` ends that."""
        self.ask("read_only", str(folder))

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()


class Program:
    """A `pickery` that was started."""

    def __init__(self, launcher: Launcher, pid: int, said: Path) -> None:
        self.pid = pid
        self._launcher, self._said = launcher, said
        self.status: int | None = None

    @property
    def said(self) -> str:
        """All that it has said."""
        return self._said.read_text(errors="replace") if self._said.exists() else ""

    def ended(self) -> bool:
        """Whether it has ended."""
        if self.status is None:
            self.status = self._launcher.ask("poll", self.pid)
        return self.status is not None

    def wait(self, timeout: float = PATIENCE_S) -> int:
        """Wait for its end; one that does not come to it is ended, and that is an error."""
        until = time.monotonic() + timeout
        while not self.ended():
            if time.monotonic() > until:
                os.killpg(self.pid, signal.SIGKILL)
                raise AssertionError(f"it hangs:\n{self.said}")
            time.sleep(0.01)
        assert self.status is not None
        return self.status

    def kill(self) -> None:
        """End it as a power cut would, with all of its process group."""
        if not self.ended():
            os.killpg(self.pid, signal.SIGKILL)
            self.wait()

    def wait_until(self, happened: Any, timeout: float = PATIENCE_S) -> None:
        """Wait until something has happened, or it has ended."""
        until = time.monotonic() + timeout
        while not happened() and not self.ended():
            assert time.monotonic() < until, f"it hangs:\n{self.said}"
            time.sleep(0.005)

    def family(self) -> list[psutil.Process]:
        """Give the processes that it has started, and those that they have."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def strike(self, number: int, *, group: bool) -> None:
        """Send it a signal, or its whole group, as a terminal or a batch system does; then all of it has to end."""
        family = self.family()
        if not self.ended():
            (os.killpg if group else os.kill)(self.pid, number)
        self.wait()
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive, f"orphans are still at work: {alive}"


# ---- what was left


def words_of(command: str, settings: dict[str, Any], *more: str) -> list[str]:
    """Give a command line."""
    given = {word.split("=", 1)[0] for word in more}
    return [command, *(f"{name}={value}" for name, value in settings.items() if name not in given), *more]


def figures_of(run: Path) -> dict[str, Any]:
    """Give all that a finished training found out: the same for the same command, whatever befell it."""
    import torch

    model = torch.load(run / "model.ckpt", weights_only=True)
    summary = json.loads((run / "summary.json").read_text())
    table = csv.DictReader((run / "micrographs.csv").read_text().splitlines())
    return {
        "metrics.csv": (run / "metrics.csv").read_text(),
        "summary.json": {name: value for name, value in summary.items() if name != "tracked_run"},
        "model.ckpt": {name: tensor.tolist() for name, tensor in model["state_dict"].items()},
        "its thresholds": model["picking"],
        "micrographs.csv": [(row["name"], row["set"], row["picks"]) for row in table],
        "plots": sorted(path.name for path in (run / "plots").iterdir()),
    }


def leftovers(place: Path) -> list[str]:
    """Give the files that were being written when somebody was killed; none of them may be left by a finished run."""
    return [str(path.relative_to(place)) for path in place.rglob(".*") if path.name not in HIDDEN]


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Name what is not the same."""
    return [name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)]


@dataclass(frozen=True)
class TrackedRun:
    """A tracked run, as MLflow gives it."""

    id: str
    name: str
    status: str
    ended: bool
    parent: str | None
    history: dict[str, list[tuple[int, float]]]
    params: dict[str, str]
    artifacts: list[str]
    models: list[str]


def tracked_runs(launcher: Launcher, root: Path | str) -> list[TrackedRun]:
    """Give all tracked runs of a folder or a server; none where there is no store yet."""
    if isinstance(root, Path) and not (root / "mlflow.db").exists():
        return []
    return [
        TrackedRun(**one | {"history": {name: [(step, value) for step, value in rows] for name, rows in hist.items()}})
        for one in launcher.ask("tracked", str(root))
        for hist in [one["history"]]
    ]


def tracked_run_of(run: Path) -> str | None:
    """Give the number of a folder's tracked run."""
    record = run / "run.json"
    return json.loads(record.read_text())["tracked_run"] if record.exists() else None


def epochs_of(run: Path) -> int:
    """Count the epochs that a training has done."""
    table = run / "metrics.csv"
    return max(0, len(table.read_text().splitlines()) - 1) if table.exists() else 0


def assert_tracked_whole(one: TrackedRun, run: Path) -> None:
    """Hold a tracked run against its folder: finished, with every figure once, its plots and its model."""
    assert one.status == "FINISHED"
    assert one.ended
    assert not doubles_and_gaps(one, run / "metrics.csv")
    assert {"config.yaml", "log.txt", "metrics.csv", "micrographs.csv", "model", "plots", "summary.json"} <= set(
        one.artifacts
    )
    assert one.models.count("READY") == 1
    assert one.params["model.units"] == "4"


def doubles_and_gaps(one: TrackedRun, metrics_csv: Path) -> list[str]:
    """Name the metrics that a tracked run lacks or has twice, held against the run's own table."""
    rows = list(csv.DictReader(metrics_csv.read_text().splitlines()))
    wrong = []
    for name in rows[0]:
        side, _, metric = name.partition("_")
        if side not in ("train", "test"):
            continue
        wanted = [(int(row["epoch"]), float(row[name])) for row in rows if row[name] not in ("", "nan")]
        if one.history.get(f"{side}/{metric}", []) != wanted:
            wrong.append(f"{side}/{metric}")
    wrong += [name for name, rows in one.history.items() if name.startswith("best/") and len(rows) != 1]
    if "best/epoch" not in one.history:
        wrong.append("best/epoch")
    return wrong
