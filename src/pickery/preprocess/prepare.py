"""From micrograph files to a prepared set: finds what is there already, has the rest made, says what is wrong."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pickery.building import building
from pickery.errors import InputError, PickeryWarning
from pickery.preprocess.build import Built, Wanted, build
from pickery.preprocess.contents import content_hashes
from pickery.preprocess.index import Entry, Settings, is_whole, read_index
from pickery.preprocess.store import PreparedSet, as_prepared, fingerprint

if TYPE_CHECKING:
    from pickery.formats.micrographs import MicrographFile

EXTREME_STDS = 50.0
"""Beads, ice and carbon stay within some 20 standard deviations; pixels beyond this are the detector's own."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared set and how it came about.

    Attributes
    ----------
    set : PreparedSet
        The micrographs that can be used, in the order and by the names in which they were given.
    skipped : dict
        Name of each micrograph left out, and why.
    reused : int
        How many micrographs of the set had been prepared before.
    """

    set: PreparedSet
    skipped: dict[str, str]
    reused: int


def prepare(
    files: Sequence[MicrographFile],
    *,
    store: Path,
    downsample: float,
    method: str,
    pixel_sampling: int,
    iterations: int,
    workers: int,
    skip_bad: bool,
    seed: int,
    write_mrc: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Downsample and normalise micrographs, or find them done.

    A set is kept in the folder ``store/KEY``, where KEY hashes the bytes of the micrographs' files, their order and
    the settings. It appears there at once when it is whole; a set that is there is used, and no micrograph is read.
    Micrographs that another set of the same settings holds are copied from it. The pixels are the same bit for bit
    whatever the number of workers. Runs that want the same set at the same time make it once.

    Micrographs that turn out bad only when their pixels are read do not stop the others: the set is kept without them
    before the complaint, so that the next run, with them mended, removed or skipped, finds the others done.

    Parameters
    ----------
    files : sequence of MicrographFile
        At least one.
    store : Path
        Folder of all prepared sets; made if needed.
    downsample : float
        How many pixels become one along each axis, at least 1.
    method : str
        ``gmm``: normalise by the brighter component of a Gaussian mixture; ``affine``: by mean and standard deviation.
    pixel_sampling : int
        Fit the mixture on one pixel in so many.
    iterations : int
        Most EM steps of the mixture.
    workers : int
        Processes; below 2 the work is done in this one. Each holds one micrograph at full size.
    skip_bad : bool
        Leave out micrographs that cannot be used, instead of stopping.
    seed : int
        For the sampled pixels.
    write_mrc : Path, optional
        Folder in which a folder of the set's name gets the prepared images as MRC, with the pixel size that they have.
    progress : callable, optional
        Called with (micrographs done, micrographs in all).

    Raises
    ------
    InputError
        If a micrograph cannot be used and is not to be skipped, if none can, if the store cannot be written, memory
        runs out, or a setting is out of its range.
    """
    settings = effective_settings(
        downsample=downsample, method=method, pixel_sampling=pixel_sampling, iterations=iterations, seed=seed
    )
    if not files:
        raise InputError("There are no micrographs to prepare: data.micrographs names none.")
    store = Path(store).absolute()

    bad: dict[int, str] = {}
    readable: dict[int, str] = {}
    for position, content in enumerate(content_hashes([file.path for file in files], store, threads=max(2, workers))):
        if isinstance(content, str):
            readable[position] = content
        else:
            bad[position] = f"cannot be read ({content.strerror or content})."
    _stop_for(bad, files, skip_bad)

    wanted = Wanted(
        files=[files[position] for position in readable],
        contents=list(readable.values()),
        settings=settings,
        workers=workers,
        skip_bad=skip_bad,
        progress=progress if progress is not None else lambda done, total: None,
    )
    built = _find_or_build(wanted, store)
    positions = list(readable)
    bad |= {positions[position]: reason for position, reason in built.bad.items()}
    _stop_for(bad, files, skip_bad)

    index = read_index(built.directory)
    used = [file for position, file in enumerate(files) if position not in bad]
    prepared = replace(
        as_prepared(built.directory, index),
        names=tuple(file.name for file in used),
        paths=tuple(str(file.path) for file in used),
    )
    assert prepared.contents == tuple(readable[position] for position in readable if position not in bad)
    _warn_of_extremes(prepared.names, index.entries)
    if write_mrc is not None:
        _write_images(prepared, Path(write_mrc) / prepared.directory.name)
    skipped = {files[position].name: reason for position, reason in sorted(bad.items())}
    return Prepared(prepared, skipped, built.reused)


def effective_settings(*, downsample: float, method: str, pixel_sampling: int, iterations: int, seed: int) -> Settings:
    """Give what the prepared pixels depend on: the settings without those that have no effect beside the others.

    Raises
    ------
    InputError
        If one is out of its range.
    """
    if not (math.isfinite(downsample) and downsample >= 1):
        raise InputError(f"preprocess.downsample={downsample:g} must be a number of at least 1.")
    for name, value in (("pixel_sampling", pixel_sampling), ("iterations", iterations)):
        if value < 1:
            raise InputError(f"preprocess.{name}={value} must be at least 1.")
    if method not in ("gmm", "affine"):
        raise InputError(f"preprocess.method={method} must be gmm or affine.")
    settings: Settings = {"downsample": float(downsample), "method": method}
    if method == "gmm":
        settings |= {"iterations": iterations, "pixel_sampling": pixel_sampling}
        if pixel_sampling > 1:
            settings["seed"] = seed
    return settings


def _find_or_build(wanted: Wanted, store: Path) -> Built:
    key = fingerprint(wanted.contents, wanted.settings)
    try:
        if not is_whole(store / key):
            with building(store, key, is_whole=is_whole) as folder:
                if folder is not None:
                    return build(wanted, store, folder)
    except OSError as error:
        raise InputError(
            f"The prepared micrographs cannot be kept in {store} ({error.strerror or error}): make room or change the "
            f"permissions there, or choose another folder with preprocess.store=FOLDER."
        ) from error
    total = len(wanted.files)
    wanted.progress(total, total)
    return Built(store / key, {}, total)


def _stop_for(bad: Mapping[int, str], files: Sequence[MicrographFile], skip_bad: bool) -> None:
    """Complain of micrographs that cannot be used, unless they are to be skipped and others are left."""
    if not bad or (skip_bad and len(bad) < len(files)):
        return
    first = min(bad)
    path, reason = str(files[first].path), bad[first]
    problem = reason if path in reason else f"{path}: {reason}"
    if skip_bad:
        raise InputError(f"None of the {len(files)} micrographs can be used; the first: {problem}")
    others = f" So it is with {len(bad) - 1} more." if len(bad) > 1 else ""
    raise InputError(
        f"{problem}{others} Mend or remove what cannot be used, or leave it out with preprocess.skip_bad=true."
    )


def _warn_of_extremes(names: Sequence[str], entries: Sequence[Entry]) -> None:
    extremes = {name: entry.extreme for name, entry in zip(names, entries, strict=True) if entry.extreme > EXTREME_STDS}
    if extremes:
        worst = max(extremes, key=extremes.__getitem__)
        warnings.warn(
            f"{len(extremes)} of {len(names)} micrographs hold pixels more than {EXTREME_STDS:g} standard deviations "
            f"from the rest, in {worst} up to {extremes[worst]:.0f}: such pixels (hot ones?) drown all else in the "
            f"normalisation. Remove them in motion correction, or leave these micrographs out.",
            PickeryWarning,
            stacklevel=3,
        )


def _write_images(prepared: PreparedSet, folder: Path) -> None:
    """Write prepared images as MRC. An axis's pixel size follows its real factor; the file gets the mean of the two."""
    from pickery.formats.micrographs import write_mrc

    targets = [folder / f"{name}.mrc" for name in prepared.names]
    originals = {Path(path).resolve() for path in prepared.paths}
    for target in targets:
        if target.resolve() in originals:
            raise InputError(f"Writing the prepared images to {folder} would replace the micrograph {target}.")
    for index, target in enumerate(targets):
        pixel_size = prepared.pixel_sizes_angstrom[index]
        new_size = None if pixel_size is None else pixel_size * sum(prepared.scale(index)) / 2
        write_mrc(target, prepared.image(index), pixel_size_angstrom=new_size)
