"""The micrographs and the file of picks as they are: what can be read, what belongs together, what stands out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickery.config.schema import DataGroup
from pickery.config.schema.base import as_word
from pickery.doctor.findings import Report
from pickery.errors import InputError
from pickery.formats.assignment import check_known_size, coordinates_of, lies_inside, match_names
from pickery.formats.contract import MicrographHeader, PickTable
from pickery.formats.frame import Frame
from pickery.formats.micrographs import MicrographFile, find_micrographs, read_header
from pickery.formats.picks import read_picks
from pickery.placement.names import nearest, to_ignore
from pickery.training.coordinates import ignored_in_names
from pickery.training.words import count

SHOWN = 3
"""Names and files of a kind that are shown; the rest are counted."""


@dataclass(frozen=True)
class Micrographs:
    """The micrographs that can be read.

    Attributes
    ----------
    files
        The readable ones.
    unreadable
        The others.
    headers
        By name.
    pixel_size_angstrom
        As the settings, the lists or the headers say; None where they do not.
    """

    files: tuple[MicrographFile, ...]
    unreadable: tuple[MicrographFile, ...]
    headers: Mapping[str, MicrographHeader]
    pixel_size_angstrom: float | None

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """(rows, columns) by name."""
        return {name: header.shape for name, header in self.headers.items()}


def micrographs(
    source: str | Sequence[str], settings: DataGroup, report: Report, *, skip_bad: bool = False
) -> Micrographs | None:
    """Find the micrographs; None where there are none to go on with."""
    try:
        files = find_micrographs(source)
    except InputError as error:
        report.fault("micrographs", str(error))
        return None
    headers: dict[str, MicrographHeader] = {}
    bad: dict[str, str] = {}
    for file in files:
        try:
            headers[file.name] = read_header(file.path)
        except InputError as error:
            bad[file.name] = str(error)
    if bad:
        said = f"{len(bad)} of {len(files)} micrographs cannot be read, the first: {next(iter(bad.values()))}"
        if not headers:
            report.fault("micrographs", said)
        elif skip_bad:
            report.advise("micrographs", f"{said} They are left out")
        else:
            report.fault("micrographs", f"{said} To leave them out", "preprocess.skip_bad=true")
    readable = tuple(file for file in files if file.name in headers)
    if not readable:
        return None
    sizes = Counter(header.shape for header in headers.values())
    types = Counter(header.dtype for header in headers.values())
    pixel_size = _pixel_size(readable, headers, settings, report)
    shown = ", ".join(f"{columns} × {rows}" for (rows, columns), _ in sizes.most_common(SHOWN))
    more = f" and {len(sizes) - SHOWN} more sizes" if len(sizes) > SHOWN else ""
    pixel = "pixel size unknown" if pixel_size is None else f"{pixel_size:.4g} Å a pixel"
    report.say("micrographs", f"{len(readable)} of {shown}{more} pixels ({', '.join(types)}), {pixel}")
    if len(sizes) > 1:
        fewest = sizes.most_common()[-1]
        report.advise(
            "micrographs",
            f"micrographs of {len(sizes)} sizes; {fewest[1]} of {fewest[0][1]} × {fewest[0][0]} pixels. Whole or "
            "binned otherwise, they would show particles of another size",
        )
    report.facts["micrographs"] = {
        "found": len(files),
        "readable": len(readable),
        "unreadable": bad,
        "sizes": {f"{columns}x{rows}": count for (rows, columns), count in sizes.items()},
        "types": dict(types),
        "pixel_size_angstrom": pixel_size,
    }
    return Micrographs(readable, tuple(file for file in files if file.name in bad), headers, pixel_size)


def _pixel_size(
    files: Sequence[MicrographFile], headers: Mapping[str, MicrographHeader], settings: DataGroup, report: Report
) -> float | None:
    known = [file.known.pixel_size_angstrom or headers[file.name].pixel_size_angstrom for file in files]
    sizes = [size for size in known if size is not None]
    if settings.pixel_size is not None:
        if sizes and abs(settings.pixel_size / float(np.median(sizes)) - 1) > 0.02:
            report.advise(
                "micrographs",
                f"data.pixel_size={settings.pixel_size:g} is not what the micrographs say, {np.median(sizes):.4g} Å",
            )
        return settings.pixel_size
    if sizes and max(sizes) > 1.01 * min(sizes):
        report.advise(
            "micrographs",
            f"the micrographs have pixel sizes from {min(sizes):.3g} to {max(sizes):.3g} Å, and one model learns one "
            "scale. If they are wrong",
            "data.pixel_size=SIZE",
        )
    return float(np.median(sizes)) if sizes else None


@dataclass(frozen=True)
class Picks:
    """The picks that belong to a micrograph.

    Attributes
    ----------
    coordinates
        Micrograph's name → x and y as the file has them.
    frame
        How the settings say that these are read.
    """

    coordinates: Mapping[str, NDArray[np.float64]]
    frame: Frame

    @property
    def counts(self) -> dict[str, int]:
        """How many each micrograph has."""
        return {name: len(xy) for name, xy in self.coordinates.items()}


def picks(
    source: str | Sequence[str],
    found: Micrographs,
    settings: DataGroup,
    frame: Frame,
    report: Report,
    *,
    beside: Sequence[MicrographFile] = (),
) -> Picks | None:
    """Read the picks and match them to the micrographs; None where there are none to go on with.

    Names of micrographs `beside` may stand in the same file; they are of no concern here.
    """
    try:
        table = read_picks(source)
        coordinates = _matched(table, found, beside, ignored_in_names(settings), frame, report)
    except InputError as error:
        report.fault("picks", str(error))
        return None
    if coordinates is None:
        return None
    if not any(map(len, coordinates.values())):
        report.fault("picks", f"none of the {len(table)} picks is on a micrograph that can be read")
        return None
    outside, repeated = _strays(coordinates, found.shapes, frame)
    counts = [len(xy) for xy in coordinates.values() if len(xy)]
    spread = f"{np.median(counts):.0f} on a micrograph, from {min(counts)} to {max(counts)}"
    unpicked = len(coordinates) - len(counts)
    report.say(
        "picks",
        f"{sum(counts):,} on {len(counts)} micrographs ({spread})"
        + (f"; {count(unpicked, 'micrograph')} without picks" if unpicked else ""),
    )
    report.facts["picks"] = {
        "in_the_file": len(table),
        "matched": sum(counts),
        "micrographs_with_picks": len(counts),
        "micrographs_without_picks": unpicked,
        "outside": outside,
        "repeated": repeated,
        "per_micrograph": {name: len(xy) for name, xy in coordinates.items()},
    }
    if repeated:
        report.advise("picks", f"{repeated} picks repeat others to the last digit; they are left out")
    if outside > 0.02 * sum(counts):
        report.advise(
            "picks",
            f"{outside} of {sum(counts):,} picks lie outside their micrographs as data.coordinate_scale="
            f"{frame.coordinate_scale:g}, data.flip_y={as_word(frame.flip_y)} and the like have them read",
        )
    if unpicked and settings.unpicked == "keep":
        report.advise(
            "picks",
            f"{count(unpicked, 'micrograph')} without picks train as unlabeled data. If nobody looked at them",
            "data.unpicked=drop",
        )
    return Picks(coordinates, frame)


def _matched(
    table: PickTable,
    found: Micrographs,
    beside: Sequence[MicrographFile],
    ignore: tuple[str, ...],
    frame: Frame,
    report: Report,
) -> dict[str, NDArray[np.float64]] | None:
    """Match names; where parts of them stand in the way, say so and go on as if they were ignored."""
    files = (*found.files, *found.unreadable, *beside)
    names = list(dict.fromkeys(table.micrograph))
    place = match_names(names, files, "data.picks", ignore)
    unmatched = [name for name in names if name not in place]
    report.facts["names"] = {"in_the_picks": len(names), "matched": len(place), "unmatched": unmatched}
    if unmatched:
        near = {name: nearest(name, files) for name in unmatched[:SHOWN]}
        shown = "; ".join(f"{name} (nearest: {' or '.join(found) or 'none'})" for name, found in near.items())
        text = f"{len(unmatched)} of the {len(names)} names in the picks are no micrograph's: {shown}"
        taken = set(place.values())
        parts = to_ignore(unmatched, [file for index, file in enumerate(files) if index not in taken])
        report.facts["names"] |= {"nearest": near, "ignore": list(parts)}
        if parts:
            ignore = (*ignore, *parts)
            word = ignore[0] if len(ignore) == 1 else f"[{','.join(ignore)}]"
            report.fault("names", text, f"data.ignore_in_names={word}")
        elif len(unmatched) == len(names):
            report.fault("names", f"{text}. Give the micrographs that were picked, or the picks of these")
            return None
        else:
            report.advise("names", f"{text}; their picks are left out")
    try:
        for name, index in match_names(names, files, "data.picks", ignore).items():
            if (file := files[index]).name in found.shapes:
                check_known_size(table, name, file, found.shapes[file.name], frame)
    except InputError as error:
        report.fault("picks", str(error))
    coordinates = coordinates_of(table, files, ignore=ignore)
    return {file.name: coordinates[file.name] for file in found.files}


def _strays(
    coordinates: Mapping[str, NDArray[np.float64]], shapes: Mapping[str, tuple[int, int]], frame: Frame
) -> tuple[int, int]:
    """Count the picks outside, and those that repeat another."""
    outside = repeated = 0
    for name, xy in coordinates.items():
        if not len(xy):
            continue
        outside += int(np.count_nonzero(~lies_inside(frame.apply(xy, shapes[name]), shapes[name])))
        repeated += len(xy) - len(np.unique(xy, axis=0))
    return outside, repeated
