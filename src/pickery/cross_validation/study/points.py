"""The trainings of a cross-validation as an Optuna study, which gives each to one worker and loses none.

Optuna's samplers hand out trials that are not there yet, and several processes get
the same one or leave one out. Here all points are enqueued, and a worker claims a waiting trial by setting it running,
which the storage grants once. A point may have several trials: one follows another that lost its worker or failed.
What stands in the study decides in the same way for every process, so that all agree even where no file lock reaches:

* of several trials that would be a point's first, or follow the same trial, the lowest number counts;
* the last one of this chain is where the point stands; the others are never trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pickery.cross_validation.grid import FINAL, Grid, Point
from pickery.cross_validation.study.chains import (
    OWN,
    Claim,
    Standing,
    StudyDamagedError,
    chains_of,
    is_running,
    is_to_follow,
    losses_of,
    standing_of,
)
from pickery.cross_validation.study.locks import FolderLock
from pickery.cross_validation.study.storage import in_words, open_storage
from pickery.cross_validation.study.trials import GridTrials
from pickery.errors import InputError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

LOCK: Final = ".study.lock"

LOSSES: Final = 5
"""How many times in a row a point may lose its worker and be taken up again: it may be what kills them."""

WANTED_BY: Final = "wanted by "

Ended = Literal["failed", "lost", "anew", "released", "duplicate"]

__all__ = ["Claim", "PointStudy", "Standing"]


class PointStudy:
    """The points of a cross-validation, for one thread of one of the processes that work on it.

    What is written is on the disk when a method returns. Every method raises `InputError` when the storage cannot be
    read or written; what was called may then be called again.

    Attributes
    ----------
    study
        The Optuna study, with a grid sampler that knows the points of the first rung for its own.
    """

    def __init__(self, study: Study, storage: BaseStorage, trials: GridTrials, lock: FolderLock, place: str) -> None:
        self.study = study
        self._storage, self._trials, self._lock, self._place = storage, trials, lock, place
        self._study_id = storage.get_study_id_from_name(study.study_name)
        self._grid = trials.grid
        self._names: set[str] = set()  # under which this process has claimed
        self._held: set[int] = set()  # trials

    @classmethod
    def open(cls, folder: Path, grid: Grid, *, name: str, storage: str | None, better: str) -> Self:
        """Make the study or load it.

        Parameters
        ----------
        folder
            The cross-validation's folder, which all its workers share.
        grid
            Its values and folds.
        name
            The study's name in the storage.
        storage
            Address of a database; None for a journal in the folder.
        better
            ``higher`` or ``lower``: which monitored figure is better.

        Raises
        ------
        InputError
            When the storage cannot be used, or holds another study of this name.
        """
        import optuna
        from optuna.study import StudyDirection

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        lock, trials = FolderLock(folder / LOCK), GridTrials(grid)
        values = {axis.parameter: list(axis.values) for axis in grid.axes}
        asked = {"values": values, "folds": grid.folds, "better": better}
        with lock:
            opened, place = open_storage(folder, lock, storage)
            with in_words(place):
                try:
                    opened.get_study_id_from_name(name)
                except KeyError:
                    direction = StudyDirection.MAXIMIZE if better == "higher" else StudyDirection.MINIMIZE
                    optuna.create_study(storage=opened, study_name=name, direction=direction, load_if_exists=True)
                study = optuna.load_study(storage=opened, study_name=name, sampler=trials.sampler)
                self = cls(study, opened, trials, lock, place)
                found = opened.get_study_user_attrs(self._study_id).get("grid")
                if found is None:
                    opened.set_study_user_attr(self._study_id, "grid", asked)
                elif not isinstance(found, dict):
                    raise StudyDamagedError("its values and folds are none")
                elif found != asked:
                    raise InputError(
                        f"{place} has a study '{name}' of other values, folds or direction ({found}, not {asked}): "
                        "give another run_dir or cross_validation.storage"
                    )
        return self

    def enqueue(self, points: Sequence[Point]) -> None:
        """Add those points that are not there yet."""
        with self._working():
            there = self._chains()
            for point in dict.fromkeys(points):
                if point not in there:
                    self._create(point)

    def claim(self, worker: str, point: Point | None = None) -> Claim | None:
        """Give a worker the point that has waited longest, or this one; None where it does not wait."""
        with self._working():
            self._names.add(worker)
            last = {one: chain[-1] for one, chain in self._chains().items() if point in (None, one)}
            waiting = [(trial.number, one) for one, trial in last.items() if trial.state.name == "WAITING"]
            for number, one in sorted(waiting):
                if self._take(number, worker):
                    self._held.add(number)
                    return Claim(one, worker, number)
        return None

    def complete(self, claim: Claim, monitored: float, attributes: Mapping[str, Any]) -> bool:
        """Record a point's result.

        Parameters
        ----------
        claim
            The claim.
        monitored
            The figure that ranks it; may be nan, which Optuna is told of as the worst there is.
        attributes
            What else to keep, as JSON takes it.

        Returns
        -------
        bool
            Whether it counts. It does not when this worker was taken for dead in the meantime: the point is another's
            then, or waits for another, who will find the finished training in its folder.
        """
        from optuna.study import StudyDirection
        from optuna.trial import TrialState

        assert not OWN & attributes.keys(), f"{sorted(OWN & attributes.keys())} are the study's own"
        value = float(monitored)
        attributes = dict(attributes) | {"result_of": [claim.point.rung, claim.point.fold, claim.point.value]}
        if math.isnan(value):
            attributes["monitored"] = "nan"
            value = -math.inf if self.study.direction == StudyDirection.MAXIMIZE else math.inf
        with self._working():
            return self._finish(claim.trial, TrialState.COMPLETE, attributes, value)

    def fail(self, claim: Claim, reason: str) -> bool:
        """Record that a point cannot be trained, and why; gives whether it counts, as in `complete`."""
        with self._working():
            return self._end(claim.trial, "failed", reason)

    def release(self, claim: Claim) -> bool:
        """Hand a point back, to be claimed again; gives whether it was still this worker's."""
        with self._working():
            released = self._end(claim.trial, "released", "handed back")
            self._chains()
        return released

    def requeue_lost(self, is_alive: Callable[[str], bool], *, anew: bool = False) -> list[Point]:
        """Make points whose workers are gone wait again.

        One that has lost its worker too often is failed instead.

        Parameters
        ----------
        is_alive
            Says of a worker's name whether it is alive.
        anew
            Whether somebody has just asked for the work again: then no point is failed, and losses count from here.

        Returns
        -------
        list of Point
            Those that wait again.
        """
        with in_words(self._place):
            running = [chain[-1] for chain in self._of_points()[0].values()]
        # not under the lock: asking may take long
        gone = {trial.number for trial in running if is_running(trial) and self._is_gone(trial, is_alive)}
        if not gone:
            return []
        requeued = []
        with self._working():
            for point, chain in self._chains().items():
                trial = chain[-1]
                if trial.number not in gone or not is_running(trial):
                    continue
                losses = losses_of(chain) + 1
                if anew:
                    if self._end(trial.number, "anew", "its worker is gone, and the work is asked for anew"):
                        requeued.append(point)
                elif losses > LOSSES:
                    why = f"it lost its worker {losses} times in a row: killed, for want of memory perhaps"
                    self._end(trial.number, "failed", why)
                elif self._end(trial.number, "lost", "its worker is gone"):
                    requeued.append(point)
            self._chains()
        return requeued

    def retry_failed(self) -> list[Point]:
        """Make all failed points wait again; gives them."""
        with self._working():
            failed = {
                point: chain[-1]
                for point, chain in self._chains().items()
                if standing_of(point, chain[-1]).state == "failed"
            }
            for point, trial in failed.items():
                self._create(point, follows=trial.number)
        return list(failed)

    def again(self, point: Point) -> None:
        """Make a point that is done wait again: what it had left is gone."""
        with self._working():
            chain = self._chains()[point]
            if standing_of(point, chain[-1]).state == "done":
                self._create(point, follows=chain[-1].number)

    def in_words(self) -> AbstractContextManager[None]:
        """Tell in the user's words what is wrong with the storage."""
        return in_words(self._place)

    def standings(self) -> list[Standing]:
        """Say where every point stands, in the order in which they were enqueued."""
        with in_words(self._place):
            chains, _ = self._of_points()
        return [standing_of(point, chain[-1]) for point, chain in chains.items()]

    def close(self) -> None:
        """Let go of the storage."""
        self._storage.remove_session()

    @contextmanager
    def _working(self) -> Iterator[None]:
        with in_words(self._place), self._lock:
            yield

    def _of_points(self) -> tuple[dict[Point, list[FrozenTrial]], list[FrozenTrial]]:
        """Give the trials of every point that count, and those that do not."""
        chains, duplicates = chains_of(self._storage.get_all_trials(self._study_id, deepcopy=False))
        for point, chain in chains.items():
            if not (point.value in range(len(self._grid.values)) and point.fold in (FINAL, *range(self._grid.folds))):
                raise StudyDamagedError(f"trial {chain[0].number} is of a training that was not asked for")
        return chains, duplicates

    def _chains(self) -> dict[Point, list[FrozenTrial]]:
        """Give the trials of every point that count, after putting right what others have left half done."""
        while True:
            chains, duplicates = self._of_points()
            unwanted = [trial for trial in duplicates if trial.state.name == "WAITING"]
            unfollowed = {point: chain[-1] for point, chain in chains.items() if is_to_follow(chain[-1])}
            if not unwanted and not unfollowed:
                return chains
            for trial in unwanted:
                self._end(trial.number, "duplicate", "the point had a trial already")
            for point, trial in unfollowed.items():
                self._create(point, follows=trial.number)

    def _create(self, point: Point, follows: int | None = None) -> None:
        self._storage.create_new_trial(self._study_id, template_trial=self._trials.waiting(point, follows))

    def _take(self, number: int, worker: str) -> bool:
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        trial_id = self._trial_id(number)
        try:
            # Said first, so that one who is killed before it can put its name to the trial is missed. In words of its
            # own: where locks do not reach, several may want it at once, and only the one who gets it may say so.
            self._storage.set_trial_system_attr(trial_id, WANTED_BY + worker, True)
            if not self._storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                return False
            self._storage.set_trial_user_attr(trial_id, "worker", worker)
        except UpdateFinishedTrialError:
            return False
        return True

    def _is_gone(self, trial: FrozenTrial, is_alive: Callable[[str], bool]) -> bool:
        """Whether nobody works at a running trial any more, or will in a moment."""
        worker = trial.user_attrs.get("worker")
        wanting = [key.removeprefix(WANTED_BY) for key in trial.system_attrs if key.startswith(WANTED_BY)]
        not_held = self._names if trial.number not in self._held else ()  # this process did not get it, or lost it
        return not any(is_alive(name) for name in ([worker] if worker else wanting) if name not in not_held)

    def _end(self, number: int, ended: Ended, reason: str) -> bool:
        from optuna.trial import TrialState

        return self._finish(number, TrialState.FAIL, {"ended": ended, "reason": reason})

    def _finish(self, number: int, state: Any, attributes: Mapping[str, Any], value: float | None = None) -> bool:
        """End a trial, unless it has ended."""
        from optuna.exceptions import UpdateFinishedTrialError

        trial_id = self._trial_id(number)
        try:
            for name, what in attributes.items():
                self._storage.set_trial_user_attr(trial_id, name, what)
            if attributes.get("ended", "failed") != "failed":  # the sampler is not to count the point as visited
                self._storage.set_trial_system_attr(trial_id, "grid_id", -1)
            counts = self._storage.set_trial_state_values(trial_id, state, None if value is None else [value])
        except UpdateFinishedTrialError:
            counts = False
        self._held.discard(number)
        return counts

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
