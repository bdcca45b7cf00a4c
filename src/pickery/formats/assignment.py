"""Which micrograph each pick lies on, and where: names matched, coordinates scaled and flipped to full-size pixels."""

import difflib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pickery.errors import InputError
from pickery.formats.contract import PickTable
from pickery.formats.frame import AS_IT_IS, Frame
from pickery.formats.images import bare_name, without_id
from pickery.formats.micrographs import MicrographFile


@dataclass(frozen=True, eq=False)
class AssignedPicks:
    """Picks by micrograph.

    Attributes
    ----------
    points
        Name of each micrograph given → float64 (n, 2), (x, y) centres in full-size pixels; (0, 2) where it has none.
    scores
        The same keys → float64 (n,), nan where there is none.
    unmatched
        Name in the table that is no micrograph's → how many picks it has.
    outside
        Micrograph's name → how many of its picks lie outside the image and were left out; only those that have some.
    repeated
        Likewise, how many stood there before, to the last digit: one particle, of which only the first pick is kept.
    """

    points: dict[str, NDArray[np.float64]]
    scores: dict[str, NDArray[np.float64]]
    unmatched: dict[str, int]
    outside: dict[str, int]
    repeated: dict[str, int]


def assign_picks(
    table: PickTable,
    micrographs: Sequence[MicrographFile],
    shapes: Mapping[str, tuple[int, int]],
    *,
    frame: Frame = AS_IT_IS,
    ignore: Sequence[str] = (),
    setting: str = "data.picks",
) -> AssignedPicks:
    """Assign picks to micrographs and turn them into full-size pixels of their arrays.

    A name in the table fits the micrograph that has the same file name without extension; where several have, the one
    whose folders agree with it furthest, counted from the file upwards. Of two names with different folders that fit
    one micrograph, the one that agrees further has it. The number that CryoSPARC puts before a file's name may be there
    or not.

    Parameters
    ----------
    shapes
        Micrograph's name → (rows, columns).
    frame
        How the table's coordinates lie in the micrographs.
    ignore
        Parts of names that do not count, in the table and in the micrographs' own.
    setting
        Named in messages.

    Raises
    ------
    InputError
        A name fits two micrographs equally well or the reverse, no name fits, or all picks lie outside.
    """
    place_of = match_names(dict.fromkeys(table.micrograph), micrographs, setting, ignore)
    counts = Counter(table.micrograph)
    unmatched = {name: count for name, count in counts.items() if name not in place_of}
    if not place_of:
        raise nothing_matches(list(counts), micrographs, setting, table.source)

    points, scores, outside, repeated = {}, {}, {}, {}
    for micrograph, own in zip(micrographs, rows_of(table, place_of, len(micrographs)), strict=True):
        rows, columns = shapes[micrograph.name]
        if len(own):
            check_known_size(table, table.micrograph[own[0]], micrograph, (rows, columns), frame)
        xy = frame.apply(np.column_stack((table.x[own], table.y[own])), (rows, columns))
        inside = lies_inside(xy, (rows, columns))
        xy = xy[inside]
        first = np.sort(np.unique(xy, axis=0, return_index=True)[1])
        points[micrograph.name] = xy[first]
        scores[micrograph.name] = table.score[own][inside][first]
        if not inside.all():
            outside[micrograph.name] = int(np.count_nonzero(~inside))
        if len(first) < len(xy):
            repeated[micrograph.name] = len(xy) - len(first)
    if not any(map(len, points.values())):
        matched = np.array([name in place_of for name in table.micrograph])
        raise InputError(
            f"{setting}={table.source} has all its {np.count_nonzero(matched)} picks outside the micrographs (x from"
            f" {table.x[matched].min():g} to {table.x[matched].max():g}, y from {table.y[matched].min():g} to"
            f" {table.y[matched].max():g}, and the first micrograph has {shapes[micrographs[0].name][1]} ×"
            f" {shapes[micrographs[0].name][0]} pixels): correct data.coordinate_scale={frame.coordinate_scale:g} or"
            f" data.flip_y={str(frame.flip_y).lower()}, or give the micrographs that were picked."
        )
    return AssignedPicks(points, scores, unmatched, outside, repeated)


def coordinates_of(
    table: PickTable,
    micrographs: Sequence[MicrographFile],
    *,
    ignore: Sequence[str] = (),
    setting: str = "data.picks",
) -> dict[str, NDArray[np.float64]]:
    """Give each micrograph's picks as the table has them, unread: float64 (n, 2), x and y; nothing is left out.

    Raises
    ------
    InputError
        A name fits two micrographs equally well or the reverse.
    """
    place_of = match_names(dict.fromkeys(table.micrograph), micrographs, setting, ignore)
    xy = np.column_stack((table.x, table.y))
    rows = rows_of(table, place_of, len(micrographs))
    return {file.name: xy[own] for file, own in zip(micrographs, rows, strict=True)}


def rows_of(table: PickTable, place_of: Mapping[str, int], count: int) -> list[NDArray[np.int64]]:
    """Give the rows of a table that belong to each of so many micrographs, in the table's order.

    Parameters
    ----------
    place_of
        Name in the table → its micrograph's index; names of none are absent.
    """
    place = np.fromiter((place_of.get(name, -1) for name in table.micrograph), np.int64, len(table))
    order = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[order], np.arange(count + 1))
    return [order[bounds[index] : bounds[index + 1]] for index in range(count)]


def lies_inside(xy: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether each (x, y) lies on a pixel of an image of (rows, columns): that of a centre is floor(v + 0.5)."""
    inside: NDArray[np.bool_] = np.all((xy >= -0.5) & (xy < np.array(shape[::-1]) - 0.5), axis=1)
    return inside


def check_known_size(
    table: PickTable, name: str, micrograph: MicrographFile, shape: tuple[int, int], frame: Frame
) -> None:
    """Check that a micrograph of (rows, columns) is as large as the table says of that name, where it does.

    Raises
    ------
    InputError
        The sizes differ by more than rounding.
    """
    known = table.known.get(name)
    if known is not None and known.shape is not None:
        check_size(frame.size(known.shape), shape, frame.coordinate_scale, micrograph.name, table.source)


def check_size(
    picked: tuple[int, int] | None,
    given: tuple[int, int] | None,
    scale: float,
    name: str,
    source: str,
    prefix: str = "data.",
) -> None:
    """Check that a micrograph is of the size that its picks' file says, where both are known.

    Parameters
    ----------
    picked
        (rows, columns) that the picks' file says, times the scale.
    given
        (rows, columns) of the micrograph.
    scale
        Full-size pixels per pixel of the picks' file.
    name, source
        The micrograph and the file of picks, for messages.
    prefix
        What stands before the setting ``coordinate_scale`` in messages.

    Raises
    ------
    InputError
        The sizes differ by more than rounding.
    """
    if picked is None or given is None:
        return
    if max(abs(picked[0] - given[0]), abs(picked[1] - given[1])) > max(1.0, scale):
        right = given[0] / picked[0] * scale
        raise InputError(
            f"{source} has picks of {name} at {picked[1] / scale:g} × {picked[0] / scale:g} pixels, and the micrograph"
            f" given has {given[1]} × {given[0]}: give {prefix}coordinate_scale={right:.6g} if it is the same image, or"
            " the micrographs that were picked."
        )


@dataclass
class _Claims:
    """The names in the table that fit one micrograph."""

    agreeing: list[str] = field(default_factory=list)
    differing: dict[str, int] = field(default_factory=dict)  # some folder differs → how many agree before it


def match_names(
    names: Sequence[str] | Mapping[str, None],
    micrographs: Sequence[MicrographFile],
    setting: str,
    ignore: Sequence[str] = (),
) -> dict[str, int]:
    """Index of the micrograph of each name that has one; see `assign_picks`.

    Parameters
    ----------
    ignore
        Parts of the names, without folder and ending, that do not count, on either side.

    Raises
    ------
    InputError
        A name fits two micrographs equally well, or the reverse.
    """
    by_name = {micrograph.name: index for index, micrograph in enumerate(micrographs)}
    by_bare_name: dict[str, list[int]] = {}
    for index, micrograph in enumerate(micrographs):
        by_bare_name.setdefault(essential_name(micrograph.path.name, ignore), []).append(index)
    by_name_without_id: dict[str, list[int]] = {}
    for bare, indices in by_bare_name.items():
        if without_id(bare) != bare:
            by_name_without_id.setdefault(without_id(bare), []).extend(indices)
    folders = [_folders(os.fspath(micrograph.path)) for micrograph in micrographs]

    claims: dict[int, _Claims] = {}
    for name in names:
        own_folders = _folders(name)
        bare = essential_name(name, ignore)
        candidates = by_bare_name.get(bare) or by_bare_name.get(without_id(bare)) or by_name_without_id.get(bare, [])
        agreement = {index: _common(own_folders, folders[index]) for index in candidates}
        best = [index for index in candidates if agreement[index] == max(agreement.values())]
        if name in by_name:
            claims.setdefault(by_name[name], _Claims()).agreeing.append(name)
        elif len(best) > 1:
            raise InputError(
                f"{setting} names {name}, which fits both {micrographs[best[0]].path} and {micrographs[best[1]].path}:"
                " write the folder before the name, or give the micrographs of one folder."
            )
        elif best and agreement[best[0]] == len(own_folders):
            claims.setdefault(best[0], _Claims()).agreeing.append(name)
        elif best:
            claims.setdefault(best[0], _Claims()).differing[name] = agreement[best[0]]
    return {name: index for index, claim in claims.items() for name in _settled(claim, micrographs[index], setting)}


def essential_name(name: str, ignore: Iterable[str]) -> str:
    """Give a micrograph's name without its folder, its ending and what is to be ignored in it."""
    bare = bare_name(name)
    for part in ignore:
        bare = bare.replace(part, "")
    return bare.strip()  # tables may have lost the blanks around a name


def _settled(claims: _Claims, micrograph: MicrographFile, setting: str) -> list[str]:
    """Names that the micrograph keeps: one with differing folders only if no other name fits it better."""
    if any(_folders(name) for name in claims.agreeing) or not claims.differing:
        return claims.agreeing
    most = max(claims.differing.values())
    best = [name for name, agreement in claims.differing.items() if agreement == most]
    distinct = {(_folders(name), bare_name(name)): name for name in best}
    if len(distinct) > 1:
        first, second = list(distinct.values())[:2]
        raise InputError(
            f"{setting} names {first} and {second}, which both fit {micrograph.path}: give the micrographs of both, in"
            " folders of those names, or leave one of the two out."
        )
    return [*claims.agreeing, *best]


def _folders(name: str) -> tuple[str, ...]:
    """Folders of a path, the nearest first."""
    parts = PurePosixPath(os.path.normpath(name)).parts[:-1]
    return tuple(part for part in reversed(parts) if part != "..")


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """How many of the nearest folders agree."""
    agreeing = [a == b for a, b in zip(first, second, strict=False)]
    return agreeing.index(False) if False in agreeing else len(agreeing)


def nothing_matches(names: list[str], micrographs: Sequence[MicrographFile], setting: str, source: str) -> InputError:
    """Say that no name of a table is a micrograph's, and which is nearest."""
    own = [micrograph.name for micrograph in micrographs]
    message = f"{setting}={source} names {len(names)} micrographs, none of them among the {len(own)} given"
    if not own:
        return InputError(f"{message}: give the micrographs that were picked.")
    for name in names[:20]:
        near = difflib.get_close_matches(bare_name(name), own, n=3, cutoff=0.6)
        if near:
            return InputError(
                f"{message} ({name} is not, {' or '.join(near)} is nearest): make the names the same, or give the"
                " micrographs that were picked."
            )
    return InputError(
        f"{message} (picks on {', '.join(names[:2])}; micrographs {', '.join(own[:2])}): give the picks of these"
        " micrographs, or the micrographs that were picked."
    )
