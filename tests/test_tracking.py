"""The tracked run, against a real SQLite store; one is made per session, as making it takes seconds."""

import json
import multiprocessing
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from pickery.tracking import Tracker, create_store, end_dead, experiment_page, open_tracker, store_uri, whereabouts
from pickery.tracking.store import client as mlflow_client

# SQLAlchemy deprecates what MLflow 3.17 does when it opens its database
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tracking") / "mlruns"
    create_store(path)
    return path


def make_tracker(root: Path, warnings: list[str], **options: Any) -> Tracker:
    settings: dict[str, Any] = {
        "enabled": True, "root": root, "uri": None, "experiment": "test", "run_name": "run", "run_id": None,
        "system_metrics": False, "warn": warnings.append,
    }  # fmt: skip
    return open_tracker(**settings | options)


def client(root: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=store_uri(root, None))


def test_a_run_holds_what_it_was_told(root: Path, tmp_path: Path) -> None:
    warnings: list[str] = []
    tracker = make_tracker(root, warnings)
    tracker.parameters({"model.units": 32, "long": "x" * 7000})
    tracker.tags({"objective_used": "pn"})
    for step in (1, 2, 3):
        tracker.metrics({"test/precision": step / 10, "test/auprc": float("nan")}, step)
    tracker.data_set("training micrographs", digest="abc", source="/x", context="training", profile={"picks": 5})
    model = tmp_path / "model.ckpt"
    model.write_bytes(b"weights")
    tracker.artifacts([model], "plots")
    tracker.model(model, name="resnet8", step=2, metrics={"auprc": 0.5})
    tracker.finish("FINISHED")
    assert warnings == []

    store = client(root)
    run = store.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.units"] == "32"
    assert len(run.data.params["long"]) == 6000
    assert run.data.tags["objective_used"] == "pn"
    assert [m.value for m in store.get_metric_history(tracker.run_id, "test/precision")] == [0.1, 0.2, 0.3]
    assert "test/auprc" not in run.data.metrics
    assert run.inputs.dataset_inputs[0].dataset.digest == "abc"
    assert json.loads(run.inputs.dataset_inputs[0].dataset.profile) == {"picks": 5}
    assert {file.path for file in store.list_artifacts(tracker.run_id)} == {"plots", "model"}
    logged = store.get_logged_model(run.outputs.model_outputs[0].model_id)
    assert logged.status == "READY"
    assert [(m.key, m.value) for m in logged.metrics] == [("auprc", 0.5)]
    assert Path(root / "artifacts").exists()


def test_a_resumed_run_goes_on_and_says_where_it_was(root: Path) -> None:
    first = make_tracker(root, [])
    first.metrics({"a": 1.0}, 4)
    first.finish("KILLED")
    again = make_tracker(root, [], run_id=first.run_id)
    assert again.run_id == first.run_id
    assert max(again.steps("a")) == 4
    assert not again.steps("never")
    assert client(root).get_run(first.run_id).info.status == "RUNNING"
    again.finish("FINISHED")


def test_a_run_whose_identifier_was_never_written_down_is_found_by_its_key(root: Path) -> None:
    first = make_tracker(root, [], key="0123456789abcdef")
    first.metrics({"a": 1.0}, 1)
    again = make_tracker(root, [], key="0123456789abcdef")
    assert again.run_id == first.run_id
    other = make_tracker(root, [], key="fedcba9876543210")
    assert other.run_id != first.run_id
    for tracker in (again, other):
        assert tracker.finish("FINISHED")


def test_a_model_that_is_told_again_after_a_kill_anywhere_in_between_is_kept_once(root: Path, tmp_path: Path) -> None:
    warnings: list[str] = []
    model = tmp_path / "model.ckpt"
    model.write_bytes(b"weights")
    run_id = None
    for call in ("create_logged_model", "log_model_artifact", "finalize_logged_model", "log_outputs", "nothing"):
        tracker: Any = make_tracker(root, warnings, run_id=run_id)
        run_id, store = tracker.run_id, tracker._store

        class Killed:
            """A store after one of whose calls nothing more is done."""

            def __getattr__(self, name: str, call: str = call, store: Any = store) -> Any:
                def reach(*given: Any, **named: Any) -> Any:
                    answer = getattr(store, name)(*given, **named)
                    if name == call:
                        raise KeyboardInterrupt
                    return answer

                return reach

        tracker._store = Killed()
        if call == "nothing":
            tracker.model(model, name="resnet8", step=2, metrics={"auprc": 0.5})
        else:
            with pytest.raises(KeyboardInterrupt):
                tracker.model(model, name="resnet8", step=2, metrics={"auprc": 0.5})
    assert tracker.finish("FINISHED")
    assert warnings == []
    experiment = store.get_experiment_by_name("test").experiment_id
    (logged,) = [one for one in store.search_logged_models([experiment]) if one.source_run_id == run_id]
    assert logged.status == "READY"
    assert [(metric.key, metric.value) for metric in logged.metrics] == [("auprc", 0.5)]
    assert [one.model_id for one in store.get_run(run_id).outputs.model_outputs] == [logged.model_id]


def test_a_run_that_was_deleted_begins_anew(root: Path) -> None:
    tracker = make_tracker(root, [], run_id="0" * 32)
    assert tracker.run_id not in (None, "0" * 32)
    tracker.finish("FINISHED")


def test_a_server_that_is_gone_is_told_once_and_raises_nothing(root: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    warnings: list[str] = []
    tracker = make_tracker(root, warnings, uri=f"http://127.0.0.1:{port}")
    tracker.parameters({"a": 1})
    for step in range(3):
        tracker.metrics({"b": 1.0}, step)
    assert len(warnings) == 1
    assert not tracker.steps("b")
    tracker.finish("FINISHED")
    assert len(warnings) == 2
    assert "did not reach it" in warnings[1]


def test_records_missed_while_the_store_was_away_are_delivered_when_it_is_back(root: Path) -> None:
    warnings: list[str] = []
    tracker: Any = make_tracker(root, warnings)
    store, tracker._store = tracker._store, None
    tracker.metrics({"c": 1.0}, 1)
    tracker.metrics({"c": 2.0}, 2)
    assert len(warnings) == 1
    tracker._store = store
    tracker.finish("FINISHED")
    assert [m.value for m in store.get_metric_history(tracker.run_id, "c")] == [1.0, 2.0]
    assert len(warnings) == 1


def test_without_tracking_nothing_is_written(tmp_path: Path) -> None:
    tracker = make_tracker(tmp_path / "none", [], enabled=False)
    tracker.metrics({"a": 1.0}, 1)
    tracker.finish("FINISHED")
    assert tracker.run_id is None
    assert not (tmp_path / "none").exists()


def test_the_page_of_an_experiment_opens_in_its_view_of_runs(root: Path) -> None:
    make_tracker(root, [], experiment="other").finish("FINISHED")
    page = experiment_page(root, None, "other")
    assert page.startswith("#/experiments/")
    assert "workflowType=machine_learning" in page
    assert page.endswith("&viewStateShareKey=pickery"), "with the columns that matter"
    found = mlflow_client(store_uri(root, None)).get_experiment_by_name("other")
    columns = json.loads(found.tags["mlflow.sharedViewState.pickery"])["selectedColumns"]
    assert "metrics.`best/pick_f1`" in columns
    assert "params.`optimizer.learning_rate`" in columns
    assert experiment_page(root, None, "other") == page


@pytest.mark.slow
def test_several_processes_make_one_sound_store(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=create_store, args=(tmp_path / "mlruns",)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    warnings: list[str] = []
    make_tracker(tmp_path / "mlruns", warnings).finish("FINISHED")
    assert warnings == []


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_a_request_to_end_waits_until_a_record_is_written_and_is_not_forgotten(root: Path) -> None:
    warnings: list[str] = []
    tracker: Any = make_tracker(root, warnings)
    written = []

    def record() -> None:
        signal.raise_signal(signal.SIGINT)
        written.append("whole")

    with pytest.raises(KeyboardInterrupt):
        tracker._do(record)
    assert written == ["whole"]
    tracker.finish("KILLED")
    assert written == ["whole"]  # and not again
    assert client(root).get_run(tracker.run_id).info.status == "KILLED"
    assert warnings == []


def test_only_runs_of_this_computer_that_nobody_is_at_work_on_are_marked_as_killed(root: Path, tmp_path: Path) -> None:
    warnings: list[str] = []
    trackers = {}
    for name in ("dead", "at work", "elsewhere", "ended", "from before"):
        trackers[name] = make_tracker(root, warnings, experiment="dead", run_name=name)
        tags = whereabouts(tmp_path / name)
        if name == "elsewhere":
            tags["pickery.host"] += ".example.org"
        if name != "from before":
            trackers[name].tags(tags)
    trackers["ended"].finish("FINISHED")
    store, asked = client(root), {}
    later = store.get_run(trackers["dead"].run_id).info.start_time / 1000 + 60

    def last_sign(folder: Path, run_id: str) -> float | None:
        asked[folder.name] = run_id
        return later if folder == tmp_path / "dead" else None

    assert end_dead(root, None, "dead", last_sign) == ["dead"]
    assert asked == {name: trackers[name].run_id for name in ("dead", "at work")}
    info = {name: store.get_run(tracker.run_id).info for name, tracker in trackers.items()}
    running = ("at work", "elsewhere", "from before")
    assert {name: one.status for name, one in info.items()} == {
        "dead": "KILLED", "ended": "FINISHED", **dict.fromkeys(running, "RUNNING")
    }  # fmt: skip
    assert info["dead"].end_time == pytest.approx(later * 1000, abs=1)
    assert end_dead(root, None, "no such experiment", last_sign) == []
    assert warnings == []
