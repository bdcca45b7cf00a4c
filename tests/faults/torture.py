"""Runs that are killed, or asked to end, at random moments from first second to last, and gone on with to their end."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.programs import (
    NO_DRAWING,
    SMALL_POOL,
    Launcher,
    Program,
    differences,
    doubles_and_gaps,
    epochs_of,
    figures_of,
    leftovers,
    tracked_run_of,
    tracked_runs,
    words_of,
)

STRIKES = (
    (signal.SIGKILL, True), (signal.SIGKILL, True), (signal.SIGKILL, False), (signal.SIGTERM, False),
    (signal.SIGTERM, True), (signal.SIGINT, False), (signal.SIGINT, True),
)  # fmt: skip

SETTINGS: dict[str, Any] = {
    "data.expected_particles": 8, "data.test_fraction": 0.34, "preprocess.downsample": 4, "preprocess.store": "store",
    "model": "conv31", "model.units": 4, "sampler.minibatch_size": 16, "sampler.epoch_size": 10,
    "optimizer.learning_rate": 0.002, "trainer.epochs": 4, "trainer.threads": 1, "trainer.accelerator": "cpu",
    "tracking": "mlflow", "tracking.system_metrics": "false", "run_dir": "run",
}  # fmt: skip

COMMANDS: dict[str, dict[str, Any]] = {
    "train": SETTINGS | {"preprocess.workers": 1, "sampler.workers": 0},
    "cross-validate": SETTINGS
    | {
        "preprocess.workers": 1, "trainer.epochs": 2, "cross_validation.initial": 0.001,
        "cross_validation.increment": 0.002, "cross_validation.times": 2, "cross_validation.folds": 1,
        "cross_validation.workers": 1,
    },
}  # fmt: skip
"""Each as one process."""

TOGETHER: dict[str, dict[str, Any]] = {
    "train": {"preprocess.workers": 2, "sampler.workers": 1},
    "cross-validate": {"cross_validation.workers": 2},
}
"""What makes them several, at everything that can have several: the same figures, and twice the time."""


@dataclass(frozen=True)
class Whole:
    """A run that nothing befell, and the seconds that it took."""

    place: Path
    seconds: float


@dataclass
class Told:
    """What befell a run: how often it was struck by what, and in what state that found it."""

    strikes: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)


class Victim:
    """A command on a small data set that is disturbed and must come to the end that it would have come to.

    Parameters
    ----------
    launcher
        Starts it.
    command
        ``train`` or ``cross-validate``.
    data
        Folder with ``micrographs`` and ``picks.txt``.
    together
        Whether several processes are at it, and draw; else it is one, which does not.

    Attributes
    ----------
    words
        The command line; all that it writes goes to the folder in which it is started.
    """

    def __init__(self, launcher: Launcher, command: str, data: Path, *, together: bool) -> None:
        self._launcher, self.command = launcher, command
        own = {"data.micrographs": data / "micrographs", "data.picks": data / "picks.txt"}
        self.words = words_of(command, COMMANDS[command] | (TOGETHER[command] if together else {}) | own)
        self._prelude = SMALL_POOL if together else NO_DRAWING

    def start(self, place: Path, *, fault: str = "", **environment: str) -> Program:
        """Start it, or go on with it, in a folder; with a fault of its own, should it have one."""
        return self._launcher.start(self.words, place, fault=f"{self._prelude}\n{fault}", **environment)

    def run(self, place: Path, *, fault: str = "") -> Program:
        """Start it, and wait for its end."""
        program = self.start(place, fault=fault)
        program.wait()
        return program

    def undisturbed(self, place: Path) -> Whole:
        """Let it come to its end."""
        place.mkdir()
        began = time.monotonic()
        program = self.start(place)
        assert program.wait() == 0, program.said
        seconds = time.monotonic() - began
        self.check(place, Whole(place, seconds))
        return Whole(place, seconds)

    def disturb(self, place: Path, whole: Whole, generator: random.Random, *, strikes: int, told: Told) -> None:
        """Strike it at random moments of what it has still to do, then let it come to its end, which must be the same.

        Raises
        ------
        AssertionError
            When it does not end as it should.
        """
        place.mkdir()
        for left in range(strikes, 0, -1):
            begun, program = self._progress(place), self.start(place)
            if generator.random() < 0.4:
                time.sleep(generator.uniform(0, whole.seconds * min(1.0, 2 / left)))
            else:  # else most of them would come while it begins, which takes longest
                program.wait_until(lambda begun=begun: self._progress(place) > begun)
                time.sleep(generator.uniform(0, 0.2 * whole.seconds))
            number, group = generator.choice(STRIKES)
            interruptions = self._interruptions(place)
            program.strike(number, group=group)
            name = signal.Signals(number).name + (" to all" if group else "")
            told.strikes[name] += 1
            if program.status == 0:
                told.found["at its end"] += 1
                break
            told.found[self._state(place)] += 1
            self._check_struck(program, place, number, name, interruptions)
        program = self.start(place)
        assert program.wait() == 0, program.said
        self.check(place, whole)

    def check(self, place: Path, whole: Whole) -> None:
        """Hold what is left at the end against what an undisturbed run left."""
        run, other = place / "run", whole.place / "run"
        trainings = [path.parent.relative_to(run) for path in run.rglob("metrics.csv")]
        assert sorted(trainings) == sorted(path.parent.relative_to(other) for path in other.rglob("metrics.csv"))
        runs = {one.id: one for one in tracked_runs(self._launcher, place / "mlruns")}
        known = [tracked_run_of(path.parent) for path in run.rglob("run.json")]
        for training in trainings:
            wrong = differences(figures_of(run / training), figures_of(other / training))
            assert not wrong, f"{training}: not the undisturbed {wrong}"
            one = runs[str(tracked_run_of(run / training))]
            wrong = doubles_and_gaps(one, run / training / "metrics.csv")
            assert not wrong, (
                f"{training}: tracked twice or not at all: { ({name: one.history.get(name) for name in wrong}) }"
            )
            assert one.models.count("READY") == 1, f"{training}: logged models {one.models}"
        if self.command == "cross-validate":
            table = "cross_validation.csv"
            assert (run / table).read_text() == (other / table).read_text()
            assert not list((run / "workers").iterdir())
        assert sorted(runs) == sorted(map(str, known)), f"tracked runs {sorted(runs)}, known {known}"
        assert {one.status for one in runs.values()} == {"FINISHED"}
        assert not leftovers(place), leftovers(place)

    def _interruptions(self, place: Path) -> int:
        log = place / "run" / "log.txt"
        return log.read_text().count(" interrupted\n") if log.exists() else 0

    def _progress(self, place: Path) -> int:
        """Count the epochs that are done, and the plots."""
        run = place / "run"
        return sum(epochs_of(table.parent) for table in run.rglob("metrics.csv")) + len(list(run.rglob("*.png")))

    def _state(self, place: Path) -> str:
        run = place / "run"
        if not (run / "run.json").exists():
            return "prepared" if list((place / "store").glob("*/index.json")) else "nothing done"
        if (run / "summary.json").exists():
            return "finished but for the last words"
        epochs = sum(len(path.read_text().splitlines()) - 1 for path in run.rglob("metrics.csv"))
        return f"{epochs} epochs" if epochs else "begun"

    def _check_struck(self, program: Program, place: Path, number: int, name: str, interruptions: int) -> None:
        """Hold what was left at once against what may be left."""
        run, said = place / "run", program.said
        asked = number != signal.SIGKILL
        # before the program has its hands on the signals, they end it as they end any program
        assert program.status in ((130, -number) if asked else (-number,)), (
            f"{name} ended it with {program.status}: {said}"
        )
        if asked:
            assert "Traceback" not in said, f"{name}: {said}"
        if asked and program.status == 130:
            assert "takes up where it stopped" in said, f"{name}: {said}"
        runs = {one.id: one for one in tracked_runs(self._launcher, place / "mlruns")}
        number_of_run = tracked_run_of(run) if self.command == "train" else None
        if number_of_run is not None:
            status, finished = runs[number_of_run].status, (run / "summary.json").exists()
            if asked and self._interruptions(place) > interruptions:
                assert status == "KILLED", f"{name}: the tracked run is {status}"
            assert (status != "FINISHED") or finished, f"{name}: the tracked run is {status}, the folder is not"
        for record in run.rglob("summary.json"):  # what is there is whole
            json.loads(record.read_text())


def torture(
    launcher: Launcher,
    command: str,
    data: Path,
    folder: Path,
    *,
    rounds: int,
    strikes: int,
    seed: int,
    say: Callable[[str], object] = lambda text: None,
) -> Told:
    """Disturb a command so many times over, each time anew; what went wrong is left in the folder."""
    victim, generator, told = Victim(launcher, command, data, together=True), random.Random(seed), Told()
    whole = victim.undisturbed(folder / "whole")
    for number in range(rounds):
        place = folder / f"round_{number}"
        try:
            victim.disturb(place, whole, generator, strikes=strikes, told=told)
        except AssertionError as error:
            error.add_note(f"seed {seed}, round {number + 1}, in {place}")
            raise
        shutil.rmtree(place)
        say(f"round {number + 1}: {told.strikes.total()} strikes so far, and the undisturbed end")
    return told
