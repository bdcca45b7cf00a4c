"""Records that are written whole: a request to end waits until the present one is with the store."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a request to end (Ctrl-C, SIGTERM) wait for the end of the block; a second one does not wait.

    An exception in the middle of a statement would leave the database locked by the present process, which then could
    not say that it was ended.
    """
    asked: list[int] = []
    before: dict[int, Any] = {}

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            before[number](number, frame)
        asked.append(number)

    try:
        for request in (signal.SIGINT, signal.SIGTERM):
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
