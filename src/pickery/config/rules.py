"""The rules across settings: what cannot go together, what has no effect, and what the field advises against.

Those of a training stand in `rules_training`, those of a cross-validation in `rules_cross_validation`.
"""

from __future__ import annotations

from collections.abc import Iterator

from pickery.config.rules_cross_validation import errors as errors_of_cross_validation
from pickery.config.rules_cross_validation import warnings as warnings_of_cross_validation
from pickery.config.rules_engine import cross_validation as engine_of_cross_validation
from pickery.config.rules_picks import (
    convert,
    convert_without_effect,
    picking,
    picking_without_effect,
    score,
    score_without_effect,
)
from pickery.config.rules_training import MICROGRAPHS, advice, simulation, unused, without_effect
from pickery.config.rules_training import errors as errors_of_training
from pickery.config.schema import (
    ConvertConfig,
    CrossValidateConfig,
    DoctorConfig,
    PickConfig,
    PreprocessConfig,
    ReportConfig,
    ScoreConfig,
    Settings,
    SimulateConfig,
    TrainConfig,
    UiConfig,
)

_LOCAL = ("127.0.0.1", "localhost", "::1")


def errors(config: Settings) -> Iterator[str]:
    """Say what cannot go together, each time naming the settings and a way out."""
    match config:
        case CrossValidateConfig():
            yield from errors_of_cross_validation(config)
            yield from engine_of_cross_validation(config)
        case DoctorConfig():
            yield from errors_of_training(config, expected_may_lack=True)
        case TrainConfig():
            yield from errors_of_training(config)
        case PickConfig():
            yield from picking(config)
        case ScoreConfig():
            yield from score(config)
        case ConvertConfig():
            yield from convert(config)
        case PreprocessConfig(data=data) if data.micrographs is None:
            yield f"data.micrographs is missing: {MICROGRAPHS}"
        case ReportConfig() if config.report.run is None:
            yield "report.run is missing: give the folder of a run, as in pickery report runs/train-mine."
        case SimulateConfig():
            yield from simulation(config)
            if config.simulation.out is None:
                yield "simulation.out is missing: give the folder to write to, such as simulation.out=FOLDER."


def warnings(config: Settings) -> Iterator[str]:
    """Say which settings have no effect, and what the field advises against."""
    match config:
        case CrossValidateConfig():
            yield from warnings_of_cross_validation(config)
        case TrainConfig():
            yield from unused(config, without_effect(config))
            yield from (text for _, text in advice(config))
        case PreprocessConfig():
            yield from unused(config, without_effect(config))
            if config.preprocess.method == "affine" or config.preprocess.pixel_sampling == 1:
                yield from unused(config, {"seed": "without a preprocess.pixel_sampling above 1"})
        case PickConfig():
            yield from unused(config, picking_without_effect(config))
        case ScoreConfig():
            yield from unused(config, score_without_effect(config))
        case ConvertConfig():
            yield from unused(config, convert_without_effect(config))
        case ReportConfig() if not config.report.track:
            why = "with report.track=false"
            yield from unused(config, {"tracking.root": why, "tracking.uri": why})
        case UiConfig():
            yield from _ui(config)


def _ui(config: UiConfig) -> Iterator[str]:
    uri = config.tracking.uri
    if uri is not None:
        yield from unused(config, {"tracking.root": f"with tracking.uri={uri}"})
    if uri is not None and uri.startswith(("http://", "https://")):
        why = f"with tracking.uri={uri}, which serves the page"
        yield from unused(config, {"ui.host": why, "ui.port": why})
    elif config.ui.host not in _LOCAL:
        yield (
            f"ui.host={config.ui.host} lets anyone who reaches this machine see and change the runs; "
            "ui.host=127.0.0.1 keeps them to it."
        )
