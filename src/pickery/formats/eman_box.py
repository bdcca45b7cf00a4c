"""EMAN's .box files: one per micrograph, rows of corner x, corner y, width, height and at times a score."""

from pathlib import Path

from pickery.errors import InputError
from pickery.formats.contract import FileKind, PickTable
from pickery.formats.files import text_lines
from pickery.formats.text_table import TextTable

COLUMNS = ("corner x", "corner y", "width", "height", "score")


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
    score = table.numbers("score", optional=True) if "score" in table.cells else corner_x * float("nan")
    return PickTable((name,) * len(table), corner_x + width / 2, corner_y + height / 2, score, str(path))


def _recognises(head: str) -> bool:
    fields = next((line.split() for line in head.splitlines() if line.strip()), [])
    try:
        return 4 <= len([float(field) for field in fields]) <= 5
    except ValueError:
        return False


KIND = FileKind("an EMAN .box file", (".box",), recognises=_recognises, read_picks=read_picks)
