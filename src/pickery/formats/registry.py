"""The kinds of file that hold picks or list micrographs: a new kind is one line in `FILE_KINDS`."""

from collections.abc import Sequence
from pathlib import Path

from pickery.errors import InputError
from pickery.formats import eman_box, star, topaz_table
from pickery.formats.contract import FileKind
from pickery.formats.files import head_of

FILE_KINDS = (
    topaz_table.KIND,
    star.KIND,
    eman_box.KIND,
    FileKind(
        "a CryoSPARC .cs file",
        (".cs",),
        instead="export it from CryoSPARC as a STAR file (with pyem: csparc2star.py FILE.cs FILE.star)",
    ),
    FileKind("an EMAN2 .json file", (".json",), instead="write .box files from EMAN2's e2boxer"),
    FileKind("a crYOLO .cbox file", (".cbox",), instead="give the .box files that crYOLO writes to its folder EMAN"),
)

PICK_ENDINGS = tuple(ending for kind in FILE_KINDS if kind.read_picks for ending in kind.endings)
LIST_ENDINGS = tuple(ending for kind in FILE_KINDS if kind.list_micrographs for ending in kind.endings)
WRITTEN_ENDINGS = tuple(ending for kind in FILE_KINDS if kind.write_picks for ending in kind.endings)


def kind_by_ending(path: Path) -> FileKind | None:
    """Tell the kind by the ending of the file's name alone."""
    lower = path.name.lower()
    return next((kind for kind in FILE_KINDS if lower.endswith(kind.endings)), None)


def kind_of(path: Path, setting: str, accepted: Sequence[str]) -> FileKind:
    """Tell the kind by the ending, or by the first lines where they are plainly another kind's.

    Parameters
    ----------
    setting
        Named in messages.
    accepted
        The endings to advise where the kind is unknown.

    Raises
    ------
    InputError
        The kind is unknown, or known and not read; the file cannot be opened.
    """
    by_ending = kind_by_ending(path)
    if by_ending and by_ending.instead:
        raise InputError(f"{setting}={path} is {by_ending.name}, which is not read: {by_ending.instead} and give that.")
    head = head_of(path)
    if by_ending and by_ending.recognises(head):
        return by_ending
    kind = next((kind for kind in FILE_KINDS if kind.recognises(head)), by_ending)
    if kind is None:
        raise InputError(f"{setting}={path} is of no known kind: give one that ends in {', '.join(accepted)}.")
    return kind
