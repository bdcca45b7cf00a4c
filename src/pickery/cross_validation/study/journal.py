"""The file in which a study is kept: a line of JSON for each operation, appended by every process. Pure; no Optuna.

Optuna's own journal differs in nothing that another reader would see, but a line cut by a kill or a full disk is glued
to the next one and makes the whole file unreadable, and a process killed while it writes keeps the others waiting.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pickery.cross_validation.study.locks import FolderLock, machine
from pickery.errors import InputError

GRACE_S: Final = 30.0
"""A lock file of another machine that stands for longer was left by a process that was killed."""

EMPTY_S: Final = 2.0
"""One that does not say whose it is was left by a process that was killed before it could write that."""

EMPTY: Final = "empty"


class _GarbledError(ValueError):
    """A line that is no operation."""


class Journal:
    """The operations of all processes in one order, as `optuna.storages.JournalStorage` reads and appends them.

    A file lock that is shared by every process of the folder keeps writers apart. For file systems whose locks do not
    reach other machines there is a lock file besides, the one by which Optuna itself keeps its writers apart.

    Parameters
    ----------
    path
        The file; made if there is none.
    lock
        Lock of the folder.
    """

    def __init__(self, path: Path, lock: FolderLock) -> None:
        self.path = path.resolve()
        self._lock = lock
        self._read_so_far = (0, 0)  # operations, bytes
        if not self.path.exists():
            self.path.touch()
        self._mend_if_needed()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Read the operations from a number on.

        Raises
        ------
        InputError
            When the file is damaged elsewhere than at its end.
        """
        try:
            return iter(self._read(log_number_from))
        except _GarbledError:
            pass
        with self._writing():  # another process may have been mending it at that moment
            self._mend()
            try:
                return iter(self._read(log_number_from))
            except _GarbledError as error:
                raise InputError(
                    f"{self.path} is damaged ({error}): remove it and give the same command again; "
                    "trainings that are finished are found in their folders and not repeated"
                ) from error

    def append_logs(self, logs: Sequence[Mapping[str, Any]]) -> None:
        """Append operations and bring them to the disk; what a full disk leaves of one is cut again."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        with self._writing():
            self._mend_if_needed()
            try:
                with self.path.open("ab", buffering=0) as file:
                    rest = memoryview(lines)
                    while rest:
                        rest = rest[file.write(rest) :]
                    os.fsync(file.fileno())
            except OSError:
                self._mend_if_needed()  # not what was written whole: others may have read it
                raise

    def _read(self, first: int) -> list[dict[str, Any]]:
        number, offset = self._read_so_far if first >= self._read_so_far[0] else (0, 0)
        with self.path.open("rb") as file:
            if file.seek(0, os.SEEK_END) < offset:
                raise InputError(f"{self.path} was replaced while it was in use: give the same command again")
            file.seek(offset)
            *lines, _ = file.read().split(b"\n")  # what follows the last line is being written, or was never finished
        found: list[dict[str, Any]] = []
        for line in lines:
            operation = _operation(line)
            if operation is None:
                raise _GarbledError(f"operation {number + 1}")
            if number >= first:
                found.append(operation)
            number, offset = number + 1, offset + len(line) + 1
        self._read_so_far = (number, offset)
        return found

    def _mend_if_needed(self) -> None:
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            if file.read() in (b"", b"\n"):
                return
        with self._writing():
            self._mend()

    def _mend(self) -> None:
        """Cut a last line that was never finished."""
        written = self.path.read_bytes()
        whole = written[: written.rfind(b"\n") + 1]
        last = whole[whole.rfind(b"\n", 0, -1) + 1 :]
        if last and _operation(last) is None:  # its end reached the disk, its middle did not
            whole = whole[: -len(last)]
        if len(whole) < len(written):
            os.truncate(self.path, len(whole))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, _LockFile(self.path.with_name(f"{self.path.name}.lock"), self._lock):
            yield


class _LockFile:
    """A file that stands while its maker writes, on any file system; it says who that is."""

    def __init__(self, path: Path, lock: FolderLock) -> None:
        self._path, self._lock = path, lock
        self._owner = ""

    def __enter__(self) -> None:
        self._owner = f"{machine()} {os.getpid()} {secrets.token_hex(4)}"
        if not self._lock.held:
            self._owner = f"without a lock: {self._owner}"
        seen, since, pause = "", time.monotonic(), 0.001
        while not self._make():
            there = self._holder()
            if there != seen:
                seen, since = there, time.monotonic()
            # The kernel's lock is ours: whoever wrote this on the same machine cannot have it any more.
            dead = self._lock.held and there.startswith(f"{machine()} ")
            if dead or time.monotonic() - since > (EMPTY_S if there.startswith(EMPTY) else GRACE_S):
                self._remove()
            else:
                time.sleep(pause)
                pause = min(2 * pause, 0.05)

    def __exit__(self, *exception: object) -> None:
        if self._holder() == self._owner:  # else it was taken for dead, and another writes now
            self._remove()

    def _make(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        try:
            os.write(descriptor, self._owner.encode())
        except OSError:
            self._remove()
            raise
        finally:
            os.close(descriptor)
        return True

    def _holder(self) -> str:
        """Give what the file says, or of a link what it points to, as Optuna's own lock is."""
        try:
            status = os.lstat(self._path)
            word = os.readlink(self._path) if self._path.is_symlink() else self._path.read_text(errors="replace")
        except OSError:
            return ""
        return word or f"{EMPTY} {status.st_ino} {status.st_mtime_ns}"

    def _remove(self) -> None:
        # by another name first: of two that remove it, one removes nothing that a third has made since
        aside = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        try:
            os.rename(self._path, aside)
            os.unlink(aside)
        except OSError:
            pass


def _operation(line: bytes) -> dict[str, Any] | None:
    try:
        operation = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return operation if isinstance(operation, dict) and "op_code" in operation else None
