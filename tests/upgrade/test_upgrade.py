"""What earlier versions left: their models, prepared sets, runs and tracked runs open in this one, and go on."""

import csv
import json
import sqlite3
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pickery.cli import main
from pickery.preprocess.store import open_prepared
from pickery.tracking import create_store, experiment_page, store_uri
from tests.upgrade.make import PICK, SMALL, weights_hash

# SQLAlchemy deprecates what MLflow 3.17 does when it opens its database
pytestmark = [pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"), pytest.mark.slow]

ARCHIVES = sorted(Path(__file__).parent.glob("*.tar.xz"))


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def expected(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Lay out what a version left, in another folder than it was made in."""
    with tarfile.open(request.param) as tar:
        tar.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    Path("cv/plots").mkdir()
    for name in ("cross_validation.png", "curves.png"):
        (Path("cv/plots") / name).touch()  # pictures take room, and are not kept
    return json.loads(Path("expected.json").read_text())  # type: ignore[no-any-return]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


def test_there_is_an_archive_of_a_version() -> None:
    assert ARCHIVES


def test_its_model_opens_and_picks_as_it_did(expected: dict[str, Any]) -> None:
    assert weights_hash(Path("run/model.ckpt")) == expected["weights"]
    assert main(["pick", *PICK[:-1], "picking.out=now.txt"]) == 0
    now, before = rows(Path("now.txt").read_text()), rows(expected["picks"])
    assert [(row["image_name"], row["x_coord"], row["y_coord"]) for row in now] == [
        (row["image_name"], row["x_coord"], row["y_coord"]) for row in before
    ]
    assert [float(row["score"]) for row in now] == pytest.approx([float(row["score"]) for row in before], abs=1e-3)


def test_its_prepared_set_is_used_and_its_runs_are_found_finished(
    expected: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = Path("prepared").glob("*/index.json")
    assert len(open_prepared(folder.parent)) == 4
    assert main(["train", *SMALL, "run_dir=run", "tracking=off"]) == 0
    assert "this run is finished, with 2 epochs: nothing to do" in capsys.readouterr().out
    words = {word.partition("=")[0]: word for word in (*SMALL, "trainer.epochs=1", "tracking=off", "run_dir=cv")}
    assert main(["cross-validate", *words.values(), "cross_validation.times=2"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert len(list(Path("prepared").glob("*/index.json"))) == 1, "nothing was prepared again"


def test_its_training_goes_on(expected: dict[str, Any]) -> None:
    words = {word.partition("=")[0]: word for word in (*SMALL, "trainer.epochs=3", "tracking=off", "run_dir=run")}
    assert main(["train", *words.values()]) == 0
    now = Path("run/metrics.csv").read_text().splitlines()
    assert now[:3] == expected["metrics"].splitlines()
    assert len(now) == 4


def test_its_runs_are_reported_and_begun_again(expected: dict[str, Any]) -> None:
    for run in ("run", "cv"):
        assert main(["report", run, "report.track=false"]) == 0
    for source in ("run", expected["tracked_run"]):
        assert main(["train", f"from_run={source}", "tracking.enabled=false", f"run_dir=again_{source}"]) == 0
        again = Path(f"again_{source}/metrics.csv").read_text().splitlines()
        for now, before in zip(again[1:], expected["metrics"].splitlines()[1:], strict=True):
            figures = [[float(value) for value in line.split(",") if value] for line in (now, before)]
            # another processor may round another way
            assert figures[0] == pytest.approx(figures[1], rel=1e-3)


def test_its_tracked_runs_are_there(expected: dict[str, Any]) -> None:
    from mlflow import MlflowClient

    create_store(Path("mlruns"))
    client = MlflowClient(tracking_uri=store_uri(Path("mlruns"), None))
    experiment = client.get_experiment_by_name("pickery")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(runs) == 1 + 1 + 5  # a training, a cross-validation, its trainings
    history = client.get_metric_history(expected["tracked_run"], "test/auprc")
    assert [entry.step for entry in history] == [1, 2]
    assert experiment_page(Path("mlruns"), None, "pickery").startswith(f"#/experiments/{experiment.experiment_id}/")
    model = f"picking.model=runs:/{expected['tracked_run']}"
    assert main(["pick", model, *PICK[1:-1], "picking.out=now.txt"]) == 0


@pytest.mark.parametrize(
    ("revision", "says"), [("1b5f0d9ad7c1", "mlflow db upgrade"), ("ffffffffffff", "made by a newer MLflow")]
)
def test_tables_of_another_mlflow_are_said_to_be_so(
    expected: dict[str, Any], revision: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect("mlruns/mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    database.close()
    assert main(["train", *SMALL, "run_dir=another", "seed=5"]) == 0
    said = capsys.readouterr().out
    assert says in said
    assert "records of this run did not reach it" in said
    assert main(["ui", "ui.port=1"]) == 1
    assert says in capsys.readouterr().err
