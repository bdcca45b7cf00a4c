"""What a training is given: everything that was found, looked at and prepared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pickery.config.schema import PreprocessConfig, PreprocessGroup, TrainConfig
from pickery.formats.micrographs import MicrographFile, find_micrographs
from pickery.placement.count import Estimate
from pickery.preprocess.fourier import downsampled_shape
from pickery.preprocess.prepare import Prepared, prepare
from pickery.preprocess.store import PreparedSet
from pickery.simulation.data_set import DataSet, cached_data_set
from pickery.simulation.settings import SimulationSettings
from pickery.training.coordinates import factors_of, frame_of
from pickery.training.found import Found, find
from pickery.training.images import check_sizes, image_side
from pickery.training.left_out import MaskedRuns, Points, apply_masks
from pickery.training.listener import Listener
from pickery.training.look import Look, check_held_out_picks, check_picks, estimate_particles, look
from pickery.training.sizes import DOWNSAMPLE, settle


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
    factor = config.preprocess.factor
    # before hours of preparing, as all that can be said of files as they are
    predicted = ((name, downsampled_shape(shape, factor)) for name, shape in found.shapes.items())
    check_sizes(config, predicted, image_side(config))
    estimate = None
    if found.looked_at and not (looked and config.data.expected_particles != "auto"):
        seen = _look(config, found, found.looked_at, listener)
        if simulated is None and not looked:
            check_picks(config, seen, listener)
        if config.data.expected_particles == "auto":
            estimate = estimate_particles(config, seen, found.looked_at, found.pixel_size_angstrom, listener)
    if found.looked_at_apart and not looked:
        check_held_out_picks(config, _look(config, found, found.looked_at_apart, listener), listener)
    positions = {"picks": found.points, "positions of data.negatives": found.negatives}
    kept, masked = apply_masks(found.masks, positions, factor, listener)
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


def _look(config: TrainConfig, found: Found, coordinates: Points, listener: Listener) -> Look:
    files = [file for file in found.files if file.name in coordinates]
    factors = factors_of(config, found.pixel_size_angstrom)
    return look(files, coordinates, frame_of(config.data), factors=factors, listener=listener)


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
