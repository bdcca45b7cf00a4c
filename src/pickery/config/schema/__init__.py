"""The settings: a frozen model per group, each setting with its meaning, unit and range; nothing across groups."""

from pickery.config.schema.base import Settings
from pickery.config.schema.commands import (
    SCHEMAS,
    Config,
    CrossValidateConfig,
    PreprocessConfig,
    SimulateConfig,
    TrainConfig,
    UiConfig,
    command_of,
)
from pickery.config.schema.cross_validation import CrossValidationGroup
from pickery.config.schema.data import DataGroup, MicrographsGroup, PreprocessGroup
from pickery.config.schema.simulation import SimulateGroup, SimulationGroup
from pickery.config.schema.tracking import TrackerGroup, TrackingGroup, UiGroup
from pickery.config.schema.training import (
    EvaluationGroup,
    LossGroup,
    ModelGroup,
    OptimizerGroup,
    SamplerGroup,
    TrainerGroup,
)

__all__ = [
    "SCHEMAS",
    "Config",
    "CrossValidateConfig",
    "CrossValidationGroup",
    "DataGroup",
    "EvaluationGroup",
    "LossGroup",
    "MicrographsGroup",
    "ModelGroup",
    "OptimizerGroup",
    "PreprocessConfig",
    "PreprocessGroup",
    "SamplerGroup",
    "Settings",
    "SimulateConfig",
    "SimulateGroup",
    "SimulationGroup",
    "TrackerGroup",
    "TrackingGroup",
    "TrainConfig",
    "TrainerGroup",
    "UiConfig",
    "UiGroup",
    "command_of",
]
