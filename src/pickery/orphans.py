"""Worker processes that end with whoever started them: any room may use it, and it knows none of them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import wait


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
