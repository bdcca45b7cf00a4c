"""Nothing leaves the machine: every command, watched in all its processes; and the page of runs is this machine's."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from pickery.config.load import load
from tests.conftest import TinyData

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="sends signals")]

# Python asks of every process that it begins with this on its path; a fork keeps the hook
WATCH = """
import os, sys

def note(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        said = arguments[1][0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        said = arguments[0]
    else:
        return
    with open(os.environ["PICKERY_WATCHED"], "a") as file:
        file.write(repr((event, str(said))) + "\\n")

sys.addaudithook(note)
"""
HERE = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "None", socket.gethostname()}


class Watched:
    """Runs commands and knows the addresses that any of their processes asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.record = folder, folder / "addresses.txt"
        (folder / "watch").mkdir()
        (folder / "watch" / "sitecustomize.py").write_text(WATCH)
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "CI", "PYTEST_CURRENT_TEST")
        } | {"PYTHONPATH": str(folder / "watch"), "PICKERY_WATCHED": str(self.record)}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "pickery", *words]

    def run(self, *words: str) -> str:
        done = subprocess.run(
            self.command(*words), cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def elsewhere(self) -> list[str]:
        said = self.record.read_text().splitlines() if self.record.exists() else []
        return [line for line in said if not any(repr(place) in line for place in HERE)]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_the_watch_sees_what_leaves(watched: Watched) -> None:
    look = "import socket\ntry: socket.getaddrinfo('nowhere.invalid', 80)\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", look], env=watched.environment, check=True)
    assert len(watched.elsewhere()) == 1


def test_no_command_asks_for_another_machine(watched: Watched, tiny: TinyData) -> None:
    words = [word for word in tiny.overrides("trainer.epochs=1", "sampler.workers=1") if word != "tracking=off"]
    watched.run("train", *words, "run_dir=run")
    watched.run(
        "cross-validate",
        *words,
        "cross_validation.times=2",
        "cross_validation.folds=1",
        "cross_validation.workers=2",
        "run_dir=cv",
    )
    watched.run("doctor", *words, "tracking=off", "doctor.out=doctor")
    watched.run("report", "run")
    watched.run("pick", "picking.model=run", f"data.micrographs={tiny.micrographs}", "picking.out=picks.star")
    watched.run("score", "score.picks=picks.star", f"score.truth={tiny.picks}", "score.radius=20")
    assert watched.elsewhere() == []
    assert json.loads((watched.folder / "run/summary.json").read_text())["tracked_run"] is not None


def test_the_page_of_runs_is_this_machines_alone(watched: Watched, tiny: TinyData) -> None:
    assert load("ui").ui.host == "127.0.0.1"
    words = [word for word in tiny.overrides("trainer.epochs=1") if word != "tracking=off"]
    watched.run("train", *words)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        watched.command("ui", f"ui.port={port}"), cwd=watched.folder, env=watched.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
                    break
            except OSError:
                assert server.poll() is None
                time.sleep(0.25)
        listening = listeners(port)
        assert listening == {"0100007F"}, "only 127.0.0.1"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)
    assert watched.elsewhere() == []


def listeners(port: int) -> set[str]:
    """Give the addresses, as the system writes them, on which something listens at a port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if Path(table).exists():
            for row in Path(table).read_text().splitlines()[1:]:
                local, state = row.split()[1], row.split()[3]
                address, _, number = local.partition(":")
                if state == "0A" and int(number, 16) == port:
                    found.add(address)
    if not found:
        pytest.skip("the system does not say who listens")
    return found


def test_a_training_needs_no_network_at_all(tiny: TinyData, tmp_path: Path) -> None:
    cut = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*cut, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    words = [word for word in tiny.overrides("trainer.epochs=1") if word != "tracking=off"]
    done = subprocess.run(
        [*cut, sys.executable, "-m", "pickery", "train", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout + done.stderr
    assert (tmp_path / "mlruns" / "mlflow.db").exists()
