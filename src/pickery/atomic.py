"""Writing files whole or not at all: any room may use it, and it knows none of them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_BYTES = 200
"""Of a name that is kept in a temporary file's: file systems take 255 bytes, and the rest of it needs some."""


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


def _sync(path: Path) -> None:
    """Bring a file to the disk, so that a power cut after the rename cannot leave it empty."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
