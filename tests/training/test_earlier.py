"""`from_run`: an earlier run's settings, from its folder or from where it is tracked, as the beginning of others."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from pickery.cli import main
from pickery.config.load import load
from pickery.training.earlier import expanded
from tests.conftest import Said, TinyData
from tests.training.whole_runs import run

# SQLAlchemy deprecates what MLflow 3.17 does when it opens its database
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def earlier(tiny: TinyData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier") / "run"
    return run(tiny.overrides("trainer.epochs=1", f"run_dir={folder}"))


def test_the_same_settings_give_the_same_run(earlier: Path, tiny: TinyData) -> None:
    store = f"preprocess.store={tiny.folder.parent / 'prepared'}"  # what is written to is not taken
    assert main(["train", f"from_run={earlier}", "run_dir=again", store]) == 0
    for name in ("metrics.csv", "micrographs.csv"):
        assert Path("again", name).read_text() == (earlier / name).read_text()
    settings, before = (yaml.safe_load((folder / "config.yaml").read_text()) for folder in (Path("again"), earlier))
    assert settings.pop("from_run") == str(earlier)
    assert before.pop("from_run") is None
    assert settings | {"run_dir": None} == before | {"run_dir": None}


def test_which_program_is_run_and_where_files_go_an_earlier_run_does_not_decide(earlier: Path, tmp_path: Path) -> None:
    shutil.copytree(earlier, "theirs")
    settings = yaml.safe_load(Path("theirs/config.yaml").read_text())
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\necho 'topaz 0.2.5'\n")
    program.chmod(0o755)
    settings["engine"] = {"name": "topaz", "executable": str(program)}
    settings["preprocess"] |= {"store": str(tmp_path / "stored"), "write_mrc": str(tmp_path / "written")}
    Path("theirs/config.yaml").write_text(yaml.safe_dump(settings))
    config = load("train", expanded("train", ["from_run=theirs"]))
    assert config.engine.name == "topaz"
    assert config.engine.executable != str(program)
    main(["train", "from_run=theirs", "run_dir=again", "engine=native"])
    assert not ran.exists()
    assert not (tmp_path / "stored").exists()
    assert not (tmp_path / "written").exists()
    settings["cross_validation"] = {"storage": "sqlite:///theirs.db", "initial": 0.001, "increment": 0.001}
    Path("theirs/config.yaml").write_text(yaml.safe_dump(settings))
    validated = load("cross-validate", expanded("cross-validate", ["from_run=theirs"]))
    assert validated.cross_validation.storage is None


def test_what_is_given_beside_it_changes_the_settings(earlier: Path) -> None:
    config = load("train", expanded("train", [f"from_run={earlier}", "loss=pn", "trainer.epochs=7"]))
    assert (config.loss.objective, config.trainer.epochs, config.model.units) == ("pn", 7, 4)
    config = load("train", expanded("train", [f"from_run={earlier}", "data=simulated"]))
    assert config.data.micrographs is None
    validated = load("cross-validate", expanded("cross-validate", [f"from_run={earlier}"]))
    assert (validated.model.units, validated.cross_validation.folds) == (4, 2)
    assert expanded("train", ["loss=pn"]) == ["loss=pn"]


@pytest.mark.slow
def test_a_tracked_run_is_begun_again_from_another_folder(
    tiny: TinyData, said_by: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("data").symlink_to(tiny.folder)  # relative names count from where the run began
    words = tiny.overrides("data.micrographs=data/micrographs", "data.picks=data/picks.txt", "trainer.epochs=1")
    said_by("train", *words, "tracking=mlflow", "run_dir=first", "tracking.system_metrics=false")
    tracked = json.loads(Path("first/run.json").read_text())["tracked_run"]
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.chdir(place)
    for source in (tracked, f"runs:/{tracked}"):
        assert main(["train", f"from_run={source}", f"tracking.root={tmp_path / 'mlruns'}", "--cfg", "job"]) == 0
    assert main(["train", f"from_run={tmp_path / 'first'}", "tracking=off", "run_dir=second"]) == 0
    assert Path("second/metrics.csv").read_text() == (tmp_path / "first/metrics.csv").read_text()
    said = said_by("train", f"from_run={tracked}", "run_dir=third", "loss=pn")
    assert "those of" not in said
    assert (tmp_path / "third/summary.json").exists()


def test_data_that_are_not_what_they_were_are_said_to_be_so(tiny: TinyData, capsys: pytest.CaptureFixture[str]) -> None:
    picks = Path("picks.txt")
    picks.write_text(tiny.picks.read_text())
    earlier = run(tiny.overrides("trainer.epochs=1", f"data.picks={picks}", "run_dir=first"))
    again = ["train", f"from_run={earlier}"]
    assert main([*again, "run_dir=same"]) == 0
    assert "not what they were" not in capsys.readouterr().out
    picks.write_text("\n".join(picks.read_text().splitlines()[:-1]) + "\n")
    assert main([*again, "run_dir=other"]) == 0
    assert "picks, masks or negatives are not what they were" in capsys.readouterr().out
    assert main([*again, "run_dir=asked", "seed=1"]) == 0
    assert "not what they were" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nothing", "neither a run's folder nor the address"),
        (".", "holds no run"),
        ("0" * 32, "holds no tracked runs"),
        ("runs:/model", "holds no tracked runs"),
    ],
)
def test_a_run_that_is_not_there_is_said_plainly(source: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", f"from_run={source}"]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "is damaged"),
        ("- 1\n", "holds no settings"),
        ("data: 3\n", "holds no settings"),
        ("data: {}\ncross_validation: {}\n", "is a cross-validation"),
    ],
)
def test_a_record_that_cannot_be_used_is_said_plainly(text: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.yaml").write_text(text)
    assert main(["train", "from_run=."]) == 1
    assert says in capsys.readouterr().err
