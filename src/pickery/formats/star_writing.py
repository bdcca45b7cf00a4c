"""Picks as RELION's STAR files: all particles in one file, or a file for each micrograph and the list of these.

One file is of the kind since RELION 3.1, ``data_optics`` and ``data_particles``. Files of one micrograph are as its own
picking writes them, ``NAME_autopick.star``, and ``autopick.star`` lists them by the micrographs' names: that is what
RELION extracts by. It reads only the first table of each file and compares names letter by letter with its list of
micrographs. Paths in it count from the folder in which the program runs, for RELION its project's.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pickery.errors import InputError
from pickery.formats.contract import FileKind, MicrographPicks
from pickery.formats.files import writing
from pickery.formats.star import (
    BLOCK,
    MICROGRAPH,
    OPTICS_GROUP,
    PICK_FILE,
    PIXEL_SIZE,
    SCORE,
    X,
    Y,
    list_micrographs,
    read_picks,
)
from pickery.formats.text_table import decimals, shortest

VERSION = "# version 30001"  # of the format; RELION takes a file without it for an older one
LIST = "autopick.star"
UNKNOWN_SIZE = "0"
# what begins with these, or has blanks in it, must stand in quotes
SPECIAL = re.compile(r"""^['"#_]|\s""")


def write_particles(path: Path, picks: Sequence[MicrographPicks]) -> None:
    """Write all picks into one file, the score only where some pick has one.

    Raises
    ------
    InputError
        A name cannot be written, or the file cannot.
    """
    scored = _scored(picks)
    sizes = list(dict.fromkeys(one.pixel_size_angstrom for one in picks if len(one))) or [None]
    known = any(size is not None for size in sizes)
    groups = [
        [f"opticsGroup{number}", str(number), *([UNKNOWN_SIZE if size is None else shortest(size)] if known else [])]
        for number, size in enumerate(sizes, start=1)
    ]
    rows = []
    for one in picks:
        if not len(one):
            continue
        name, group = _quoted(one.micrograph, path), str(sizes.index(one.pixel_size_angstrom) + 1)
        rows += [[*row, name, group] for row in _rows(one, scored=scored)]
    optics = ["rlnOpticsGroupName", OPTICS_GROUP, *([PIXEL_SIZE] if known else [])]
    columns = [X, Y, *([SCORE] if scored else []), MICROGRAPH, OPTICS_GROUP]
    with writing(path) as temporary:
        text = _table("optics", optics, groups) + "\n" + _table("particles", columns, rows)
        temporary.write_text(text, encoding="utf-8")


def write_coordinates(path: Path, one: MicrographPicks) -> None:
    """Write the picks of one micrograph, as RELION's picking does.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    scored = _scored([one])
    columns = [X, Y, *([SCORE] if scored else [])]
    with writing(path) as temporary:
        temporary.write_text(_table("", columns, _rows(one, scored=scored)), encoding="utf-8")


def write_list(folder: Path, files: Sequence[Path], picks: Sequence[MicrographPicks]) -> list[Path]:
    """List the files in a folder that have picks, for RELION's extraction.

    Raises
    ------
    InputError
        A name cannot be written, or the file cannot.
    """
    path = folder / LIST
    rows = [
        [_quoted(one.micrograph, path), _quoted(str(file), path)]
        for file, one in zip(files, picks, strict=True)
        if len(one)
    ]
    with writing(path) as temporary:
        temporary.write_text(_table("coordinate_files", [MICROGRAPH, PICK_FILE], rows), encoding="utf-8")
    return [path]


def _scored(picks: Sequence[MicrographPicks]) -> bool:
    return any(np.isfinite(one.scores).any() for one in picks)


def _rows(one: MicrographPicks, *, scored: bool) -> list[list[str]]:
    return [
        [decimals(x), decimals(y), *([shortest(score)] if scored else [])]
        for (x, y), score in zip(one.points.tolist(), one.scores.tolist(), strict=True)
    ]


def _table(block: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = ["", VERSION, "", f"data_{block}", "", "loop_"]
    head += [f"_{column} #{number}" for number, column in enumerate(columns, start=1)]
    return "\n".join((*head, *(" ".join(row) for row in rows), "", ""))


def _quoted(name: str, path: Path) -> str:
    if not SPECIAL.search(name):
        return name
    quote = '"' if "'" in name else "'"
    if quote in name or "\n" in name:
        raise InputError(f"{path} cannot hold the name {name}: take the quotes or the blanks out of it.")
    return quote + name + quote


KIND = FileKind(
    "a STAR file",
    (".star",),
    convention="centres in pixels, the first row at y = 0",
    recognises=lambda head: any(BLOCK.fullmatch(line.strip()) for line in head.splitlines()),
    read_picks=read_picks,
    list_micrographs=list_micrographs,
    paths_from_above=True,
    write_picks=write_particles,
    write_each=write_coordinates,
    write_list=write_list,
    list_name=LIST,
    written_as="NAME_autopick",
    holds=frozenset({"scores", "pixel size"}),
    holds_each=frozenset({"scores", "empty"}),
    name_suffixes=("_autopick", "_manualpick"),
)
