"""A simulated data set on the disk: micrographs, the picks handed out, the whole truth, and what is known of each."""

import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickery.atomic import write_text
from pickery.building import building, put_in_place
from pickery.errors import InputError
from pickery.simulation.micrographs import SimulatedMicrograph, micrograph_name, simulate_micrograph
from pickery.simulation.settings import SIMULATION_VERSION, SimulationSettings

_FORMAT = "pickery-simulation"


@dataclass(frozen=True, slots=True)
class DataSet:
    """Where a simulated data set lies.

    Attributes
    ----------
    folder
        That holds it all.
    settings
        That it was made with.
    """

    folder: Path
    settings: SimulationSettings

    @property
    def micrographs(self) -> Path:
        """Folder of the micrographs, MRC files of electron counts."""
        return self.folder / "micrographs"

    @property
    def picks(self) -> Path:
        """Table of the picks that are handed out."""
        return self.folder / "picks.txt"

    @property
    def truth(self) -> Path:
        """Table of every particle."""
        return self.folder / "truth.txt"

    @property
    def record(self) -> Path:
        """JSON file of the settings, and of each micrograph's defocus, counts, carbon and crystals."""
        return self.folder / "simulation.json"

    @property
    def files(self) -> list[Path]:
        """All files of the data set."""
        names = [micrograph_name(index) for index in range(self.settings.micrographs)]
        return [self.record, self.picks, self.truth, *(self.micrographs / f"{name}.mrc" for name in names)]


def write_data_set(
    out: Path, settings: SimulationSettings, progress: Callable[[int, int], None] | None = None
) -> DataSet:
    """Simulate a data set and write it to a folder, at once or not at all.

    A folder that already holds this data set is left as it is.

    Parameters
    ----------
    out
        A folder that is absent, empty or holds this very data set.
    settings
        Of the data set.
    progress
        Called with the number of micrographs done and their number.

    Returns
    -------
    DataSet

    Raises
    ------
    InputError
        The folder holds something else, or cannot be written.
    """
    out = Path(out)
    found = DataSet(out, settings)
    place = ("simulation.out", "give another folder")
    if _is_there(found, *place):
        return found
    # not tempfile: its folders are private to their owner, and stay so under their final name
    temporary = DataSet(out.with_name(f".{out.name}.{os.getpid()}.{secrets.token_hex(4)}.part"), settings)
    try:
        temporary.micrographs.mkdir(parents=True)
        _fill(temporary, progress)
        try:
            temporary.folder.rename(out)
        except OSError:
            # another process may have been quicker, and what it wrote is the same
            if _difference(found) is not None:
                raise
    except OSError as error:
        raise _not_written(found, error, *place) from error
    finally:
        shutil.rmtree(temporary.folder, ignore_errors=True)
    return found


def cached_data_set(
    store: Path, settings: SimulationSettings, progress: Callable[[int, int], None] | None = None
) -> DataSet:
    """Return the data set of these settings from a store, simulated first where it is not there yet.

    Parameters
    ----------
    store
        Folder of prepared things; the data set goes into `simulated-KEY` within it.
    settings
        Of the data set.
    progress
        Called with the number of micrographs done and their number; not called where the data set is there.

    Returns
    -------
    DataSet

    Raises
    ------
    InputError
        The folder is damaged, or cannot be written.
    """
    store = Path(store)
    found = DataSet(store / f"simulated-{settings.key}", settings)
    place = ("preprocess.store", "delete that folder")

    def is_whole(folder: Path) -> bool:
        return _difference(DataSet(folder, settings)) is None

    if _is_there(found, *place):
        return found
    try:
        with building(store, found.folder.name, is_whole=is_whole) as folder:
            if folder is not None:
                fresh = DataSet(folder, settings)
                fresh.micrographs.mkdir()
                _fill(fresh, progress)
                put_in_place(folder, found.folder, is_whole=is_whole)
    except OSError as error:
        raise _not_written(found, error, *place) from error
    return found


def _is_there(data_set: DataSet, setting: str, advice: str) -> bool:
    """Say whether a data set is there; one that is damaged, and anything else in its place, is refused."""
    difference = _difference(data_set)
    if difference:
        raise InputError(f"{setting}: {data_set.folder} {difference}: {advice}.")
    return difference is None


def _not_written(data_set: DataSet, error: OSError, setting: str, advice: str) -> InputError:
    return InputError(f"{setting}: {data_set.folder} cannot be written ({error.strerror or error}): {advice}.")


def _difference(data_set: DataSet) -> str | None:
    """Say what lies in a data set's folder: None for the data set, "" for nothing, words for something else."""
    folder = data_set.folder
    try:
        if not folder.is_dir():
            return "is a file" if folder.exists() else ""
        held = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not held:
        return ""
    if data_set.record.name not in held:
        return f"holds something that is no simulated data set ({held[0]})"
    try:
        record = json.loads(data_set.record.read_text(encoding="utf-8"))
        form, version, settings = record["format"], record["version"], dict(record["settings"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"holds a {data_set.record.name} that cannot be read"
    if form != _FORMAT:
        return f"holds a {data_set.record.name} of another program"
    if version != SIMULATION_VERSION:
        return f"holds a data set of version {version} of the simulation, not {SIMULATION_VERSION}"
    for name, value in asdict(data_set.settings).items():
        if settings.get(name) != value:
            return f"holds a data set with simulation.{name}={settings.get(name)}, not {value}"
    missing = [path for path in data_set.files if not path.is_file()]
    return f"holds this data set without {missing[0].relative_to(folder)}" if missing else None


def _fill(data_set: DataSet, progress: Callable[[int, int], None] | None) -> None:
    from pickery.formats.mrc import write_mrc

    settings = data_set.settings
    simulated: list[SimulatedMicrograph] = []
    for index in range(settings.micrographs):
        micrograph = simulate_micrograph(settings, index)
        path = data_set.micrographs / f"{micrograph.name}.mrc"
        write_mrc(path, micrograph.image, pixel_size_angstrom=settings.pixel_size_angstrom)
        simulated.append(micrograph)
        if progress is not None:
            progress(index + 1, settings.micrographs)
    names = [micrograph.name for micrograph in simulated]
    _write_table(data_set.picks, names, [micrograph.picks for micrograph in simulated])
    _write_table(data_set.truth, names, [micrograph.points for micrograph in simulated])
    record = {
        "format": _FORMAT,
        "version": SIMULATION_VERSION,
        "settings": asdict(settings),
        "particles": sum(len(micrograph.points) for micrograph in simulated),
        "picks": sum(len(micrograph.picks) for micrograph in simulated),
        "micrographs": [_describe(micrograph) for micrograph in simulated],
    }
    write_text(data_set.record, json.dumps(record, indent=2) + "\n")


def _describe(micrograph: SimulatedMicrograph) -> dict[str, Any]:
    optics, layout = micrograph.optics, micrograph.layout
    return {
        "name": micrograph.name,
        "particles": len(micrograph.points),
        "picks": len(micrograph.picks),
        "defocus_u_angstrom": round(optics.defocus_u_angstrom, 1),
        "defocus_v_angstrom": round(optics.defocus_v_angstrom, 1),
        "astigmatism_angle_degree": round(optics.astigmatism_angle_degree, 1),
        "carbon": micrograph.carbon,
        "crystals": [[round(number, 1) for number in crystal] for crystal in layout.crystals.tolist()],
        "subunits": len(layout.subunits),
        "cut_off_particles": len(layout.cut_off),
    }


def _write_table(path: Path, names: list[str], points: list[NDArray[np.float64]]) -> None:
    from pickery.formats.picks import MicrographPicks, write_picks

    picks = [
        MicrographPicks(name, own.round(2), np.full(len(own), np.nan)) for name, own in zip(names, points, strict=True)
    ]
    write_picks(path, picks)
