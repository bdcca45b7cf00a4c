"""The functions for notebooks give what the commands give."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pickery
from pickery.api import _words
from pickery.config.errors import ConfigError
from pickery.config.load import load
from pickery.errors import InputError, PickeryWarning
from tests.conftest import TinyData

EXAMPLE = Path(__file__).parents[1] / "docs" / "example.py"


def small(tiny: TinyData, **more: object) -> dict[str, object]:
    """Give the settings of a training of seconds, as a mapping."""
    settings: dict[str, object] = {}
    for word in tiny.overrides():
        name, _, value = word.partition("=")
        settings[name] = value
    for name in ("data.expected_particles", "data.test_fraction", "preprocess.downsample", "optimizer.learning_rate"):
        settings[name] = float(str(settings[name]))
    for name, value in settings.items():
        if isinstance(value, str) and value.isdigit():
            settings[name] = int(value)
    return settings | {"trainer.epochs": 2, "sampler.epoch_size": 3} | more


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_settings_of_any_kind_become_words_of_the_command_line() -> None:
    settings = {
        "data.micrographs": [Path("a b.mrc"), "c,d.mrc"],
        "data.picks": Path("p'q.star"),
        "data.expected_particles": 12,
        "data.flip_y": True,
        "data.offset": (1.5, -2),
        "model": "conv31",
        "model.pretrained": None,
        "evaluation.stride": 4,
    }
    config = load("train", _words("train", settings))
    assert config.data.micrographs == ("a b.mrc", "c,d.mrc")
    assert config.data.picks == "p'q.star"
    assert (config.data.flip_y, config.data.offset, config.model.architecture) == (True, (1.5, -2.0), "conv31")


def test_prepared_micrographs_can_be_looked_at(tiny: TinyData) -> None:
    done = pickery.prepare({"data.micrographs": tiny.micrographs, "preprocess.downsample": 4, "preprocess.workers": 0})
    assert len(done.names) == 6
    image = done.image(done.names[2])
    assert image.shape == (96, 96)
    assert abs(float(np.median(image))) < 0.5
    assert done.skipped == {}


def test_a_training_gives_its_figures_and_a_second_call_finds_it(
    tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    first = pickery.fit(small(tiny))
    assert capsys.readouterr().out == "", "nothing is printed unless asked"
    assert first.model.is_file()
    assert [epoch["epoch"] for epoch in first.epochs] == [1, 2]
    best = max(first.epochs, key=lambda epoch: epoch["test_precision"])
    assert first.best_epoch == best["epoch"]
    assert first.summary == json.loads((first.folder / "summary.json").read_text())
    assert first.tracked_run is None
    again = pickery.fit(small(tiny), progress=True)
    assert again == first
    assert "this run is finished" in capsys.readouterr().out


def test_picks_come_back_as_arrays_and_can_be_scored(tiny: TinyData) -> None:
    trained = pickery.fit(small(tiny))
    picked = pickery.pick(
        {
            "picking.model": trained.folder,
            "data.micrographs": tiny.micrographs,
            "picking.out": "picks.star",
            "picking.threshold": -6,
        }
    )
    assert picked.out.is_file()
    assert len(picked.points) == 6
    for name, points in picked.points.items():
        assert points.shape == (len(picked.scores[name]), 2)
    scored = pickery.score({"score.picks": picked.out, "score.truth": tiny.picks, "score.radius": 30})
    assert 0 <= scored.precision <= 1
    assert scored.hits + scored.misses == len(np.loadtxt(tiny.picks, dtype=str, skiprows=1))
    assert (scored.folder / "summary.json").is_file()
    assert not math.isnan(scored.average_precision)


@pytest.mark.slow
def test_a_cross_validation_gives_its_values_and_its_final_training(tiny: TinyData) -> None:
    done = pickery.cross_validate(
        small(tiny, **{"cross_validation.parameter": "learning_rate", "cross_validation.values": [0.001, 0.002]})
    )
    assert list(done.best) == ["optimizer.learning_rate"]
    assert [value["setting"]["optimizer.learning_rate"] for value in done.values] == [0.001, 0.002]
    assert done.verdict
    assert done.final.model.is_file()


def test_what_is_wrong_is_an_exception_with_the_commands_words(tiny: TinyData) -> None:
    with pytest.raises(ConfigError, match=r"epoch.*trainer\.epochs"):
        pickery.fit({"epoch": 3})
    with pytest.raises(ConfigError, match=r"data\.expected_particles is missing"):
        pickery.fit({"data.micrographs": tiny.micrographs, "data.picks": tiny.picks})
    with pytest.raises(InputError, match="nowhere"):
        pickery.prepare({"data.micrographs": "nowhere"})
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        pickery.trian  # noqa: B018


def test_what_one_should_know_is_a_warning(tiny: TinyData) -> None:
    lines = tiny.picks.read_text().splitlines()
    Path("picks.txt").write_text("\n".join([*lines, lines[1], "unknown\t5\t5"]) + "\n")
    with pytest.warns(PickeryWarning, match="repeat others|were not given"):
        pickery.fit(small(tiny, **{"data.picks": "picks.txt"}))


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import pickery, sys; print(sorted({'torch', 'mlflow', 'hydra'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.slow
def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], cwd=tmp_path, capture_output=True, text=True, env=os.environ, timeout=600
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout
    for text in ("6 micrographs of (128, 128) regions", "best epoch", "picks in picked.star", "against all particles"):
        assert text in said
