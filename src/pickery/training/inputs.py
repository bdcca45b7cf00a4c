"""What a training is given: micrographs found, picks read and assigned, everything prepared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pickery.config.schema import DataGroup, PreprocessConfig, PreprocessGroup, TrainConfig
from pickery.errors import InputError
from pickery.formats.assignment import coordinates_of
from pickery.formats.contract import PickTable
from pickery.formats.masks import Mask, find_masks
from pickery.formats.micrographs import MicrographFile, find_micrographs, read_header
from pickery.formats.picks import AssignedPicks, assign_picks, read_picks
from pickery.placement.count import Estimate
from pickery.preprocess.prepare import Prepared, prepare
from pickery.preprocess.store import PreparedSet
from pickery.simulation.data_set import DataSet, cached_data_set
from pickery.simulation.settings import SimulationSettings
from pickery.training.coordinates import factors_of, frame_of, ignored_in_names
from pickery.training.left_out import MaskedRuns, Points, apply_masks
from pickery.training.listener import Listener
from pickery.training.look import Look, check_picks, estimate_particles, look, to_look_at
from pickery.training.sizes import DOWNSAMPLE, settle


@dataclass(frozen=True)
class Found:
    """Micrographs and picks as the user's files give them.

    Attributes
    ----------
    files
        All micrographs, those given apart for testing and those left out included.
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
    looked_at
        Of a few micrographs, x and y of their picks as the file of picks has them: enough to see whether they sit on
        particles. Empty for simulated data.
    emptied
        Names of the micrographs whose picks all lie in their masks, so that `points` has none: they were looked at.
    """

    files: tuple[MicrographFile, ...]
    points: Points
    given_apart: frozenset[str]
    pixel_size_angstrom: float | None
    skipped: Mapping[str, str]
    truth: Points
    negatives: Points
    masks: Mapping[str, Mask]
    looked_at: Points
    emptied: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Collected:
    """Micrographs found and prepared, and their picks: everything but who trains and who is held out.

    Attributes
    ----------
    found
        What the files give; picks and negatives in masked areas are not among it.
    prepared
        The prepared set.
    skipped
        Micrographs left out, and why.
    partial_labels
        Whether micrographs may hold particles that nobody labelled; False where the truth is known.
    masked
        Micrograph's name → its masked regions, as `pickery.data.regions.runs_of` writes them; only those that have
        some.
    estimate
        Of the particles in a micrograph, where ``data.expected_particles=auto`` asks for it.
    """

    found: Found
    prepared: PreparedSet
    skipped: Mapping[str, str]
    partial_labels: bool
    masked: MaskedRuns
    estimate: Estimate | None


def collect(
    config: TrainConfig, listener: Listener, *, simulated: DataSet | None = None, looked: bool = False
) -> Collected:
    """Find, check and prepare the data of a training.

    Only the settings that find and prepare count (``data`` where it is about files, ``preprocess``, and ``seed``), so
    that trainings which differ in others share what is collected.

    Parameters
    ----------
    config
        All settings.
    listener
        Told of progress and of what the user should know.
    simulated
        The simulated data set, instead of the settings' micrographs and picks.
    looked
        Whether another process has seen that the picks sit on particles.

    Raises
    ------
    InputError
        When something given cannot be used; see the formats and preprocess rooms.
    """
    found = find(config.data, listener, simulated=simulated, skip_bad=config.preprocess.skip_bad)
    config = settle(config, found.pixel_size_angstrom).config
    estimate = None
    if found.looked_at and not (looked and config.data.expected_particles != "auto"):
        seen = _look(config, found, listener)
        if simulated is None and not looked:
            check_picks(config, seen, listener)
        if config.data.expected_particles == "auto":
            estimate = estimate_particles(config, seen, found.looked_at, found.pixel_size_angstrom, listener)
    # before hours of preparing, so that a mask that cannot be used is said at once
    positions = {"picks": found.points, "positions of data.negatives": found.negatives}
    kept, masked = apply_masks(found.masks, positions, config.preprocess.factor, listener)
    emptied = frozenset(name for name, points in kept["picks"].items() if len(found.points[name]) and not len(points))
    found = replace(found, points=kept["picks"], negatives=kept["positions of data.negatives"], emptied=emptied)
    readable = [file for file in found.files if file.name not in found.skipped]
    result = prepare_files(readable, config.preprocess, config.seed, listener)
    for name, reason in result.skipped.items():
        listener.warn(f"left out {name}: {reason}")
    return Collected(
        found=found,
        prepared=result.set,
        skipped=dict(found.skipped) | result.skipped,
        partial_labels=simulated is None,
        masked=masked,
        estimate=estimate,
    )


def _look(config: TrainConfig, found: Found, listener: Listener) -> Look:
    files = [file for file in found.files if file.name in found.looked_at]
    factors = factors_of(config, found.pixel_size_angstrom)
    return look(files, found.looked_at, frame_of(config.data), factors=factors, listener=listener)


def simulated_data(config: TrainConfig, listener: Listener) -> DataSet | None:
    """Give the simulated data set that the settings ask for, made if need be; None where they name files."""
    if config.data.source != "simulated":
        return None
    settings = SimulationSettings(**config.simulation.model_dump())
    return cached_data_set(Path(config.preprocess.store), settings, progress=listener.simulating)


def prepare_files(
    files: Sequence[MicrographFile], settings: PreprocessGroup, seed: int, listener: Listener
) -> Prepared:
    """Prepare micrographs as the settings say, telling of progress."""
    return prepare(
        files,
        store=Path(settings.store),
        downsample=settings.factor,
        method=settings.method,
        pixel_sampling=settings.pixel_sampling,
        iterations=settings.iterations,
        workers=settings.workers,
        skip_bad=settings.skip_bad,
        seed=seed,
        write_mrc=mrc_root(settings) if settings.write_mrc else None,
        progress=listener.preparing,
    )


def prepare_alone(config: PreprocessConfig, listener: Listener) -> Prepared:
    """Find and prepare micrographs without a training: what would follow from a particle's diameter is Topaz's own."""
    assert config.data.micrographs is not None
    settings = config.preprocess
    if settings.downsample is None:
        settings = settings.model_copy(update={"downsample": DOWNSAMPLE})
    return prepare_files(find_micrographs(config.data.micrographs), settings, config.seed, listener)


def mrc_root(settings: PreprocessGroup) -> Path:
    """Give the folder in which each prepared set has a folder of MRC files (``preprocess.write_mrc``)."""
    return Path(settings.store) / "mrc"


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
    if simulated is None or settings.expected_particles == "auto":
        coordinates = coordinates_of(table, files, ignore=ignored_in_names(settings))
        looked_at = {n: coordinates[n] for n in to_look_at({name: len(xy) for name, xy in coordinates.items()})}
    if tests:
        assert settings.test_picks is not None
        read = _read(settings.test_picks, files, shapes, settings, listener, setting="data.test_picks")
        points |= {file.name: read[file.name] for file in tests if file.name in read}
    negatives: Points = {}
    if settings.negatives is not None:
        negatives = _read(settings.negatives, files, shapes, settings, listener, setting="data.negatives")
    masks = {} if settings.masks is None else find_masks(settings.masks, files, shapes)
    truth: Points = {}
    if simulated is not None:
        truth = _read(str(simulated.truth), files, shapes, settings, listener, setting="the simulated truth")
    return Found(
        files=tuple(everything),
        points=points,
        given_apart=frozenset(file.name for file in tests),
        pixel_size_angstrom=_pixel_size(settings.pixel_size, sizes, listener),
        skipped=skipped,
        truth=truth,
        negatives=negatives,
        masks=masks,
        looked_at=looked_at,
    )


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


def _read(
    source: str | Sequence[str],
    files: Sequence[MicrographFile],
    shapes: Mapping[str, tuple[int, int]],
    settings: DataGroup,
    listener: Listener,
    *,
    setting: str,
) -> Points:
    return _assigned(read_picks(source, setting=setting), files, shapes, settings, listener, setting=setting)


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
