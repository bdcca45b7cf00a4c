"""The original Topaz as the engine of a training: what it is given, what is kept of it, and what is refused."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from pickery.commands.train import train
from pickery.config.errors import ConfigError
from pickery.config.load import load
from pickery.errors import InputError, PickeryWarning
from pickery.terminal import Terminal
from tests.conftest import TinyData
from tests.topaz.conftest import FakeTopaz
from tests.topaz.conftest import topaz as topaz  # a fixture

Make = Callable[..., FakeTopaz]
COLUMNS = [
    "epoch", "step", "learning_rate", "train_objective", "train_objective_positive", "train_objective_penalty",
    "train_loss", "train_precision", "train_adjusted_precision", "train_tpr", "train_fpr", "test_loss",
    "test_precision", "test_adjusted_precision", "test_tpr", "test_fpr", "test_auprc",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    # drawing takes most of the time of trainings as short as these
    def save(figure: Any, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        path.touch()

    for module in ("pickery.training.finish", "pickery.cross_validation.conclude"):
        monkeypatch.setattr(f"{module}.save_figure", save)


def run(words: list[str]) -> Path:
    with Terminal() as terminal:
        return train(load("train", words), terminal).resolve()


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())  # type: ignore[no-any-return]


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


def log(folder: Path) -> str:
    return (folder / "log.txt").read_text()


# ---- what a run leaves


def test_a_run_leaves_what_a_native_one_does_and_the_model_as_topaz_wrote_it(topaz: Make, tiny: TinyData) -> None:
    from pickery.model.weights import load_model, load_weights

    folder = run(tiny.overrides(*topaz().words()))
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {
        "config.yaml", "metrics.csv", "model.ckpt", "model.sav", "summary.json", "micrographs.csv", "log.txt",
        "run.json", "plots",
    }  # fmt: skip
    assert list(rows(folder)[0]) == COLUMNS
    assert [row["test_precision"] for row in rows(folder)] == ["0.25", "0.75", "0.5"]
    assert summary(folder)["best_epoch"] == 2
    assert summary(folder)["monitored"] == 0.75
    assert summary(folder)["provenance"]["engine"]["version"] == "0.2.5a"
    model, stored = load_model(folder / "model.ckpt")
    assert "threshold_best_f1" in stored["picking"]
    written = load_weights(str(folder / "model.sav")).state_dict
    assert all(np.array_equal(tensor, written[name]) for name, tensor in model.state_dict().items())


def test_the_columns_are_those_of_a_native_run(tiny: TinyData) -> None:
    native = run(tiny.overrides("trainer.epochs=1", "sampler.epoch_size=2"))
    assert list(rows(native)[0]) == COLUMNS


def test_the_best_epoch_is_chosen_by_the_monitored_figure(topaz: Make, tiny: TinyData) -> None:
    fake = topaz(precisions=[0.25, 0.75, 0.5])
    assert summary(run(tiny.overrides(*fake.words("evaluation.monitor=loss"))))["best_epoch"] == 1


def test_without_held_out_micrographs_training_figures_choose(topaz: Make, tiny: TinyData) -> None:
    with pytest.warns(PickeryWarning, match="holds no micrographs out"):
        folder = run(tiny.overrides(*topaz().words("data.test_fraction=0")))
    assert summary(folder)["best_epoch"] == 1
    assert [column for column in rows(folder)[0] if column.startswith("test")] == []


def test_the_same_command_finds_the_finished_run_and_runs_nothing(topaz: Make, tiny: TinyData) -> None:
    fake = topaz()
    first = run(tiny.overrides(*fake.words()))
    assert "-topaz-" in first.name
    assert run(tiny.overrides(*fake.words())) == first
    assert len(fake.calls) == 1
    assert run(tiny.overrides(*topaz().words())) == first, "the same version elsewhere is the same program"
    assert run(tiny.overrides(*topaz(version="0.2.4").words())) != first
    assert run(tiny.overrides(*fake.words("trainer.epochs=4"))) != first, "Topaz cannot go on with a training"


def test_native_runs_keep_the_identity_that_they_had_without_engines(tiny: TinyData) -> None:
    from pickery.training.run_folder import identity

    decides = identity(load("train", tiny.overrides()), "data", None)
    assert not [name for name in decides if name.startswith("engine")]


# ---- what Topaz is given


def test_topaz_is_given_what_is_prepared_here_and_pi_worked_out(topaz: Make, tiny: TinyData) -> None:
    fake = topaz()
    more = ["loss.slack=2", "loss.l2=0.5", "sampler.workers=1", "sampler.balance=0.125"]
    folder = run(tiny.overrides(*fake.words(*more)))
    (call,) = fake.calls
    assert float(call["--pi"]) == summary(folder)["objective"]["pi"]
    asked = {
        "--method": "GE-binomial", "--slack": "2.0", "--l2": "0.5", "--radius": "3", "--minibatch-size": "16",
        "--minibatch-balance": "0.125", "--epoch-size": "6", "--num-epochs": "3", "--learning-rate": "0.002",
        "--num-workers": "1", "--num-threads": "1", "--device": "-1", "--no-pretrained": None,
    }  # fmt: skip
    assert {word: call[word] for word in asked} == asked
    assert not {"--num-particles", "--k-fold", "--autoencoder", "--units"} & call.keys()
    images = sorted((fake.seen / "train").glob("*.mrc"))
    assert len(images) == summary(folder)["data"]["training_micrographs"]
    with mrcfile.open(images[0], permissive=True) as mrc:
        assert mrc.data.dtype == np.float32
        assert mrc.data.shape == (96, 96)
    targets = (fake.seen / "train_targets.txt").read_text().splitlines()[1:]
    assert len(targets) == summary(folder)["data"]["training_picks"]
    assert all(cell.isdigit() for line in targets for cell in line.split("\t")[1:])


def test_topaz_begins_with_the_same_network_as_a_native_run(topaz: Make, tiny: TinyData) -> None:
    from pickery.model import build_model
    from pickery.model.weights import load_weights

    for prior in (True, False):
        folder = run(tiny.overrides(*topaz().words("model=resnet8", f"model.prior_bias={str(prior).lower()}")))
        given = load_weights(str(folder / "model.sav"))  # which the program gave back as it was
        assert given.architecture["units"] == 4
        own = build_model("resnet8", units=4, seed=0).state_dict()
        pi = summary(folder)["objective"]["pi"]
        if prior:
            own["classifier.bias"].fill_(math.log(pi / (1 - pi)))
        assert all(np.array_equal(tensor, given.state_dict[name]) for name, tensor in own.items())
    more = [f"model.pretrained={folder / 'model.ckpt'}", "seed=1", "model=resnet8"]
    tuned = run(tiny.overrides(*topaz().words(*more)))
    begun = load_weights(str(tuned / "model.sav")).state_dict
    assert all(np.array_equal(tensor, begun[name]) for name, tensor in own.items())


def test_dropout_goes_with_the_network(topaz: Make, tiny: TinyData) -> None:
    from pickery.model.weights import load_weights

    folder = run(tiny.overrides(*topaz().words("model=resnet8", "model.dropout=0.25", "trainer.epochs=1")))
    assert load_weights(str(folder / "model.sav")).architecture["dropout"] == 0.25


def test_an_objective_with_nothing_left_to_expect_is_replaced_as_in_a_native_run(topaz: Make, tiny: TinyData) -> None:
    fake = topaz()
    folder = run(tiny.overrides(*fake.words("data.expected_particles=1")))
    assert summary(folder)["objective"]["used"] == "pn"
    assert fake.calls[0]["--method"] == "PN"
    assert float(fake.calls[0]["--pi"]) == summary(folder)["objective"]["observed"]


def test_a_version_that_counts_discs_too_often_is_warned_of_and_corrected(
    topaz: Make, tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = topaz(since_0_3=True, version="0.3.20")
    folder = run(tiny.overrides(*fake.words("sampler.workers=2")))
    said = capsys.readouterr().out
    for part in ("2r+1 rows", "every epoch", "sampler.workers=2"):
        assert part in said
    assert fake.calls[0]["--num-workers"] == "0"
    known = summary(folder)
    regions = known["data"]["training_micrographs"] * 96 * 96
    believed = known["data"]["training_picks"] * 29 * 7 / regions
    pi = known["objective"]["pi"] - known["objective"]["observed"] + believed
    assert float(fake.calls[0]["--pi"]) == pytest.approx(pi)
    assert float(rows(folder)[0]["test_adjusted_precision"]) < 9, "Topaz's own is of the wrong fraction"


def test_a_count_of_labels_that_is_not_as_expected_is_told(
    topaz: Make, tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tiny.overrides(*topaz(counts=[1000, 10000]).words()))
    assert "takes 0.1 of the training regions for labelled" in capsys.readouterr().out


# ---- what is refused, and what goes wrong


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["optimizer=adamw"], "optimizer=adamw"),
        (["optimizer.schedule=cosine"], "optimizer.schedule=cosine"),
        (["trainer.precision=bf16-mixed"], "trainer.precision=bf16-mixed"),
        (["trainer.compile=true"], "trainer.compile=true"),
        (["trainer.devices=2"], "trainer.devices=2"),
        (["data.negatives=wrong.star"], "data.negatives=wrong.star"),
        (["data.masks=masks"], "data.masks=masks"),
        (["loss=ge_kl", "loss.autoencoder=0.1"], "loss.autoencoder=0.1"),
        (["model.pretrained=a.sav", "loss.autoencoder=0.1"], "model.pretrained=a.sav"),
        (["evaluation.monitor=pick_f1"], "evaluation.monitor=pick_f1"),
        (["evaluation.monitor=loss", "data.test_fraction=0"], "evaluation.monitor=loss"),
        (["engine.executable=null"], "engine.executable is missing"),
    ],
)
def test_settings_that_no_topaz_has_are_refused_by_name(tiny: TinyData, words: list[str], named: str) -> None:
    with pytest.raises(ConfigError) as error:
        load("train", tiny.overrides("engine=topaz", *words))
    assert named in str(error.value)
    load("train", tiny.overrides("engine=topaz"))


def test_halving_is_refused(tiny: TinyData) -> None:
    words = tiny.overrides("engine=topaz", "cross_validation.pruning=halving", "cross_validation.times=4")
    with pytest.raises(ConfigError, match=r"pruning=halving cannot be used with engine=topaz"):
        load("cross-validate", words)


def test_settings_without_effect_are_warned_of(tiny: TinyData) -> None:
    with pytest.warns(PickeryWarning, match=r"engine\.executable=topaz has no effect with engine=native"):
        load("train", tiny.overrides("engine.executable=topaz"))
    with pytest.warns(PickeryWarning, match=r"evaluation\.stride=8 has no effect with engine=topaz"):
        load("train", tiny.overrides("engine=topaz", "evaluation.stride=8"))
    with pytest.warns(PickeryWarning, match=r"model\.prior_bias=false has no effect with engine=topaz"):
        load("train", tiny.overrides("engine=topaz", "loss.autoencoder=0.1", "model.prior_bias=false"))


def test_settings_that_this_version_lacks_are_refused_by_name_before_anything_runs(topaz: Make, tiny: TinyData) -> None:
    for word, setting in (("--l2", "loss.l2=0.5"), ("--slack", "loss.slack=2"), ("--num-threads", "trainer.threads=1")):
        fake = topaz(without=(word,))
        with pytest.raises(InputError, match=rf"{setting.partition('=')[0]} cannot be used .* no {word}"):
            run(tiny.overrides(*fake.words(setting)))
        assert fake.calls == []
    assert not Path("runs").exists()


def test_a_program_that_fails_is_told_in_its_own_words(topaz: Make, tiny: TinyData) -> None:
    with pytest.raises(InputError, match=r"topaz 0\.2\.5a ended with status 3: RuntimeError: the reason why"):
        run(tiny.overrides(*topaz(fails_at=[3, 2]).words("run_dir=failed")))
    failed = Path("failed")
    assert "Traceback" in log(failed)
    assert len(rows(failed)) == 2
    assert {"model.ckpt", "model.sav"} <= {path.name for path in failed.iterdir()}
    assert not (failed / "summary.json").exists()
    assert not (failed / "topaz").exists()


def test_nan_is_a_failure_though_the_status_is_0(topaz: Make, tiny: TinyData) -> None:
    with pytest.raises(InputError, match=r"diverged: .* after epoch 2"):
        run(tiny.overrides(*topaz(nan_in=2).words("run_dir=broken")))
    assert len(rows(Path("broken"))) == 1


def test_an_end_before_the_last_epoch_is_a_failure(topaz: Make, tiny: TinyData) -> None:
    with pytest.raises(InputError, match="ended after epoch 2 of 3, without saying why"):
        run(tiny.overrides(*topaz(stops_after=2).words()))


def test_minibatches_without_positives_are_told_of_once(
    topaz: Make, tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tiny.overrides(*topaz(without_positive=[[1, 0], [1, 3], [2, 1]]).words()))
    assert capsys.readouterr().out.count("drew no positive patch") == 1
    assert float(rows(folder)[0]["train_objective"]) == 0.75


def test_a_failed_run_begins_anew(topaz: Make, tiny: TinyData, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError):
        run(tiny.overrides(*topaz(fails_at=[3, 2]).words("run_dir=again")))
    folder = run(tiny.overrides(*topaz().words("run_dir=again")))
    assert "training from the beginning again" in capsys.readouterr().out
    assert len(rows(folder)) == 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGTERM")
def test_a_run_that_is_asked_to_end_ends_topaz_and_what_it_started(topaz: Make, tiny: TinyData, tmp_path: Path) -> None:
    fake = topaz(seconds_a_row=0.2, sleeper=True)
    words = tiny.overrides(*fake.words("run_dir=ended", "sampler.epoch_size=500"))
    sleeping = fake.path.parent / "sleeper.pid"
    with subprocess.Popen(
        [sys.executable, "-m", "pickery", "train", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    ) as training:
        while not (sleeping.exists() and sleeping.read_text()):
            assert training.poll() is None, training.communicate()[0]
            time.sleep(0.02)
        training.send_signal(signal.SIGTERM)
        said, _ = training.communicate(timeout=60)
    assert training.returncode == 130
    assert "Traceback" not in said
    assert "begins this training again" in said
    until = time.monotonic() + 10
    while Path(f"/proc/{sleeping.read_text()}").exists():
        assert time.monotonic() < until, "what Topaz had started goes on"
        time.sleep(0.02)


# ---- beside the others


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_it_is_tracked_beside_native_runs_under_the_same_names(topaz: Make, tiny: TinyData) -> None:
    from mlflow import MlflowClient

    own = run(tiny.overrides("tracking=mlflow", "trainer.epochs=1", "sampler.epoch_size=2"))
    theirs = run(tiny.overrides(*topaz().words("tracking=mlflow")))
    client = MlflowClient(tracking_uri=f"sqlite:///{Path('mlruns').resolve() / 'mlflow.db'}")
    native, topaz_run = (client.get_run(summary(folder)["tracked_run"]) for folder in (own, theirs))
    assert native.info.experiment_id == topaz_run.info.experiment_id
    assert (native.data.tags["engine"], topaz_run.data.tags["engine"]) == ("native", "topaz")
    assert topaz_run.data.tags["engine_version"] == "0.2.5a"
    unreported = {"train/loss", "train/adjusted_precision"}
    assert set(native.data.metrics) - set(topaz_run.data.metrics) == unreported
    assert [point.value for point in client.get_metric_history(topaz_run.info.run_id, "test/precision")] == [
        0.25, 0.75, 0.5,
    ]  # fmt: skip
    kept = {file.path for file in client.list_artifacts(topaz_run.info.run_id, "model")}
    assert {"model/model.ckpt", "model/model.sav"} <= kept


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_a_run_that_begins_anew_is_tracked_anew(topaz: Make, tiny: TinyData) -> None:
    from mlflow import MlflowClient

    with pytest.raises(InputError):
        run(tiny.overrides(*topaz(fails_at=[2, 2]).words("run_dir=again", "tracking=mlflow")))
    folder = run(tiny.overrides(*topaz().words("run_dir=again", "tracking=mlflow")))
    client = MlflowClient(tracking_uri=f"sqlite:///{Path('mlruns').resolve() / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("pickery")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(found.info.status for found in runs) == ["FAILED", "FINISHED"]
    (finished,) = (found for found in runs if found.info.status == "FINISHED")
    assert finished.info.run_id == summary(folder)["tracked_run"]


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_a_run_that_was_killed_outright_is_marked_so_when_it_begins_anew(
    topaz: Make, tiny: TinyData, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    with monkeypatch.context() as power_cut:
        power_cut.setattr("pickery.training.run.end_tracked", lambda *given: None)
        power_cut.setattr("pickery.training.run._leave_tracked", lambda *given: None)
        with pytest.raises(InputError):
            run(tiny.overrides(*topaz(fails_at=[2, 2]).words("run_dir=again", "tracking=mlflow")))
    first = json.loads(Path("again/run.json").read_text())["tracked_run"]
    run(tiny.overrides(*topaz().words("run_dir=again", "tracking=mlflow")))
    client = MlflowClient(tracking_uri=f"sqlite:///{Path('mlruns').resolve() / 'mlflow.db'}")
    assert client.get_run(first).info.status == "KILLED"
    assert len(client.get_metric_history(first, "test/precision")) == 1


def test_a_cross_validation_has_topaz_train_each_value(topaz: Make, tiny: TinyData) -> None:
    from tests.cross_validation.conftest import cross_validate

    fake = topaz(precisions=[0.25])
    more = ["trainer.epochs=1", "cross_validation.times=2", "run_dir=values"]
    done = cross_validate(tiny.overrides(*fake.words(*more)))
    assert len(fake.calls) == 5
    rates = sorted(float(call["--learning-rate"]) for call in fake.calls[:4])
    assert rates == [0.0001, 0.0001, 0.0002, 0.0002]
    assert done.summary["best"]["optimizer.learning_rate"] in (0.0001, 0.0002)
    assert (Path("values") / "model.ckpt").exists()


# ---- the program itself


@pytest.mark.slow
@pytest.mark.skipif("PICKERY_TOPAZ" not in os.environ, reason="PICKERY_TOPAZ names no topaz program")
@pytest.mark.parametrize(
    "words",
    [
        ["model=resnet8", "model.dropout=0.25"],
        ["model=resnet16", "loss=pn"],
        ["model=resnet8", "model.pooling=max"],
        ["model=conv31", "loss=ge_kl"],
        ["model=conv63", "loss=pu", "loss.autoencoder=0.01", "preprocess.downsample=3"],
    ],
)
def test_topaz_trains_and_its_figures_are_those_that_are_worked_out_here(tiny: TinyData, words: list[str]) -> None:
    program = os.environ["PICKERY_TOPAZ"]
    more = ["engine=topaz", f"engine.executable={program}", "trainer.epochs=2", "sampler.minibatch_size=64"]
    folder = run(tiny.overrides(*more, *words))
    best = rows(folder)[summary(folder)["best_epoch"] - 1]
    for name in ("loss", "precision", "adjusted_precision", "tpr", "fpr", "auprc"):
        value = summary(folder)["regions"][name]
        assert float(best[f"test_{name}"]) == pytest.approx(value, rel=0.01), name
