"""Picks on their way out: one file or a folder of files, and what such a file cannot hold."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pickery.errors import InputError
from pickery.formats.contract import FileKind, MicrographPicks
from pickery.formats.files import check_names, unique_names
from pickery.formats.images import bare_name
from pickery.formats.registry import WRITTEN_ENDINGS, kind_by_ending

LOST = {
    "scores": "the scores",
    "paths": "the paths of the micrographs, of which only the names are kept",
    "boxes": "the sizes of the boxes",
    "ids": "CryoSPARC's ids, image sizes and other fields",
    "pixel size": "the pixel size",
    "empty": "the micrographs without picks",
}
"""What a kind of file may be unable to hold, in words."""


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes
    ----------
    files
        In the order of the micrographs; a list of them at the end.
    lost
        What the picks had and this kind of file cannot hold, in words that complete "without …".
    notes
        What someone who takes the files to their program should know.
    """

    files: tuple[Path, ...]
    lost: tuple[str, ...]
    notes: tuple[str, ...] = ()


def write_picks(
    out: Path,
    picks: Sequence[MicrographPicks],
    *,
    format: str | None = None,
    box_size_px: float | None = None,
    coordinate_scale: float = 1.0,
    flip_y: bool = False,
) -> Written:
    """Write picks, each file at once or not at all.

    Parameters
    ----------
    out
        With a known ending one file for all; any other is a folder that gets a file for each micrograph, named as the
        programs that read such files expect.
    picks
        One for each micrograph, those without picks too.
    format
        An ending without its dot, such as ``"star"``; None takes that of `out`.
    box_size_px
        Side of the boxes in full-size pixels; None keeps those that the picks have.
    coordinate_scale
        Full-size pixels per pixel of the coordinates to be written; applied after the flip, and not to fractions.
    flip_y
        Whether row r is to be written as row rows - 1 - r.

    Raises
    ------
    InputError
        The kind is unknown, does not go with `out`, or needs what is not given; a file cannot be written.
    """
    assert np.isfinite(coordinate_scale)
    assert coordinate_scale > 0
    kind, ending, one_file = _chosen(out, format)
    if one_file and kind.one_micrograph and len(picks) != 1:
        raise InputError(
            f"{out} would have the picks of {len(picks)} micrographs, and {kind.name} holds those of one: give a folder"
            f" instead, and {ending[1:]} as the format."
        )
    files = _files(out, picks, kind, ending, one_file)
    scale = 1.0 if kind.fractions else coordinate_scale
    turned = [_turned(one, out, box_size_px, scale, flip_y) for one in picks]
    assert kind.write_picks is not None
    if one_file:
        kind.write_picks(out, turned)
    else:
        for file, one in zip(files, turned, strict=True):
            if kind.write_each is not None:
                kind.write_each(file, one)
            else:
                kind.write_picks(file, [one])
        if kind.write_list is not None:
            files += kind.write_list(out, files, picks)
    read_as = _file_names(picks, out) if kind.one_micrograph else _names(picks, kind, one_file)
    renamed = any(name != one.micrograph for name, one in zip(read_as, picks, strict=True))
    lost = _lost(picks, kind, one_file, box_size_px, renamed)
    return Written(tuple(files), tuple(LOST[what] for what in lost), tuple(kind.notes(picks)))


def files_to_write(out: Path, picks: Sequence[MicrographPicks], *, format: str | None = None) -> list[Path]:
    """Name the files that `write_picks` would write or replace.

    Raises
    ------
    InputError
        The kind is unknown, or does not go with `out`.
    """
    kind, ending, one_file = _chosen(out, format)
    files = _files(out, picks, kind, ending, one_file)
    return files if one_file or kind.write_list is None else [*files, out / kind.list_name]


def _files(out: Path, picks: Sequence[MicrographPicks], kind: FileKind, ending: str, one_file: bool) -> list[Path]:
    """Name the files of picks, without their list."""
    if one_file:
        return [out]
    return [out / f"{kind.written_as.replace('NAME', name)}{ending}" for name in _file_names(picks, out)]


def _chosen(out: Path, format: str | None) -> tuple[FileKind, str, bool]:
    """Give the kind, its ending, and whether `out` is one file."""
    by_name = kind_by_ending(out)
    known = ", ".join(WRITTEN_ENDINGS)
    if format is None and by_name is None:
        raise InputError(
            f"{out} cannot be written: give a file that ends in {known}, or say of which kind the files in"
            " this folder are to be."
        )
    if by_name is not None and format is not None and not _agree(out, format):
        raise InputError(f"{out} does not end in .{format}: make the name and the format agree, or leave the latter.")
    ending = out.suffix if by_name is not None else f".{format}"
    kind = by_name or kind_by_ending(Path(f"_.{format}"))
    if kind is None or kind.write_picks is None:
        raise InputError(f"{out} cannot be written as {format}: the kinds of file are {known}.")
    return kind, ending, by_name is not None


def _agree(out: Path, format: str) -> bool:
    tables = (".txt", ".tsv")
    return out.suffix.lower() == f".{format}" or (out.suffix.lower() in tables and f".{format}" in tables)


def _file_names(picks: Sequence[MicrographPicks], out: Path) -> list[str]:
    """Give the names by which files of one micrograph are called; no name leads out of their folder."""
    check_names((one.micrograph for one in picks), str(out))
    paths = [Path(os.path.normpath(os.path.join("/", one.micrograph))) for one in picks]
    nameless = next((one.micrograph for one, path in zip(picks, paths, strict=True) if not path.name), None)
    if nameless is not None:
        raise InputError(f"{out} would have the picks of {nameless!r}, which is no name of a micrograph: correct it.")
    return unique_names(paths, bare_name, str(out))


def _names(picks: Sequence[MicrographPicks], kind: FileKind, one_file: bool) -> list[str]:
    """Give the names that stand for the micrographs in files that name them."""
    given = [one.micrograph for one in picks]
    return list(kind.names(given)) if one_file else [name for one in given for name in kind.names([one])]


def _turned(
    one: MicrographPicks, out: Path, box_size_px: float | None, coordinate_scale: float, flip_y: bool
) -> MicrographPicks:
    """Give the picks in the pixels that are to be written, their boxes and the size of a pixel likewise."""
    assert np.isfinite(one.points).all()
    x, y = one.points.T
    if flip_y:
        if one.shape is None:
            raise InputError(f"{out} needs the size of {one.micrograph} to turn the y axis: give the micrographs.")
        y = one.shape[0] - 1 - y
    boxes = one.box_size_px
    if box_size_px is not None:
        boxes = np.full((len(one), 2), box_size_px)
    return replace(
        one,
        points=np.column_stack((x, y)) / coordinate_scale,
        box_size_px=None if boxes is None else boxes / coordinate_scale,
        pixel_size_angstrom=one.pixel_size_angstrom and one.pixel_size_angstrom * coordinate_scale,
    )


def _lost(
    picks: Sequence[MicrographPicks], kind: FileKind, one_file: bool, box_size_px: float | None, renamed: bool
) -> list[str]:
    holds = kind.holds if one_file and not kind.one_micrograph else kind.holds_each
    filled = [one for one in picks if len(one)]  # what is said of others is lost with them
    had = {
        "scores": any(np.isfinite(one.scores).any() for one in picks),
        "paths": renamed,
        "boxes": box_size_px is None and any(one.box_size_px is not None for one in filled),
        "ids": any(one.cryosparc is not None or one.cryosparc_rows is not None for one in filled),
        "pixel size": any(one.pixel_size_angstrom is not None for one in filled),
        "empty": len(filled) < len(picks),
    }
    return [what for what in LOST if had[what] and what not in holds]
