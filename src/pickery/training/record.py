"""``run.json``: what a run's folder says of the run in it, and how that is tracked."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pickery.atomic import write_text
from pickery.errors import RunFolderError

RECORD = "run.json"
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a record that is damaged may raise."""


def new_key() -> str:
    """Give a word that no other run has."""
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Record:
    """How the run in a folder is tracked.

    Attributes
    ----------
    tracked_run
        The tracked run's identifier; None while none is known.
    tracking_key
        What the tracked run is marked with. It is written here before the tracked run is made, and the identifier after
        it: of one that was killed in between the key tells which is its tracked run.
    tracked_to_end
        Whether the tracked run was told its end.
    """

    tracked_run: str | None = None
    tracking_key: str = field(default_factory=new_key)
    tracked_to_end: bool = False


def tracked_run_in(folder: Path) -> str | None:
    """Give the identifier of the tracked run that is a folder's; None where the folder does not say."""
    try:
        written = json.loads((folder / RECORD).read_text(encoding="utf-8"))["tracked_run"]
    except (OSError, *UNREADABLE):
        return None
    return written if isinstance(written, str) else None


def write_record(path: Path, decides: Mapping[str, Any], record: Record) -> None:
    """Record in a run's folder what the run is."""
    written = {"decides": decides, **asdict(record), "began_in": str(Path.cwd()), "folder": str(path.resolve())}
    write_text(path / RECORD, json.dumps(written, indent=1) + "\n")


def read_record(path: Path, decides: Mapping[str, Any]) -> Record:
    """Give how the run is tracked that is in a folder, once it is known to be the same run.

    Raises
    ------
    RunFolderError
        When the record is damaged, or another run is in the folder: the first difference is named.
    """
    try:
        written = json.loads((path / RECORD).read_text(encoding="utf-8"))
        earlier, tracked = {str(name): value for name, value in written["decides"].items()}, written["tracked_run"]
        # earlier versions had no key, and told the end to all that they finished
        key, to_end = str(written.get("tracking_key") or new_key()), bool(written.get("tracked_to_end", True))
    except UNREADABLE as error:
        raise damaged(path, path / RECORD) from error
    now = json.loads(json.dumps(decides))
    # the data last: another seed or fraction held out splits them otherwise, and is what the user changed
    for name in sorted(set(earlier) | set(now), key=lambda name: (name == "data", name)):
        if earlier.get(name) != now.get(name):
            raise RunFolderError(_difference(path, name, earlier.get(name), now.get(name)))
    original = written.get("folder")
    if isinstance(original, str) and tracked is not None and Path(original) != path.resolve():
        # unless it was moved there still is that folder, whose tracked run it stays: the copy has one of its own
        if tracked_run_in(Path(original)) == tracked:
            return Record()
    return Record(None if tracked is None else str(tracked), key, to_end)


def damaged(folder: Path, file: Path) -> RunFolderError:
    """Say that a file of a run's folder cannot be read."""
    return RunFolderError(f"{file} is damaged: give another run_dir, or remove {folder}")


def _difference(path: Path, name: str, earlier: Any, now: Any) -> str:
    if name == "data":
        what = "was made from other micrographs, picks, negatives or masks"
    elif name == "pretrained":
        what = "began from other weights (model.pretrained)"
    else:
        what = f"has {name}={_word(earlier)}, not {_word(now)}"
    return f"the run in {path} {what}: give another run_dir for this one, or none"


def _word(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
