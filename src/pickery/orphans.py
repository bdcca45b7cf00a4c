"""Worker processes that end with whoever started them, not before: any room may use it, and it knows none of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait

from pickery.termination import uninterrupted


@contextmanager
def starting() -> Iterator[None]:
    """Start worker processes in the block, all of them before a request to end is let through.

    One that is half started would be nobody's, and would complain that what it was to be given is gone. They are deaf
    to Ctrl-C from their first instant: a terminal sends it to all of a program, and it is for who started them.
    """
    with uninterrupted():
        _start_tracker()
        with _blocked("SIGINT"):  # which what is started inherits
            yield


def _start_tracker() -> None:
    """Start what clears up after processes that are about to be started, if it is not at work yet.

    It leaves Ctrl-C and SIGTERM to whoever started it. A terminal that is closed would end it before the others, which
    then start another one, and that complains of all that it does not know.
    """
    if sys.platform == "win32":
        return
    from multiprocessing import resource_tracker

    with _blocked("SIGHUP"):
        resource_tracker.ensure_running()


@contextmanager
def _blocked(name: str) -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {getattr(signal, name)})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent(connection: Connection | None = None) -> None:
    """End this process, a worker, as soon as the one that started it is gone, killed or not, or closes a connection.

    Not left to whoever waits for work on a pipe or asks who its parent is: what a server of forked processes starts has
    the server for a parent, which lives as long as any of them does.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"

    def watch() -> None:
        wait([parent.sentinel] if connection is None else [parent.sentinel, connection])
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
