"""What the functions for notebooks give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class PreparedMicrographs:
    """Micrographs, downsampled and normalised.

    Attributes
    ----------
    folder
        Of the prepared set, in which a training with the same settings finds them.
    names
        Of the micrographs, in order.
    skipped
        Name of each that was left out → why.
    """

    folder: Path
    names: tuple[str, ...]
    skipped: Mapping[str, str]

    def image(self, name: str) -> NDArray[np.float32]:
        """Give a prepared micrograph, float32 [y, x]; the background is about 0 and its noise about 1."""
        import numpy as np

        from pickery.preprocess.store import open_prepared

        prepared = open_prepared(self.folder)
        image: NDArray[np.float32] = np.array(prepared.image(prepared.names.index(name)))
        return image


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes
    ----------
    folder
        The run's folder.
    best_epoch
        Its number; ``model`` is that epoch's.
    epochs
        Each epoch's figures, as ``metrics.csv`` has them; nan where there is none.
    regions
        The best epoch's figures over all regions, by name; None where a figure is not a number.
    picks
        Its figures of whole picks.
    summary
        All that ``summary.json`` says.
    tracked_run
        Identifier of the tracked run; None without one.
    """

    folder: Path
    best_epoch: int
    epochs: tuple[Mapping[str, float], ...]
    regions: Mapping[str, float | None]
    picks: Mapping[str, Any]
    summary: Mapping[str, Any]
    tracked_run: str | None

    @property
    def model(self) -> Path:
        """The model's file."""
        return self.folder / "model.ckpt"


@dataclass(frozen=True)
class CrossValidated:
    """A finished cross-validation.

    Attributes
    ----------
    folder
        Its folder.
    best
        Setting → its best value.
    values
        Every value's figures, in order: ``setting``, ``mean``, ``standard_error``, ``monitored`` of each fold, and
        more.
    verdict
        What was found, in sentences.
    final
        The final training, with the best value.
    """

    folder: Path
    best: Mapping[str, float]
    values: tuple[Mapping[str, Any], ...]
    verdict: tuple[str, ...]
    final: Trained


@dataclass(frozen=True, eq=False)
class Picked:
    """Picks of micrographs.

    Attributes
    ----------
    out
        The file or the folder that was written.
    details
        The folder of what belongs to them.
    points
        Micrograph's name, as in the file → float64 (n, 2), x and y in full-size pixels.
    scores
        The same keys → float64 (n,); nan in formats without scores.
    """

    out: Path
    details: Path
    points: Mapping[str, NDArray[np.float64]]
    scores: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Scored:
    """Picks held against the truth; figures are nan where they cannot be told.

    Attributes
    ----------
    folder
        Where tables and plots are.
    average_precision
        Over all thresholds; nan for picks without scores.
    threshold
        The lowest score that counts.
    precision, recall, f1
        There.
    hits, misses, extras
        Counts there.
    centre_error_px
        Mean distance of hits from their particles, full-size pixels.
    """

    folder: Path
    average_precision: float
    threshold: float
    precision: float
    recall: float
    f1: float
    hits: int
    misses: int
    extras: int
    centre_error_px: float


@dataclass(frozen=True)
class Simulated:
    """A simulated data set.

    Attributes
    ----------
    micrographs
        Their folder.
    picks
        The file of the particles that are handed out.
    truth
        The file of all particles.
    """

    micrographs: Path
    picks: Path
    truth: Path
