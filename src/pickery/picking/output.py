"""Where picks go: whether that is possible, known before anything is scored, and that nothing else is lost for it."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from pickery.atomic import write_text
from pickery.config.schema import PickConfig
from pickery.errors import InputError
from pickery.formats.micrographs import MicrographFile
from pickery.formats.picks import MicrographPicks, Written, files_to_write, write_picks
from pickery.formats.registry import WRITTEN_ENDINGS, kind_by_ending
from pickery.picking.candidates import stamp
from pickery.picking.inputs import Inputs

RECORD = "written.json"
BEGUN = "being written"


@dataclass(frozen=True)
class Output:
    """Where picks and what belongs to them go.

    Attributes
    ----------
    out
        A file, or a folder for a file of each micrograph.
    kind
        Ending of the files, without its dot.
    one_file
        Whether all picks go to one file.
    details
        Folder of the rest.
    """

    out: Path
    kind: str
    one_file: bool
    details: Path

    def check(self, inputs: Inputs) -> None:
        """Refuse what could not be written in the end, and a file that is not this program's to replace.

        Raises
        ------
        InputError
            If so.
        """
        # of a folder's files two are like the rest, but for names that a format may not hold
        odd = [file for file in inputs.usable[2:] if re.search(r"[^\w./:+-]", file.listed_as)]
        tried = inputs.usable if self.one_file else [*inputs.usable[:2], *odd]
        some = [picks_of(file, inputs, np.zeros((1, 2)), np.zeros(1)) for file in tried]
        with tempfile.TemporaryDirectory(prefix="pickery-") as folder:
            self._write(Path(folder) / self.out.name, some, 2)
        # picks made by hand may bear the name that comes to mind first
        known = self._known()
        every = [picks_of(file, inputs, np.zeros((0, 2)), np.zeros(0)) for file in inputs.usable]
        for place in files_to_write(self.out.resolve(), every, format=self._format):
            if place.exists() and known.get(str(place)) not in (stamp(place), BEGUN):
                where = self.out if self.one_file else self.out / place.name
                raise InputError(
                    f"picking.out: {where} is there already, and as far as {self.details} tells it is not as pickery "
                    "pick wrote it: give another name, or remove it"
                )
        try:
            self.details.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.details):
                pass
        except OSError as error:
            raise InputError(
                f"{self.details} cannot be written ({error.strerror or error}): give another picking.out, or another "
                "folder as picking.details"
            ) from error

    def write(self, picks: Sequence[MicrographPicks], box_size_px: int) -> Written:
        """Write the picks, and remember what was written; what an earlier call wrote to the same folder goes."""
        known = self._known()
        begun = files_to_write(self.out.resolve(), picks, format=self._format)
        # remembered before as well: whoever is killed in between still knows its own files
        self._remember(known | dict.fromkeys(map(str, begun), BEGUN))
        written = self._write(self.out, picks, box_size_px)
        places = {str(file.resolve()) for file in written.files}
        for name, then in known.items() if not self.one_file else ():
            place = Path(name)
            if place.parent == self.out.resolve() and name not in places and place.exists() and stamp(place) == then:
                place.unlink()
        gone = {name for name in known if not Path(name).exists()}
        self._remember({name: then for name, then in known.items() if name not in gone} | _stamps(places))
        return written

    def _remember(self, files: Mapping[str, str]) -> None:
        write_text(self.details / RECORD, json.dumps(dict(files), indent=1) + "\n")

    @property
    def _format(self) -> str | None:
        return None if self.one_file else self.kind

    def _write(self, out: Path, picks: Sequence[MicrographPicks], box_size_px: int) -> Written:
        try:
            return write_picks(out, picks, format=self._format, box_size_px=box_size_px)
        except InputError as error:
            # tried out in a folder of its own, of which nobody knows
            raise InputError(f"picking.out: {str(error).replace(str(out), str(self.out))}") from error

    def _known(self) -> dict[str, str]:
        try:
            return dict(json.loads((self.details / RECORD).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return {}


def _stamps(places: Iterable[str]) -> dict[str, str]:
    return {place: stamp(Path(place)) for place in places}


def output_of(config: PickConfig) -> Output:
    """Tell from the settings where picks go.

    Raises
    ------
    InputError
        If the name and the format do not go together.
    """
    settings = config.picking
    assert settings.out is not None
    out = Path(settings.out).expanduser()
    known = f"{', '.join(WRITTEN_ENDINGS)}"
    one_file = kind_by_ending(out) is not None and not out.is_dir()
    if one_file:
        kind = out.suffix[1:].lower()
        tables = ("txt", "tsv")
        if settings.format is not None and settings.format != kind and {settings.format, kind} - set(tables):
            raise InputError(
                f"picking.out={out} does not end in .{settings.format}: make it and picking.format agree, or leave "
                "picking.format out"
            )
    else:
        kind = settings.format or "star"
        if settings.format is None and out.suffix and not out.is_dir():
            raise InputError(
                f"picking.out={out} ends in {out.suffix}, which is no kind of file of picks: there are {known}. For a "
                "folder of that name, give picking.format as well"
            )
        if out.exists() and not out.is_dir():
            raise InputError(f"picking.out={out} is a file, and is to be a folder: give another name")
    name = out.stem if one_file else out.resolve().name
    details = out.parent / f"{name}_details" if settings.details is None else Path(settings.details).expanduser()
    return Output(out, kind, one_file, details)


def picks_of(file: MicrographFile, inputs: Inputs, points: ArrayLike, scores: ArrayLike) -> MicrographPicks:
    """Give picks, (x, y) in full-size pixels, with all that other programs want to know of their micrograph."""
    return MicrographPicks(
        micrograph=file.listed_as,
        points=np.asarray(points, np.float64),
        scores=np.asarray(scores, np.float64),
        shape=inputs.headers[file.name].shape,
        pixel_size_angstrom=inputs.pixel_size_of(file.name),
        cryosparc=file.cryosparc,
    )
