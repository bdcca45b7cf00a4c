"""Locks in a folder that several processes, perhaps of several machines, work in.

A kernel lock ends with its process, however that ends, but may not reach other machines, and some file systems have
none. Whoever uses it here stays right without it: see `study`.
"""

from __future__ import annotations

import functools
import re
import socket
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from filelock import BaseFileLock

PATIENCE_S: Final = 60.0
"""How long a lock is waited for. It is held for milliseconds; a holder that was stopped must not stop all others."""

NO_LOCKS: Final = (OSError, NotImplementedError)
"""What filelock raises where the file system has no locks."""

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@functools.cache
def host() -> str:
    """Give this computer's name, as it can stand in a file's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "_", socket.gethostname()) or "host"


@functools.cache
def machine() -> str:
    """Give a word for what kernel locks surely reach: two processes with the same word see each other's."""
    try:
        return f"{host()} {_BOOT.read_text().strip()}"
    except OSError:
        return host()


def kernel_lock(path: Path, timeout: float) -> BaseFileLock:
    """Make a lock that the kernel keeps for this process, not for children that it forks, whichever thread takes it."""
    from filelock import FileLock

    # where the kernel has no locks it would take a file for one, which a killed process leaves behind
    return FileLock(path, timeout=timeout, thread_local=False, fallback_to_soft=False)


class FolderLock:
    """A lock among all processes that use the same file; a process may take it again while it holds it.

    Attributes
    ----------
    held
        Whether the kernel granted it. Without locks, or when the holder does not let go, the block is entered all the
        same.
    """

    def __init__(self, path: Path, patience_s: float = PATIENCE_S) -> None:
        self._lock = kernel_lock(path, patience_s)
        self._depth = 0
        self.held = False

    def __enter__(self) -> Self:
        from filelock import Timeout

        if self._depth == 0:
            try:
                self._lock.acquire(poll_interval=0.01)
                self.held = True
            except (Timeout, *NO_LOCKS):
                self.held = False
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0 and self.held:
            self.held = False
            self._lock.release()
