"""The kinds of file that hold picks or list micrographs: a new kind is one line in `FILE_KINDS`."""

from collections.abc import Sequence
from pathlib import Path

from pickery.errors import InputError
from pickery.formats import cryolo_cbox, cryosparc, eman2_json, eman_box, star_writing, topaz_table
from pickery.formats.contract import FileKind
from pickery.formats.files import head_of

FILE_KINDS = (
    topaz_table.KIND,
    star_writing.KIND,
    eman_box.KIND,
    cryosparc.KIND,
    eman2_json.KIND,
    cryolo_cbox.KIND,
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
        The kind is unknown, or the file cannot be opened.
    """
    by_ending = kind_by_ending(path)
    head = head_of(path)
    if by_ending and by_ending.recognises(head):
        return by_ending
    kind = next((kind for kind in FILE_KINDS if kind.recognises(head)), by_ending)
    if kind is None:
        raise InputError(f"{setting}={path} is of no known kind: give one that ends in {', '.join(accepted)}.")
    return kind
