"""What the format files and their two doors (`micrographs`, `picks`) agree on: the records and the kinds of file.

A new kind of file is one module with a `KIND` of its own and one line in `registry`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    """

    micrograph: tuple[str, ...]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    score: NDArray[np.float64]
    source: str

    def __post_init__(self) -> None:
        assert len(self.micrograph) == len(self.x) == len(self.y) == len(self.score)

    def __len__(self) -> int:
        return len(self.micrograph)


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
    recognises
        Whether the first lines of a text file look like this kind.
    read_picks
        (path, name) → the picks, or the files that this one lists; `name` is the micrograph's name where only the
        name of the file says it.
    list_micrographs
        path → the paths of micrographs in it, as written.
    write_picks
        (path, table) → None.
    name_suffixes
        What programs add to the micrograph's name to name a file of this kind, such as ``"_autopick"``.
    instead
        For a kind that is not read: what to give instead, as the end of a sentence.
    """

    name: str
    endings: tuple[str, ...]
    recognises: Callable[[str], bool] = lambda head: False
    read_picks: Callable[[Path, str], PickTable | list[ListedPickFile]] | None = None
    list_micrographs: Callable[[Path], Sequence[str]] | None = None
    write_picks: Callable[[Path, PickTable], None] | None = None
    name_suffixes: tuple[str, ...] = ()
    instead: str = ""


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
