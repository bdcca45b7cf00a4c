"""What a run tells of itself, and the tracker that keeps nothing of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

Status = Literal["FINISHED", "FAILED", "KILLED"]


class Tracker:
    """What a run tells of itself; this one keeps nothing (``tracking=off``), `MLflowTracker` keeps it all.

    Attributes
    ----------
    run_id
        The tracked run's identifier; None while there is none.
    """

    run_id: str | None = None

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Record settings, dotted names to values."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Record words to group and find runs by."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Record figures of one step (an epoch)."""

    def steps(self, metric: str) -> frozenset[int]:
        """Give the steps at which a metric was recorded."""
        return frozenset()

    def data_set(self, name: str, *, digest: str, source: str, context: str, profile: Mapping[str, Any]) -> None:
        """Record a data set that the run used."""

    def artifacts(self, paths: Sequence[Path], folder: str | None = None) -> None:
        """Keep files with the run."""

    def model(self, path: Path, *, name: str, step: int, metrics: Mapping[str, float]) -> None:
        """Keep the run's model, as a logged model with its figures."""

    def finish(self, status: Status) -> bool:
        """End the run; gives whether all that it told was kept."""
        return True
