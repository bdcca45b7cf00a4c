"""Every recipe of conf/experiment, run for seconds; tests/config/test_load.py sees to their command lines."""

from pathlib import Path

import pytest

from pickery.cli import main
from pickery.config import catalogue
from tests.conftest import TinyData

RECIPES = catalogue.options("experiment")


def test_the_recipes_are_those_that_users_ask_for() -> None:
    assert {"few_labels", "many_labels", "small_particle", "crowded", "fine_tune", "first_look"} <= set(RECIPES)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RECIPES if name != "fast_gpu"])
def test_a_recipe_trains(name: str, tiny: TinyData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = ("model", "optimizer.learning_rate", "sampler.minibatch_size", "preprocess.downsample")
    words = [word for word in tiny.overrides("sampler.epoch_size=3", "trainer.epochs=2") if not word.startswith(own)]
    more = ["model.units=4", "sampler.minibatch_size=16", f"experiment={name}"]
    if name in ("few_labels", "many_labels", "crowded", "first_look"):
        more.append("preprocess.downsample=4")
    if name == "fine_tune":
        assert main(["train", *tiny.overrides("run_dir=first", "model.units=8")]) == 0
        more = [*more[1:], "preprocess.downsample=4", "model.pretrained=first/model.ckpt"]
    assert main(["train", *words, *more, "run_dir=run"]) == 0
    log = (tmp_path / "run" / "log.txt").read_text()
    assert (tmp_path / "run" / "summary.json").exists()
    if name == "fine_tune":
        assert "as the weights of model.pretrained=first/model.ckpt need: model=conv31 model.units=8" in log
