"""The processes that this one starts on its machine to train one model with it, from beginning to end.

Knows neither what they train nor how: they are given a task as bytes (`pickery.training.follower`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pickery.errors import InputError

LAST_LINES = 12
ENDING_S = 5.0
ENDED_ELSEWHERE = 75
"""Exit status of a process that ended because another one did."""


class Followers:
    """Processes 2 to `size` of a team, for the length of a ``with``.

    They end with this process whatever ends it: a killed one closes their input, which they take as the word to end.

    Parameters
    ----------
    size
        Of the team, this process included.
    threads
        Compute threads of each; None as torch chooses.
    """

    def __init__(self, size: int, *, threads: int | None) -> None:
        self._size, self._threads = size, threads
        self._processes: list[subprocess.Popen[bytes]] = []
        self._said: list[IO[bytes]] = []
        self._files = ExitStack()

    def __enter__(self) -> Self:
        # a file is the place to meet: no port to find free, and nobody else reaches it
        self.store = Path(self._files.enter_context(tempfile.TemporaryDirectory())) / "store"
        environment = dict(os.environ)
        if self._threads is not None:
            environment["OMP_NUM_THREADS"] = str(self._threads)
        try:
            for _ in range(1, self._size):
                said = self._files.enter_context(tempfile.TemporaryFile())
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "pickery.training.follower"],
                    stdin=subprocess.PIPE,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for this process, which ends the others
                )
                self._processes.append(process)
                self._said.append(said)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def give(self, tasks: list[bytes]) -> None:
        """Give each its task."""
        for process, task in zip(self._processes, tasks, strict=True):
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it died: `check` says how
                process.stdin.write(len(task).to_bytes(8, "big") + task)
                process.stdin.flush()

    def check(self, *, killed_only: bool = False) -> None:
        """Raise what ended one of them, if anything did; or only if it was killed.

        Raises
        ------
        InputError
            Which process ended how, with its last words.
        """
        statuses = {number: process.poll() or 0 for number, process in enumerate(self._processes, 2)}
        ended = {number: status for number, status in statuses.items() if status not in (0, ENDED_ELSEWHERE)}
        if killed_only:
            ended = {number: status for number, status in ended.items() if status < 0}
        if not ended:
            return
        number, status = next(iter(ended.items()))
        said = self._said[number - 2]
        said.seek(0)
        words = said.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        why = ", most likely for want of memory" if status == -signal.SIGKILL else ""
        last = "\n".join(["", "its last words:", *words]) if words else ""
        raise InputError(
            f"process {number} of {self._size} that train this model together (trainer.devices) {how}{why}: the same "
            f"command goes on after the last finished epoch{last}"
        )

    def _end(self) -> None:
        for process in self._processes:
            if process.stdin is not None:
                with suppress(BrokenPipeError):
                    process.stdin.close()
        until = time.monotonic() + ENDING_S
        for process in self._processes:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._files.close()
