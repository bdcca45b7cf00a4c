"""Watching a cross-validation: what stands where, who trains what, how much time is left; told to an audience."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pickery.cross_validation.bench import Bench
from pickery.cross_validation.grid import FINAL, Point
from pickery.cross_validation.results.table import Table
from pickery.cross_validation.study.points import Standing
from pickery.cross_validation.study.presence import Present, present
from pickery.errors import InputError
from pickery.training.listener import Listener

EVERY_S = 1.0


@dataclass(frozen=True)
class View:
    """A cross-validation at a moment.

    Attributes
    ----------
    table
        Values and folds, as far as they are known.
    finished, trainings
        How many trainings are done or have failed, of how many; the final one counts, and each rung of halving.
    running
        Workers that are alive, and what they do.
    left_s
        Seconds left, as far as that can be told.
    """

    table: Table
    finished: int
    trainings: int
    running: tuple[Present, ...]
    left_s: float | None


class Audience(Listener, Protocol):
    """Hears of a cross-validation, and of what a training does before it has a log of its own."""

    def view(self, view: View) -> None:
        """Hear where everything stands."""

    def trained(self, number: int, name: str, standing: Standing, view: View) -> None:
        """Hear that a training is done or has failed, the how-manieth that is."""


class Watch:
    """Looks at the study and the workers, and tells an audience; nobody (None) where another process watches.

    Parameters
    ----------
    bench
        The cross-validation.
    audience
        Told of changes.
    own
        Name of the one worker whose trainings are told of; None for those of all.
    """

    def __init__(self, bench: Bench, audience: Audience | None, own: str | None = None) -> None:
        self._bench, self._audience, self._own = bench, audience, own
        worker = bench.config.cross_validation.worker
        self._mark = "" if worker is None else f" (worker {worker})"
        self._looked = 0.0
        self._began: tuple[float, float] | None = None
        # of what was done before there is nothing to tell
        self._told = {_key(one) for one in bench.study.standings() if one.state in ("done", "failed")}

    def note(self, text: str) -> None:
        """Tell a line."""
        if self._audience is not None:
            self._audience.say(text)

    def look(self, *, now: bool = False) -> None:
        """Look again, unless that was done a moment ago."""
        if self._audience is None or (not now and time.monotonic() - self._looked < EVERY_S):
            return
        self._looked = time.monotonic()
        try:
            standings = self._bench.study.standings()
            view = self._view(standings)
        except InputError:  # a database that is away for a moment ends no training; what needs it will say so
            return
        for standing in standings:
            if standing.state in ("done", "failed") and _key(standing) not in self._told:
                self._told.add(_key(standing))
                if self._own in (None, standing.worker):
                    name = self._bench.grid.name(standing.point) + self._mark
                    self._audience.trained(len(self._told), name, standing, view)
        self._audience.view(view)

    def _view(self, standings: Sequence[Standing]) -> View:
        table = self._bench.table()
        running = tuple(present(self._bench.path))
        ladder = self._bench.ladder
        top = max((one.point.rung for one in standings), default=0)
        ahead = sum(rung.values * self._bench.grid.folds for rung in ladder[top + 1 :])
        finished = sum(one.state in ("done", "failed") for one in standings)
        return View(table, finished, len(standings) + ahead + 1, running, self._left(standings, running))

    def _left(self, standings: Sequence[Standing], running: Sequence[Present]) -> float | None:
        """Reckon the time left from the epochs trained since this process began to look."""
        named = {self._bench.grid.name(one.point): one.point for one in standings if one.state == "running"}
        done = sum(self._epochs(one.point) for one in standings if one.state in ("done", "failed"))
        for worker in running:
            name, known = worker.progress.get("training"), worker.progress
            if name in named or str(name).endswith(", final"):
                # on a higher rung of halving a training goes on from the one before
                before = self._before(named[name].rung) if name in named else 0
                done += max(0.0, known.get("part", 0.0) * known.get("epochs", 0) - before)
        total = self._total(standings)
        now = time.monotonic()
        if self._began is None:
            self._began = (now, done)
        seconds, gained = now - self._began[0], done - self._began[1]
        if gained <= 0:
            self._began = (now, done)  # the time before the first minibatch says nothing of the others
        if gained <= 0 or seconds < 2:
            return None
        return max(0.0, total - done) * seconds / gained

    def _total(self, standings: Sequence[Standing]) -> float:
        folds, ladder = self._bench.grid.folds, self._bench.ladder
        top = max((one.point.rung for one in standings), default=0)
        ahead = sum(rung.values * folds * self._length(number) for number, rung in enumerate(ladder) if number > top)
        final = self._bench.training_config(Point(0, FINAL, 0)).trainer.epochs
        return sum(self._epochs(one.point) for one in standings) + ahead + final

    def _before(self, rung: int) -> int:
        """Give the epochs that a training has when it begins a rung."""
        return self._bench.ladder[rung - 1].epochs if rung else 0

    def _length(self, rung: int) -> int:
        """Give the epochs that a rung adds."""
        return self._bench.ladder[rung].epochs - self._before(rung)

    def _epochs(self, point: Point) -> float:
        if len(self._bench.ladder) > 1:
            return self._length(point.rung)
        return float(self._bench.training_config(point).trainer.epochs)


def _key(standing: Standing) -> tuple[Point, Any]:
    return standing.point, standing.state
