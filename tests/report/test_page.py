"""The page of a training and of a cross-validation, as the command writes it."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pickery.cli import main
from tests.conftest import Said, TinyData

SMALL = ("trainer.epochs=2", "sampler.epoch_size=3", "data.test_fraction=0.5")


class Tags(HTMLParser):
    """Sees whether tags are closed in order, and what a page refers to."""

    EMPTY = ("meta", "img", "br", "link", "hr", "input")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.refers: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.refers += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(path: Path) -> tuple[str, Tags]:
    text = path.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    assert not tags.open
    # self-contained: everything is on the page
    assert all(place.startswith(("data:image/png;base64,", "#")) for place in tags.refers)
    assert not re.search(r"https?://", text)
    return " ".join(" ".join(tags.words).split()), tags


@pytest.fixture(scope="session")
def trained(tiny: TinyData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reported") / "run<1>"
    assert main(["train", *tiny.overrides(*SMALL, f"run_dir={folder}")]) == 0
    return folder


def test_a_trainings_page_shows_figures_pictures_and_the_way_back(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(trained)]) == 0
    assert f"written to {trained / 'report.html'}" in capsys.readouterr().out
    words, tags = read(trained / "report.html")
    summary = json.loads((trained / "summary.json").read_text())
    assert f"{summary['regions']['auprc']:.3f}" in words
    assert f"{summary['best_epoch']} of 2" in words
    assert "run<1>" in words, "text is escaped, not left out"
    assert "What the curves say" in words
    pictures = [place for place in tags.refers if place.startswith("data:")]
    assert len(pictures) >= 4
    assert "pickery train model=conv31 tracking=off data.micrographs=" in words
    assert "sampler.epoch_size=3" in words


def test_the_command_on_the_page_finds_the_run_finished(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex

    assert main(["report", str(trained)]) == 0
    words, _ = read(trained / "report.html")
    line = words[words.index("pickery train ") : words.index("Picks with this model")]
    capsys.readouterr()
    assert main(shlex.split(line)[1:]) == 0
    assert "this run is finished, with 2 epochs" in capsys.readouterr().out


def test_a_page_goes_where_it_is_asked_to(trained: Path, tmp_path: Path) -> None:
    assert main(["report", str(trained / "model.ckpt"), f"report.out={tmp_path / 'new' / 'page.html'}"]) == 0
    assert main(["report", str(trained), f"report.out={tmp_path / 'new'}"]) == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"page.html", f"{trained.name}.html"}


@pytest.mark.slow
def test_a_cross_validations_page_shows_its_values_and_its_final_training(tiny: TinyData, tmp_path: Path) -> None:
    folder = tmp_path / "cv"
    line = ["cross_validation.initial=0.001", "cross_validation.increment=0.001", "cross_validation.times=2"]
    assert main(["cross-validate", *tiny.overrides(*SMALL, *line, f"run_dir={folder}")]) == 0
    assert main(["report", str(folder)]) == 0
    words, tags = read(folder / "report.html")
    summary = json.loads((folder / "summary.json").read_text())
    assert "Which learning_rate is best?" in words
    for value in summary["values"]:
        assert f"learning_rate={value['setting']['optimizer.learning_rate']}" in words
        assert f"{value['mean']:.3f}" in words
    assert " ".join(summary["verdict"][0].split()) in words
    assert "The final training" in words
    assert "goes on with this run" not in words, "more epochs would be another cross-validation"
    assert "Fold 0 Fold 1 Mean" in words
    assert "pickery cross-validate model=conv31" in words
    assert len([place for place in tags.refers if place.startswith("data:")]) >= 6


@pytest.mark.slow
def test_the_page_is_kept_with_the_tracked_run(tiny: TinyData, tmp_path: Path, said_by: Said) -> None:
    said_by("train", *tiny.overrides(*SMALL, "tracking=mlflow", "run_dir=run"))
    run_id = json.loads((tmp_path / "run" / "summary.json").read_text())["tracked_run"]
    assert f"kept with the tracked run {run_id}" in said_by("report", "run")
    assert len(list((tmp_path / "mlruns").rglob("report.html"))) == 1
    shutil.rmtree(tmp_path / "mlruns")
    # the page itself is written all the same
    assert "holds no tracked runs" in said_by("report", "run")
    assert "tracked" not in said_by("report", "run", "report.track=false")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "is no folder"),
        (lambda folder: folder.mkdir(), "holds no run"),
        (lambda folder: (folder.mkdir(), (folder / "run.json").write_text("{}")), "is not finished"),
    ],
)
def test_what_is_no_finished_run_is_said_to_be_none(make, says, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "mine")
    assert main(["report", str(tmp_path / "mine")]) == 1
    assert says in capsys.readouterr().err


def test_the_run_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 2
    assert "report.run is missing" in capsys.readouterr().err


def test_a_damaged_summary_is_said_to_be_so(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained, tmp_path / "copy")
    (tmp_path / "copy" / "summary.json").write_text('{"epochs":')
    assert main(["report", str(tmp_path / "copy")]) == 1
    assert "summary.json is damaged" in capsys.readouterr().err
