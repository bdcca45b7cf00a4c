"""The look at raw micrographs before a training: what it refuses, and what it leaves alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from pickery.cli import main
from pickery.simulation.data_set import write_data_set
from pickery.simulation.settings import SimulationSettings
from pickery.training.look import ENOUGH_PICKS, MOST, to_look_at
from tests.conftest import TinyData


@pytest.fixture(scope="module")
def picked(tmp_path_factory: pytest.TempPathFactory) -> TinyData:
    """Give simulated micrographs whose particles are all picked."""
    folder = tmp_path_factory.mktemp("picked") / "data"
    write_data_set(
        folder,
        SimulationSettings(
            micrographs=6, rows=384, columns=512, particles_per_micrograph=9, picked_fraction=1, carbon_probability=0
        ),
    )
    return TinyData(folder)


def flipped(data: TinyData, path: Path) -> Path:
    head, *rows = (line.split("\t") for line in data.picks.read_text().splitlines())
    lines = ["\t".join(head), *("\t".join([name, x, str(383 - float(y)), *more]) for name, x, y, *more in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_picks_that_clearly_sit_elsewhere_are_refused_before_anything_is_prepared(
    picked: TinyData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = picked.overrides(f"data.picks={flipped(picked, tmp_path / 'p.txt')}", "preprocess.store=store")
    assert main(["train", *words]) == 1
    said = capsys.readouterr().err
    assert "would with y counted from the other side" in said
    assert "give data.flip_y=true." in said
    assert "data.check_picks=false trains on them all the same" in said
    assert not Path("store").exists()
    assert main(["train", *words, "data.flip_y=true", "trainer.epochs=1"]) == 0


def test_the_refusal_can_be_overridden(
    picked: TinyData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = picked.overrides(f"data.picks={flipped(picked, tmp_path / 'p.txt')}", "trainer.epochs=1")
    assert main(["train", *words, "data.check_picks=false"]) == 0
    assert "warning: the picks do not sit on particles" in capsys.readouterr().out


def test_picks_of_held_out_micrographs_are_looked_at_too(
    picked: TinyData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    files = sorted(picked.micrographs.iterdir())
    for folder, chosen in (("trains", files[:3]), ("tests", files[3:])):
        Path(folder).mkdir()
        for file in chosen:
            Path(folder, file.name).symlink_to(file)
    words = picked.overrides(
        "data.micrographs=trains",
        "data.test_micrographs=tests",
        f"data.test_picks={flipped(picked, tmp_path / 'p.txt')}",
        "preprocess.store=store",
        "trainer.epochs=1",
    )
    assert main(["train", *words]) == 1
    said = capsys.readouterr().err
    assert "data.test_picks: the picks do not sit on particles" in said
    assert "data.flip_y=true would hold for data.picks too: write both files of picks alike" in said
    assert not Path("store").exists()
    assert main(["train", *words, "data.check_picks=false"]) == 0
    assert "judged by as they are, since data.check_picks=false" in capsys.readouterr().out


def test_micrographs_too_small_for_a_patch_are_refused_before_anything_is_prepared(
    picked: TinyData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = picked.overrides("model=conv127", "preprocess.store=store", "sampler=patches")
    assert main(["train", *words]) == 1
    assert "has 128 x 96 pixels at preprocess.downsample=4, less than one patch of model=conv127" in (
        capsys.readouterr().err
    )
    assert not Path("store").exists()


@pytest.mark.slow
def test_a_cross_validation_looks_too(
    picked: TinyData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = picked.overrides(f"data.picks={flipped(picked, tmp_path / 'p.txt')}")
    assert main(["cross-validate", *words, "cross_validation.times=2"]) == 1
    assert "give data.flip_y=true" in capsys.readouterr().err


def test_expected_particles_are_counted_shown_and_recorded(
    picked: TinyData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    auto = ("data.expected_particles=auto", "data.particle_diameter=130", "trainer.epochs=1", "run_dir=run")
    assert main(["train", *picked.overrides(*auto)]) == 0
    said = capsys.readouterr().out
    assert "data.expected_particles=auto: about " in said
    assert "nine times in ten from" in said
    estimated = json.loads(Path("run/run.json").read_text())["decides"]["data.expected_particles"]
    picks = len(picked.picks.read_text().splitlines()) - 1
    assert picks / 6 - 0.1 <= estimated < 2 * picks / 6
    assert f"data.expected_particles: {estimated}" not in Path("run/config.yaml").read_text()
    assert f"expected_particles: {estimated}" in Path("run/config.yaml").read_text()


def test_as_few_micrographs_are_looked_at_as_hold_enough_picks() -> None:
    many = {f"m{number}": 200 for number in range(1000)}
    chosen = to_look_at(many)
    assert len(chosen) == 4
    numbers = np.array([int(name[1:]) for name in chosen])
    assert np.all(np.diff(numbers) > 200), "spread over all of them"
    few = {f"m{number}": 3 for number in range(1000)} | {"none": 0}
    assert len(to_look_at(few)) == MOST
    assert "none" not in to_look_at(few)
    assert to_look_at({"a": 0}) == []
    assert to_look_at({"a": ENOUGH_PICKS, "b": 1}) == ["a", "b"]
