"""Topaz's table of picks, separated by tabs (.txt, .tsv) or commas (.csv), and lists of micrographs in such files.

Coordinates are centres in array orientation, in pixels of the image that Topaz was given, which is usually a
downsampled one: `data.coordinate_scale` is for that.
"""

import csv
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickery.errors import InputError, PickeryWarning
from pickery.formats.contract import FileKind, KnownMicrograph, MicrographPicks, PickTable
from pickery.formats.files import text_lines, writing
from pickery.formats.images import bare_name, image_kind
from pickery.formats.text_table import TextTable, picks_of, shortest

MICROGRAPH, X, Y, SCORE = "image_name", "x_coord", "y_coord", "score"
PATH, SET, SKIPPED = "path", "set", "skipped"
POLYGON = "polygon"
POLYGON_ENDINGS = (".csv", ".tsv", ".txt")


def read_picks(path: Path, name: str = "") -> PickTable:
    """Read a table of picks.

    Parameters
    ----------
    name
        Not used: the table names its micrographs.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, or has a row that is no pick.
    """
    table = _read(path, (MICROGRAPH, X, Y, SCORE))
    missing = [column for column in (MICROGRAPH, X, Y) if column not in table.cells]
    if missing:
        raise InputError(
            f"{path} has no column {' and no '.join(missing)} (its first line is: {', '.join(table.columns)}): name the"
            f" columns {MICROGRAPH}, {X}, {Y} and, if there are scores, {SCORE}."
        )
    return picks_of(table, x=X, y=Y, score=SCORE, micrograph=MICROGRAPH)


def read_polygons(path: Path) -> dict[str, list[NDArray[np.float64]]]:
    """Read a table of polygons, a row for each vertex: name in the table → polygons, vertices (n, 2) as (x, y).

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, has a row that is no vertex, or a polygon of fewer than three.
    """
    wanted = (MICROGRAPH, POLYGON, X, Y)
    table = _read(path, wanted)
    missing = [column for column in wanted if column not in table.cells]
    if missing:
        raise InputError(
            f"{path} has no column {' and no '.join(missing)} (its first line is: {', '.join(table.columns)}): a table"
            f" of polygons has a row for each vertex, in order, with the columns {', '.join(wanted)}."
        )
    x, y = table.numbers(X), table.numbers(Y)
    rows_of: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(table.names(MICROGRAPH), table.cells[POLYGON], strict=True)):
        rows_of.setdefault((key[0], key[1].strip()), []).append(row)
    if not rows_of:
        raise InputError(f"{path} holds no polygons: write a row for each vertex, or leave the table out.")
    polygons: dict[str, list[NDArray[np.float64]]] = {}
    for (name, polygon), rows in rows_of.items():
        if len(rows) < 3:
            raise InputError(
                f"{path}: polygon {polygon or 'without a name'} of {name} has {len(rows)} vertices; a polygon has three"
                " or more."
            )
        polygons.setdefault(name, []).append(np.column_stack((x[rows], y[rows])))
    return polygons


def list_micrographs(path: Path) -> Mapping[str, KnownMicrograph]:
    """Read the paths of micrographs: the column `path` of a table, or one path a line where there is no table.

    Rows that a run of Pickery marked as skipped (column `set`) are left out, with a warning.

    Raises
    ------
    InputError
        The file cannot be read, is a table without such a column, or is empty.
    """
    lines = text_lines(path)
    first = next((line for line in lines if line.strip() and not _is_comment(line)), "")
    columns = _columns(first)
    if PATH in columns:
        table = _read(path, (PATH, SET))
        rows = zip(table.names(PATH), table.cells.get(SET, [""] * len(table)), strict=True)
        kept = [entry for entry, in_set in rows if in_set.strip() != SKIPPED]
        if len(kept) < len(table):
            warnings.warn(
                f"{path}: {len(table) - len(kept)} micrographs that an earlier run skipped are left out.",
                PickeryWarning,
                stacklevel=2,
            )
    elif not image_kind(first.strip()) and (len(columns) > 1 or path.suffix.lower() != ".txt"):
        raise InputError(
            f"{path} has no column {PATH} (its first line is: {', '.join(columns) or 'empty'}): give a table with one,"
            " or a .txt with one path a line."
        )
    else:
        kept = [line.strip() for line in chain([first], lines) if line.strip() and not _is_comment(line)]
    if not kept:
        raise InputError(f"{path} lists no micrographs: write one path a line into it.")
    return dict.fromkeys(kept, KnownMicrograph())


def write_picks(path: Path, picks: Sequence[MicrographPicks]) -> None:
    """Write a table of picks, the score only where some pick has one.

    Numbers are written so that reading gives the same ones again.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    names = _written_names([one.micrograph for one in picks])
    scored = any(np.isfinite(one.scores).any() for one in picks)
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    with writing(path) as temporary, temporary.open("x", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter=delimiter, lineterminator="\n")
        writer.writerow((MICROGRAPH, X, Y, *([SCORE] if scored else [])))
        for name, one in zip(names, picks, strict=True):
            for (x, y), score in zip(one.points, one.scores, strict=True):
                cells = ["" if np.isnan(score) else shortest(score)] if scored else []
                writer.writerow((name, shortest(x), shortest(y), *cells))


def _written_names(micrographs: Sequence[str]) -> list[str]:
    """Topaz's names: of a path the file name without extension, unless two paths share it; of a name itself."""
    bare = {given: bare_name(given) if image_kind(given) else given for given in dict.fromkeys(micrographs)}
    uses = Counter(bare.values())
    return [bare[given] if uses[bare[given]] == 1 else given for given in micrographs]


def _read(path: Path, wanted: Sequence[str]) -> TextTable:
    current = 0  # the number of the last line taken, for messages

    def lines() -> Iterator[str]:
        nonlocal current
        for current, line in enumerate(text_lines(path), start=1):  # noqa: B007
            if line.strip():
                yield line

    remaining = lines()
    header = next((line for line in remaining if not _is_comment(line)), "")
    if not header:
        raise InputError(f"{path} is empty: write it again with the columns {', '.join(wanted)}.")
    table = TextTable(path, _columns(header), wanted)
    try:
        for fields in _rows(remaining, header):
            table.append(fields, current)
    except csv.Error as error:
        raise InputError(f"{path} line {current} is no row of a table ({error}): correct it.") from error
    return table


def _columns(header: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(_rows([header], header))]
    except csv.Error:
        return [header]  # no header at all, which the caller says


def _rows(lines: Iterable[str], header: str) -> Iterator[list[str]]:
    delimiter = next((candidate for candidate in "\t,;" if candidate in header), " ")
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter == " ")


def _is_comment(line: str) -> bool:
    """Whether a line before a table, or in a list, is a comment."""
    return line.lstrip().startswith("#")


def _recognises(head: str) -> bool:
    columns = _columns(next((line for line in head.splitlines() if line.strip() and not _is_comment(line)), ""))
    return X in columns or PATH in columns


KIND = FileKind(
    "a table of picks",
    (".txt", ".tsv", ".csv"),
    convention="centres in pixels, the first row at y = 0",
    recognises=_recognises,
    read_picks=read_picks,
    list_micrographs=list_micrographs,
    write_picks=write_picks,
    names=_written_names,
    holds=frozenset({"scores"}),
    holds_each=frozenset({"scores"}),
)
