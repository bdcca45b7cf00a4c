"""Who works on a cross-validation: a file for each worker, which ends or grows old with it.

Clocks of different machines are never compared: all times are those that the file system gives its files.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pickery.atomic import write_text
from pickery.cross_validation.study.locks import NO_LOCKS, host, kernel_lock, machine

if TYPE_CHECKING:
    from filelock import BaseFileLock

HEARTBEAT_S: Final = 10.0
"""How often a worker touches its file."""

PAUSE_S: Final = 1.0
"""Between two writes of what a worker tells."""

SILENT_S: Final = 120.0
"""A worker of another machine whose file was not touched for so long is dead, unless its lock says otherwise."""

FOLDER: Final = "workers"


@dataclass(frozen=True)
class Present:
    """A worker that is alive.

    Attributes
    ----------
    name
        The worker's name.
    host
        Name of its computer.
    pid
        Its process there.
    progress
        What it told last.
    """

    name: str
    host: str
    pid: int
    progress: Mapping[str, Any]


class Presence:
    """The present process as a worker, from entering the block to leaving it.

    Parameters
    ----------
    folder
        The cross-validation's folder.

    Attributes
    ----------
    name
        The worker's name, unlike that of any other worker ever: host, process and a few random digits.
    """

    def __init__(self, folder: Path) -> None:
        self.name = f"{host()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._folder = folder / FOLDER
        self._progress: dict[str, Any] = {}
        self._lock: BaseFileLock | None = None
        self._news, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._beat, name="presence", daemon=True)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._appear()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._news.set()
        self._thread.join()
        _remove(self._folder, self.name)
        if self._lock is not None:
            self._lock.release()

    def tell(self, **progress: Any) -> None:
        """Say how far the work is, for whoever asks who is present; takes no time and never fails."""
        self._progress = self._progress | progress
        self._news.set()

    def _beat(self) -> None:
        while not self._end.is_set():
            told = self._news.wait(HEARTBEAT_S)
            if self._end.is_set():
                return
            try:
                if not _record(self._folder, self.name).exists():  # taken for dead while the machine slept
                    self._appear()
                elif told:
                    self._news.clear()
                    self._write()
            except OSError:  # a full disk, a file server that is away
                self._news.set()
            with suppress(OSError):
                os.utime(_record(self._folder, self.name))
            self._end.wait(PAUSE_S)

    def _appear(self) -> None:
        # the lock first: from the moment that the name is known, the lock must be found held
        if self._lock is not None:
            self._lock.release()
        self._lock = _taken(_lock_of(self._folder, self.name))[0]
        self._write()

    def _write(self) -> None:
        record = {"name": self.name, "host": host(), "pid": os.getpid(), "machine": machine()}
        text = json.dumps(record | {"progress": self._progress}, default=str)
        write_text(_record(self._folder, self.name), text + "\n")


def is_alive(folder: Path, name: str) -> bool:
    """Say whether a worker is alive; what a dead one left is removed.

    A worker of this machine is dead as soon as its process is: the kernel lets go of its lock. One of another machine
    is dead when its lock is free, or locks do not work, and its file was not touched for two minutes.

    Parameters
    ----------
    folder
        The cross-validation's folder.
    name
        The worker's name.

    Returns
    -------
    bool
        In doubt, such as on a full disk, True.
    """
    workers = folder / FOLDER
    lock_path = _lock_of(workers, name)
    lock, works = _taken(lock_path) if lock_path.exists() else (None, False)
    if lock is None and works:
        return True
    try:
        now = _now(workers)  # before it is read: what this machine remembers of the folder may be old
        known = _read(workers, name)
        if known is None:  # it ended, was found dead before, or was killed as it appeared
            if works:
                _remove(workers, name)
            return False
        record, touched = known
        if now is not None and touched > now + SILENT_S:  # by a clock that was wrong: it grows old from now on
            with suppress(OSError):
                os.utime(_record(workers, name))
        if not (works and record.get("machine") == machine()) and (now is None or now - touched < SILENT_S):
            return True
        _remove(workers, name)
        return False
    finally:
        if lock is not None:
            lock.release()


def present(folder: Path) -> list[Present]:
    """Give the workers that are alive, in the order of their names."""
    workers = folder / FOLDER
    found = []
    for name in sorted({path.stem for ending in ("json", "lock") for path in workers.glob(f"*.{ending}")}):
        if is_alive(folder, name) and (known := _read(workers, name)) is not None:
            pid, progress = known[0].get("pid"), known[0].get("progress")
            found.append(
                Present(
                    name,
                    host=str(known[0].get("host", "")),
                    pid=pid if isinstance(pid, int) else 0,
                    progress=progress if isinstance(progress, dict) else {},
                )
            )
    return found


def _record(workers: Path, name: str) -> Path:
    return workers / f"{name}.json"


def _lock_of(workers: Path, name: str) -> Path:
    return workers / f"{name}.lock"


def _taken(path: Path) -> tuple[BaseFileLock | None, bool]:
    """Take a worker's lock: gives it, or None where another has it, and whether locks work here at all."""
    from filelock import Timeout

    lock = kernel_lock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return None, True
    except NO_LOCKS:
        return None, False
    return lock, True


def _read(workers: Path, name: str) -> tuple[dict[str, Any], float] | None:
    """Give a worker's record and when it was touched; None where there is no such file."""
    for _ in range(3):
        try:
            # opened, not asked by name: a file system over the network then asks its server
            with _record(workers, name).open(encoding="utf-8") as file:
                touched = os.fstat(file.fileno()).st_mtime
                text = file.read()
        except FileNotFoundError:
            return None
        except OSError:  # replaced at this moment, as some servers tell it
            time.sleep(0.05)
            continue
        try:
            record = json.loads(text)
        except ValueError:
            record = None
        return (record if isinstance(record, dict) else {}), touched
    try:  # no file, or one that cannot be read: it grows old as others do
        return {}, _record(workers, name).stat().st_mtime
    except OSError:
        return {}, float("inf")


def _now(workers: Path) -> float | None:
    """Give the file system's time, and make it look at the folder afresh; None when it cannot be written."""
    try:
        # a file without a name, of which a kill leaves nothing; file systems over the network have none such
        nameless = os.open(workers, os.O_TMPFILE | os.O_WRONLY)
    except (OSError, AttributeError):
        pass
    else:
        with os.fdopen(nameless, "w") as file:
            return os.fstat(file.fileno()).st_mtime
    probe = workers / f".now.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        with probe.open("x") as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return None
    finally:
        with suppress(OSError):
            probe.unlink()


def _remove(workers: Path, name: str) -> None:
    """Remove a worker's files, the lock last, with what it left of a record that it was writing."""
    for path in (_record(workers, name), *workers.glob(f".{name}.json.*.part"), _lock_of(workers, name)):
        with suppress(OSError):
            path.unlink()
