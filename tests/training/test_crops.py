"""Trainings on crops: the laws of a run hold, and known negatives and masks do what they do with patches."""

import csv
from pathlib import Path

import pytest

from pickery.config.errors import ConfigError
from pickery.config.load import load
from pickery.errors import InputError, PickeryWarning
from tests.conftest import TinyData
from tests.training.whole_runs import run


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def crops(tiny: TinyData, *words: str) -> list[str]:
    return tiny.overrides("sampler=crops", "sampler.minibatch_size=8", *words)


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def reference(tiny: TinyData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(crops(tiny, f"run_dir={tmp_path_factory.mktemp('reference') / 'run'}"))


@pytest.mark.parametrize("loss", ["ge_binomial", *(pytest.param(n, marks=pytest.mark.slow) for n in ("pn", "pu"))])
def test_every_objective_learns_from_crops(tiny: TinyData, loss: str) -> None:
    words = crops(tiny, f"loss={loss}", "trainer.epochs=8", "optimizer.learning_rate=0.003", "model.units=8")
    figures = [float(row["train_precision"]) for row in rows(run(words))]
    assert max(figures) > 1.3 * figures[0]


@pytest.mark.parametrize(
    "words",
    [
        ["sampler.resident=false"],
        pytest.param(["sampler.workers=2"], marks=pytest.mark.slow),
        pytest.param(["sampler.workers=1", "sampler.resident=false"], marks=pytest.mark.slow),
    ],
)
def test_same_run_whoever_draws_and_cuts_the_crops(reference: Path, tiny: TinyData, words: list[str]) -> None:
    again = run(crops(tiny, "run_dir=again", *words))
    assert (again / "metrics.csv").read_text() == (reference / "metrics.csv").read_text()


def test_the_number_of_scores_makes_another_run(reference: Path, tiny: TinyData) -> None:
    again = run(crops(tiny, "sampler.outputs=3"))
    assert (again / "metrics.csv").read_text() != (reference / "metrics.csv").read_text()
    with pytest.raises(InputError, match=r"sampler\.outputs"):
        run(crops(tiny, "sampler.outputs=3", f"run_dir={reference}"))


def test_training_figures_are_of_the_scores_that_count(reference: Path) -> None:
    for row in rows(reference):
        for name in ("precision", "tpr", "fpr"):
            assert 0 < float(row[f"train_{name}"]) < 1
        assert float(row["train_objective"]) == pytest.approx(
            float(row["train_objective_positive"]) + float(row["train_objective_penalty"])
        )


def test_a_crop_larger_than_a_micrograph_is_refused_with_a_way_out(tiny: TinyData) -> None:
    with pytest.raises(InputError, match=r"one crop of sampler\.outputs=64 .*fewer outputs"):
        run(crops(tiny, "sampler.outputs=64"))


def test_patches_have_no_use_for_the_number_of_scores() -> None:
    with pytest.warns(PickeryWarning, match=r"sampler\.outputs=3 has no effect with sampler=patches"):
        load("train", ["sampler=patches", "sampler.outputs=3"])


def test_topaz_trains_on_patches() -> None:
    words = ["engine=topaz", "engine.executable=/usr/bin/true", "sampler=crops"]
    with pytest.raises(ConfigError, match=r"sampler=crops cannot be used with engine=topaz.*sampler=patches"):
        load("train", words)


def test_the_autoencoder_redraws_the_patch_under_each_score(tiny: TinyData) -> None:
    figures = [
        float(row["train_objective_autoencoder"])
        for row in rows(run(crops(tiny, "loss.autoencoder=0.01", "trainer.epochs=6", "optimizer.learning_rate=0.003")))
    ]
    assert figures[-1] < 0.9 * figures[0]
