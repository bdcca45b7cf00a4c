"""CryoSPARC's .cs files: picks with their ids, and the exposures that they lie on.

Centres are fractions of the micrograph, x from the left and y from the bottom: row = (1 - y)·rows. They are float32,
good to about 2e-4 pixels, and are rounded to a thousandth of one. Paths count from the project's folder; CryoSPARC puts
a number of 21 digits and an underscore before the names of the files that it imports.

The score is ``pick_stats/ncc_score``. On the way out ``pick_stats/power``, which CryoSPARC's inspection of picks asks
for as well, is the score too; fields that the picks brought from CryoSPARC stay as they are.

A .cs is numpy's own kind of file or a compressed one of CryoSPARC's. Both are read by cryosparc-tools, which never
unpickles; the reader of the compressed kind may crash on a damaged file, hence a process of its own.
"""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickery.errors import InputError
from pickery.formats.contract import (
    FILAMENTS,
    LARGEST_NUMBER,
    LARGEST_SIDE,
    CryosparcMicrograph,
    FileKind,
    KnownMicrograph,
    MicrographPicks,
    PickTable,
)
from pickery.formats.files import check_names, reading, writing

PATH, SHAPE, UID = "location/micrograph_path", "location/micrograph_shape", "location/micrograph_uid"
X, Y = "location/center_x_frac", "location/center_y_frac"
PIXEL_SIZE, GROUP = "location/micrograph_psize_A", "location/exp_group_id"
SCORE = "pick_stats/ncc_score"
EXPOSURE_PATH, EXPOSURE_SHAPE = "micrograph_blob/path", "micrograph_blob/shape"
EXPOSURE_PIXEL_SIZE = "micrograph_blob/psize_A"
EXPOSURE_GROUPS = ("mscope_params/exp_group_id", "ctf/exp_group_id")
COMPRESSED = b"\x95CSDAT"
MOST_HEADER_BYTES = 1 << 20
DEFAULT_GROUP = 1  # as CryoSPARC gives where nobody says otherwise
LARGEST_GROUP = (1 << 32) - 1
RECODE = """
import sys
from cryosparc.dataset import Dataset
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, 2 * (int(sys.argv[3]),))
    resource.setrlimit(resource.RLIMIT_FSIZE, 2 * (int(sys.argv[4]),))
except (ImportError, ValueError):
    pass  # another system, or narrower limits already
Dataset.load(sys.argv[1]).save(sys.argv[2])
"""
HIGHEST_COMPRESSION = 255  # of LZ4; what unpacks to more is no table, but an attack on the memory


def read_picks(path: Path, name: str = "") -> PickTable:
    """Read picks, with all fields of their rows.

    Parameters
    ----------
    name
        Not used: the file names its micrographs.

    Raises
    ------
    InputError
        The file cannot be read, lacks a field, or has a row that is no pick.
    """
    rows = _load(path)
    missing = [field for field in (PATH, SHAPE, X, Y) if field not in _names(rows)]
    if missing:
        raise InputError(
            f"{path} has no picks, lacking {', '.join(missing)} ({_described(rows)}): give the .cs of the picks or the"
            " extracted particles, or, where it lacks them, the passthrough .cs beside it."
        )
    shapes = _shapes(path, rows, SHAPE)
    x = _numbers(path, rows, X) * shapes[:, 1]
    y = (1 - _numbers(path, rows, Y)) * shapes[:, 0]
    bad = ~((np.abs(x) <= LARGEST_NUMBER) & (np.abs(y) <= LARGEST_NUMBER))
    if bad.any():
        raise InputError(f"{path}: the centre in row {bad.argmax() + 1} is no finite number: write it again.")
    score = np.full(len(rows), np.nan)
    if SCORE in _names(rows):
        _numbers(path, rows, SCORE)
        score = rows[SCORE].astype("U").astype(np.float64)  # as the shortest number that is this float32
        score[~(np.abs(score) <= LARGEST_NUMBER)] = np.nan
    paths = _paths(path, rows, PATH)
    return PickTable(
        micrograph=tuple(paths),
        x=x.round(3),
        y=y.round(3),
        score=score,
        source=str(path),
        cryosparc=rows,
        known=_known(path, rows, paths, shapes, UID, PIXEL_SIZE, (GROUP,)),
        remarks=(FILAMENTS,) if any(field.startswith("filament/") for field in _names(rows)) else (),
    )


def list_micrographs(path: Path) -> Mapping[str, KnownMicrograph]:
    """Read exposures: their paths from the project's folder, and what CryoSPARC knows them by.

    Raises
    ------
    InputError
        The file cannot be read, or lists no micrographs.
    """
    rows = _load(path)
    if EXPOSURE_PATH not in _names(rows) or EXPOSURE_SHAPE not in _names(rows) or not len(rows):
        raise InputError(
            f"{path} lists no micrographs, having no rows with {EXPOSURE_PATH} ({_described(rows)}): give the .cs of"
            " the exposures after motion correction or import."
        )
    shapes = _shapes(path, rows, EXPOSURE_SHAPE)
    paths = _paths(path, rows, EXPOSURE_PATH)
    return _known(path, rows, paths, shapes, "uid", EXPOSURE_PIXEL_SIZE, EXPOSURE_GROUPS)


def write_picks(path: Path, picks: Sequence[MicrographPicks]) -> None:
    """Write picks; those that came from CryoSPARC keep their ids and all their fields.

    Raises
    ------
    InputError
        The size of a micrograph is not known, or the file cannot be written.
    """
    from cryosparc.dataset import Dataset

    filled = [one for one in picks if len(one)]
    columns: dict[str, NDArray[Any]] = _kept(filled)
    if not columns:
        columns["uid"] = _made_up_ids(filled)
    for field, values in _located(path, filled).items():
        if values is not None:
            columns[field] = values
    columns.setdefault(GROUP, np.full(len(columns["uid"]), DEFAULT_GROUP, np.uint32))
    scores = np.concatenate([one.scores for one in filled] or [np.empty(0)]).astype(np.float32)
    if SCORE not in columns and np.isfinite(scores).any():
        columns |= {SCORE: scores, "pick_stats/power": scores}
        columns |= {"pick_stats/template_idx": np.zeros(len(scores), np.uint32), "pick_stats/angle_rad": 0 * scores}
    data = Dataset([(field, values) for field, values in columns.items()])
    with writing(path) as temporary, temporary.open("xb") as handle:
        data.save(handle)


def _load(path: Path) -> NDArray[np.void]:
    from cryosparc.dataset import Dataset

    with reading(path, "a CryoSPARC .cs file"), tempfile.TemporaryDirectory() as folder:
        with path.open("rb") as handle:
            head = handle.read(12)
        plain = path
        if head.startswith(COMPRESSED):
            plain = Path(folder) / "plain.cs"
            size = path.stat().st_size
            unpacked = size * HIGHEST_COMPRESSION + (1 << 26)
            limits = (str(4 * unpacked + (1 << 31)), str(unpacked))
            words = [sys.executable, "-c", RECODE, str(path), str(plain), *limits]
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120 + (size >> 20)
            )
            if done.returncode != 0:
                raise ValueError("its contents do not fit its header")
        elif not head.startswith(b"\x93NUMPY"):
            raise ValueError("it begins as no .cs does")
        elif int.from_bytes(head[8 : 12 if head[6] > 1 else 10], "little") > MOST_HEADER_BYTES:
            raise ValueError("its header is too long")
        try:
            Dataset.inspect(plain)  # whether the rows that it claims are there, before any memory is asked for
            rows: NDArray[np.void] = Dataset.load(plain).to_records(fixed=True)
        except Exception as error:
            raise error.__cause__ or error from None
        return rows


def _names(rows: NDArray[np.void]) -> tuple[str, ...]:
    return rows.dtype.names or ()


def _described(rows: NDArray[np.void]) -> str:
    groups = dict.fromkeys(name.partition("/")[0] for name in _names(rows) if "/" in name)
    return f"it has {', '.join(f'{group}/…' for group in groups)}" if groups else "it has no such fields"


def _numbers(path: Path, rows: NDArray[np.void], field: str, shape: tuple[int, ...] = ()) -> NDArray[np.float64]:
    """Give a field of numbers, an array of this shape for each row."""
    if rows[field].dtype.kind not in "iuf" or rows[field].shape[1:] != shape:
        raise InputError(f"{path}: {field} holds what is no number: write it again.")
    return rows[field].astype(np.float64)


def _ids(path: Path, rows: NDArray[np.void], field: str, largest: int) -> list[int]:
    """Give a field of ids, a whole number from 0 for each row."""
    ids: list[int] = rows[field].tolist()
    if rows[field].dtype.kind not in "iu" or rows[field].ndim != 1 or not all(0 <= one <= largest for one in ids):
        raise InputError(f"{path}: {field} holds what is no id: write it again.")
    return ids


def _shapes(path: Path, rows: NDArray[np.void], field: str) -> NDArray[np.int64]:
    """Give (rows, columns) of each row's micrograph."""
    shapes = _numbers(path, rows, field, (2,))
    if not ((shapes >= 1) & (shapes <= LARGEST_SIDE)).all():
        raise InputError(f"{path}: {field} holds what is no size of an image: write it again.")
    return shapes.astype(np.int64)


def _paths(path: Path, rows: NDArray[np.void], field: str) -> list[str]:
    """Give the path of each row's micrograph, without CryoSPARC's mark of one within the project."""
    if rows[field].dtype.kind not in "SU" or rows[field].ndim != 1:
        raise InputError(f"{path}: {field} holds no names: write it again.")
    distinct, place = np.unique(rows[field], return_inverse=True)
    names = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in distinct]
    names = [value.removeprefix(">") for value in names]
    if "" in names:
        raise InputError(
            f"{path}: {field} is empty in row {int((place == names.index('')).argmax()) + 1}: copy it again."
        )
    check_names(names, str(path))
    return [names[index] for index in place]


def _known(
    path: Path,
    rows: NDArray[np.void],
    paths: Sequence[str],
    shapes: NDArray[np.int64],
    uid: str,
    pixel_size: str,
    groups: Sequence[str],
) -> dict[str, KnownMicrograph]:
    known: dict[str, KnownMicrograph] = {}
    group = next((field for field in groups if field in _names(rows)), None)
    uids = _ids(path, rows, uid, (1 << 64) - 1) if uid in _names(rows) else None
    group_of = _ids(path, rows, group, LARGEST_GROUP) if group else None
    if pixel_size in _names(rows):
        _numbers(path, rows, pixel_size)
    for name, index in dict(zip(reversed(paths), reversed(range(len(paths))), strict=True)).items():
        height, width = shapes[index].tolist()
        size = float(str(rows[index][pixel_size])) if pixel_size in _names(rows) else 0.0
        micrograph = CryosparcMicrograph(
            uid=0 if uids is None else uids[index],
            path=name,
            shape=(height, width),
            pixel_size_angstrom=size if np.isfinite(size) and size > 0 else None,
            exposure_group=None if group_of is None else group_of[index],
        )
        known[name] = KnownMicrograph(micrograph.shape, micrograph.pixel_size_angstrom, micrograph)
    return dict(reversed(known.items()))


def _kept(picks: Sequence[MicrographPicks]) -> dict[str, NDArray[Any]]:
    """Give the fields that all picks brought from CryoSPARC, none if some did not come from there."""
    rows = [one.cryosparc_rows for one in picks if one.cryosparc_rows is not None]
    if len(rows) < len(picks) or not rows:
        return {}
    shared = [name for name in _names(rows[0]) if all(name in _names(other) for other in rows)]
    kept = {name: np.concatenate([one[name] for one in rows]) for name in shared}
    return {name: _as_text(values) if values.dtype.kind == "S" else values for name, values in kept.items()}


def _as_text(column: NDArray[Any]) -> NDArray[Any]:
    return np.array([value.decode("utf-8", "replace") for value in column], object)


def _located(path: Path, picks: Sequence[MicrographPicks]) -> dict[str, NDArray[Any] | None]:
    """Give the fields of the slot ``location``; None where nothing is known."""
    exposures = [_exposure(one, path) for one in picks]
    count = [len(one) for one in picks]
    shapes = np.repeat(np.array([exposure.shape for exposure in exposures], np.uint32).reshape(-1, 2), count, axis=0)
    # a micrograph may be at hand in another size than CryoSPARC's
    sizes_here = [one.shape or exposure.shape for one, exposure in zip(picks, exposures, strict=True)]
    here = np.repeat(np.array(sizes_here, np.float64).reshape(-1, 2), count, axis=0)
    points = np.concatenate([one.points for one in picks] or [np.empty((0, 2))])
    sizes = [exposure.pixel_size_angstrom for exposure in exposures]
    groups = [exposure.exposure_group for exposure in exposures]
    return {
        UID: np.repeat(np.array([exposure.uid for exposure in exposures], np.uint64), count),
        GROUP: _repeated(groups, count, DEFAULT_GROUP, np.uint32),
        PATH: np.repeat(np.array([exposure.path for exposure in exposures], object), count),
        SHAPE: shapes,
        PIXEL_SIZE: _repeated(sizes, count, 0, np.float32),
        X: (points[:, 0] / here[:, 1]).astype(np.float32),
        Y: (1 - points[:, 1] / here[:, 0]).astype(np.float32),
    }


def _repeated(
    values: Sequence[float | None], count: Sequence[int], unknown: float, dtype: type[np.generic]
) -> NDArray[Any] | None:
    if all(value is None for value in values):
        return None
    return np.repeat(np.array([unknown if value is None else value for value in values], dtype), count)


def _exposure(one: MicrographPicks, path: Path) -> CryosparcMicrograph:
    if one.cryosparc is not None:
        return one.cryosparc
    if one.shape is None:
        raise InputError(
            f"{path} needs the size of {one.micrograph}, of which its centres are fractions: give the micrographs, or"
            " CryoSPARC's .cs of the exposures, which also has their ids."
        )
    return CryosparcMicrograph(_made_up_id(one.micrograph), one.micrograph, one.shape, one.pixel_size_angstrom)


def _made_up_ids(picks: Sequence[MicrographPicks]) -> NDArray[np.uint64]:
    """Give each pick an id of its own, always the same one."""
    ids = [_made_up_id(f"{one.micrograph} {index}") for one in picks for index in range(len(one))]
    return np.array(ids, np.uint64)


def _made_up_id(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") or 1


def _notes(picks: Sequence[MicrographPicks]) -> list[str]:
    if all(one.cryosparc is not None for one in picks):
        return []
    return [
        "the ids of the micrographs are made up: CryoSPARC finds its own micrographs again by those in its .cs of the"
        " exposures, given as the micrographs"
    ]


HOLDS = frozenset({"scores", "ids", "pixel size"})
KIND = FileKind(
    "a CryoSPARC .cs file",
    (".cs",),
    convention="fractions of the micrograph from its bottom left corner",
    read_picks=read_picks,
    list_micrographs=list_micrographs,
    paths_from_above=True,
    write_picks=write_picks,
    holds=HOLDS,
    holds_each=HOLDS,
    fractions=True,
    notes=_notes,
)
