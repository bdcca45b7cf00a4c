"""Worker processes that die, as the system ends them for want of memory: a sentence, no hang, the same numbers."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.faults.torture import Victim, Whole
from tests.programs import Launcher, Program, differences, epochs_of, figures_of, tracked_runs

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")]

RESTS = """
import time
import pickery.training.callbacks as callbacks
write = callbacks.write_metrics

def write_and_rest(path, epochs):
    write(path, epochs)
    time.sleep(1)

callbacks.write_metrics = write_and_rest
"""
"""After each epoch, so that there is time to find who loads the next."""


def forked_workers(program: Program) -> list[psutil.Process]:
    """Give the processes that the server of a pool or of a loader has forked."""
    family = program.family()
    servers = {one.pid for one in family if "forkserver" in " ".join(one.cmdline())}
    return [one for one in family if one.ppid() in servers]


def test_a_training_whose_loader_dies_says_so_and_goes_on_when_asked_again(
    launcher: Launcher, training_together: Victim, whole: Whole, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    program = training_together.start(tmp_path, fault=RESTS)
    program.wait_until(lambda: epochs_of(run) == 1)
    workers = forked_workers(program)
    assert workers
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    assert program.wait(60) == 1
    assert "Traceback" not in program.said
    assert program.said.strip().splitlines()[-1] == (
        "pickery: One of the 1 processes that load minibatches died, most likely for want of memory: lower "
        "sampler.workers. The same command goes on from the last finished epoch."
    )
    assert [one.status for one in tracked_runs(launcher, tmp_path / "mlruns")] == ["FAILED"]
    again = training_together.start(tmp_path)
    assert again.wait() == 0, again.said
    training_together.check(tmp_path, whole)


def test_preparing_whose_worker_dies_says_so_and_starts_anew_when_asked_again(
    training_together: Victim, whole: Whole, tmp_path: Path
) -> None:
    program = training_together.start(tmp_path)
    # from the birth of the workers on, all is a race that the kill may win at any moment
    program.wait_until(lambda: len(forked_workers(program)) >= 1)
    for worker in forked_workers(program)[:1]:
        if worker.is_running():
            os.kill(worker.pid, signal.SIGKILL)
    assert program.wait(60) in (0, 1)
    if program.status == 1:
        assert "One of the 2 processes that prepare micrographs died, most likely for want of memory" in program.said
        assert not list((tmp_path / "store").glob("*/index.json"))
        again = training_together.start(tmp_path)
        assert again.wait() == 0, again.said
    assert not differences(figures_of(tmp_path / "run"), figures_of(whole.place / "run"))


DIES_YOUNG = """
import os, signal, time
from concurrent.futures import ProcessPoolExecutor

def slowly(pool, start=ProcessPoolExecutor._spawn_process):
    for earlier in list(pool._processes):
        os.kill(earlier, signal.SIGKILL)
        time.sleep(1)
    start(pool)

ProcessPoolExecutor._spawn_process = slowly
"""
"""The first worker dies while the second is started, which the pool then does not know of."""


def test_preparing_whose_first_worker_dies_while_the_second_is_started_does_not_hang(
    training_together: Victim, tmp_path: Path
) -> None:
    program = training_together.start(tmp_path, fault=DIES_YOUNG)
    program.wait_until(lambda: len(forked_workers(program)) == 2)
    assert program.wait(60) == 1
    assert "One of the 2 processes that prepare micrographs died, most likely for want of memory" in program.said
    assert "Traceback" not in program.said


def test_the_loaders_of_a_training_that_is_killed_alone_end_with_it(
    training_together: Victim, whole: Whole, tmp_path: Path
) -> None:
    program = training_together.start(tmp_path, fault=RESTS)
    program.wait_until(lambda: epochs_of(tmp_path / "run") == 2)
    assert forked_workers(program)
    program.strike(signal.SIGKILL, group=False)  # and nobody is left
    again = training_together.start(tmp_path)
    assert again.wait() == 0, again.said
    training_together.check(tmp_path, whole)


EARLY = """
import os, signal
from pytorch_lightning.loops import fit_loop
setup_data = fit_loop._FitLoop.setup_data

def interrupted(self):
    setup_data(self)
    os.kill(os.getpid(), signal.SIGTERM)

fit_loop._FitLoop.setup_data = interrupted
"""
"""A request to end when Lightning has set up the data and not yet begun to load."""


def test_a_request_to_end_before_the_first_minibatch_is_one_like_any_other(
    launcher: Launcher, training_together: Victim, tmp_path: Path
) -> None:
    program = training_together.run(tmp_path, fault=EARLY)
    assert program.status == 130, program.said
    assert "Traceback" not in program.said
    assert "interrupted; the same command takes up where it stopped" in program.said
    assert [one.status for one in tracked_runs(launcher, tmp_path / "mlruns")] == ["KILLED"]
