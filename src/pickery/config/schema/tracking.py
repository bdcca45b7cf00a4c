"""Where runs are recorded and shown."""

from pydantic import Field

from pickery.config.schema.base import Folder, Settings, Text


class StoreGroup(Settings):
    """Where recorded runs and models are."""

    root: Folder = Field("mlruns", description="Folder of the local MLflow database and artifacts.")
    uri: Text | None = Field(None, description="Address of an MLflow server, used instead of tracking.root.")


class TrackerGroup(StoreGroup):
    """Where runs are recorded."""

    experiment: Text = Field("pickery", description="MLflow experiment that runs go to.")


class TrackingGroup(TrackerGroup):
    """The MLflow record of every run."""

    enabled: bool = Field(True, description="Whether runs are recorded. Chosen by tracking=mlflow or tracking=off.")
    run_name: Text | None = Field(None, description="Name of the run. null: the name of its folder.")
    system_metrics: bool = Field(False, description="Whether the use of CPU, GPU and memory is recorded too.")


class UiGroup(Settings):
    """The web page of runs."""

    host: Text = Field(
        "127.0.0.1", description="Address to listen on; 0.0.0.0 lets anyone on the network see and change runs."
    )
    port: int = Field(5000, ge=1, le=65535, description="Port to listen on.")
