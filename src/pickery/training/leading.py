"""Leading a team: the others started or met, given their task, waited for, and what ended one of them said plainly."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self

import torch

from pickery.config.schema import TrainConfig
from pickery.errors import InputError
from pickery.sharing import usable_cores
from pickery.training.follower import LocalTask, Task
from pickery.training.followers import Followers
from pickery.training.team import Meeting, Team, abort, backend_of, lost, meeting_at

ENDING_S = 10.0
"""How long what ended another process may take to be known here."""
LOOK_AFTER_S = 0.5


class Leader:
    """The process that writes and tells, from the others' beginning to their end; one that is alone has no others.

    Parameters
    ----------
    config
        All settings.
    meeting
        Where those wait that were started beside this process; None to start them here (``trainer.devices``).
    device
        On which this one trains.

    Attributes
    ----------
    team
        Who they are.
    threads
        Compute threads of each process, of this one too until the end; None as torch chooses.
    """

    def __init__(self, config: TrainConfig, meeting: Meeting | None, device: torch.device) -> None:
        self.team = Team(0, config.trainer.devices) if meeting is None else meeting.team
        processes = self.team.size if meeting is None else meeting.local_size
        self.threads = threads_each(config.trainer.threads, device, processes)
        self._meeting, self._device = meeting, device
        self._followers: Followers | None = None
        self._threads_before = torch.get_num_threads()

    def __enter__(self) -> Self:
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        if self.team.size > 1 and self._meeting is None:
            self._followers = Followers(self.team.size, threads=self.threads).__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._followers is not None:
            self._followers.__exit__(kind, error, traceback)
        torch.set_num_threads(self._threads_before)

    def give(self, task: Task) -> None:
        """Give the others their task, at which they begin."""
        if self.team.size == 1:
            return
        words = pickle.dumps(task)
        if self._followers is None:
            assert self._meeting is not None
            self._meeting.give(words)
            return
        store = self._followers.store
        self._meeting = meeting_at(store, self.team)
        others = [replace(self.team, rank=rank) for rank in range(1, self.team.size)]
        self._followers.give([pickle.dumps(LocalTask(team, store, words)) for team in others])

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Wait for everybody, then be one process group until the end of the ``with``.

        Raises
        ------
        InputError
            When one of the others ended: which, and why.
        """
        if self.team.size == 1:
            yield
            return
        assert self._meeting is not None
        try:
            with self._meeting.joined(self._device, self._look_after_them), self._watched():
                yield
        except (InputError, OSError, MemoryError):
            raise  # this process's own, or said already
        except Exception as error:
            self._explain(error)
            raise

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """See to it that nobody waits for ever on a GPU for a process that died.

        On the CPU a lost connection is an error; NCCL goes on waiting, and what waits is ended from outside.
        """
        if self._followers is None or backend_of(self._device) != "nccl":
            yield
            return
        followers, over = self._followers, threading.Event()

        def watch() -> None:
            while not over.wait(LOOK_AFTER_S):
                try:
                    followers.check()
                except InputError:
                    abort()
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _look_after_them(self) -> None:
        """Raise what ended one of the others, if anything did."""
        assert self._meeting is not None
        if self._followers is not None:
            self._followers.check(killed_only=True)
        why = self._meeting.failure()
        if why is not None:
            # what is not the user's to mend has its traceback
            raise RuntimeError(why) if "Traceback" in why else InputError(why)
        if self._followers is not None:
            self._followers.check()

    def _explain(self, error: Exception) -> None:
        """Raise what ended another process, should that be the reason of an error here."""
        until = time.monotonic() + (ENDING_S if lost(error) else 1.0)
        while time.monotonic() < until:
            try:
                self._look_after_them()
            except Exception as why:
                raise why from error
            time.sleep(0.05)
        if lost(error):
            raise InputError(
                f"another of the {self.team.size} processes that train this model together has ended or cannot be "
                "reached; where it runs it may have said why. The same command goes on after the last finished epoch"
            ) from error


def threads_each(given: int | None, device: torch.device, processes: int) -> int | None:
    """Divide the cores among so many processes of this machine; a stated ``trainer.threads`` stays.

    None leaves their number to torch.
    """
    if given is not None or processes == 1 or device.type != "cpu":
        return given
    return max(1, min(torch.get_num_threads(), usable_cores() // processes))
