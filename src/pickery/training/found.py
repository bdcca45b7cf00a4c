"""Micrographs and picks as the user's files give them: found, read and matched by name; nothing is prepared yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pickery.config.schema import DataGroup
from pickery.errors import InputError
from pickery.formats.assignment import coordinates_of
from pickery.formats.contract import PickTable
from pickery.formats.masks import Mask, find_masks
from pickery.formats.micrographs import MicrographFile, find_micrographs, read_header
from pickery.formats.picks import AssignedPicks, assign_picks, read_picks
from pickery.simulation.data_set import DataSet
from pickery.training.coordinates import frame_of, ignored_in_names
from pickery.training.left_out import Points
from pickery.training.listener import Listener
from pickery.training.look import to_look_at


@dataclass(frozen=True)
class Found:
    """Micrographs and picks as the user's files give them.

    Attributes
    ----------
    files
        All micrographs, those given apart for testing and those left out included.
    shapes
        (rows, columns) of each that can be read, by name.
    points
        Each micrograph's picks, ``(x, y)`` in full-size pixels.
    given_apart
        Names of the micrographs given apart for testing.
    pixel_size_angstrom
        Of the full-size micrographs; None if neither the headers nor ``data.pixel_size`` say.
    skipped
        Micrographs left out, and why.
    truth
        Each micrograph's particles, where they are known: in simulated data.
    negatives
        Each micrograph's positions known to hold no particle, likewise; empty where none are given.
    masks
        The micrographs' masks, by name.
    looked_at, looked_at_apart
        Of a few micrographs, x and y of their picks as the file of picks has them: enough to see whether they sit on
        particles. Empty for simulated data; the latter, of micrographs given apart for testing, where there are none.
    emptied
        Names of the micrographs whose picks all lie in their masks, so that `points` has none: they were looked at.
    """

    files: tuple[MicrographFile, ...]
    shapes: Mapping[str, tuple[int, int]]
    points: Points
    given_apart: frozenset[str]
    pixel_size_angstrom: float | None
    skipped: Mapping[str, str]
    truth: Points
    negatives: Points
    masks: Mapping[str, Mask]
    looked_at: Points
    looked_at_apart: Points
    emptied: frozenset[str] = frozenset()


def find(settings: DataGroup, listener: Listener, *, simulated: DataSet | None = None, skip_bad: bool = False) -> Found:
    """Find the micrographs and their picks; nothing is prepared yet."""
    micrographs, picks = settings.micrographs, settings.picks
    if simulated is not None:
        micrographs, picks = str(simulated.micrographs), str(simulated.picks)
    assert micrographs is not None
    assert picks is not None
    sources = [micrographs] if isinstance(micrographs, str) else list(micrographs)
    apart = settings.test_micrographs
    apart_sources = [] if apart is None else [apart] if isinstance(apart, str) else list(apart)
    # names are made unique over all micrographs together; the paths tell which were given apart
    train_paths = {file.path for file in find_micrographs(sources)}
    test_paths = (
        {file.path for file in find_micrographs(apart_sources, setting="data.test_micrographs")} if apart else set()
    )
    both = sorted(train_paths & test_paths)
    if both:
        raise InputError(
            f"data.test_micrographs and data.micrographs both hold {both[0]}"
            f"{f' and {len(both) - 1} more' if len(both) > 1 else ''}: a micrograph either trains or tests"
        )
    everything = find_micrographs([*sources, *apart_sources])
    shapes, sizes, skipped = _headers(everything, listener, skip_bad=skip_bad)
    files = [file for file in everything if file.name in shapes]
    trains = [file for file in files if file.path in train_paths]
    tests = [file for file in files if file.path in test_paths]
    # a table may hold the picks of both sides
    table = read_picks(picks, setting="data.picks")
    read = _assigned(table, files, shapes, settings, listener, setting="data.picks")
    points = {file.name: read[file.name] for file in trains if file.name in read}
    looked_at: Points = {}
    looked_at_apart: Points = {}
    if simulated is None or settings.expected_particles == "auto":
        looked_at = _some(table, files, trains, settings)
    if tests:
        assert settings.test_picks is not None
        table = read_picks(settings.test_picks, setting="data.test_picks")
        read = _assigned(table, files, shapes, settings, listener, setting="data.test_picks")
        points |= {file.name: read[file.name] for file in tests if file.name in read}
        looked_at_apart = _some(table, files, tests, settings)
    negatives: Points = {}
    if settings.negatives is not None:
        table = read_picks(settings.negatives, setting="data.negatives")
        negatives = _assigned(table, files, shapes, settings, listener, setting="data.negatives")
    masks = {} if settings.masks is None else find_masks(settings.masks, files, shapes)
    truth: Points = {}
    if simulated is not None:
        table = read_picks(str(simulated.truth), setting="the simulated truth")
        truth = _assigned(table, files, shapes, settings, listener, setting="the simulated truth")
    return Found(
        files=tuple(everything),
        shapes=shapes,
        points=points,
        given_apart=frozenset(file.name for file in tests),
        pixel_size_angstrom=_pixel_size(settings.pixel_size, sizes, listener),
        skipped=skipped,
        truth=truth,
        negatives=negatives,
        masks=masks,
        looked_at=looked_at,
        looked_at_apart=looked_at_apart,
    )


def _some(
    table: PickTable, files: Sequence[MicrographFile], among: Sequence[MicrographFile], settings: DataGroup
) -> Points:
    """Give the coordinates of a few of the micrographs among which to look, as the table has them."""
    coordinates = coordinates_of(table, files, ignore=ignored_in_names(settings))
    return {name: coordinates[name] for name in to_look_at({file.name: len(coordinates[file.name]) for file in among})}


def _headers(
    files: Sequence[MicrographFile], listener: Listener, *, skip_bad: bool
) -> tuple[dict[str, tuple[int, int]], list[float], dict[str, str]]:
    shapes: dict[str, tuple[int, int]] = {}
    sizes, skipped = [], {}
    for file in files:
        try:
            header = read_header(file.path)
        except InputError as error:
            if not skip_bad:
                raise InputError(f"{error} preprocess.skip_bad=true leaves such micrographs out.") from error
            skipped[file.name] = str(error)
            listener.warn(f"left out {file.name}: {error}")
            continue
        shapes[file.name] = header.shape
        size = file.known.pixel_size_angstrom or header.pixel_size_angstrom
        if size is not None:
            sizes.append(size)
    if not shapes:
        raise InputError(f"none of the {len(files)} micrographs can be read; the first: {next(iter(skipped.values()))}")
    return shapes, sizes, skipped


def _pixel_size(given: float | None, sizes: Sequence[float], listener: Listener) -> float | None:
    if given is not None or not sizes:
        return given
    if max(sizes) > 1.01 * min(sizes):
        listener.warn(
            f"the micrographs' headers give pixel sizes from {min(sizes):.3g} to {max(sizes):.3g} Å: one model learns "
            "one scale; set data.pixel_size if the headers are wrong"
        )
    return float(np.median(sizes))


def _assigned(
    table: PickTable,
    files: Sequence[MicrographFile],
    shapes: Mapping[str, tuple[int, int]],
    settings: DataGroup,
    listener: Listener,
    *,
    setting: str,
) -> Points:
    assigned = assign_picks(
        table,
        files,
        shapes,
        frame=frame_of(settings),
        ignore=ignored_in_names(settings),
        setting=setting,
    )
    _tell(assigned, listener, setting)
    return dict(assigned.points)


def _tell(assigned: AssignedPicks, listener: Listener, setting: str) -> None:
    if assigned.unmatched:
        first = next(iter(assigned.unmatched))
        listener.warn(
            f"{sum(assigned.unmatched.values())} picks of {setting} are on {len(assigned.unmatched)} micrographs that "
            f"were not given, or left out ({first}{', …' if len(assigned.unmatched) > 1 else ''}); they are left out"
        )
    if assigned.repeated:
        listener.warn(
            f"{sum(assigned.repeated.values())} picks of {setting} repeat others to the last digit (the first in "
            f"{next(iter(assigned.repeated))}) and are left out"
        )
    if assigned.outside:
        count = sum(assigned.outside.values())
        worst = max(assigned.outside, key=lambda name: assigned.outside[name])
        listener.warn(
            f"{count} picks of {setting} lie outside their micrographs (most in {worst}) and are left out; "
            "if there are many, check data.coordinate_scale and data.flip_y"
        )
