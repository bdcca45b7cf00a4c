"""What the format files and their two doors (`micrographs`, `picks`) agree on: the records and the kinds of file.

A new kind of file is one module with a `KIND` of its own and one line in `registry`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickery.errors import InputError

LARGEST_SIDE = 1 << 20
"""Of an image, in pixels: no detector comes near, so a larger number is junk read as a header."""

LARGEST_PIXELS = 1 << 30
"""Of an image, in all: four times what the largest detectors write, and what may be asked of memory."""

LARGEST_NUMBER = 1e30
"""Of a coordinate, a box or a score: no picking program comes near, and arithmetic on larger ones overflows."""

FILAMENTS = "its segments of filaments are taken as single particles: filaments are not supported."


@dataclass(frozen=True, slots=True)
class MicrographHeader:
    """What a micrograph's header says, read without its pixels.

    Attributes
    ----------
    shape
        (rows, columns) in pixels.
    dtype
        numpy's name of the type of the stored pixels, such as ``"uint16"``.
    pixel_size_angstrom
        None where the header does not say.
    """

    shape: tuple[int, int]
    dtype: str
    pixel_size_angstrom: float | None


@dataclass(frozen=True, slots=True)
class CryosparcMicrograph:
    """What CryoSPARC knows a micrograph by.

    Attributes
    ----------
    uid
        The exposure's id, by which CryoSPARC joins picks and micrographs.
    path
        From the project's folder, as written in the .cs.
    shape
        (rows, columns) in pixels.
    pixel_size_angstrom
        None where the .cs does not say.
    exposure_group
        The exposure group's id; None where the .cs does not say.
    """

    uid: int
    path: str
    shape: tuple[int, int]
    pixel_size_angstrom: float | None = None
    exposure_group: int | None = None


@dataclass(frozen=True, slots=True)
class KnownMicrograph:
    """What a file of picks, or a list of micrographs, says of a micrograph itself.

    Attributes
    ----------
    shape
        (rows, columns) in pixels; None where it does not say.
    pixel_size_angstrom
        None where it does not say.
    cryosparc
        Of a CryoSPARC file, what that knows it by.
    """

    shape: tuple[int, int] | None = None
    pixel_size_angstrom: float | None = None
    cryosparc: CryosparcMicrograph | None = None


@dataclass(frozen=True, eq=False)
class PickTable:
    """Picks as a file means them: centres, in array orientation, in the pixels that the file counts in.

    Attributes
    ----------
    micrograph
        The file's own name of each pick's micrograph, (n,): a path, a file name, or a name without extension.
    x, y
        Centres in pixels, float64 (n,); x = column, y = row.
    score
        float64 (n,), nan where the file has none.
    source
        Where the picks come from, for messages.
    box_size
        (width, height) of each pick's box, float64 (n, 2), nan where it has none; None where no pick has one.
    cryosparc
        Of picks from CryoSPARC, their rows with all fields, a structured array (n,); else None.
    known
        Name of a micrograph → what the file says of it, also of one without picks.
    dropped
        Columns of the file that say more of a pick than is kept here, for messages.
    remarks
        What someone who takes these picks should know, in sentences.
    kinds
        The kinds of file that they were read from.
    """

    micrograph: tuple[str, ...]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    score: NDArray[np.float64]
    source: str
    box_size: NDArray[np.float64] | None = None
    cryosparc: NDArray[np.void] | None = None
    known: Mapping[str, KnownMicrograph] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    kinds: "tuple[FileKind, ...]" = ()

    def __post_init__(self) -> None:
        assert len(self.micrograph) == len(self.x) == len(self.y) == len(self.score)
        assert self.box_size is None or self.box_size.shape == (len(self.x), 2)
        assert self.cryosparc is None or self.cryosparc.shape == self.x.shape

    def __len__(self) -> int:
        return len(self.micrograph)

    @classmethod
    def joined(cls, tables: "Sequence[PickTable]", source: str) -> "PickTable":
        """Join tables, one at least, in their order; of rows from CryoSPARC only the fields that all have are kept."""
        boxed = any(one.box_size is not None for one in tables)
        known: dict[str, KnownMicrograph] = {}
        for one in tables:
            known |= {name: said for name, said in one.known.items() if name not in known}
        return cls(
            micrograph=tuple(name for one in tables for name in one.micrograph),
            x=np.concatenate([one.x for one in tables]),
            y=np.concatenate([one.y for one in tables]),
            score=np.concatenate([one.score for one in tables]),
            source=source,
            box_size=np.concatenate([one.boxes_or_nan() for one in tables]) if boxed else None,
            cryosparc=_joined_rows([one.cryosparc for one in tables]),
            known=known,
            dropped=tuple(dict.fromkeys(column for one in tables for column in one.dropped)),
            remarks=tuple(dict.fromkeys(remark for one in tables for remark in one.remarks)),
            kinds=tuple({kind.name: kind for one in tables for kind in one.kinds}.values()),
        )

    def boxes_or_nan(self) -> NDArray[np.float64]:
        """Give each pick's box, nan where it has none."""
        return np.full((len(self), 2), np.nan) if self.box_size is None else self.box_size


def _joined_rows(parts: Sequence[NDArray[np.void] | None]) -> NDArray[np.void] | None:
    rows = [part for part in parts if part is not None]
    if len(rows) < len(parts):
        return None
    names = [name for name in rows[0].dtype.names or () if all(name in (part.dtype.names or ()) for part in rows)]
    columns = {name: np.concatenate([part[name] for part in rows]) for name in names}
    described = [(name, column.dtype, column.shape[1:]) for name, column in columns.items()]
    joined = np.empty(sum(map(len, rows)), described)
    for name, column in columns.items():
        joined[name] = column
    return joined


@dataclass(frozen=True, eq=False)
class MicrographPicks:
    """Picks of one micrograph, on their way out.

    Attributes
    ----------
    micrograph
        As other programs should name it: its path as given, or its name.
    points
        float64 (n, 2), (x, y) centres in full-size pixels of its array.
    scores
        float64 (n,), nan where there is none.
    shape
        (rows, columns) of the micrograph; None where it is not known.
    pixel_size_angstrom
        Of the full-size micrograph; None where it is not known.
    cryosparc
        What CryoSPARC knows the micrograph by; None where that is not known.
    box_size_px
        (width, height) of each pick's box in full-size pixels, float64 (n, 2), nan where it has none; None where no
        pick has one.
    cryosparc_rows
        Of picks that came from CryoSPARC, their rows with all fields, a structured array (n,); else None.
    """

    micrograph: str
    points: NDArray[np.float64]
    scores: NDArray[np.float64]
    shape: tuple[int, int] | None = None
    pixel_size_angstrom: float | None = None
    cryosparc: CryosparcMicrograph | None = None
    box_size_px: NDArray[np.float64] | None = None
    cryosparc_rows: NDArray[np.void] | None = None

    def __post_init__(self) -> None:
        assert self.points.shape == (len(self.scores), 2)
        assert self.box_size_px is None or self.box_size_px.shape == self.points.shape
        assert self.cryosparc_rows is None or self.cryosparc_rows.shape == self.scores.shape

    def __len__(self) -> int:
        return len(self.scores)

    def boxes(self, path: Path) -> NDArray[np.float64]:
        """Give the boxes for a file that must have them.

        Raises
        ------
        InputError
            A pick has none.
        """
        boxes = self.box_size_px
        if len(self) and (boxes is None or np.isnan(boxes).any()):
            raise InputError(f"{path} needs the size of the boxes: give box_size, in full-size pixels.")
        return np.empty((0, 2)) if boxes is None else boxes


@dataclass(frozen=True, slots=True)
class ListedPickFile:
    """One row of a file that lists files of picks: the file, and the micrograph that its picks are on."""

    path: Path
    micrograph: str


@dataclass(frozen=True)
class FileKind:
    """A kind of file that holds picks, or lists micrographs, or both.

    Attributes
    ----------
    name
        With its article, for messages: ``"a RELION STAR"``.
    endings
        In lower case, with the dot.
    convention
        What its coordinates are, in words.
    recognises
        Whether the first lines of a text file look like this kind.
    read_picks
        (path, name) → the picks, or the files that this one lists; `name` is the micrograph's name where only the
        name of the file says it.
    list_micrographs
        path → the micrographs in it: the path of each, as written, and what the file says of it.
    write_picks
        (path, picks of one micrograph or several) → None; their coordinates are already those to be written.
    written_as
        How a file for one micrograph is called, without its ending, such as ``"NAME_autopick"``.
    one_micrograph
        Whether a file holds the picks of one micrograph only, which it is named after.
    write_each
        (path, picks of one micrograph) → None: the file for one micrograph, where that is another than `write_picks`
        makes.
    write_list
        (folder, files, picks of each) → the list of the files in that folder, for the program that reads them by it.
    list_name
        The name of that list.
    holds
        What one file of this kind can hold, of the keys of `pickery.formats.written.LOST`.
    holds_each
        What files of one micrograph each can hold, likewise.
    names
        Names or paths of micrographs → those that one file says for them; not for files of one micrograph.
    fractions
        Whether its coordinates are fractions of the micrograph, which no scale changes.
    notes
        Picks → what someone who takes such a file of them to its program should know.
    paths_from_above
        Whether the paths in such a list count from the project's folder, which lies above the list's.
    name_suffixes
        What programs add to the micrograph's name to name a file of this kind, such as ``"_autopick"``.
    """

    name: str
    endings: tuple[str, ...]
    convention: str = ""
    recognises: Callable[[str], bool] = lambda head: False
    read_picks: Callable[[Path, str], PickTable | list[ListedPickFile]] | None = None
    list_micrographs: Callable[[Path], Mapping[str, KnownMicrograph]] | None = None
    write_picks: Callable[[Path, Sequence[MicrographPicks]], None] | None = None
    write_each: Callable[[Path, MicrographPicks], None] | None = None
    write_list: Callable[[Path, Sequence[Path], Sequence[MicrographPicks]], list[Path]] | None = None
    list_name: str = ""
    written_as: str = "NAME"
    one_micrograph: bool = False
    holds: frozenset[str] = frozenset()
    holds_each: frozenset[str] = frozenset()
    names: Callable[[Sequence[str]], Sequence[str]] = list
    fractions: bool = False
    notes: Callable[[Sequence[MicrographPicks]], Sequence[str]] = lambda picks: ()
    paths_from_above: bool = False
    name_suffixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageKind:
    """A kind of file that holds one image.

    Attributes
    ----------
    name
        With its article, for messages.
    endings
        In lower case, with the dot; none is the end of another.
    read_header
        path → header, without reading pixels.
    read_pixels
        path → 2-D array [y, x] of the stored type.
    """

    name: str
    endings: tuple[str, ...]
    read_header: Callable[[Path], MicrographHeader]
    read_pixels: Callable[[Path], NDArray[Any]]
