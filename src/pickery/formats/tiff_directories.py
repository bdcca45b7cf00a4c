"""How the directories of a TIFF follow one another, looked at before tifffile goes through them.

That goes round for ever where a directory names itself as the next, and reads one again for each mention of it.
"""

import struct
from pathlib import Path
from typing import BinaryIO

MOST_ENTRIES = 1 << 17
"""Of all directories together: those of a movie of five thousand frames, of which none can be a micrograph."""

FURTHER_DIRECTORIES = 330  # the tag that names those that are not in the row
NUMBERS = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # by TIFF's number of their type


def check_directories(path: Path) -> None:
    """Check that going through all directories of a TIFF comes to an end.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        They lie in a circle, or are too many.
    """
    with path.open("rb") as file:
        start = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(start[:2])
        if order is None or len(start) < 16:
            return  # no TIFF, which tifffile says
        big = struct.unpack(order + "H", start[2:4])[0] == 43
        waiting = [struct.unpack(order + "Q", start[8:16])[0] if big else struct.unpack(order + "I", start[4:8])[0]]
        seen: set[int] = set()
        entries = 0
        while waiting:
            place = waiting.pop()
            if place in seen:
                raise ValueError("its directories lie in a circle")
            seen.add(place)
            count, following = _directory(file, place, order, big)
            entries += count
            waiting += following
            if entries + len(waiting) > MOST_ENTRIES:
                raise ValueError(f"its directories have more than {MOST_ENTRIES} entries")


def _directory(file: BinaryIO, place: int, order: str, big: bool) -> tuple[int, list[int]]:
    """Give how many entries a directory has, and where those lie that it names; nothing of one that is cut short."""
    count_format, entry_format, next_format = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    head = _read(file, place, struct.calcsize(order + count_format))
    count = struct.unpack(order + count_format, head)[0] if head else 0
    if count > MOST_ENTRIES:
        return count, []
    size = struct.calcsize(order + entry_format)
    body = _read(file, place + len(head), count * size + struct.calcsize(order + next_format))
    if not body:
        return 0, []
    following = [struct.unpack(order + next_format, body[count * size :])[0]]
    for tag, kind, number, value in struct.iter_unpack(order + entry_format, body[: count * size]):
        if tag == FURTHER_DIRECTORIES and kind in NUMBERS:
            if number > MOST_ENTRIES:
                return number, []
            length = number * struct.calcsize(order + NUMBERS[kind])
            if length > len(value):
                value = _read(file, struct.unpack(order + next_format, value)[0], length)
            following += struct.unpack(f"{order}{number}{NUMBERS[kind]}", value[:length]) if value else ()
    return count, [place for place in following if place]


def _read(file: BinaryIO, place: int, length: int) -> bytes:
    """Read so many bytes, none where there are fewer."""
    try:
        file.seek(place)
        found = file.read(length)
    except (OverflowError, OSError):  # a place that no file has
        return b""
    return found if len(found) == length else b""
