"""RELION's STAR files, before and after 3.1: picks, files that list files of picks, lists of micrographs.

Picks are centres in full-size pixels, in array orientation. A file for one micrograph (``NAME_autopick.star``,
``NAME_manualpick.star``, or crYOLO's ``NAME.star``) names it by its own name alone.

Read here and not by starfile, which gives no row numbers for messages, loses rows in silence over stray carriage
returns, and needs 4 ms a file where an autopicking job writes one for each of thousands of micrographs. Tests compare
the two.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

from pickery.errors import InputError
from pickery.formats.contract import FILAMENTS, KnownMicrograph, ListedPickFile, PickTable
from pickery.formats.files import find_listed, text_lines
from pickery.formats.text_table import TextTable, picks_of

X, Y = "rlnCoordinateX", "rlnCoordinateY"
MICROGRAPH = "rlnMicrographName"
SCORE = "rlnAutopickFigureOfMerit"
PICK_FILE = "rlnMicrographCoordinates"
MOVIE = "rlnMicrographMovieName"
OPTICS_GROUP = "rlnOpticsGroup"
PIXEL_SIZE = "rlnMicrographPixelSize"
FILAMENT = "rlnHelicalTubeID"

BLOCK = re.compile(r"data_[^\s/.]*")  # not data_raw/mic_1.mrc, a row that begins with a path
# both count only where a value begins: names may hold apostrophes and number signs
QUOTE_OR_COMMENT = re.compile(r"""(?:^|\s)['"#]""")
QUOTED_OR_PLAIN = re.compile(r"""'([^']*)'(?=\s|$)|"([^"]*)"(?=\s|$)|(\S+)""")


def read_picks(path: Path, name: str = "") -> PickTable | list[ListedPickFile]:
    """Read picks, or the list of files that hold them.

    Parameters
    ----------
    name
        The micrograph's name, used where the file has no column for it.

    Raises
    ------
    InputError
        The file cannot be read, has neither, or has a row that is no pick.
    """
    tables = list(read_tables(path, (X, Y, MICROGRAPH, SCORE, PICK_FILE, OPTICS_GROUP, PIXEL_SIZE)))
    for table in tables:
        if X in table.cells and Y in table.cells:
            picks = picks_of(table, x=X, y=Y, score=SCORE, micrograph=MICROGRAPH, name=name)
            kept = (X, Y, MICROGRAPH, SCORE, OPTICS_GROUP, PIXEL_SIZE)
            dropped = tuple(f"_{column}" for column in table.columns if column not in kept)
            known = _known(tables, table, picks.micrograph) or {name: KnownMicrograph()}
            return replace(
                picks,
                known=known if len(picks) or MICROGRAPH not in table.columns else {},
                dropped=dropped,
                remarks=(FILAMENTS,) if len(picks) and FILAMENT in table.columns else (),
            )
    for table in tables:
        if PICK_FILE in table.cells and MICROGRAPH in table.cells:
            # paths count from the project's folder, which lies above the job's
            files = find_listed(table.names(PICK_FILE), path, ancestors=True)
            return [
                ListedPickFile(file, micrograph)
                for file, micrograph in zip(files, table.names(MICROGRAPH), strict=True)
            ]
    raise InputError(
        f"{path} has no table with _{X} and _{Y} ({_described(tables)}): give the STAR file of the particles or of the"
        " picks."
    )


def list_micrographs(path: Path) -> Mapping[str, KnownMicrograph]:
    """Read the paths of micrographs, each once.

    Raises
    ------
    InputError
        The file cannot be read, or names no micrographs.
    """
    tables = list(read_tables(path, (MICROGRAPH, MOVIE, OPTICS_GROUP, PIXEL_SIZE)))
    named: dict[str, KnownMicrograph] = {}
    for table in tables:
        if MICROGRAPH in table.cells:
            named = _known(tables, table, table.names(MICROGRAPH)) | named
    if named:
        return named
    if any(MOVIE in table.cells for table in tables):
        raise InputError(f"{path} lists movies: run motion correction first and give the STAR file that it writes.")
    raise InputError(
        f"{path} lists no micrographs, having no rows with _{MICROGRAPH} ({_described(tables)}): give for example"
        " RELION's micrographs_ctf.star."
    )


def read_tables(path: Path, wanted: Sequence[str]) -> Iterator[TextTable]:
    """Read the tables of a STAR file one after another; a list of single values counts as a table of one row.

    Parameters
    ----------
    wanted
        The columns to keep, without the underscore.

    Raises
    ------
    InputError
        The file cannot be read, or a row does not fit its columns.
    """
    columns: list[str] = []
    values: list[str] = []  # of the block's single values
    table: TextTable | None = None
    in_loop = False
    number = 0

    def finish() -> Iterator[TextTable]:
        nonlocal table
        if table is None and columns:
            table = TextTable(path, columns, wanted)
            if not in_loop:
                table.append(values, number)
        if table is not None:
            yield table

    for number, line in enumerate(text_lines(path), start=1):
        text = line.strip()
        if not text or text[0] == "#":
            continue
        if BLOCK.fullmatch(text) or text == "loop_":
            yield from finish()
            columns, values, table, in_loop = [], [], None, text == "loop_"
        elif text[0] == "_" and table is None:
            fields = _split(text)
            columns.append(fields[0][1:])
            values.append(fields[1] if len(fields) > 1 else "")
        elif in_loop and columns:
            if table is None:
                table = TextTable(path, columns, wanted)
            table.append(_split(text), number)
        else:
            raise InputError(f"{path} is not a STAR file: line {number} belongs to no table; write or copy it again.")
    yield from finish()


def _split(text: str) -> list[str]:
    if not QUOTE_OR_COMMENT.search(text):
        return text.split()
    fields = []
    for single, double, plain in QUOTED_OR_PLAIN.findall(text):
        if plain.startswith("#"):
            break
        fields.append(single or double or plain)
    return fields


def _known(tables: Sequence[TextTable], table: TextTable, names: Sequence[str]) -> dict[str, KnownMicrograph]:
    """Give the pixel size of each micrograph, by its row in the table or the optics group that this names."""
    size_of_group: dict[str, str] = {}
    for other in tables:
        if other is not table and OPTICS_GROUP in other.cells and PIXEL_SIZE in other.cells:
            size_of_group |= dict(zip(other.cells[OPTICS_GROUP], other.cells[PIXEL_SIZE], strict=True))
    sizes: Sequence[str] = [""] * len(names)
    if PIXEL_SIZE in table.cells:
        sizes = table.cells[PIXEL_SIZE]
    elif OPTICS_GROUP in table.cells:
        sizes = [size_of_group.get(group, "") for group in table.cells[OPTICS_GROUP]]
    size_of = dict(zip(reversed(names), reversed(sizes), strict=True))
    return {name: KnownMicrograph(pixel_size_angstrom=_size(size_of[name])) for name in dict.fromkeys(names)}


def _size(cell: str) -> float | None:
    try:
        size = float(cell)
    except ValueError:
        return None
    return size if isfinite(size) and size > 0 else None


def _described(tables: Sequence[TextTable]) -> str:
    names = [f"_{name}" for table in tables for name in table.columns[:12]]
    more = f" and {len(names) - 60} more" if len(names) > 60 else ""
    return f"it has {', '.join(names[:60])}{more}" if names else "it has no tables"
