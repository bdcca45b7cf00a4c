"""Runs that were killed outright: the page of runs says so as it opens, and of no other run."""

import signal
import socket
from pathlib import Path

import pytest

from tests.faults.torture import Victim, Whole
from tests.programs import Launcher, Program, epochs_of, tracked_run_of, tracked_runs

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def open_page(launcher: Launcher, place: Path, end: signal.Signals = signal.SIGTERM) -> str:
    """Let `pickery ui` begin and end in a folder, with its server; gives what it said."""
    page = launcher.start(["ui", f"ui.port={free_port()}"], place)
    page.wait_until(lambda: "Ctrl-C ends the page" in page.said)
    page.strike(end, group=False)
    return page.said


def statuses(launcher: Launcher, place: Path) -> dict[str, tuple[str, bool]]:
    return {one.id: (one.status, one.ended) for one in tracked_runs(launcher, place / "mlruns")}


def killed_after_an_epoch(victim: Victim, place: Path) -> Program:
    place.mkdir()
    program = victim.start(place)
    program.wait_until(lambda: any(epochs_of(table.parent) for table in place.rglob("metrics.csv")))
    program.strike(signal.SIGKILL, group=True)
    assert program.status == -signal.SIGKILL
    return program


def test_a_training_that_was_killed_is_marked_and_one_at_work_is_not(
    launcher: Launcher, training: Victim, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    killed_after_an_epoch(training, place)
    run = str(tracked_run_of(place / "run"))
    assert statuses(launcher, place) == {run: ("RUNNING", False)}
    going = launcher.start([*training.words, "run_dir=other", "seed=5", "trainer.epochs=100000"], place)
    going.wait_until(lambda: epochs_of(place / "other"))
    said = open_page(launcher, place)
    assert "run was killed and is marked so; the command that began it takes it up again" in said
    assert not going.ended()
    other = str(tracked_run_of(place / "other"))
    assert statuses(launcher, place) == {run: ("KILLED", True), other: ("RUNNING", False)}
    going.strike(signal.SIGTERM, group=False)
    assert "was killed and" not in open_page(launcher, place, signal.SIGHUP)  # it said so itself
    assert statuses(launcher, place)[other] == ("KILLED", True)

    again = training.start(place)
    assert again.wait() == 0, again.said
    assert statuses(launcher, place)[run] == ("FINISHED", True)


def test_a_cross_validation_that_was_killed_is_marked_with_its_trainings(
    launcher: Launcher, cross_validation: Victim, whole_cross_validation: Whole, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    killed_after_an_epoch(cross_validation, place)
    before = statuses(launcher, place)
    assert before[str(tracked_run_of(place / "run"))] == ("RUNNING", False)
    running = [status for status, _ in before.values()].count("RUNNING")
    assert open_page(launcher, place).count("was killed and is marked so") == running
    after = statuses(launcher, place)
    assert after.keys() == before.keys()
    assert {status for status, _ in after.values()} <= {"KILLED", "FINISHED"}
    again = cross_validation.start(place)
    assert again.wait() == 0, again.said
    cross_validation.check(place, whole_cross_validation)
