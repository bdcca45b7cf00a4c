"""crYOLO's .cbox files: STAR syntax, one per micrograph, with corners, sizes and confidences of boxes.

``_CoordinateX`` and ``_CoordinateY`` are the corner of a box with the least x and y, in full-size pixels of the array;
``_Width`` and ``_Height`` its size: centre = corner + size/2. crYOLO leaves in such a file what it found below its
threshold, for the threshold to be changed afterwards. Filaments and tomograms are refused.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickery.errors import InputError
from pickery.formats.contract import FileKind, KnownMicrograph, MicrographPicks, PickTable
from pickery.formats.files import writing
from pickery.formats.star import BLOCK, read_tables
from pickery.formats.text_table import TextTable, decimals, shortest

X, Y, WIDTH, HEIGHT, SCORE = "CoordinateX", "CoordinateY", "Width", "Height", "Confidence"
Z, FILAMENT = "CoordinateZ", "filamentid"
COLUMNS = (X, Y, Z, WIDTH, HEIGHT, "Depth", "EstWidth", "EstHeight", SCORE, "NumBoxes", "Angle")
NOTHING = "<NA>"
USUAL_THRESHOLD = 0.3
REMARK = (
    f"crYOLO's .cbox files also hold boxes below its threshold ({USUAL_THRESHOLD} unless changed), and all are taken:"
    f" to leave them out, first make other files of them with pickery convert and convert.threshold={USUAL_THRESHOLD}."
)


def read_picks(path: Path, name: str = "") -> PickTable:
    """Read the boxes of one micrograph as their centres.

    Parameters
    ----------
    name
        The micrograph's name.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, has a row that is no box, or holds filaments or a tomogram's boxes.
    """
    wanted = (X, Y, Z, WIDTH, HEIGHT, SCORE, FILAMENT)
    table = next((one for one in read_tables(path, wanted) if X in one.cells), None)
    missing = [f"_{column}" for column in (X, Y, WIDTH, HEIGHT) if table is None or column not in table.cells]
    if table is None or missing:
        raise InputError(f"{path} has no table with {', '.join(missing)}: give the .cbox file that crYOLO wrote.")
    for column, what in ((FILAMENT, "filaments"), (Z, "boxes in a tomogram")):
        if not np.isnan(_optional(table, column)).all():
            raise InputError(f"{path} holds {what}, which are not supported: give single particles in micrographs.")
    corner_x, corner_y, width, height = (table.numbers(column) for column in (X, Y, WIDTH, HEIGHT))
    if (width < 0).any() or (height < 0).any():
        raise InputError(f"{path} has boxes of negative size: write it again with crYOLO.")
    score = _optional(table, SCORE)
    return PickTable(
        micrograph=(name,) * len(table),
        x=corner_x + width / 2,
        y=corner_y + height / 2,
        score=score,
        source=str(path),
        box_size=np.column_stack((width, height)),
        known={name: KnownMicrograph()},
        remarks=(REMARK,) if (score < USUAL_THRESHOLD).any() else (),
    )


def write_picks(path: Path, picks: Sequence[MicrographPicks]) -> None:
    """Write the boxes of one micrograph.

    Raises
    ------
    InputError
        The size of the boxes is not known, or the file cannot be written.
    """
    (one,) = picks
    boxes = one.boxes(path)
    rows = []
    for (x, y), (width, height), score in zip(one.points, boxes, one.scores, strict=True):
        corner = [
            decimals(x - width / 2),
            decimals(y - height / 2),
            NOTHING,
            decimals(width),
            decimals(height),
            NOTHING,
        ]
        confidence = NOTHING if np.isnan(score) else shortest(score)
        rows.append(" ".join((*corner, decimals(width), decimals(height), confidence, NOTHING, NOTHING)))
    head = ["data_global", "", "_cbox_format_version 1.0", "", "data_cryolo", "", "loop_"]
    columns = [f"_{column} #{number}" for number, column in enumerate(COLUMNS, start=1)]
    with writing(path) as temporary:
        temporary.write_text("\n".join((*head, *columns, *rows, "")), encoding="utf-8")


def _optional(table: TextTable, column: str) -> NDArray[np.float64]:
    """Give a column as numbers, nan where it says that there is none, or where it is not there."""
    if column not in table.cells:
        return np.full(len(table), np.nan)
    table.cells[column] = ["nan" if cell in (NOTHING, "None") else cell for cell in table.cells[column]]
    return table.numbers(column, optional=True)


def _notes(picks: Sequence[MicrographPicks]) -> list[str]:
    if all(((one.scores >= 0) & (one.scores <= 1) | np.isnan(one.scores)).all() for one in picks):
        return []
    return ["the scores stand there as they are, while crYOLO's own are probabilities from 0 to 1"]


KIND = FileKind(
    "a crYOLO .cbox file",
    (".cbox",),
    convention="corners of boxes in pixels, the first row at y = 0",
    recognises=lambda head: any(
        BLOCK.fullmatch(line.strip()) and line.strip() in ("data_global", "data_cryolo") for line in head.splitlines()
    ),
    read_picks=read_picks,
    write_picks=write_picks,
    one_micrograph=True,
    notes=_notes,
    holds_each=frozenset({"scores", "boxes", "empty"}),
)
