"""`score`: picks against the truth, with what it leaves in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pickery.config.schema import ScoreGroup
from pickery.scoring.compare import Comparison, compare
from pickery.scoring.record import folder_for, summarise, write
from pickery.scoring.sides import Sides, gather, radius_px


@dataclass(frozen=True)
class Scoring:
    """A scoring, done.

    Attributes
    ----------
    folder
        Where it is written.
    sides
        The picks and the truth.
    done
        The figures.
    summary
        What ``summary.json`` says.
    plots
        What was drawn.
    """

    folder: Path
    sides: Sides
    done: Comparison
    summary: Mapping[str, Any]
    plots: tuple[Path, ...]


def score(settings: ScoreGroup) -> Scoring:
    """Hold picks against the truth, and write what came of it.

    Raises
    ------
    InputError
        When something given cannot be used.
    """
    folder = folder_for(settings)
    sides = gather(settings)
    radius = radius_px(settings, sides.pixel_size_angstrom)
    done = compare(sides, radius=radius, threshold=settings.threshold)
    summary = summarise(settings, sides, done)
    return Scoring(folder, sides, done, summary, tuple(write(folder, summary, sides, done)))
