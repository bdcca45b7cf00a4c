"""From the study's points to the table's outcomes: with halving each (value, fold) has come as far as its last rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pickery.cross_validation.grid import Grid
from pickery.cross_validation.results.table import Outcome
from pickery.cross_validation.study.chains import StudyDamagedError
from pickery.cross_validation.study.points import Standing


def outcomes(grid: Grid, standings: Sequence[Standing]) -> list[Outcome]:
    """Give the outcome of every (value, fold): that of its highest rung.

    A value that was left behind when others went on to a higher rung is ``stopped``.

    Raises
    ------
    StudyDamagedError
        What a training was completed with is nothing that a training gives.
    """
    highest: dict[tuple[int, int], Standing] = {}
    for standing in standings:
        key = (standing.point.value, standing.point.fold)
        if key not in highest or standing.point.rung > highest[key].point.rung:
            highest[key] = standing
    top = max((standing.point.rung for standing in standings), default=0)
    found = []
    for standing in sorted(highest.values(), key=lambda one: (one.point.value, one.point.fold)):
        known = standing.attributes
        if not _is_of_a_training(known):
            raise StudyDamagedError(f"what it says of {grid.name(standing.point)} makes no sense")
        left_behind = standing.state == "done" and standing.point.rung < top
        found.append(
            Outcome(
                point=standing.point,
                state="stopped" if left_behind else standing.state,
                monitored=standing.monitored,
                best_epoch=known.get("best_epoch"),
                epochs=known.get("epochs"),
                figures=known.get("figures", {}),
                objective=known.get("objective"),
                reason=standing.reason,
                folder=grid.folder(standing.point),
            )
        )
    return found


def _is_of_a_training(known: Mapping[str, Any]) -> bool:
    figures = known.get("figures", {})
    return (
        all(isinstance(known.get(name), int | None) for name in ("best_epoch", "epochs"))
        and isinstance(known.get("objective"), str | None)
        and isinstance(figures, dict)
        and all(isinstance(figure, int | float | None) for figure in figures.values())
    )
