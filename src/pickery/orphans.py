"""Worker processes that end with whoever started them, not before: any room may use it, and it knows none of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait


def start_tracker() -> None:
    """Start what clears up after processes that are about to be started, if it is not at work yet.

    It leaves Ctrl-C and SIGTERM to whoever started it. A terminal that is closed would end it before the others, which
    then start another one, and that complains of all that it does not know.
    """
    if not hasattr(signal, "SIGHUP") or not hasattr(signal, "pthread_sigmask"):
        return
    from multiprocessing import resource_tracker

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # which what is started inherits
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """End this process, a worker, as soon as the one that started it is gone, killed or not.

    Not left to whoever waits for work on a pipe or asks who its parent is: what a server of forked processes starts has
    the server for a parent, which lives as long as any of them does.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
