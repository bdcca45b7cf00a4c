"""Whole trainings on a tiny data set: the laws of a run."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from pickery.config.load import load
from pickery.errors import InputError, PickeryWarning
from tests.conftest import TinyData
from tests.training.whole_runs import run


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())  # type: ignore[no-any-return]


def metrics(folder: Path) -> str:
    return (folder / "metrics.csv").read_text()


@pytest.fixture(scope="module")
def reference(tiny: TinyData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an uninterrupted run to compare with."""
    return run(tiny.overrides(f"run_dir={tmp_path_factory.mktemp('reference') / 'run'}"))


def test_a_run_leaves_all_that_was_promised(reference: Path) -> None:
    import torch

    names = {path.name for path in reference.iterdir()}
    promised = {"config.yaml", "metrics.csv", "model.ckpt", "last.ckpt", "summary.json", "micrographs.csv", "log.txt"}
    assert promised <= names
    assert {path.name for path in (reference / "plots").iterdir()} == {
        "precision.png", "metrics.png", "precision_recall.png", "picks.png",
    }  # fmt: skip
    model = torch.load(reference / "model.ckpt", weights_only=True)
    assert model["preprocess"]["downsample"] == 4
    assert "threshold_best_f1" in model["picking"]
    rows = list(csv.DictReader(metrics(reference).splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    best = max(rows, key=lambda row: float(row["test_precision"]))
    assert summary(reference)["best_epoch"] == int(best["epoch"])
    assert summary(reference)["monitored"] == float(best["test_precision"])
    assert not [column for column in rows[0] if "time" in column or "second" in column]


def test_same_seed_same_run(reference: Path, tiny: TinyData) -> None:
    again = run(tiny.overrides("run_dir=again"))
    assert metrics(again) == metrics(reference)
    assert (again / "summary.json").read_text() == (reference / "summary.json").read_text()


def test_another_seed_is_another_run(reference: Path, tiny: TinyData) -> None:
    assert metrics(run(tiny.overrides("seed=1"))) != metrics(reference)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["sampler.workers=2"], ["sampler.resident=false"], ["sampler.workers=1", "sampler.resident=false"]]
)
def test_same_run_whoever_draws_and_cuts_the_minibatches(reference: Path, tiny: TinyData, words: list[str]) -> None:
    assert metrics(run(tiny.overrides(*words))) == metrics(reference)


@pytest.mark.parametrize(
    ("kill_at", "extra"),
    [
        (11, []),
        pytest.param(7, ["model=resnet8", "model.dropout=0.3"], marks=pytest.mark.slow),
        pytest.param(
            15, ["model=resnet8", "model.dropout=0.3", "optimizer.schedule=one_cycle"], marks=pytest.mark.slow
        ),
        pytest.param(9, ["loss.autoencoder=0.1", "optimizer=adamw"], marks=pytest.mark.slow),
        pytest.param(16, ["loss=pu", "optimizer=sgd", "optimizer.schedule=cosine"], marks=pytest.mark.slow),
    ],
)
def test_a_run_that_broke_off_in_an_epoch_resumes_to_the_same_figures(
    tiny: TinyData, kill_at: int, extra: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pickery.training.module import PickerModule

    words = tiny.overrides(*extra)
    whole = run([*words, "run_dir=whole"])
    step = PickerModule.training_step

    def breaking(self: PickerModule, batch: Any, batch_idx: int) -> Any:
        if self.global_step == kill_at:
            raise RuntimeError("pulled the plug")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(PickerModule, "training_step", breaking)
    with pytest.raises(RuntimeError, match="plug"):
        run([*words, "run_dir=broken"])
    done = kill_at // 6
    assert len(metrics(Path("broken")).splitlines()) == 1 + done
    assert not Path("broken/summary.json").exists()
    monkeypatch.setattr(PickerModule, "training_step", step)
    resumed = run([*words, "run_dir=broken"])
    assert metrics(resumed) == metrics(whole)
    assert summary(resumed) == summary(whole)


def test_the_same_command_finds_the_finished_run_and_trains_nothing(
    tiny: TinyData, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(tiny.overrides())
    assert first.parent.name == "runs"

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("pickery.training.fit.fit", never)
    assert run(tiny.overrides("sampler.workers=1", "preprocess.workers=0", "trainer.threads=2")) == first
    assert "finished" in capsys.readouterr().out


def test_more_epochs_continue_a_run_as_if_it_had_never_ended(tiny: TinyData) -> None:
    long = run(tiny.overrides("trainer.epochs=5", "run_dir=long"))
    run(tiny.overrides("trainer.epochs=2", "run_dir=short"))
    continued = run(tiny.overrides("trainer.epochs=5", "run_dir=short"))
    assert metrics(continued) == metrics(long)
    assert summary(continued) == summary(long)


def test_other_settings_in_a_given_folder_are_refused_by_name(reference: Path, tiny: TinyData) -> None:
    with pytest.raises(InputError, match=r"model\.units=4, not 6"):
        run(tiny.overrides(f"run_dir={reference}", "model.units=6"))
    with pytest.raises(InputError, match=r"seed=0, not 1"):  # and not that the data are split otherwise by it
        run(tiny.overrides(f"run_dir={reference}", "seed=1"))
    Path("fewer.txt").write_text("".join(tiny.picks.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match="other micrographs, picks, negatives or masks"):
        run(tiny.overrides(f"run_dir={reference}", "data.picks=fewer.txt"))


def test_a_folder_of_something_else_is_refused(tiny: TinyData) -> None:
    Path("thesis").mkdir()
    Path("thesis/chapter1.tex").write_text("...")
    with pytest.raises(InputError, match="run_dir=thesis"):
        run(tiny.overrides("run_dir=thesis"))
    assert [path.name for path in Path("thesis").iterdir()] == ["chapter1.tex"]


def test_expected_particles_below_the_picks_switches_to_pn_and_says_so(
    tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tiny.overrides("data.expected_particles=2"))
    used = summary(folder)["objective"]
    assert (used["asked"], used["used"]) == ("ge_binomial", "pn")
    assert used["pi_given_to_the_objective"] == used["observed"] > used["pi"]
    assert "warning" in capsys.readouterr().out
    assert "pn" in (folder / "log.txt").read_text().lower()


def test_without_a_test_set_training_precision_chooses(tiny: TinyData) -> None:
    with pytest.warns(PickeryWarning, match="recommended"):
        folder = run(tiny.overrides("data.test_fraction=0"))
    rows = list(csv.DictReader(metrics(folder).splitlines()))
    assert not any(name.startswith("test_") for name in rows[0])
    best = max(rows, key=lambda row: float(row["train_precision"]))
    assert summary(folder)["best_epoch"] == int(best["epoch"])
    assert "training" in summary(folder)["evaluated_on"]
    with pytest.raises(InputError, match=r"evaluation\.monitor=auprc"):
        load("train", tiny.overrides("data.test_fraction=0", "evaluation.monitor=auprc"))


def test_any_metric_can_choose_the_best_epoch(tiny: TinyData) -> None:
    folder = run(tiny.overrides("evaluation.monitor=pick_average_precision"))
    rows = list(csv.DictReader(metrics(folder).splitlines()))
    best = max(rows, key=lambda row: float(row["test_pick_average_precision"]))
    assert summary(folder)["best_epoch"] == int(best["epoch"])
    assert summary(folder)["picks"]["pick_average_precision"] == float(best["test_pick_average_precision"])


def test_the_micrographs_of_a_run_are_usable_as_input(reference: Path, tiny: TinyData) -> None:
    rows = list(csv.DictReader((reference / "micrographs.csv").read_text().splitlines()))
    assert sorted(row["set"] for row in rows) == ["test"] * 2 + ["train"] * 4
    again = run(tiny.overrides(f"data.micrographs={reference / 'micrographs.csv'}", "run_dir=listed"))
    assert metrics(again) == metrics(reference)


def test_held_out_micrographs_given_apart_are_those_that_test(tiny: TinyData) -> None:
    files = sorted(tiny.micrographs.iterdir())
    Path("train.txt").write_text("\n".join(str(path) for path in files[:4]))
    Path("test.txt").write_text("\n".join(str(path) for path in files[4:]))
    folder = run(
        tiny.overrides(
            "data.micrographs=train.txt", "data.test_micrographs=test.txt", f"data.test_picks={tiny.picks}",
            "data.test_fraction=0.2",
        )
    )  # fmt: skip
    rows = csv.DictReader((folder / "micrographs.csv").read_text().splitlines())
    assert {row["name"]: row["set"] for row in rows} == {
        path.stem: "train" if path in files[:4] else "test" for path in files
    }


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["pn", "pu", "ge_kl", "ge_binomial"])
@pytest.mark.parametrize("model", ["resnet8", "resnet16", "conv31", "conv63"])
def test_every_model_trains_with_every_objective(tiny: TinyData, model: str, loss: str) -> None:
    words = ["preprocess.downsample=3", "trainer.epochs=1", "sampler.epoch_size=2"]
    folder = run(tiny.overrides(f"model={model}", f"loss={loss}", *words))
    assert summary(folder)["objective"]["used"] == loss


def test_a_run_can_begin_from_another_runs_model(reference: Path, tiny: TinyData) -> None:
    words = tiny.overrides(f"model.pretrained={reference / 'model.ckpt'}")
    folder = run(words)
    assert metrics(folder) != metrics(reference)
    with pytest.raises(InputError, match=r"model\.units=4"):
        run([*words, "model.units=8"])


# SQLAlchemy deprecates what MLflow 3.17 does when it opens its database
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_the_tracked_run_holds_every_epoch(tiny: TinyData) -> None:
    from mlflow import MlflowClient

    folder = run([word for word in tiny.overrides() if word != "tracking=off"])
    run_id = summary(folder)["tracked_run"]
    client = MlflowClient(tracking_uri=f"sqlite:///{Path('mlruns/mlflow.db').resolve()}")
    tracked = client.get_run(run_id)
    assert tracked.info.status == "FINISHED"
    assert tracked.data.params["model.architecture"] == "conv31"
    rows = list(csv.DictReader(metrics(folder).splitlines()))
    history = client.get_metric_history(run_id, "test/precision")
    assert [(m.step, m.value) for m in history] == [(int(row["epoch"]), float(row["test_precision"])) for row in rows]
    assert {a.path for a in client.list_artifacts(run_id, "plots")} >= {"plots/precision.png", "plots/picks.png"}


def test_expecting_pi_from_the_start_is_a_setting(reference: Path, tiny: TinyData) -> None:
    as_topaz = run(tiny.overrides("model.prior_bias=false"))
    first = [
        float(next(csv.DictReader(metrics(f).splitlines()))["train_objective_penalty"]) for f in (reference, as_topaz)
    ]
    assert first[0] < first[1]


def test_the_weight_that_auto_gives_is_said(tiny: TinyData, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tiny.overrides("loss.autoencoder=auto", "trainer.epochs=1"))
    picks = summary(folder)["data"]["training_picks"]
    assert f"loss.autoencoder=auto gives it the weight {10 / picks:g}" in capsys.readouterr().out
