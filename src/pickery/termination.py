"""Requests to end, of the system or of what runs the program as a job, made one exception.

So what is under way ends in order, whoever asked.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_OF_SYSTEM = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_OF_USERS = [getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)]


class Terminated(KeyboardInterrupt):
    """The system asked the program to end."""


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into `Terminated`, so that a run that is ended by the system is marked so.

    SIGHUP comes when the terminal is closed; under nohup it is ignored, and stays so.

    So is SIGUSR1 or SIGUSR2 where it has a handler, as submitit has one for a job whose time is almost up: the handler
    is called when the block has ended in order, and queues the job again or says that it is over.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before: dict[int, Any] = {}
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        raise Terminated

    try:
        for number in _OF_SYSTEM:
            if number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, end)
        for number in _OF_USERS:
            if callable(signal.getsignal(number)):
                before[number] = signal.signal(number, ask)
    except ValueError:  # not in the main thread: whoever called has the signals
        yield
        return
    try:
        yield
    except KeyboardInterrupt:
        if asked:
            before[asked[0]](asked[0], None)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a request to end (Ctrl-C, SIGTERM, SIGHUP) wait for the end of the block; a second one does not wait.

    For what must not stop in the middle: a statement would leave the database locked by the present process, which
    then could not say that it was ended; a worker that is being started would be nobody's.
    """
    asked: list[int] = []
    before: dict[int, Any] = {}

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            before[number](number, frame)
        asked.append(number)

    try:
        for request in (signal.SIGINT, *_OF_SYSTEM):
            if callable(signal.getsignal(request)):
                before[request] = signal.signal(request, ask)
    except ValueError:  # not in the main thread, which alone is interrupted
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if asked:
            signal.raise_signal(asked[0])
