"""Models by the addresses of the tracking store, against a real SQLite one."""

import shutil

import pytest

from pickery.errors import InputError
from pickery.picking.model import open_model
from tests.picking.conftest import write_model

# SQLAlchemy deprecates what MLflow 3.17 does when it opens its database
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


def opened(source, folder):
    return open_model(str(source), root=folder / "mlruns", uri=None)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """Give a store with one run and its model, registered under an alias; the run's identifier, and the folder."""
    from mlflow import MlflowClient

    from pickery.tracking import open_tracker, store_uri

    folder = tmp_path_factory.mktemp("tracked")
    write_model(folder / "model.ckpt")
    root = folder / "mlruns"
    options = {"root": root, "uri": None, "experiment": "pickery", "run_id": None, "system_metrics": False}
    tracker = open_tracker(enabled=True, run_name="a", warn=pytest.fail, **options)
    tracker.model(folder / "model.ckpt", name="conv31", step=1, metrics={})
    tracker.finish("FINISHED")
    empty = open_tracker(enabled=True, run_name="b", warn=pytest.fail, **options)
    empty.finish("FINISHED")
    client = MlflowClient(tracking_uri=store_uri(root, None), registry_uri=store_uri(root, None))
    client.create_registered_model("mine")
    (logged,) = client.search_logged_models([client.get_run(tracker.run_id).info.experiment_id])
    # MLflow looks for what it registers in the store of the whole process
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store_uri(root, None))
        version = client.create_model_version("mine", source=f"models:/{logged.model_id}", model_id=logged.model_id)
    client.set_registered_model_alias("mine", "best", version.version)
    shutil.copy(folder / "model.ckpt", folder / "of_run.ckpt")
    return folder, {"run": tracker.run_id, "empty": empty.run_id, "model": logged.model_id}


@pytest.mark.parametrize(
    "source",
    ["{run}", "runs:/{run}", "runs:/{run}/model", "runs:/{run}/model/model.ckpt", "models:/mine@best",
     "models:/mine/1", "models:/{model}"],
)  # fmt: skip
def test_tracked_and_registered_models_are_found(tracked, source):
    folder, names = tracked
    model = opened(source.format(**names), folder)
    assert model.digest == opened(folder / "of_run.ckpt", folder).digest
    assert model.description.endswith(source.format(**names))


@pytest.mark.parametrize(
    "source", ["runs:/" + "0" * 32, "{empty}", "models:/mine@worst", "models:/mine/7", "models:/yours/1", "runs:/"]
)
def test_tracked_models_that_are_not_there_are_said_plainly(tracked, source):
    folder, names = tracked
    with pytest.raises(InputError, match=r"picking\.model=") as error:
        opened(source.format(**names), folder)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
