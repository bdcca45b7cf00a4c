"""The commands as functions, for notebooks and scripts: settings in, typed results out, nothing printed unless asked.

Settings are those of the command line, by name. What the user should know comes as a `PickeryWarning`.
"""

from __future__ import annotations

import csv
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from pickery.api.results import (
    CrossValidated,
    Picked,
    PreparedMicrographs,
    Scored,
    Simulated,
    Trained,
)
from pickery.config import catalogue
from pickery.config.line import quoted
from pickery.config.load import load
from pickery.config.schema.base import as_word, takes_text
from pickery.errors import PickeryWarning
from pickery.training.earlier import expanded
from pickery.training.listener import Silence

__all__ = [
    "CrossValidated",
    "Picked",
    "PreparedMicrographs",
    "Scored",
    "Simulated",
    "Trained",
    "cross_validate",
    "fit",
    "pick",
    "prepare",
    "score",
    "simulate",
]

Settings = Mapping[str, object]
"""Names to values, such as ``{"data.micrographs": "micrographs", "model": "conv31", "trainer.epochs": 3}``."""


class _Quiet(Silence):
    """Hears everything and shows nothing, but passes warnings on."""

    def warn(self, text: str) -> None:
        """Warn."""
        warnings.warn(text, PickeryWarning, stacklevel=4)

    def view(self, view: object) -> None:
        """Do nothing."""

    def trained(self, number: int, name: str, standing: object, view: object) -> None:
        """Do nothing."""

    def picking(self, done: int, total: int, picks: int, left_s: float | None) -> None:
        """Do nothing."""


def prepare(settings: Settings, *, progress: bool = False) -> PreparedMicrographs:
    """Downsample and normalise micrographs, as ``pickery preprocess``.

    Raises
    ------
    ConfigError, InputError
        When settings, or what they name, cannot be used.
    """
    from pickery.training.inputs import prepare_alone

    config = load("preprocess", _words("preprocess", settings))
    with _terminal("Terminal", progress) as listener:
        done = prepare_alone(config, listener)
    return PreparedMicrographs(done.set.directory, tuple(done.set.names), dict(done.skipped))


def fit(settings: Settings | None = None, *, progress: bool = False) -> Trained:
    """Train, or find the run finished, as ``pickery train``.

    Parameters
    ----------
    settings
        Names to values; None trains on the simulated data set.
    progress
        Whether what goes on is shown.

    Raises
    ------
    ConfigError, InputError
        When settings, or what they name, cannot be used.
    """
    from pickery.training.run import train

    config = load("train", expanded("train", _words("train", settings or {})))
    with _terminal("Terminal", progress) as listener:
        done = train(config, listener)
    return _trained(done.path)


def cross_validate(settings: Settings | None = None, *, progress: bool = False) -> CrossValidated:
    """Find a setting's best value over folds and train with it, as ``pickery cross-validate``.

    Raises
    ------
    ConfigError, InputError
        When settings, or what they name, cannot be used, or no value could be trained.
    """
    from pickery.cross_validation.run import cross_validate as run

    config = load("cross-validate", expanded("cross-validate", _words("cross-validate", settings or {})))
    with _terminal("CrossValidationTerminal", progress) as audience:
        done = run(config, audience)
    return CrossValidated(
        folder=done.path,
        best=done.summary["best"],
        values=tuple(done.summary["values"]),
        verdict=tuple(done.summary["verdict"]),
        final=_trained(done.path / str(done.summary["final"]["folder"])),
    )


def pick(settings: Settings, *, progress: bool = False) -> Picked:
    """Pick micrographs with a trained model, as ``pickery pick``.

    Raises
    ------
    ConfigError, InputError
        When settings, or what they name, cannot be used.
    """
    from pickery.formats.conversion import by_micrograph
    from pickery.formats.picks import read_picks
    from pickery.picking.run import pick as run

    config = load("pick", _words("pick", settings))
    with _terminal("PickingTerminal", progress) as audience:
        details = run(config, audience)
    assert config.picking.out is not None
    out = Path(config.picking.out).expanduser()
    found = by_micrograph(read_picks(str(out), setting="picking.out", may_be_empty=True)).picks
    return Picked(
        out=out,
        details=details,
        points={one.micrograph: one.points for one in found},
        scores={one.micrograph: one.scores for one in found},
    )


def score(settings: Settings) -> Scored:
    """Hold picks against the truth, as ``pickery score``.

    Raises
    ------
    ConfigError, InputError
        When settings, or what they name, cannot be used.
    """
    from pickery.scoring.run import score as run

    found = run(load("score", _words("score", settings)).score)
    for text in found.summary["remarks"]:
        warnings.warn(str(text), PickeryWarning, stacklevel=2)
    metrics = found.done.metrics
    return Scored(
        folder=found.folder,
        average_precision=metrics.average_precision if found.sides.ranked else math.nan,
        threshold=metrics.threshold if found.sides.ranked else math.nan,
        precision=metrics.precision,
        recall=metrics.recall,
        f1=metrics.f1,
        hits=metrics.hits,
        misses=metrics.misses,
        extras=metrics.extras,
        centre_error_px=metrics.centre_error_px,
    )


def simulate(settings: Settings) -> Simulated:
    """Write simulated micrographs with known particles, as ``pickery simulate``.

    Raises
    ------
    ConfigError, InputError
        When settings cannot be used.
    """
    from pickery.simulation.data_set import write_data_set
    from pickery.simulation.settings import SimulationSettings

    config = load("simulate", _words("simulate", settings))
    assert config.simulation.out is not None
    made = write_data_set(
        Path(config.simulation.out), SimulationSettings(**config.simulation.model_dump(exclude={"out"}))
    )
    return Simulated(made.micrographs, made.picks, made.truth)


def _words(command: str, settings: Settings) -> list[str]:
    """Write settings as the command line has them."""
    return [f"{key}={_value(command, key, value)}" for key, value in settings.items()]


def _value(command: str, key: str, value: object) -> str:
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        value = value.tolist()
    if isinstance(value, Path):
        value = str(value)
    field = catalogue.settings(command).get(key)
    if isinstance(value, str) and field is not None and takes_text(field):
        return quoted(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return (
            "["
            + ",".join(quoted(str(item)) if isinstance(item, (str, Path)) else as_word(item) for item in value)
            + "]"
        )
    return as_word(value)


def _terminal(name: str, progress: bool) -> AbstractContextManager[Any]:
    """Give who hears of it."""
    if not progress:
        return nullcontext(_Quiet())
    from pickery.terminal import Terminal
    from pickery.terminal.cross_validation import CrossValidationTerminal
    from pickery.terminal.picking import PickingTerminal

    kinds: dict[str, type[Terminal]] = {
        "Terminal": Terminal,
        "CrossValidationTerminal": CrossValidationTerminal,
        "PickingTerminal": PickingTerminal,
    }
    return kinds[name]()


def _trained(folder: Path) -> Trained:
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    rows = csv.DictReader((folder / "metrics.csv").read_text(encoding="utf-8").splitlines())
    return Trained(
        folder=folder,
        best_epoch=summary["best_epoch"],
        epochs=tuple({name: float(text) if text else math.nan for name, text in row.items()} for row in rows),
        regions=summary["regions"],
        picks=summary["picks"],
        summary=summary,
        tracked_run=summary["tracked_run"],
    )
