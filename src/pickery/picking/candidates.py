"""Candidate picks kept on disk: a file for each micrograph, so that nothing is scored twice and nothing is mixed.

A folder holds the candidates of one identity: a model, a preprocessing, a radius. A file in it counts only while its
micrograph is as it was, and only down to the score that it was made with.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickery.atomic import atomic_path, write_text
from pickery.preprocess.contents import mark

VERSION = 1
"""Of the files and of what decides them: raise it with any change that changes a candidate."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidate picks of one micrograph, highest score first.

    Attributes
    ----------
    points
        (x, y) in regions, int64 (n, 2).
    scores
        float32 (n,).
    shape, full_shape
        (rows, columns) in regions, and of the full-size micrograph.
    """

    points: NDArray[np.int64]
    scores: NDArray[np.float32]
    shape: tuple[int, int]
    full_shape: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Full-size pixels per region, along the rows and along the columns."""
        return self.full_shape[0] / self.shape[0], self.full_shape[1] / self.shape[1]

    def above(self, threshold: float) -> Candidates:
        """Give those of at least this score: the picks that suppression down to it would have given."""
        count = int(np.count_nonzero(self.scores >= threshold))
        return Candidates(self.points[:count], self.scores[:count], self.shape, self.full_shape)

    def full_size(self) -> NDArray[np.float64]:
        """Give the points, (x, y) in full-size pixels, float64 (n, 2)."""
        return self.points.astype(np.float64) * (self.scale[1], self.scale[0])


def stamp(path: Path) -> str:
    """Describe a file so that a change shows: its path, size and what changes with it (`mark`).

    Raises
    ------
    OSError
        If it is not there.
    """
    found = path.stat()
    return json.dumps([str(path), found.st_size, mark(found)])


class CandidateFolder:
    """The candidates of one identity.

    Parameters
    ----------
    root
        Folder of all identities.
    name
        A word to find the identity's folder by.
    decides
        What decides the candidates, besides the micrographs; plain values.
    """

    def __init__(self, root: Path, name: str, decides: Mapping[str, Any]) -> None:
        self.decides = {"version": VERSION, **decides}
        digest = hashlib.blake2b(json.dumps(self.decides, sort_keys=True).encode(), digest_size=8).hexdigest()
        self.path = root / f"{name}-{digest}"

    def make(self) -> None:
        """Make the folder, and say in it what its candidates are of.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / "identity.json", json.dumps(self.decides, indent=1) + "\n")

    def file(self, name: str, micrograph: Path) -> Path:
        """Give the file of a micrograph; micrographs of the same name in other folders have others."""
        digest = hashlib.blake2b(str(micrograph).encode(), digest_size=4).hexdigest()
        return self.path / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', name)[-80:].lstrip('.')}-{digest}.npz"

    def remove_leftovers(self, processes: Iterable[int]) -> None:
        """Remove what processes that were ended had not written whole."""
        for process in processes:
            for leftover in self.path.glob(f".*.{process}.*.part"):
                leftover.unlink(missing_ok=True)


def write_candidates(path: Path, candidates: Candidates, *, floor: float, stamp: str) -> None:
    """Write a micrograph's candidates, whole or not at all.

    Parameters
    ----------
    path
        The file.
    candidates
        All down to the floor.
    floor
        The lowest score looked for.
    stamp
        What the micrograph was (`stamp`).
    """
    written = io.BytesIO()
    about = {
        "floor": floor,
        "stamp": stamp,
        "shape": candidates.shape,
        "full_shape": candidates.full_shape,
    }
    np.savez(
        written,
        points=candidates.points.astype(np.int32),
        scores=candidates.scores,
        about=np.frombuffer(json.dumps(about).encode(), np.uint8),
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(written.getbuffer())


def read_candidates(path: Path, *, floor: float, stamp: str) -> Candidates | None:
    """Read a micrograph's candidates, if they are there, of these very files, and go down to this score."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            about = json.loads(content["about"].tobytes())
            if about["stamp"] != stamp or about["floor"] > floor:
                return None
            points, scores = content["points"].astype(np.int64), content["scores"]
        shape, full_shape = tuple(about["shape"]), tuple(about["full_shape"])
        whole = points.shape == (len(scores), 2) and scores.dtype.kind == "f" and scores.ndim == 1
        whole = whole and all(len(sides) == 2 and min(map(int, sides)) > 0 for sides in (shape, full_shape))
    except Exception:  # not there, or spoilt from outside in any way there is
        return None
    return Candidates(points, scores, shape, full_shape) if whole else None
