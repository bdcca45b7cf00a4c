"""Picks on their way from one file to another: by micrograph, in full-size pixels, with all that the files say."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pickery.errors import InputError
from pickery.formats.assignment import check_size, lies_inside, match_names, nothing_matches, rows_of
from pickery.formats.contract import KnownMicrograph, MicrographPicks, PickTable
from pickery.formats.frame import AS_IT_IS, Frame
from pickery.formats.micrographs import MicrographFile, read_header


@dataclass(frozen=True)
class Gathered:
    """Picks by micrograph.

    Attributes
    ----------
    picks
        One for each micrograph, those without picks too.
    unmatched
        Name that is none of the micrographs' → how many picks it has, which are left out.
    """

    picks: tuple[MicrographPicks, ...]
    unmatched: dict[str, int]

    def outside(self) -> dict[str, int]:
        """Count the picks outside the image on each micrograph that has some and whose size is known."""
        counts = {}
        for one in self.picks:
            if one.shape is not None:
                counts[one.micrograph] = int(np.count_nonzero(~lies_inside(one.points, one.shape)))
        return {name: count for name, count in counts.items() if count}


def by_micrograph(
    table: PickTable,
    micrographs: Sequence[MicrographFile] | None = None,
    *,
    frame: Frame = AS_IT_IS,
    pixel_size_angstrom: float | None = None,
    setting: str = "convert.source",
    prefix: str = "convert.",
) -> Gathered:
    """Take picks apart by micrograph, in full-size pixels.

    Parameters
    ----------
    micrographs
        Those that the picks lie on, by which they are then named; None takes the names in the table. Files may be
        absent where a list says their sizes.
    frame
        How the table's coordinates lie in the micrographs.
    pixel_size_angstrom
        None takes what headers, lists and the table say.
    setting, prefix
        That of the picks, and what stands before the names of the other settings, for messages.

    Raises
    ------
    InputError
        No name fits, names fit equally well, a micrograph is of another size than the picks', or its size is needed and
        not known.
    """
    names = dict.fromkeys((*table.known, *table.micrograph))
    if micrographs is None:
        place_of = {name: place for place, name in enumerate(names)}
        listed = list(names)
        said = [_scaled(table.known.get(name, KnownMicrograph()), frame) for name in names]
    else:
        place_of = match_names(names, micrographs, setting)
        if not place_of:
            raise nothing_matches(list(names), micrographs, setting, table.source)
        listed = [file.listed_as for file in micrographs]
        said = [_said_of(file) for file in micrographs]
        for name, at in place_of.items():
            of_table = _scaled(table.known.get(name, KnownMicrograph()), frame)
            check_size(of_table.shape, said[at].shape, frame.coordinate_scale, listed[at], table.source, prefix)
            said[at] = _filled(said[at], of_table)

    picks = []
    for name, known, own in zip(listed, said, rows_of(table, place_of, len(listed)), strict=True):
        xy = np.column_stack((table.x[own], table.y[own]))
        if len(own):
            if frame.needs_size and known.shape is None:
                raise InputError(
                    f"{prefix}{frame.needs_size}=true needs to know the size of {name}, which {table.source} does not "
                    f"say: give {prefix}micrographs."
                )
            xy = frame.apply(xy, known.shape)
        picks.append(
            MicrographPicks(
                micrograph=name,
                points=xy,
                scores=table.score[own],
                shape=known.shape,
                pixel_size_angstrom=pixel_size_angstrom or known.pixel_size_angstrom,
                cryosparc=known.cryosparc,
                box_size_px=None if table.box_size is None else table.box_size[own] * frame.coordinate_scale,
                cryosparc_rows=None if table.cryosparc is None else table.cryosparc[own],
            )
        )
    counts = Counter(name for name in table.micrograph if name not in place_of)
    return Gathered(tuple(picks), dict(counts))


def above(gathered: Gathered, threshold: float) -> Gathered:
    """Leave out the picks with a score below a threshold, and those without one."""
    picks = []
    for one in gathered.picks:
        kept = one.scores >= threshold
        picks.append(
            replace(
                one,
                points=one.points[kept],
                scores=one.scores[kept],
                box_size_px=None if one.box_size_px is None else one.box_size_px[kept],
                cryosparc_rows=None if one.cryosparc_rows is None else one.cryosparc_rows[kept],
            )
        )
    return replace(gathered, picks=tuple(picks))


def _said_of(file: MicrographFile) -> KnownMicrograph:
    """Give what a list and, where the file is there, its header say."""
    if not file.path.is_file():
        return file.known
    header = read_header(file.path)
    size = header.pixel_size_angstrom or file.known.pixel_size_angstrom
    return KnownMicrograph(header.shape, size, file.known.cryosparc)


def _scaled(known: KnownMicrograph, frame: Frame) -> KnownMicrograph:
    """Give what a table says of its micrograph for the full-size one."""
    size = known.pixel_size_angstrom
    return KnownMicrograph(
        known.shape and frame.size(known.shape),
        size and size / frame.coordinate_scale,
        known.cryosparc,
    )


def _filled(known: KnownMicrograph, other: KnownMicrograph) -> KnownMicrograph:
    return KnownMicrograph(
        known.shape or other.shape,
        known.pixel_size_angstrom or other.pixel_size_angstrom,
        known.cryosparc or other.cryosparc,
    )
