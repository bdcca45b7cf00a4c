"""Picks of one file beside those of another: which of their names mean one micrograph, its own file at hand or not."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pickery.errors import InputError
from pickery.formats.assignment import AssignedPicks, lies_inside, match_names, nothing_matches, rows_of
from pickery.formats.contract import PickTable
from pickery.formats.files import unique_names
from pickery.formats.frame import AS_IT_IS, Frame
from pickery.formats.images import bare_name
from pickery.formats.micrographs import MicrographFile

__all__ = ["AssignedPicks", "named_micrographs", "pair_picks"]


def named_micrographs(names: Iterable[str], *, setting: str) -> list[MicrographFile]:
    """Take the names in a file of picks for micrographs, for want of their own files: their paths need not exist.

    Raises
    ------
    InputError
        Two names cannot be told apart.
    """
    # a name with and without an image's ending, or with ./ in front, is one name
    plain = map(os.path.normpath, names)
    paths = [Path("/", place) for place in dict.fromkeys(os.path.join(os.path.dirname(n), bare_name(n)) for n in plain)]
    return [
        MicrographFile(name, path) for name, path in zip(unique_names(paths, bare_name, setting), paths, strict=True)
    ]


def pair_picks(
    table: PickTable,
    micrographs: Sequence[MicrographFile],
    shapes: Mapping[str, tuple[int, int]],
    *,
    frame: Frame = AS_IT_IS,
    setting: str,
    prefix: str,
) -> AssignedPicks:
    """Assign picks to micrographs by name as `assign_picks` does, those of unknown size included.

    Parameters
    ----------
    shapes
        Micrograph's name → (rows, columns), of those whose size is known; only there can a pick lie outside.
    frame
        How the table's coordinates lie in the micrographs.
    setting
        That of the picks, for messages.
    prefix
        What stands before ``coordinate_scale`` and ``flip_y`` in the names of those settings, such as ``"score."``.

    Raises
    ------
    InputError
        No name fits, names fit equally well, rows are to be turned about and their number is not known, or all picks
        lie outside.
    """
    if not len(table):
        nothing = {micrograph.name: np.zeros((0, 2)) for micrograph in micrographs}
        return AssignedPicks(nothing, {name: np.zeros(0) for name in nothing}, {}, {}, {})
    counts = Counter(table.micrograph)
    place_of = match_names(dict.fromkeys(table.micrograph), micrographs, setting)
    if not place_of:
        raise nothing_matches(list(counts), micrographs, setting, table.source)
    points, scores, outside, repeated = {}, {}, {}, {}
    for micrograph, own in zip(micrographs, rows_of(table, place_of, len(micrographs)), strict=True):
        name = micrograph.name
        shape = shapes.get(name)
        xy = np.column_stack((table.x[own], table.y[own]))
        if len(own):
            if frame.needs_size and shape is None:
                raise InputError(
                    f"{prefix}{frame.needs_size}=true needs to know the size of {name}, which {setting}={table.source} "
                    f"does not say: give the micrographs as {prefix.partition('.')[0]}.micrographs."
                )
            xy = frame.apply(xy, shape)
        inside = np.ones(len(xy), dtype=bool) if shape is None else lies_inside(xy, shape)
        first = np.sort(np.unique(xy[inside], axis=0, return_index=True)[1])
        points[name], scores[name] = xy[inside][first], table.score[own][inside][first]
        if not inside.all():
            outside[name] = int(np.count_nonzero(~inside))
        if len(first) < np.count_nonzero(inside):
            repeated[name] = int(np.count_nonzero(inside)) - len(first)
    if not any(map(len, points.values())):
        raise InputError(
            f"{setting}={table.source} has all its {sum(outside.values())} picks outside the micrographs: correct "
            f"{prefix}coordinate_scale={frame.coordinate_scale:g} or {prefix}flip_y={str(frame.flip_y).lower()}, or "
            "give the micrographs that were picked."
        )
    unmatched = {name: count for name, count in counts.items() if name not in place_of}
    return AssignedPicks(points, scores, unmatched, outside, repeated)
