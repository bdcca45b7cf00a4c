"""Whole cross-validations on a tiny data set: the laws of what is trained, chosen, left and told."""

import csv
import errno
import json
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import yaml
from filelock import FileLock

from pickery.cli import main
from pickery.errors import InputError
from tests.conftest import TinyData
from tests.cross_validation.conftest import EXAMPLE, Done, cross_validate, epochs_said, runs_of, tracked, train

# SQLAlchemy deprecates what MLflow 3.17 does when it opens its database
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

VALUES = ("0.0001", "0.0002", "0.0003")
# trainings as short as they can be
SHORT = ("trainer.epochs=1", "sampler.epoch_size=2")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    # drawing takes most of the time of trainings as short as these; `reference`, which is older, has its pictures
    def save(figure: Any, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        path.touch()

    for module in ("pickery.training.finish", "pickery.cross_validation.conclude"):
        monkeypatch.setattr(f"{module}.save_figure", save)


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(table.splitlines()))


def settings(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "config.yaml").read_text())  # type: ignore[no-any-return]


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())  # type: ignore[no-any-return]


def sides(folder: Path) -> dict[str, str]:
    return {row["name"]: row["set"] for row in rows((folder / "micrographs.csv").read_text())}


def trainings(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/metrics.csv"))


def of_any_run(of_a_training: dict[str, Any]) -> dict[str, Any]:
    return {name: what for name, what in of_a_training.items() if name != "tracked_run"}


# ---- the worked example


def test_three_values_on_two_folds_are_six_trainings_and_a_seventh_with_the_best(reference: Done) -> None:
    best = reference.summary["best"]["optimizer.learning_rate"]
    folds = [f"learning_rate_{value}_fold_{fold}" for value in VALUES for fold in (0, 1)]
    assert trainings(reference.path) == sorted([*folds, f"learning_rate_{best}_final"])
    for folder in trainings(reference.path):
        assert "stopped" not in (reference.path / folder / "log.txt").read_text()
        assert len(rows((reference.path / folder / "metrics.csv").read_text())) == 3


def test_each_training_is_given_its_exact_value_and_its_fold(reference: Done) -> None:
    for value in VALUES:
        for fold in (0, 1):
            folder = reference.path / f"learning_rate_{value}_fold_{fold}"
            assert settings(folder)["optimizer"]["learning_rate"] == float(value)
            assert f"  learning_rate: {value}\n" in (folder / "config.yaml").read_text()
            assert (settings(folder)["data"]["folds"], settings(folder)["data"]["fold"]) == (2, fold)
    final = reference.path / reference.summary["final"]["folder"]
    assert settings(final)["optimizer"]["learning_rate"] == reference.summary["best"]["optimizer.learning_rate"]
    assert (settings(final)["data"]["folds"], settings(final)["data"]["fold"]) == (None, None)


def test_all_values_have_the_same_folds_which_hold_out_each_micrograph_once(reference: Done) -> None:
    held_out = {
        value: [sides(reference.path / f"learning_rate_{value}_fold_{fold}") for fold in (0, 1)] for value in VALUES
    }
    first = held_out[VALUES[0]]
    assert all(of_value == first for of_value in held_out.values())
    assert all((first[0][name] == "test") != (first[1][name] == "test") for name in first[0])


def test_the_folder_holds_all_that_was_promised(reference: Done) -> None:
    names = {path.name for path in reference.path.iterdir() if not path.name.startswith(".")}
    assert names - set(trainings(reference.path)) == {
        "config.yaml", "run.json", "cross_validation.csv", "model.ckpt", "summary.json", "micrographs.csv", "log.txt",
        "plots", "study.journal", "workers",
    }  # fmt: skip
    assert {path.name for path in (reference.path / "plots").iterdir()} == {"cross_validation.png", "curves.png"}
    assert list((reference.path / "workers").iterdir()) == []
    assert not list(reference.path.glob("**/.*.part"))
    final = reference.path / reference.summary["final"]["folder"]
    for name in ("model.ckpt", "micrographs.csv"):
        assert (reference.path / name).read_bytes() == (final / name).read_bytes()
    assert settings(reference.path)["cross_validation"]["folds"] == 2
    said = (reference.path / "log.txt").read_text()
    assert all(
        line in said for line in reference.said.splitlines() if not line.startswith(("to compare runs", "to pick"))
    )


def test_a_fold_counts_with_its_best_epoch_and_a_value_with_the_mean_of_its_folds(reference: Done) -> None:
    table = rows(reference.table)
    assert [(row["optimizer.learning_rate"], row["fold"]) for row in table] == [
        (value, fold) for value in VALUES for fold in ("0", "1")
    ]
    for row in table:
        folder = reference.path / row["folder"]
        epochs = rows((folder / "metrics.csv").read_text())
        best = max(epochs, key=lambda epoch: float(epoch["test_precision"]))
        assert (row["state"], row["epochs"], row["best_epoch"]) == ("done", "3", best["epoch"])
        assert float(row["monitored_precision"]) == float(best["test_precision"]) == summary(folder)["monitored"]
        assert float(row["auprc"]) == summary(folder)["regions"]["auprc"]
        assert float(row["pick_average_precision"]) == summary(folder)["picks"]["pick_average_precision"]
        assert not [column for column in row if "time" in column or "second" in column]
    means = {}
    for value in VALUES:
        figures = [float(row["monitored_precision"]) for row in table if row["optimizer.learning_rate"] == value]
        means[float(value)] = sum(figures) / 2
        (told,) = {row["mean_monitored_precision"] for row in table if row["optimizer.learning_rate"] == value}
        assert float(told) == pytest.approx(means[float(value)], rel=1e-15)
    assert reference.summary["best"]["optimizer.learning_rate"] == max(means, key=lambda value: means[value])


def test_a_training_inside_is_that_training_alone(reference: Done, tiny: TinyData) -> None:
    best = reference.summary["best"]["optimizer.learning_rate"]
    for inside, words in {
        "learning_rate_0.0002_fold_1": ["data.folds=2", "data.fold=1", "optimizer.learning_rate=0.0002"],
        f"learning_rate_{best}_final": [f"optimizer.learning_rate={best}"],
    }.items():
        alone = train(tiny.overrides(*words))
        assert (alone / "metrics.csv").read_bytes() == (reference.path / inside / "metrics.csv").read_bytes()
        assert of_any_run(summary(alone)) == of_any_run(summary(reference.path / inside))
        assert sides(alone) == sides(reference.path / inside)


def test_the_summary_tells_of_the_final_training(reference: Done) -> None:
    told = reference.summary
    final = summary(reference.path / told["final"]["folder"])
    for name in ("best_epoch", "epochs", "monitored", "regions", "picks", "objective", "tracked_run"):
        assert told["final"][name] == final[name]
    assert told["complete"]
    assert told["trainings"]["done"] == 6
    assert told["folds"] == 2


def test_the_same_command_finds_it_finished_and_trains_nothing(
    reference: Done, tiny: TinyData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pickery.training.fit.fit", never)
    before = {path: path.stat().st_mtime_ns for path in reference.path.rglob("*") if path.is_file()}
    (tracked_run,) = [one for one in runs_of(reference.path.parent / "mlruns") if one.info.run_name == "run"]
    others = ["cross_validation.workers=2", "sampler.workers=1", "trainer.threads=2", "cross_validation.retry=true"]
    words = [*EXAMPLE, *tracked(reference.path.parent / "mlruns"), f"run_dir={reference.path}", *others]
    again = cross_validate(tiny.overrides(*words))
    assert again.was_finished
    assert "finished: nothing to do" in again.said
    assert reference.said.splitlines()[-3:-1] == again.said.splitlines()[-3:-1]
    after = {path: path.stat().st_mtime_ns for path in reference.path.rglob("*") if path.is_file()}
    changed = {path.name for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed <= {".study.lock", ".cross_validation.lock"}
    (now,) = [one for one in runs_of(reference.path.parent / "mlruns") if one.info.run_name == "run"]
    assert (now.info.status, now.info.end_time) == ("FINISHED", tracked_run.info.end_time)


def never(*_: Any, **__: Any) -> None:
    raise AssertionError("trained again")


# ---- folders that are another's


@pytest.mark.parametrize(
    ("word", "difference"),
    [
        ("cross_validation.folds=3", r"cross_validation\.folds=2, not 3"),
        ("cross_validation.times=4", r"cross_validation\.values"),
        ("cross_validation.parameter=weight_decay", r"cross_validation\.parameter"),
        ("cross_validation.pruning=halving", r"cross_validation\.pruning=none, not halving"),
        ("trainer.epochs=4", r"trainer\.epochs=3, not 4"),
        ("model.units=6", r"model\.units=4, not 6"),
        ("seed=1", "seed=0, not 1"),
    ],
)
def test_other_settings_in_a_given_folder_are_refused_by_name(
    reference: Done, tiny: TinyData, word: str, difference: str
) -> None:
    example = [own for own in EXAMPLE if own.partition("=")[0] != word.partition("=")[0]]
    optimizer = ["optimizer=adamw"] if "weight_decay" in word else []
    with pytest.raises(InputError, match=difference):
        cross_validate(tiny.overrides(*example, word, *optimizer, f"run_dir={reference.path}"))


def test_the_folder_of_a_training_is_refused(reference: Done, tiny: TinyData) -> None:
    with pytest.raises(InputError, match="holds a training"):
        cross_validate(tiny.overrides(*EXAMPLE, f"run_dir={reference.path / 'learning_rate_0.0001_fold_0'}"))
    with pytest.raises(InputError, match="run_dir"):
        train(tiny.overrides(f"run_dir={reference.path}"))


def test_a_folder_of_something_else_is_refused_and_left_alone(tiny: TinyData) -> None:
    Path("thesis").mkdir()
    Path("thesis/chapter1.tex").write_text("...")
    with pytest.raises(InputError, match="run_dir=thesis"):
        cross_validate(tiny.overrides(*EXAMPLE, "run_dir=thesis"))
    assert [path.name for path in Path("thesis").iterdir()] == ["chapter1.tex"]


def test_more_folds_than_picked_micrographs_are_refused_before_anything_is_trained(tiny: TinyData) -> None:
    words = [word for word in EXAMPLE if "folds" not in word]
    with pytest.raises(InputError, match=r"cross_validation\.folds=7 needs at least 7 micrographs with picks, got 6"):
        cross_validate(tiny.overrides(*words, "cross_validation.folds=7", "run_dir=cross"))
    assert not Path("cross").exists()


# ---- the tracked run


def test_the_tracked_run_holds_the_values_and_a_child_for_each_training(reference: Done) -> None:
    from mlflow import MlflowClient

    root = reference.path.parent / "mlruns"
    client = MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")
    runs = runs_of(root)
    (parent,) = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    assert parent.info.run_id == reference.summary["tracked_run"]
    assert {one.info.status for one in runs} == {"FINISHED"}
    assert parent.data.params["cross_validation.times"] == "3"
    assert parent.data.params["optimizer.learning_rate"] == "0.0001, 0.0002, 0.0003"
    means = [float(row["mean_monitored_precision"]) for row in rows(reference.table)[::2]]
    errors = [float(row["standard_error_monitored_precision"]) for row in rows(reference.table)[::2]]
    for name, figures in {"mean/precision": means, "standard_error/precision": errors}.items():
        history = client.get_metric_history(parent.info.run_id, name)
        assert [(entry.step, entry.value) for entry in history] == [*enumerate(figures, start=1)]
    best = reference.summary["best"]["optimizer.learning_rate"]
    assert parent.data.tags["cross_validation.winner"] == f"learning_rate={best}"
    assert parent.data.tags["cross_validation.best_learning_rate"] == str(best)
    kept = {
        one.path for folder in (None, "plots", "model") for one in client.list_artifacts(parent.info.run_id, folder)
    }
    assert kept >= {
        "cross_validation.csv", "summary.json", "config.yaml", "micrographs.csv", "log.txt", "model/model.ckpt",
        "plots/cross_validation.png", "plots/curves.png",
    }  # fmt: skip

    children = [one for one in runs if one is not parent]
    assert {one.data.tags["mlflow.parentRunId"] for one in children} == {parent.info.run_id}
    expected = {f"{value}, fold {fold}": (value, str(fold)) for value in VALUES for fold in (0, 1)}
    expected[f"{best}, final"] = (str(best), "final")
    assert {
        one.info.run_name: (
            one.data.tags["cross_validation.learning_rate"], one.data.tags["cross_validation.fold"]
        ) for one in children
    } == expected  # fmt: skip
    for one in children:
        value, fold = expected[one.info.run_name]
        folder = reference.path / f"learning_rate_{value}_{fold if fold == 'final' else f'fold_{fold}'}"
        assert one.info.run_id == summary(folder)["tracked_run"]
        history = client.get_metric_history(one.info.run_id, "test/precision")
        epochs = rows((folder / "metrics.csv").read_text())
        assert [(e.step, e.value) for e in history] == [(int(e["epoch"]), float(e["test_precision"])) for e in epochs]


# ---- folds and test data


def test_one_fold_is_the_ordinary_split_and_a_value_that_cannot_be_trained_is_left_out(
    tiny: TinyData, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = tiny.overrides("cross_validation.values=[0.002,1e30]", "cross_validation.folds=1", *SHORT)
    first = cross_validate(words)
    assert not Path("mlruns").exists()
    assert first.path.parent == Path("runs").resolve()
    alone = train(tiny.overrides("optimizer.learning_rate=0.002", *SHORT))
    for inside in ("learning_rate_0.002_fold_0", "learning_rate_0.002_final"):
        assert (first.path / inside / "metrics.csv").read_bytes() == (alone / "metrics.csv").read_bytes()

    assert [row["state"] for row in rows(first.table)] == ["done", "failed"]
    assert first.summary["best"] == {"optimizer.learning_rate": 0.002}
    assert "learning_rate=1e30, fold 0: failed: the training diverged" in first.said
    assert "learning_rate=1e30 cannot be best, as training failed in fold 0 (the training diverged" in first.said
    assert "cross_validation.retry=true tries again" in first.said

    from pickery.training import fit

    tried = []

    def counting(config: Any, *given: Any, **named: Any) -> Any:
        tried.append(config.optimizer.learning_rate)
        return before(config, *given, **named)

    before = fit.fit
    monkeypatch.setattr(fit, "fit", counting)
    again = cross_validate(words)
    assert again.was_finished
    assert tried == []
    assert "cross_validation.retry=true tries again" in again.said
    retried = cross_validate([*words, "cross_validation.retry=true"])
    assert tried == [1e30]
    assert "trying again: learning_rate=1e30, fold 0" in retried.said
    assert (retried.table, retried.summary) == (first.table, first.summary)


def test_a_failed_value_that_can_be_trained_after_all_may_win(tiny: TinyData, monkeypatch: pytest.MonkeyPatch) -> None:
    from pickery.training import fit

    words = tiny.overrides("cross_validation.values=[0.0001,0.002]", "cross_validation.folds=2", *SHORT)
    undisturbed = cross_validate([*words, "run_dir=undisturbed"])
    best = undisturbed.summary["best"]["optimizer.learning_rate"]

    def failing(config: Any, *given: Any, **named: Any) -> Any:
        if config.optimizer.learning_rate == best and config.data.fold == 1:
            raise RuntimeError("a passing trouble")
        return before(config, *given, **named)

    before = fit.fit
    with monkeypatch.context() as patched:
        patched.setattr(fit, "fit", failing)
        first = cross_validate([*words, "run_dir=disturbed"])
    assert first.summary["best"] != undisturbed.summary["best"]
    assert "fold 1 (RuntimeError: a passing trouble)" in first.said
    retried = cross_validate([*words, "run_dir=disturbed", "cross_validation.retry=true"])
    assert retried.table == undisturbed.table
    assert retried.summary["best"] == undisturbed.summary["best"]
    final = retried.path / retried.summary["final"]["folder"]
    assert (retried.path / "model.ckpt").read_bytes() == (final / "model.ckpt").read_bytes()


def test_when_no_value_can_be_trained_it_fails_and_says_why(
    reference: Done, tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    root = reference.path.parent / "mlruns"  # making another store would take seconds
    words = ["cross_validation.values=[1e30,1e31]", "cross_validation.folds=1", *SHORT]
    words += [*tracked(root), "tracking.experiment=failing"]
    for _ in range(2):
        assert main(["cross-validate", *tiny.overrides(*words, "run_dir=cross")]) == 1
        said = capsys.readouterr().err
        assert "no value could be trained on every fold" in said
        assert "learning_rate=1e30, fold 0: the training diverged" in said
        assert "Traceback" not in said
        assert [row["state"] for row in rows(Path("cross/cross_validation.csv").read_text())] == ["failed"] * 2
        assert [one.info.status for one in runs_of(root, "failing")] == ["FAILED"] * 3
    assert not Path("cross/summary.json").exists()


def test_test_data_given_apart_serve_the_final_training_only(tiny: TinyData) -> None:
    files = sorted(tiny.micrographs.iterdir())
    Path("train.txt").write_text("\n".join(map(str, files[:4])))
    Path("test.txt").write_text("\n".join(map(str, files[4:])))
    apart = ["data.micrographs=train.txt", "data.test_micrographs=test.txt", f"data.test_picks={tiny.picks}"]
    done = cross_validate(tiny.overrides(*apart, "cross_validation.values=[0.002]", "cross_validation.folds=2", *SHORT))
    inside, outside = {path.stem for path in files[:4]}, {path.stem for path in files[4:]}
    folds = [sides(done.path / f"learning_rate_0.002_fold_{fold}") for fold in (0, 1)]
    assert all(set(fold) == inside for fold in folds)
    assert sorted(name for fold in folds for name, side in fold.items() if side == "test") == sorted(inside)
    assert sides(done.path) == dict.fromkeys(inside, "train") | dict.fromkeys(outside, "test")


# ---- what is varied


def test_each_preprocessing_is_prepared_once(tiny: TinyData) -> None:
    words = ["cross_validation.parameter=downsample", "cross_validation.values=[4,6]", "cross_validation.folds=2"]
    done = cross_validate(tiny.overrides(*words, *SHORT, "preprocess.store=store"))
    assert len(list(Path("store").glob("*/index.json"))) == 2
    assert done.said.count("prepared 6 of 6 micrographs") == 2
    for folder in trainings(done.path):
        prepared = {row["prepared"] for row in rows((done.path / folder / "micrographs.csv").read_text())}
        assert len(prepared) == 1
        assert settings(done.path / folder)["preprocess"]["downsample"] == int(folder.split("_")[1])


def test_what_follows_each_value_is_said(tiny: TinyData) -> None:
    words = ["cross_validation.parameter=downsample", "cross_validation.values=[4,12]", "data.particle_diameter=200"]
    done = cross_validate(tiny.overrides(*words, *SHORT, "model=auto", "sampler=patches", "evaluation.stride=1"))
    assert (
        "warning: what is left open follows each value: data.radius=3 model=resnet8 for downsample=4; data.radius=1 "
        "model=conv31 for downsample=12. Give data.radius and model to have the values differ by nothing else"
    ) in done.said
    alike = ["data.radius=2", "model=conv31", *words]
    done = cross_validate(tiny.overrides(*alike, *SHORT, "sampler=patches", "evaluation.stride=1"))
    assert "left open" not in done.said


def test_two_parameters_are_tried_in_every_combination_and_whole_numbers_stay_whole(tiny: TinyData) -> None:
    done = cross_validate(
        tiny.overrides(
            "cross_validation.parameter=[radius,model.units]", "cross_validation.initial=[2,4]",
            "cross_validation.increment=[1,2]", "cross_validation.times=2", "cross_validation.folds=1", *SHORT,
        )
    )  # fmt: skip
    grid = [(2, 4), (2, 6), (3, 4), (3, 6)]
    assert [(row["data.radius"], row["model.units"]) for row in rows(done.table)] == [
        (str(radius), str(units)) for radius, units in grid
    ]
    for radius, units in grid:
        written = (done.path / f"radius_{radius}_units_{units}_fold_0" / "config.yaml").read_text()
        assert f"  radius: {radius}\n" in written
        assert f"  units: {units}\n" in written
    best = done.summary["best"]
    assert done.summary["final"]["folder"] == f"radius_{best['data.radius']}_units_{best['model.units']}_final"
    assert "does not mean the same at different values of radius" in done.said


# ---- halving


def test_halving_stops_the_lower_half_and_leaves_the_others_as_they_are(reference: Done, tiny: TinyData) -> None:
    halved = cross_validate(tiny.overrides(*EXAMPLE, "cross_validation.pruning=halving", "run_dir=halved"))
    assert halving_law(halved, reference) == 2
    assert "took 16 epochs instead of 18: 11% saved" in halved.said
    assert halved.summary["halving"] == {"epochs_trained": 16, "epochs_without": 18}


def halving_law(halved: Done, reference: Done) -> int:
    """Hold a halved worked example against one that is not; gives how many of its rows are of survivors."""
    whole = {row["folder"]: row for row in rows(reference.table)}
    after_two = {}
    for folder in whole:
        epochs = rows((reference.path / folder / "metrics.csv").read_text())[:2]
        value = folder.rpartition("_fold_")[0]
        after_two[value] = after_two.get(value, 0) + max(float(epoch["test_precision"]) for epoch in epochs)
    (worst,) = sorted(after_two, key=lambda value: after_two[value])[:1]
    for row in rows(halved.table):
        if row["folder"].startswith(f"{worst}_"):
            assert (row["state"], row["epochs"]) == ("stopped", "2")
            assert not (halved.path / row["folder"] / "summary.json").exists()
        else:
            assert row == whole[row["folder"]]
    for folder, epochs in epochs_said(halved.path).items():
        assert epochs == ([1, 2] if folder.startswith(f"{worst}_") else [1, 2, 3])
    return len(after_two) - 1


# ---- troubles that are nobody's fault


@pytest.mark.parametrize("in_words", [False, True])
def test_a_full_disk_is_not_the_values_fault(tiny: TinyData, monkeypatch: pytest.MonkeyPatch, in_words: bool) -> None:
    from pickery.training import fit

    words = tiny.overrides("cross_validation.values=[0.002]", "cross_validation.folds=2", *SHORT, "run_dir=cross")

    def full(config: Any, *given: Any, **named: Any) -> Any:
        if config.data.fold == 1:
            error = OSError(errno.ENOSPC, "No space left on device")
            if in_words:
                raise InputError("run_dir cannot be written (No space left on device)") from error
            raise error
        return before(config, *given, **named)

    before = fit.fit
    with monkeypatch.context() as patched:
        patched.setattr(fit, "fit", full)
        with pytest.raises(InputError if in_words else OSError, match="No space left on device"):
            cross_validate(words)
    assert list(Path("cross/workers").iterdir()) == []
    done = cross_validate(words)
    assert "(1 of them done)" in done.said
    assert [row["state"] for row in rows(done.table)] == ["done", "done"]


def test_a_training_that_another_process_is_in_is_waited_for(tiny: TinyData, monkeypatch: pytest.MonkeyPatch) -> None:
    from pickery.training import run

    def occupied(*given: Any, **named: Any) -> Any:
        folder = Path("cross/learning_rate_0.002_fold_0")
        folder.mkdir()
        lock = FileLock(folder / ".lock", thread_local=False)
        lock.acquire()
        Timer(1, lock.release).start()
        monkeypatch.setattr(run, "identity", before)
        return before(*given, **named)

    before = run.identity  # asked when a training is about to open its folder
    monkeypatch.setattr(run, "identity", occupied)
    monkeypatch.setattr("pickery.cross_validation.work.OCCUPIED_S", 0.3)
    words = ["cross_validation.values=[0.002]", "cross_validation.folds=1", *SHORT, "run_dir=cross"]
    done = cross_validate(tiny.overrides(*words))
    assert [row["state"] for row in rows(done.table)] == ["done"]


# ---- the embedded data


# small simulated micrographs, whose picks are a part of all particles
SIMULATED = (
    "data=simulated", "simulation.micrographs=6", "simulation.rows=384", "simulation.columns=384",
    "simulation.carbon_probability=0", "data.test_fraction=0.34", "preprocess.downsample=4", "preprocess.workers=1",
    "model=conv31", "trainer.threads=1", "trainer.accelerator=cpu", "tracking=off",
)  # fmt: skip


@pytest.mark.slow
def test_the_worked_example_on_the_embedded_data() -> None:
    short = ["simulation.particles_per_micrograph=8", "simulation.picked_fraction=0.5", "model.units=4"]
    short += ["sampler.minibatch_size=16", "sampler.epoch_size=6", "trainer.epochs=2"]
    done = cross_validate([*SIMULATED, *short, *EXAMPLE])
    best = done.summary["best"]["optimizer.learning_rate"]
    folds = [f"learning_rate_{value}_fold_{fold}" for value in VALUES for fold in (0, 1)]
    assert trainings(done.path) == sorted([*folds, f"learning_rate_{best}_final"])
    for value in VALUES:
        for fold in (0, 1):
            assert (
                f"  learning_rate: {value}\n"
                in (done.path / f"learning_rate_{value}_fold_{fold}" / "config.yaml").read_text()
            )
    assert "all particles are known" in done.said  # judged by the truth, not by the picks handed out
    alone = train([*SIMULATED, *short, "data.folds=2", "data.fold=1", "optimizer.learning_rate=0.0002"])
    inside = done.path / "learning_rate_0.0002_fold_1"
    assert (alone / "metrics.csv").read_bytes() == (inside / "metrics.csv").read_bytes()


@pytest.mark.slow
def test_values_that_teach_nothing_lose_to_one_that_teaches() -> None:
    enough = ["simulation.particles_per_micrograph=12", "model.units=8", "sampler.minibatch_size=32"]
    enough += ["sampler.epoch_size=20", "trainer.epochs=2", "evaluation.monitor=auprc"]
    done = cross_validate([*SIMULATED, *enough, "cross_validation.values=[1e-9,0.003,1e-8]"])
    assert done.summary["best"] == {"optimizer.learning_rate": 0.003}
    by_value = {
        value: [float(row["monitored_auprc"]) for row in rows(done.table) if row["optimizer.learning_rate"] == value]
        for value in ("1e-9", "1e-8", "0.003")
    }
    # in each fold, and by far: untrained networks find nothing
    assert all(figure > 0.2 for figure in by_value["0.003"])
    assert all(figure < 0.1 for value in ("1e-9", "1e-8") for figure in by_value[value])
    assert "larger than its spread between the folds" in done.said
    assert settings(done.path / done.summary["final"]["folder"])["optimizer"]["learning_rate"] == 0.003
