"""Building a folder so that it is there whole or not at all, and by one process at a time: any room may use it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pickery.atomic import sync_folder

# nothing else may ever be removed: a store may be a folder in which its user keeps other things
_BEING_BUILT = re.compile(r"\.(?P<key>.+?)\.[0-9a-f]{32}(\.damaged)?")


@contextmanager
def building(store: Path, key: str, *, is_whole: Callable[[Path], bool]) -> Iterator[Path | None]:
    """Hold the right to build the folder of a key: gives an empty one to build in, gone at the end of the block.

    Gives None where another process has built it in the meantime. Leftovers of processes that died are removed.

    Parameters
    ----------
    store
        Folder of all that is built.
    key
        Name that the folder will have there.
    is_whole
        Says whether a folder holds what is wanted.

    Raises
    ------
    OSError
        The store cannot be written.
    """
    from filelock import FileLock

    locks = store / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"{key}.lock"):
        _remove_leftovers(store, locks, key)
        if is_whole(store / key):
            yield None
            return
        folder = store / f".{key}.{uuid4().hex}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def put_in_place(folder: Path, target: Path, *, is_whole: Callable[[Path], bool]) -> None:
    """Give a whole folder its name. One that is there already stays if it is whole, and is replaced if it is damaged.

    Raises
    ------
    OSError
        When it cannot be.
    """
    if is_whole(target):
        return
    if target.exists():
        # Out of the way first: a folder can only replace an empty one. A leftover by its name, should this be the end.
        aside = folder.with_name(f"{folder.name}.damaged")
        os.rename(target, aside)
        shutil.rmtree(aside, ignore_errors=True)
    try:
        os.rename(folder, target)
    except OSError:
        if not is_whole(target):  # without that lock, or where locks do nothing, another may have been first
            raise
    sync_folder(target.parent)


def _remove_leftovers(store: Path, locks: Path, own_key: str) -> None:
    """Remove folders whose builder is dead: whoever builds one holds its lock, which ends with the process."""
    from filelock import FileLock, Timeout

    for folder in store.glob(".*.*"):
        found = _BEING_BUILT.fullmatch(folder.name)
        if found is None or not folder.is_dir():
            continue
        if found["key"] == own_key:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        try:
            with FileLock(locks / f"{found['key']}.lock", timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except Timeout:
            continue  # being built
