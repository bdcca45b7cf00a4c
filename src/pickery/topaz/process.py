"""A program run from outside, its lines heard as they come; it ends when this process does, whatever ends it."""

from __future__ import annotations

import codecs
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ENDS_WITHIN_S = 10
LOOKS_EACH_S = 1


def run_program(
    words: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    on_output: Callable[[str], None],
    on_error: Callable[[str], None],
) -> int:
    """Run a program to its end.

    The program is the first of a process group of its own, so that Ctrl-C comes here alone. Whatever is raised while
    it runs, by those who listen as well, ends the whole group. Should this process be killed outright, the program
    finds nobody to write to, and ends at its next line.

    Parameters
    ----------
    words
        The command line.
    folder
        The program's working folder.
    environment
        Its environment.
    on_output, on_error
        Told of each line of its output and of its errors; lines end where they would on a screen.

    Returns
    -------
    int
        Its exit status; negative where a signal ended it.

    Raises
    ------
    OSError
        When it cannot be started.
    """
    process = subprocess.Popen(
        list(words),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, _Lines(on_output))
            selector.register(process.stderr, selectors.EVENT_READ, _Lines(on_error))
            while selector.get_map():
                ended = process.poll() is not None
                ready = selector.select(0 if ended else LOOKS_EACH_S)
                for key, _ in ready:
                    data = os.read(key.fd, 65536)
                    key.data.take(data)
                    if not data:
                        selector.unregister(key.fileobj)
                if ended and not ready:
                    break  # what it started and left behind may hold the pipes for ever
        return process.wait()
    finally:
        end_group(process)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


class _Lines:
    """Puts together lines from whatever comes."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def take(self, data: bytes) -> None:
        """Take some bytes; none at the end."""
        text = self._rest + self._decoder.decode(data, final=not data)
        *lines, self._rest = text.replace("\r", "\n").split("\n")
        if not data and self._rest:
            lines, self._rest = [*lines, self._rest], ""
        for line in lines:
            self._tell(line)


def end_group(process: subprocess.Popen[Any]) -> None:
    """End what is left of a program that is the first of its process group, and of the processes that it started."""
    try:
        if process.poll() is None:
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDS_WITHIN_S)
    finally:  # a second request to end does not wait
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[Any], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
