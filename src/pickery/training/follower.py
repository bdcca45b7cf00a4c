"""A process that trains one model with others and follows the one that leads: it writes nothing and says nothing.

It was started by the leader on the same machine (`pickery.training.followers`), or beside it by torchrun or the like.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pickery.errors import InputError
from pickery.memory import is_full
from pickery.training.followers import ENDED_ELSEWHERE

if TYPE_CHECKING:
    from pickery.config.schema import TrainConfig
    from pickery.training.division import TrainingData
    from pickery.training.team import Meeting, Started, Team


ENDING_S = 5.0
"""How long a process that is asked to end waits for its leader to end it."""


@dataclass(frozen=True)
class Task:
    """What the leader gives the others.

    Attributes
    ----------
    config, data
        As `pickery.training.fit.fit` has them.
    folder
        The run's folder, of which they read ``last.ckpt``.
    epochs
        Train to so many.
    threads
        Compute threads of each process; None as torch chooses.
    """

    config: TrainConfig
    data: TrainingData
    folder: Path
    epochs: int
    threads: int | None


class EndedElsewhere(InputError):
    """Another process ended, and this one with it."""

    def __init__(self, team: Team) -> None:
        super().__init__(f"{team.name} that train together ends because another one did, which says why")


@dataclass(frozen=True)
class LocalTask:
    """A task for a process that the leader has started: who it is, and where to meet."""

    team: Team
    store: Path
    task: bytes


def main() -> int:
    """Follow as standard input says; it ends with the leader, and then so does this process."""
    _leave_signals_to_the_leader()
    size = int.from_bytes(_read(8), "big")
    words = _read(size)
    threading.Thread(target=_end_with_leader, daemon=True).start()
    try:
        from pickery.training.team import meeting_at

        given: LocalTask = pickle.loads(words)
        _follow(given.task, meeting_at(given.store, given.team), local_rank=given.team.rank)
    except EndedElsewhere:
        return ENDED_ELSEWHERE
    except InputError as error:
        print(error)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def follow_elsewhere(started: Started, number: int) -> None:
    """Follow a leader that was started as this process was, perhaps on another machine.

    Parameters
    ----------
    started
        Who this process is.
    number
        Which of the trainings of these processes this is.

    Raises
    ------
    InputError
        When this process cannot train, finds no place to meet, or another of them cannot.
    """
    from pickery.training.team import meeting_of

    _leave_signals_to_the_leader()
    meeting = meeting_of(started, number)
    try:
        task = meeting.task()
    except RuntimeError as error:
        raise EndedElsewhere(started.team) from error
    if task == "failed":
        raise EndedElsewhere(started.team)
    if not isinstance(task, str):
        _follow(task, meeting, local_rank=started.local_rank)


def _follow(words: bytes, meeting: Meeting, *, local_rank: int) -> None:
    from pickery.training.fit import follow
    from pickery.training.team import lost

    try:
        follow(pickle.loads(words), meeting, local_rank=local_rank)
    except BaseException as error:
        if lost(error):
            raise EndedElsewhere(meeting.team) from error
        meeting.fail(_words_of(error))
        raise


def _words_of(error: BaseException) -> str:
    if isinstance(error, (InputError, OSError)):
        return str(error)
    if type(error).__name__ == "OutOfMemoryError":
        return "the GPU's memory is full: a smaller sampler.minibatch_size needs less of it"
    if is_full(error):
        return "the machine's memory is full: fewer trainer.devices or a smaller sampler.minibatch_size need less of it"
    return traceback.format_exc()


def _leave_signals_to_the_leader() -> None:
    """Let what asks all processes of a job to end end the leader first, which then says so and ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        # blocked, not handled: Lightning would put a handler of its own in place of any
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
        threading.Thread(target=_end_later_when_asked, daemon=True).start()


def _end_later_when_asked() -> None:
    signal.sigwait({signal.SIGTERM, signal.SIGHUP})
    time.sleep(ENDING_S)
    os._exit(128 + signal.SIGTERM)


def _read(size: int) -> bytes:
    """Read from standard input."""
    # not through sys.stdin, whose lock the thread that waits for more would still hold at the end
    found = bytearray()
    while len(found) < size:
        more = os.read(0, min(size - len(found), 1 << 20))
        if not more:
            os._exit(1)
        found += more
    return bytes(found)


def _end_with_leader() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
