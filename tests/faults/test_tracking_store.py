"""The tracking store locked, gone, spoiled or read-only in mid-run: the training goes on, and tells it later."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from tests.conftest import TinyData
from tests.faults.torture import Victim, Whole
from tests.programs import (
    NO_DRAWING,
    Launcher,
    assert_tracked_whole,
    differences,
    epochs_of,
    figures_of,
    tracked_run_of,
    tracked_runs,
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="forks programs")]

IMPATIENT = """
import mlflow.store.db.utils as database
text = database.sql.text
database.sql.text = lambda words: text(words.replace("busy_timeout = 20000", "busy_timeout = 100"))
"""
"""So that a locked database need not be locked for the 20 seconds that MLflow has SQLite wait."""

WAITS = """
import pathlib, time
import pickery.training.callbacks as callbacks
write = callbacks.write_metrics

def write_and_wait(path, epochs):
    write(path, epochs)
    while len(epochs) > len(list(pathlib.Path().glob("go_*"))):
        time.sleep(0.01)

callbacks.write_metrics = write_and_wait
"""
"""After each epoch, before the tracker is told of it, until there is a file `go_...` more."""


def go(place: Path, *, to_the_end: bool = False) -> None:
    for _ in range(4 if to_the_end else 1):
        (place / f"go_{time.monotonic_ns()}").touch()


@contextmanager
def locked(place: Path) -> Iterator[None]:
    """Lock the database, as another program that writes to it."""
    with closing(sqlite3.connect(place / "mlruns" / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def deleted(place: Path) -> Iterator[None]:
    shutil.rmtree(place / "mlruns")
    yield


@contextmanager
def spoiled(place: Path) -> Iterator[None]:
    database = place / "mlruns" / "mlflow.db"
    database.write_text("no database " * 1000)
    yield
    database.unlink()


@contextmanager
def without_artifacts(place: Path) -> Iterator[None]:
    """Put a file where the folder of artifacts was."""
    artifacts = place / "mlruns" / "artifacts"
    artifacts.rename(place / "aside")
    artifacts.touch()
    yield
    artifacts.unlink()
    (place / "aside").rename(artifacts)


@pytest.mark.parametrize("trouble", [locked, deleted, spoiled, without_artifacts])
def test_a_store_in_trouble_ends_no_training_and_is_told_all_by_the_same_command(
    launcher: Launcher,
    training: Victim,
    whole: Whole,
    tmp_path: Path,
    trouble: Callable[[Path], AbstractContextManager[None]],
) -> None:
    run = tmp_path / "run"
    program = training.start(tmp_path, fault=IMPATIENT + WAITS)
    program.wait_until(lambda: epochs_of(run) == 1)
    with trouble(tmp_path):
        go(tmp_path, to_the_end=True)
        assert program.wait() == 0, program.said
    assert not differences(figures_of(run), figures_of(whole.place / "run"))
    assert "Traceback" not in program.said
    assert program.said.count("does not answer") == 2, program.said  # when it begins, and what is lost at the end
    assert "records of this run did not reach it; the run's folder holds them all" in program.said
    assert "the same command, given again, tells the tracking store what it missed" in program.said
    again = training.run(tmp_path)
    assert again.status == 0, again.said
    assert "nothing to do" in again.said
    assert "warning" not in again.said
    (one,) = tracked_runs(launcher, tmp_path / "mlruns")
    assert one.id == tracked_run_of(run)
    assert_tracked_whole(one, run)


def test_a_lock_that_is_let_go_in_time_loses_nothing(
    launcher: Launcher, training: Victim, whole: Whole, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    program = training.start(tmp_path, fault=IMPATIENT + WAITS)
    program.wait_until(lambda: epochs_of(run) == 1)
    with locked(tmp_path):
        go(tmp_path)
        program.wait_until(lambda: epochs_of(run) == 2)
    go(tmp_path, to_the_end=True)
    assert program.wait() == 0, program.said
    assert program.said.count("does not answer") == 1, program.said
    assert not differences(figures_of(run), figures_of(whole.place / "run"))
    (one,) = tracked_runs(launcher, tmp_path / "mlruns")
    assert_tracked_whole(one, run)


def test_what_was_spoiled_before_the_beginning_is_told_and_tracked_when_it_is_mended(
    launcher: Launcher, training: Victim, whole: Whole, tmp_path: Path
) -> None:
    run, database = tmp_path / "run", tmp_path / "mlruns" / "mlflow.db"
    database.parent.mkdir()
    database.write_text("no database " * 1000)
    program = training.run(tmp_path)
    assert program.status == 0, program.said
    assert "does not answer (file is not a database); the training goes on" in program.said
    assert not differences(figures_of(run), figures_of(whole.place / "run"))
    assert tracked_run_of(run) is None
    database.unlink()
    assert training.run(tmp_path).status == 0
    (one,) = tracked_runs(launcher, tmp_path / "mlruns")
    assert one.id == tracked_run_of(run)
    assert_tracked_whole(one, run)


def test_a_folder_that_may_only_be_read_is_refused_before_the_training_and_told_of_in_it(
    with_disks: Launcher, training: Victim, whole: Whole, tmp_path: Path
) -> None:
    run, root = tmp_path / "run", tmp_path / "mlruns"
    root.mkdir()
    with_disks.read_only(root)
    program = with_disks.run(training.words, tmp_path, fault=NO_DRAWING)
    assert program.status == 1
    assert "tracking.root=" in program.said
    assert "cannot be written (Read-only file system): choose another folder, or tracking=off" in program.said
    assert epochs_of(run) == 0
    with_disks.unmount(root)

    program = with_disks.start(training.words, tmp_path, fault=NO_DRAWING + WAITS)
    program.wait_until(lambda: epochs_of(run) == 1)
    with_disks.read_only(root)
    go(tmp_path, to_the_end=True)
    assert program.wait() == 0, program.said
    assert program.said.count("does not answer") == 2, program.said
    assert not differences(figures_of(run), figures_of(whole.place / "run"))
    with_disks.unmount(root)
    assert with_disks.run(training.words, tmp_path, fault=NO_DRAWING).status == 0
    (one,) = tracked_runs(with_disks, root)
    assert_tracked_whole(one, run)


# ---- a server


class Server:
    """MLflow's server on this machine, which may be killed and brought back."""

    def __init__(self, place: Path) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self.port = unused.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["--backend-store-uri", f"sqlite:///{self._place / 'server.db'}"]
        words += ["--artifacts-destination", str(self._place / "kept"), "--host", "127.0.0.1", "--port", str(self.port)]
        with (self._place / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *words, "--workers", "1"], stdout=log, stderr=log,
                start_new_session=True, cwd=self._place,
            )  # fmt: skip
        until = time.monotonic() + 120
        while self.page("/health") != b"OK":
            assert time.monotonic() < until, (self._place / "server.log").read_text()
            time.sleep(0.1)

    def page(self, path: str) -> bytes | None:
        try:
            with urllib.request.urlopen(self.uri + path, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            return None

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def test_a_server_that_is_gone_and_back_is_told_all_that_it_missed(
    launcher: Launcher, training: Victim, whole: Whole, tiny: TinyData, server: Server, tmp_path: Path
) -> None:
    places = [tmp_path / "in_time", tmp_path / "too_late"]
    words = [*training.words, f"tracking.uri={server.uri}"]
    programs = []
    for place in places:
        place.mkdir()
        programs.append(launcher.start(words, place, fault=NO_DRAWING + WAITS))
    for place, program in zip(places, programs, strict=True):
        program.wait_until(lambda place=place: epochs_of(place / "run") == 1)
    server.kill()
    for place, program in zip(places, programs, strict=True):
        go(place)
        program.wait_until(lambda place=place: epochs_of(place / "run") == 2)
    go(places[1], to_the_end=True)
    assert programs[1].wait() == 0, programs[1].said
    assert "records of this run did not reach it" in programs[1].said
    server.start()
    go(places[0], to_the_end=True)
    assert programs[0].wait() == 0, programs[0].said
    assert programs[0].said.count("does not answer") == 1, programs[0].said
    assert launcher.run(words, places[1], fault=NO_DRAWING).status == 0
    runs = {one.id: one for one in tracked_runs(launcher, server.uri)}
    assert len(runs) == 2
    for place in places:
        assert not differences(figures_of(place / "run"), figures_of(whole.place / "run"))
        assert_tracked_whole(runs[str(tracked_run_of(place / "run"))], place / "run")
    assert b"<html" in (server.page("/") or b"").lower()
