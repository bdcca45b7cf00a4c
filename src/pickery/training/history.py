"""The epochs of a run: their figures, which is best, and `metrics.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pickery.atomic import write_text
from pickery.evaluation.names import METRICS
from pickery.training.record import UNREADABLE, damaged


@dataclass(frozen=True)
class Epoch:
    """One epoch's figures.

    Attributes
    ----------
    number
        From 1.
    step
        Minibatches trained so far.
    learning_rate
        At the epoch's end.
    train
        Means over the epoch's minibatches, by metric name; with the objective and its terms.
    test
        Figures of the held-out micrographs, by metric name; None without any.
    """

    number: int
    step: int
    learning_rate: float
    train: Mapping[str, float]
    test: Mapping[str, float] | None

    def monitored(self, monitor: str) -> float:
        """Give the figure that chooses the best epoch: held-out, or of training where nothing is held out."""
        return (self.train if self.test is None else self.test)[monitor]

    def row(self) -> dict[str, Any]:
        """Flatten to the columns of ``metrics.csv``."""
        row: dict[str, Any] = {"epoch": self.number, "step": self.step, "learning_rate": self.learning_rate}
        row |= {f"train_{name}": value for name, value in self.train.items()}
        return row | {f"test_{name}": value for name, value in (self.test or {}).items()}

    def plain(self) -> dict[str, Any]:
        """Turn into plain types, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Turn back from plain types."""
        return cls(**plain)


def read_metrics(path: Path) -> list[Epoch]:
    """Read ``metrics.csv``; a figure that an epoch lacks is left out.

    Raises
    ------
    InputError
        When it is damaged.
    """
    try:
        return _epochs(path)
    except UNREADABLE as error:
        raise damaged(path.parent, path) from error


def _epochs(path: Path) -> list[Epoch]:
    epochs = []
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        figures = {name: float(value) for name, value in row.items() if value != ""}
        train, test = (
            {name.removeprefix(side): value for name, value in figures.items() if name.startswith(side)}
            for side in ("train_", "test_")
        )
        epochs.append(Epoch(int(row["epoch"]), int(row["step"]), figures["learning_rate"], train, test or None))
    return epochs


def best_epoch(epochs: Sequence[Epoch], monitor: str) -> Epoch | None:
    """Choose the epoch whose monitored figure is best; the earliest of equals, None without a figure."""
    best: Epoch | None = None
    for epoch in epochs:
        value = epoch.monitored(monitor)
        if value == value and (best is None or METRICS[monitor].is_improvement(value, best.monitored(monitor))):
            best = epoch
    return best


def write_metrics(path: Path, epochs: Sequence[Epoch]) -> None:
    """Write ``metrics.csv``, whole and at once: a row an epoch, no wall-clock columns."""
    rows = [epoch.row() for epoch in epochs]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    # every digit: a figure read back is the figure
    writer.writerows({name: repr(value) for name, value in row.items()} for row in rows)
    write_text(path, text.getvalue())
