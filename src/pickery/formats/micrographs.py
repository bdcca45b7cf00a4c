"""The door to micrographs: which files a setting means, what their headers say, and their pixels."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickery.errors import InputError
from pickery.formats.contract import CryosparcMicrograph, ImageKind, KnownMicrograph, MicrographHeader
from pickery.formats.files import (
    check_names,
    expand,
    look_for_listed,
    missing_error,
    natural_key,
    reading,
    unique_names,
)
from pickery.formats.images import IMAGE_ENDINGS, bare_name, image_kind, without_id
from pickery.formats.mrc import write_mrc
from pickery.formats.registry import LIST_ENDINGS, kind_of

__all__ = [
    "MicrographFile",
    "MicrographHeader",
    "find_micrographs",
    "read_header",
    "read_micrograph",
    "write_mrc",
]


@dataclass(frozen=True, slots=True)
class MicrographFile:
    """A micrograph's file.

    Attributes
    ----------
    name
        The file's name without extension, unique in the list that it came in: only where two files share it, it has as
        many parent folders before it as tell them apart (``sq1/mic_01``).
    path
        Absolute.
    listed_as
        The path as the list or the setting gave it, by which RELION or CryoSPARC knows the micrograph; by default
        `path`.
    known
        What the list said of it.
    """

    name: str
    path: Path
    listed_as: str = ""
    known: KnownMicrograph = field(default_factory=KnownMicrograph)

    def __post_init__(self) -> None:
        if not self.listed_as:
            object.__setattr__(self, "listed_as", str(self.path))

    @property
    def cryosparc(self) -> CryosparcMicrograph | None:
        """What CryoSPARC knows it by, where it came in a CryoSPARC list."""
        return self.known.cryosparc


def find_micrographs(
    source: str | Sequence[str], *, setting: str = "data.micrographs", absent_too: bool = False
) -> list[MicrographFile]:
    """Find the micrographs that a setting means.

    Parameters
    ----------
    source
        A folder, a glob, an image, a list, or several of those. Lists: .txt with one path a line, .csv or .tsv with a
        column `path`, STAR with ``_rlnMicrographName``, CryoSPARC's .cs of exposures. Their relative paths count from
        the current folder, else from the list's own (of STAR and .cs also from a folder above it). Where the files of
        a list lie elsewhere, those of the same names among the other sources are meant.
    setting
        Named in messages.
    absent_too
        Whether files that a list names may be absent: for what the list says of them.

    Returns
    -------
    list of MicrographFile
        In natural order of their paths, each file once.

    Raises
    ------
    InputError
        Nothing is there, something listed is missing or no image, or two files stand for one micrograph.
    """
    sources = [source] if isinstance(source, str) else list(source)
    found: dict[Path, _Said] = {}
    lists: list[_List] = []
    for one in sources:
        lie_there, listed = _files_of(str(one), setting)
        found = lie_there | found
        lists += [listed] if listed else []
    for listed in lists:
        found |= _elsewhere(listed, found, absent_too=absent_too)
    if not found:
        raise InputError(f"{setting} is empty: give a folder of micrographs, a glob or a list.")
    check_names(map(str, found), setting)
    paths = sorted(found, key=lambda path: natural_key(str(path)))
    gone = next((path for path in paths if not os.path.exists(path)), None)
    if gone is not None and not absent_too:
        raise InputError(f"{setting} has {gone}, a link to a file that does not exist: mend or remove the link.")
    return [
        MicrographFile(name, path, *found[path])
        for name, path in zip(unique_names(paths, bare_name, setting), paths, strict=True)
    ]


_Said = tuple[str, KnownMicrograph]
"""A micrograph's path as given, and what is said of it."""


@dataclass(frozen=True)
class _List:
    """A list of micrographs: how many it names, and what it says of those that are not there."""

    path: Path
    count: int
    absent: dict[str, KnownMicrograph]


def _files_of(source: str, setting: str) -> tuple[dict[Path, _Said], _List | None]:
    """Give the files that a source means, and the list if it is one."""
    paths, chosen = expand(source, setting)
    images = [path for path in paths if image_kind(path.name)]
    if chosen and not images:
        return _listed(paths[0], setting)
    if not images:
        raise InputError(
            f"{setting}={source} has {len(paths)} files (such as {paths[0].name}) but no micrographs, which end in"
            f" {', '.join(IMAGE_ENDINGS)}: give their folder, a glob or a list of them."
        )
    absolute = os.path.isabs(os.path.expanduser(source))
    return {path: (str(path) if absolute else os.path.relpath(path), KnownMicrograph()) for path in images}, None


def _listed(list_path: Path, setting: str) -> tuple[dict[Path, _Said], _List]:
    kind = kind_of(list_path, setting, (*IMAGE_ENDINGS, *LIST_ENDINGS))
    if kind.list_micrographs is None:
        raise InputError(
            f"{setting}={list_path} is {kind.name}, which lists no micrographs: give their folder, a glob or a list."
        )
    listed = kind.list_micrographs(list_path)
    strange = next((entry for entry in listed if image_kind(entry) is None), None)
    if strange is not None:
        raise InputError(
            f"{list_path} lists {strange}, which is no micrograph by its ending: those end in"
            f" {', '.join(IMAGE_ENDINGS)}."
        )
    places = look_for_listed(list(listed), list_path, ancestors=kind.paths_from_above)
    found = {path: (entry, listed[entry]) for entry, path in places.items() if path is not None}
    absent = {entry: listed[entry] for entry, path in places.items() if path is None}
    return found, _List(list_path, len(listed), absent)


def _elsewhere(listed: _List, found: Mapping[Path, _Said], *, absent_too: bool) -> dict[Path, _Said]:
    """Give what a list says of files that are not where it says, by those of the same names that others gave."""
    by_name: dict[str, list[Path]] = {}
    for path in found:
        for name in {bare_name(path.name), without_id(bare_name(path.name))}:
            by_name.setdefault(name, []).append(path)
    said: dict[Path, _Said] = {}
    missing = []
    for entry, known in listed.absent.items():
        name = bare_name(entry)
        paths = by_name.get(name) or by_name.get(without_id(name), [])
        if len(paths) == 1 and paths[0] not in said:
            said[paths[0]] = (entry, known)
        elif absent_too:
            said[listed.path.parent / entry] = (entry, known)
        else:
            missing.append(entry)
    if missing:
        raise missing_error(missing, listed.count, listed.path, ", or give their folder too: [FOLDER,LIST]")
    return said


def read_header(path: Path) -> MicrographHeader:
    """Read a micrograph's header without its pixels.

    Raises
    ------
    InputError
        The file cannot be read, is truncated, or holds no single image.
    """
    return _kind_of_image(path).read_header(path)


def read_micrograph(path: Path) -> NDArray[np.float32]:
    """Read a micrograph's pixels, [y, x].

    Raises
    ------
    InputError
        The file cannot be read, is truncated, holds no single greyscale image, has pixels that are no finite numbers,
        or is the same everywhere.
    """
    kind = _kind_of_image(path)
    # what overflows or is not a number is found below
    with reading(path, kind.name), np.errstate(all="ignore"):
        stored = kind.read_pixels(path)
        pixels = stored.astype(np.float32, copy=False)
        low, high = pixels.min(), pixels.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        count = pixels.size - int(np.count_nonzero(np.isfinite(pixels)))
        raise InputError(
            f"{path} has {count} pixels that are not finite numbers (nan or infinite): write it again, or leave it out."
        )
    if low == high:
        raise InputError(f"{path} is the same everywhere (every pixel is {low:g}): leave it out.")
    return pixels


def _kind_of_image(path: Path) -> ImageKind:
    kind = image_kind(path.name)
    if kind is None:
        raise InputError(f"{path} is no micrograph by its ending: those end in {', '.join(IMAGE_ENDINGS)}.")
    return kind
