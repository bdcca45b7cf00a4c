"""The table that Topaz prints as it trains: a row for each minibatch, one for each epoch's held-out figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

COLUMNS = ("epoch", "iter", "split")
NAN = float("nan")


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes
    ----------
    epoch
        From 1.
    split
        ``train``: a minibatch; ``test``: the held-out micrographs at the epoch's end.
    figures
        By Topaz's names of them; only those that the line gives, nan included.
    """

    epoch: int
    split: str
    figures: Mapping[str, float]


class TableReader:
    """Reads the table line by line; anything else that is said among its lines is left to others."""

    def __init__(self) -> None:
        self._columns: list[str] = []

    def read(self, line: str) -> Row | None:
        """Read a line; None where it is none of the table's rows."""
        cells = line.rstrip("\r\n").split("\t")
        if tuple(cells[:3]) == COLUMNS:
            self._columns = cells
            return None
        if not self._columns or len(cells) != len(self._columns):
            return None
        known = dict(zip(self._columns, cells, strict=True))
        try:
            epoch = int(known["epoch"])
            figures = {
                name: float(value) for name, value in known.items() if name not in COLUMNS and value.strip() != "-"
            }
        except ValueError:
            return None
        return Row(epoch, known["split"], figures) if known["split"] in ("train", "test") else None

    def is_heading(self, line: str) -> bool:
        """Whether a line is the table's first."""
        return line.startswith("\t".join(COLUMNS))


@dataclass
class EpochFigures:
    """An epoch's rows as they come.

    Attributes
    ----------
    number
        From 1.
    minibatches
        How many there were.
    unusable
        How many of them had a figure that is not a number: those without any positive patch.
    test
        The held-out figures, once they are there.
    """

    number: int
    minibatches: int = 0
    unusable: int = 0
    test: Mapping[str, float] | None = None
    _sums: dict[str, float] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Take a row."""
        if row.split == "test":
            self.test = row.figures
            return
        self.minibatches += 1
        self.unusable += any(value != value for value in row.figures.values())
        for name, value in row.figures.items():
            if value == value:
                self._sums[name] = self._sums.get(name, 0.0) + value
                self._counts[name] = self._counts.get(name, 0) + 1
            else:
                self._counts.setdefault(name, 0)

    def train(self) -> dict[str, float]:
        """Give the means over the minibatches that have the figure; nan where none has."""
        return {name: self._sums[name] / count if count else NAN for name, count in self._counts.items()}


def training_figures(means: Mapping[str, float], *, objective: str, autoencoder_weight: float) -> dict[str, float]:
    """Turn an epoch's means into figures of the names that native runs have.

    Parameters
    ----------
    means
        By Topaz's names. Its ``loss`` is the objective of PN and PU, and the positives' part of a GE one, whose penalty
        is multiplied with the slack already; the reconstruction error is not weighted. The L2 penalty is not told.
    objective
        The objective used: ``pn``, ``pu``, ``ge_kl`` or ``ge_binomial``.
    autoencoder_weight
        Weight of the reconstruction error.

    Returns
    -------
    figures : dict
        What Topaz does not report of its minibatches is nan.
    """
    loss = means.get("loss", NAN)
    figures = {"objective": loss}
    if objective.startswith("ge_"):
        penalty = means.get("ge_penalty", NAN)
        figures |= {"objective": loss + penalty, "objective_positive": loss, "objective_penalty": penalty}
    if "recon_error" in means:
        figures["objective_autoencoder"] = autoencoder_weight * means["recon_error"]
        figures["objective"] += figures["objective_autoencoder"]
    measured = {name: means.get(name, NAN) for name in ("precision", "tpr", "fpr")}
    return figures | {
        "loss": NAN,
        "precision": measured["precision"],
        "adjusted_precision": NAN,
        "tpr": measured["tpr"],
        "fpr": measured["fpr"],
    }


def held_out_figures(row: Mapping[str, float], *, pi: float, observed: float) -> dict[str, float]:
    """Turn a row of held-out figures into those of a native run.

    Parameters
    ----------
    row
        By Topaz's names.
    pi, observed
        Expected and labelled fraction of positive regions in the held-out micrographs: the adjusted precision follows
        from them, and is not taken from Topaz.
    """
    figures = {name: row.get(name, NAN) for name in ("loss", "precision", "tpr", "fpr", "auprc")}
    figures["adjusted_precision"] = figures["precision"] * pi / observed
    order = ("loss", "precision", "adjusted_precision", "tpr", "fpr", "auprc")
    return {name: figures[name] for name in order}
