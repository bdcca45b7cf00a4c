"""EMAN's .box files: one per micrograph, rows of corner x, corner y, width, height and at times a score.

The corner is that with the least x and y, in full-size pixels of the array: centre = corner + size/2, and decimals
occur. EMAN itself puts a mode in the fifth column, a whole number from 0 down to -3 (a box that was picked by hand, an
end of a filament), which is no score; ends of filaments are refused.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pickery.errors import InputError
from pickery.formats.contract import FileKind, KnownMicrograph, MicrographPicks, PickTable
from pickery.formats.files import text_lines, writing
from pickery.formats.text_table import TextTable, decimals

COLUMNS = ("corner x", "corner y", "width", "height", "score")
MODES = ("0", "-1", "-2", "-3")
ENDS_OF_FILAMENTS = {"-1", "-2"}


def read_picks(path: Path, name: str = "") -> PickTable:
    """Read the boxes of one micrograph as their centres; an empty file is a micrograph without picks.

    Parameters
    ----------
    name
        The micrograph's name.

    Raises
    ------
    InputError
        The file cannot be read, or has a row that is no box.
    """
    table: TextTable | None = None
    for number, line in enumerate(text_lines(path), start=1):
        fields = line.split()
        if not fields:
            continue
        if table is None:
            if len(fields) < 4:
                raise InputError(
                    f"{path} has {len(fields)} values in row 1 (line {number}): a .box file has corner x, corner y,"
                    " width and height in each."
                )
            columns = (*COLUMNS, *("",) * len(fields))[: len(fields)]
            table = TextTable(path, columns, COLUMNS)
        table.append(fields, number)
    table = table or TextTable(path, COLUMNS[:4], COLUMNS)
    corner_x, corner_y, width, height = (table.numbers(column) for column in COLUMNS[:4])
    if (width < 0).any() or (height < 0).any():
        raise InputError(f"{path} has boxes of negative size: write it again from the picking program.")
    score = np.full(len(table), np.nan)
    if "score" in table.cells:
        modes = {cell.strip() for cell in table.cells["score"]}
        if not modes <= set(MODES):
            score = table.numbers("score", optional=True)
        elif modes and modes <= ENDS_OF_FILAMENTS:
            raise InputError(f"{path} holds filaments, which are not supported: give single particles.")
    return PickTable(
        micrograph=(name,) * len(table),
        x=corner_x + width / 2,
        y=corner_y + height / 2,
        score=score,
        source=str(path),
        box_size=np.column_stack((width, height)),
        known={name: KnownMicrograph()},
    )


def write_picks(path: Path, picks: Sequence[MicrographPicks]) -> None:
    """Write the boxes of one micrograph, the score only where some pick has one.

    Raises
    ------
    InputError
        The size of the boxes is not known, or the file cannot be written.
    """
    (one,) = picks
    scored = bool(np.isfinite(one.scores).any())
    rows = []
    for (x, y), (width, height), score in zip(one.points, one.boxes(path), one.scores, strict=True):
        numbers = [decimals(number) for number in (x - width / 2, y - height / 2, width, height)]
        rows.append("\t".join((*numbers, *([repr(float(score))] if scored else []))))  # 0.0 is a score, 0 a mode
    with writing(path) as temporary:
        temporary.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def _recognises(head: str) -> bool:
    fields = next((line.split() for line in head.splitlines() if line.strip()), [])
    try:
        return 4 <= len([float(field) for field in fields]) <= 5
    except ValueError:
        return False


KIND = FileKind(
    "an EMAN .box file",
    (".box",),
    convention="corners of boxes in pixels, the first row at y = 0",
    recognises=_recognises,
    read_picks=read_picks,
    write_picks=write_picks,
    one_micrograph=True,
    holds_each=frozenset({"scores", "boxes", "empty"}),
)
