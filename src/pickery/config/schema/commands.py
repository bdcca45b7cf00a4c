"""What each command is given: the groups of settings, put together."""

from pydantic import Field

from pickery.config.schema.base import Folder, Place, Settings
from pickery.config.schema.cross_validation import CrossValidationGroup
from pickery.config.schema.data import DataGroup, MicrographsGroup, PreprocessGroup, SpecimenGroup
from pickery.config.schema.picks import ConvertGroup, PickingGroup, ScoreGroup
from pickery.config.schema.report import ReportGroup
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


class TrainConfig(Settings):
    """All settings of `pickery train`."""

    data: DataGroup
    preprocess: PreprocessGroup
    sampler: SamplerGroup
    model: ModelGroup
    loss: LossGroup
    optimizer: OptimizerGroup
    trainer: TrainerGroup
    evaluation: EvaluationGroup
    engine: EngineGroup
    tracking: TrackingGroup
    simulation: SimulationGroup
    from_run: Place | None = Field(
        None,
        description="An earlier run, by its folder or its address (runs:/ID), whose settings these begin as: what is "
        "given beside changes them.",
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Everything random follows from it and the step.")
    run_dir: Folder | None = Field(
        None, description="Folder of the run. null: runs/train-…, named after the settings that change the result."
    )


class _CrossValidation(Settings):
    cross_validation: CrossValidationGroup


# the second base gives its fields first: what is compared comes before how it is trained
class CrossValidateConfig(TrainConfig, _CrossValidation):
    """All settings of `pickery cross-validate`: those of `pickery train`, and what is compared."""

    run_dir: Folder | None = Field(
        None,
        description="Folder of the cross-validation, which holds those of its trainings. null: "
        "runs/cross-validate-…, named after the settings that change the result.",
    )


class DoctorGroup(Settings):
    """What `pickery doctor` does beside looking."""

    measure: bool = Field(
        True, description="Whether a few minibatches are measured, for the time and memory that a training takes."
    )
    out: Folder | None = Field(
        None, description="Folder for the pictures and doctor.json. null: doctor/NAME-HASH, after the settings."
    )


class _Doctor(Settings):
    doctor: DoctorGroup


class DoctorConfig(TrainConfig, _Doctor):
    """All settings of `pickery doctor`: those of `pickery train`, and its own."""


class PreprocessConfig(Settings):
    """All settings of `pickery preprocess`."""

    data: MicrographsGroup
    preprocess: PreprocessGroup
    seed: int = Field(0, ge=0, le=2**32 - 1, description="The sampled pixels follow from it.")


class PickConfig(Settings):
    """All settings of `pickery pick`."""

    picking: PickingGroup
    data: SpecimenGroup
    tracking: StoreGroup


class ScoreConfig(Settings):
    """All settings of `pickery score`."""

    score: ScoreGroup


class ConvertConfig(Settings):
    """All settings of `pickery convert`."""

    convert: ConvertGroup


class SimulateConfig(Settings):
    """All settings of `pickery simulate`."""

    simulation: SimulateGroup


class ReportConfig(Settings):
    """All settings of `pickery report`."""

    report: ReportGroup
    tracking: StoreGroup


class UiConfig(Settings):
    """All settings of `pickery ui`."""

    tracking: TrackerGroup
    ui: UiGroup


Config = (
    TrainConfig
    | CrossValidateConfig
    | DoctorConfig
    | PickConfig
    | ScoreConfig
    | ConvertConfig
    | PreprocessConfig
    | SimulateConfig
    | ReportConfig
    | UiConfig
)

SCHEMAS: dict[str, type[Settings]] = {
    "train": TrainConfig,
    "cross-validate": CrossValidateConfig,
    "doctor": DoctorConfig,
    "pick": PickConfig,
    "score": ScoreConfig,
    "convert": ConvertConfig,
    "preprocess": PreprocessConfig,
    "simulate": SimulateConfig,
    "report": ReportConfig,
    "ui": UiConfig,
}
"""The settings of each command, by its name on the command line."""


def command_of(config: Settings) -> str:
    """Give the command whose settings these are."""
    return next(command for command, schema in SCHEMAS.items() if type(config) is schema)
