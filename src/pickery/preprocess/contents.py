"""What a micrograph is known by: the hash of its file's bytes, so that moving or renaming it changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from pickery.atomic import remove_unfinished, write_text

KNOWN_FILE = "contents.json"
"""In the store: the hashes of files already read, by path, size and `mark`."""

SETTLED_NS = 50_000_000
"""A file changed so shortly before it was hashed might change again within the same tick of the file system's clock."""

Known: TypeAlias = dict[str, tuple[int, str, str]]


def mark(found: os.stat_result) -> str:
    """Give a word that changes when a file does, or when another takes its place.

    Not the time of the last change alone: that travels with a file that is copied, unpacked or renamed, and may be set.
    """
    return f"{found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def hash_parts(parts: Iterable[str]) -> str:
    """Hash a sequence of strings, 32 hexadecimal digits; no two different sequences share their bytes."""
    return hashlib.blake2b(json.dumps(list(parts)).encode(), digest_size=16).hexdigest()


def content_hashes(paths: Sequence[Path], store: Path, *, threads: int) -> list[str | OSError]:
    """Hash files by their bytes; a file that the store knows and that has not changed is not read.

    Parameters
    ----------
    paths : sequence of Path
        Files.
    store : Path
        The folder of prepared sets, which remembers the hashes; need not exist.
    threads : int
        Files read at once (hashing does not hold the interpreter's lock).

    Returns
    -------
    list of str or OSError
        For each file 32 hexadecimal digits, or why it cannot be read.
    """
    known = _load_known(store)
    fresh: Known = {}

    def look_up(path: Path) -> str | OSError:
        try:
            found = path.stat()
            size, marked = found.st_size, mark(found)
            before = known.get(str(path))
            if before is not None and before[:2] == (size, marked):
                return before[2]
            settled = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > SETTLED_NS
            with path.open("rb") as file:
                content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        except OSError as error:
            return error
        if settled:
            fresh[str(path)] = (size, marked, content)
        return content

    with ThreadPoolExecutor(max(1, threads)) as pool:
        contents = list(pool.map(look_up, paths))
    if fresh:
        _remember(store, fresh)
    return contents


def _load_known(store: Path) -> Known:
    """Read the known hashes; a file that is missing or damaged costs only the time to hash again."""
    try:
        entries = json.loads((store / KNOWN_FILE).read_text())
        return {str(path): (int(size), str(marked), str(content)) for path, (size, marked, content) in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}


def _remember(store: Path, fresh: Known) -> None:
    """Add to the known hashes. Of two processes at once the later may drop what the earlier added: it is only time."""
    # A store that cannot be written may still hold the set that is wanted; if it does not, building it will complain.
    with contextlib.suppress(OSError):
        store.mkdir(parents=True, exist_ok=True)
        remove_unfinished(store, [KNOWN_FILE])  # of the dead; one that is being written costs only time as well
        write_text(store / KNOWN_FILE, json.dumps(_load_known(store) | fresh))
