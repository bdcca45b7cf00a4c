"""What the trials of a study say of its points: which trials count, and where each point stands. Pure.

Every process that reads the same trials comes to the same answer, so that all agree even where no file lock reaches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from pickery.cross_validation.grid import Point

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

OWN: Final = frozenset(
    {"rung", "fold", "value", "name", "worker", "follows", "ended", "reason", "monitored", "result_of"}
)
"""The attributes by which a study is kept; not for figures."""


class StudyDamagedError(ValueError):
    """What stands in a study is not what was written there."""


State = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True)
class Claim:
    """A point that is one worker's to train.

    Attributes
    ----------
    point
        The point.
    worker
        The worker's name.
    trial
        Number of the trial in the study.
    """

    point: Point
    worker: str
    trial: int


@dataclass(frozen=True)
class Standing:
    """Where a point stands.

    Attributes
    ----------
    point
        The point.
    state
        ``waiting``, ``running``, ``done`` or ``failed``.
    worker
        Who trains it, or did; None while it waits.
    monitored
        What it was completed with; may be nan.
    attributes
        What it was completed with besides.
    reason
        Why it failed.
    """

    point: Point
    state: State
    worker: str | None = None
    monitored: float | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


def chains_of(trials: Sequence[FrozenTrial]) -> tuple[dict[Point, list[FrozenTrial]], list[FrozenTrial]]:
    """Give the trials of every point that count, each following the one before; and those that do not count.

    Raises
    ------
    StudyDamagedError
        A trial's point or result is none, or the result of another point.
    """
    chains: dict[Point, list[FrozenTrial]] = {}
    duplicates = []
    for trial in sorted(trials, key=lambda one: one.number):
        known = trial.user_attrs
        if not {"rung", "fold", "value"} <= known.keys():
            continue  # not of Pickery's making
        point = _point_of(trial)
        before = chains[point][-1].number if point in chains else None
        if known.get("follows") == before:
            chains.setdefault(point, []).append(trial)
        else:
            duplicates.append(trial)
    return chains, duplicates


def _point_of(trial: FrozenTrial) -> Point:
    known = trial.user_attrs
    numbers = [known["rung"], known["fold"], known["value"]]
    if not all(type(number) is int for number in numbers):
        raise StudyDamagedError(f"trial {trial.number} is of no training")
    if trial.state.name == "COMPLETE":
        # trials are known by their order: where one is lost, what was said of the next counts for it
        if known.get("result_of", numbers) != numbers:
            raise StudyDamagedError(f"trial {trial.number} has the result of another training")
        if not (len(trial.values or ()) == 1 and isinstance(trial.values[0], (int, float))):
            raise StudyDamagedError(f"the result of trial {trial.number} is no number")
    return Point(*numbers)


def is_running(trial: FrozenTrial) -> bool:
    """Whether a worker has the trial."""
    return trial.state.name == "RUNNING"


def is_to_follow(trial: FrozenTrial) -> bool:
    """Whether a trial ended so that its point is to wait again."""
    return trial.state.name == "FAIL" and trial.user_attrs.get("ended") in ("lost", "anew", "released")


def losses_of(chain: Sequence[FrozenTrial]) -> int:
    """Count how often a point has lost its worker since it was last enqueued, retried or asked for anew."""
    count = 0
    for trial in reversed(chain[:-1]):
        if not is_to_follow(trial) or trial.user_attrs["ended"] == "anew":
            break
        count += trial.user_attrs["ended"] == "lost"
    return count


def standing_of(point: Point, trial: FrozenTrial) -> Standing:
    """Give the standing of a point from the last trial of its chain."""
    known = trial.user_attrs
    worker = known.get("worker")
    if trial.state.name == "WAITING" or is_to_follow(trial):
        return Standing(point, "waiting")
    if trial.state.name == "RUNNING":
        return Standing(point, "running", worker)
    if trial.state.name == "COMPLETE":
        monitored = math.nan if known.get("monitored") == "nan" else trial.value
        attributes = {name: what for name, what in known.items() if name not in OWN}
        return Standing(point, "done", worker, monitored, attributes)
    return Standing(point, "failed", worker, reason=known.get("reason", "it was ended outside Pickery"))
