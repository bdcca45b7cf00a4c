"""Picks of one file beside those of another: which of their names mean one micrograph, its own file at hand or not."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pickery.errors import InputError
from pickery.formats.assignment import AssignedPicks, match_names, nothing_matches
from pickery.formats.contract import PickTable
from pickery.formats.files import unique_names
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
    flip_y: bool = False,
    coordinate_scale: float = 1.0,
    setting: str,
    prefix: str,
) -> AssignedPicks:
    """Assign picks to micrographs by name as `assign_picks` does, those of unknown size included.

    Parameters
    ----------
    shapes
        Micrograph's name → (rows, columns), of those whose size is known; only there can a pick lie outside.
    flip_y
        Whether the picks' micrographs have their rows in the opposite order.
    coordinate_scale
        Full-size pixels per pixel of the table; applied before the flip.
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
    place = np.fromiter((place_of.get(name, -1) for name in table.micrograph), np.int64, len(table))
    order = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[order], np.arange(len(micrographs) + 1))
    points, scores, outside, repeated = {}, {}, {}, {}
    for index, name in enumerate(micrograph.name for micrograph in micrographs):
        own = order[bounds[index] : bounds[index + 1]]
        xy = np.column_stack((table.x[own], table.y[own])) * coordinate_scale
        shape = shapes.get(name)
        if flip_y and len(own):
            if shape is None:
                raise InputError(
                    f"{prefix}flip_y=true needs to know how many rows {name} has, which {setting}={table.source} does "
                    f"not say: give the micrographs as {prefix.partition('.')[0]}.micrographs."
                )
            xy[:, 1] = shape[0] - 1 - xy[:, 1]
        # the pixel that a centre falls on is floor(v + 0.5)
        size = np.inf if shape is None else np.array(shape[::-1], dtype=np.float64)
        inside = np.all(((xy >= -0.5) | (shape is None)) & (xy < size - 0.5), axis=1)
        first = np.sort(np.unique(xy[inside], axis=0, return_index=True)[1])
        points[name], scores[name] = xy[inside][first], table.score[own][inside][first]
        if not inside.all():
            outside[name] = int(np.count_nonzero(~inside))
        if len(first) < np.count_nonzero(inside):
            repeated[name] = int(np.count_nonzero(inside)) - len(first)
    if not any(map(len, points.values())):
        raise InputError(
            f"{setting}={table.source} has all its {sum(outside.values())} picks outside the micrographs: correct "
            f"{prefix}coordinate_scale={coordinate_scale:g} or {prefix}flip_y={str(flip_y).lower()}, or give the "
            "micrographs that were picked."
        )
    unmatched = {name: count for name, count in counts.items() if name not in place_of}
    return AssignedPicks(points, scores, unmatched, outside, repeated)
