"""Terminals that are closed, and pipes whose readers end, while a training is at work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.torture import Victim, Whole
from tests.programs import Launcher, differences, epochs_of, figures_of, tracked_run_of, tracked_runs

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("both", [False, True], ids=["stdout", "stdout and stderr"])
def test_a_training_goes_on_when_nobody_reads_what_it_says(
    training: Victim, whole: Whole, tmp_path: Path, both: bool
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pickery", *training.words], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if both else subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as program:  # fmt: skip
        assert program.stdout is not None
        for line in program.stdout:
            if line.split()[:3] == ["1", "of", "4"]:
                break
        program.stdout.close()
        assert program.wait(timeout=300) == 0
        assert program.stderr is None or program.stderr.read() == ""
    run = tmp_path / "run"
    assert not differences(figures_of(run), figures_of(whole.place / "run"))
    log = (run / "log.txt").read_text()
    assert log.count("nobody reads what is said here any more") == 1
    assert " 4 of 4 " in log


def test_a_closed_terminal_ends_a_training_in_order(
    launcher: Launcher, training_together: Victim, whole: Whole, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    program = training_together.start(place)
    program.wait_until(lambda: epochs_of(place / "run"))
    program.strike(signal.SIGHUP, group=True)
    assert program.status == 130
    assert "Traceback" not in program.said
    assert "interrupted; the same command takes up where it stopped" in program.said
    (one,) = tracked_runs(launcher, place / "mlruns")
    assert (one.id, one.status) == (tracked_run_of(place / "run"), "KILLED")
    again = training_together.start(place)
    assert again.wait() == 0, again.said
    training_together.check(place, whole)


def test_under_nohup_a_training_does_without_its_terminal(training: Victim, whole: Whole, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("w") as out, subprocess.Popen(
        ["nohup", sys.executable, "-m", "pickery", *training.words], cwd=tmp_path, stdin=subprocess.DEVNULL,
        stdout=out, stderr=subprocess.STDOUT, env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as program:  # fmt: skip
        while not epochs_of(tmp_path / "run"):
            assert program.poll() is None, said.read_text()
            time.sleep(0.02)
        program.send_signal(signal.SIGHUP)
        assert program.wait(timeout=300) == 0
    assert not differences(figures_of(tmp_path / "run"), figures_of(whole.place / "run"))
