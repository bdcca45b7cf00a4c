"""The system's request to end (SIGTERM), made an exception, so that what is under way ends in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """The system asked the program to end."""


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM into `Terminated`, so that a run that is ended by the system is marked so."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not in the main thread: whoever called has the signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
