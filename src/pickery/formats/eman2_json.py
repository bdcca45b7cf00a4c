"""EMAN2's info files: ``NAME_info.json``, one per micrograph, with the key ``boxes``.

``boxes`` is a list of [x, y, how it was picked]: centres in full-size pixels, in array orientation. Whatever else such
a file holds (EMAN2 keeps a micrograph's CTF in it, too) stays where it is when picks are written into it.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pickery.errors import InputError
from pickery.formats.contract import LARGEST_NUMBER, FileKind, KnownMicrograph, MicrographPicks, PickTable
from pickery.formats.files import reading, writing

BOXES = "boxes"
PICKED_BY = "manual"
LARGEST_BYTES = 1 << 26  # lists of nothing need thirty times as much memory as file


def read_picks(path: Path, name: str = "") -> PickTable:
    """Read the centres of one micrograph's boxes.

    Parameters
    ----------
    name
        The micrograph's name.

    Raises
    ------
    InputError
        The file cannot be read, has no list of boxes, or has one that is no pick.
    """
    contents = _load(path)
    boxes = contents.get(BOXES) if isinstance(contents, dict) else None
    if not isinstance(boxes, list):
        raise InputError(
            f"{path} has no list '{BOXES}': give the NAME_info.json that EMAN2 writes into its folder info."
        )
    points = np.empty((len(boxes), 2))
    for index, box in enumerate(boxes):
        numbers = box[:2] if isinstance(box, list) else []
        if len(numbers) < 2 or not all(_is_finite(number) for number in numbers):
            raise InputError(
                f"{path}: box {index + 1} is {_shown(box)}, which does not begin with the numbers x and y:"
                " correct or remove it."
            )
        points[index] = numbers
    return PickTable(
        micrograph=(name,) * len(boxes),
        x=points[:, 0].copy(),
        y=points[:, 1].copy(),
        score=np.full(len(boxes), np.nan),
        source=str(path),
        known={name: KnownMicrograph()},
    )


def write_picks(path: Path, picks: Sequence[MicrographPicks]) -> None:
    """Write the centres of one micrograph's picks; whatever else the file holds stays.

    Raises
    ------
    InputError
        The file cannot be written, or stands there and is no info file.
    """
    (one,) = picks
    contents = _load(path) if os.path.exists(path) else {}  # not path.exists, which raises over a long name
    if not isinstance(contents, dict):
        raise InputError(f"{path} exists and is no info file of EMAN2's: give another place.")
    boxes = [[*(int(value) if value.is_integer() else value for value in xy), PICKED_BY] for xy in one.points.tolist()]
    with writing(path) as temporary:
        temporary.write_text(json.dumps(contents | {BOXES: boxes}) + "\n", encoding="utf-8")


def _load(path: Path) -> Any:
    with reading(path, "an EMAN2 .json file"):
        if path.stat().st_size > LARGEST_BYTES:
            raise ValueError(f"it has more than {LARGEST_BYTES >> 20} MiB")
        try:
            return json.loads(path.read_text(encoding="utf-8-sig"))
        except RecursionError:
            raise ValueError("it has lists within lists without end") from None


def _shown(value: object) -> str:
    try:
        return json.dumps(value)[:60]
    except RecursionError:  # which reading it had just not met
        return "lists within lists"


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= LARGEST_NUMBER  # not of nan


KIND = FileKind(
    "an EMAN2 .json file",
    (".json",),
    convention="centres in pixels, the first row at y = 0",
    recognises=lambda head: head.lstrip().startswith("{"),
    read_picks=read_picks,
    write_picks=write_picks,
    written_as="NAME_info",
    one_micrograph=True,
    holds_each=frozenset({"empty"}),
    name_suffixes=("_info",),
)
