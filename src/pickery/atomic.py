"""Writing files whole or not at all: any room may use it, and it knows none of them."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_BYTES = 200
"""Of a name that is kept in a temporary file's: file systems take 255 bytes, and the rest of it needs some."""

_TEMPORARY = re.compile(r"\.(.+)\.\d+\.[0-9a-f]{8}\.part")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place when the block ends well, and is removed otherwise.

    What stood at the path before stays until then. Raises what writing raises.
    """
    name = path.name if len(os.fsencode(path.name)) <= LONGEST_BYTES else path.name[: LONGEST_BYTES // 4]
    # not tempfile: its files are private to their owner, and stay so under their final name
    temporary = path.with_name(f".{name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # not the temporary name, of which nobody knows
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def is_unfinished(name: str, endings: Collection[str]) -> bool:
    """Say whether a name is that of a file which is being written, or was when its writer was killed.

    Parameters
    ----------
    name
        Of the file.
    endings
        Of the names that it may be going to have, such as ``.csv``.
    """
    found = _TEMPORARY.fullmatch(name)
    return found is not None and found[1].endswith(tuple(endings))


def remove_unfinished(folder: Path, endings: Collection[str]) -> None:
    """Remove what killed processes had not written whole: for whoever alone may write such files in a folder now."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if is_unfinished(path.name, endings):
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk, where the system can open folders."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync(path: Path) -> None:
    """Bring a file to the disk, so that a power cut after the rename cannot leave it empty."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
