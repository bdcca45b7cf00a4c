"""The settings: a frozen model per group, each setting with its meaning, unit and range; nothing across groups."""

from pickery.config.schema.base import Settings
from pickery.config.schema.commands import (
    SCHEMAS,
    Config,
    ConvertConfig,
    CrossValidateConfig,
    DoctorConfig,
    PickConfig,
    PreprocessConfig,
    ReportConfig,
    ScoreConfig,
    SimulateConfig,
    TrainConfig,
    UiConfig,
    command_of,
)
from pickery.config.schema.cross_validation import CrossValidationGroup
from pickery.config.schema.data import DataGroup, MicrographsGroup, PreprocessGroup, SpecimenGroup
from pickery.config.schema.picks import ConvertGroup, PickFormat, PickingGroup, ScoreGroup
from pickery.config.schema.simulation import SimulateGroup, SimulationGroup
from pickery.config.schema.tracking import StoreGroup, TrackerGroup, TrackingGroup, UiGroup
from pickery.config.schema.training import (
    EngineGroup,
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
    "ConvertConfig",
    "ConvertGroup",
    "CrossValidateConfig",
    "CrossValidationGroup",
    "DataGroup",
    "DoctorConfig",
    "EngineGroup",
    "EvaluationGroup",
    "LossGroup",
    "MicrographsGroup",
    "ModelGroup",
    "OptimizerGroup",
    "PickConfig",
    "PickFormat",
    "PickingGroup",
    "PreprocessConfig",
    "PreprocessGroup",
    "ReportConfig",
    "SamplerGroup",
    "ScoreConfig",
    "ScoreGroup",
    "Settings",
    "SimulateConfig",
    "SimulateGroup",
    "SimulationGroup",
    "SpecimenGroup",
    "StoreGroup",
    "TrackerGroup",
    "TrackingGroup",
    "TrainConfig",
    "TrainerGroup",
    "UiConfig",
    "UiGroup",
    "command_of",
]
