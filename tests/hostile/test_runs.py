"""Folders of runs that someone changed: reported, taken settings from or gone on with only where they make sense."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pickery.cli import main
from pickery.errors import InputError
from pickery.report.folder import read_run
from pickery.report.page import render
from pickery.training.earlier import expanded
from pickery.training.run_folder import RunFolder
from tests.hostile.alone import outcomes
from tests.hostile.readers import CORPUS, READERS

MIB = 1 << 20
DEEP = "[" * 100_000
LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 20)
)
YAMLS = {
    "a thousand million million million values": LAUGHS + "data: *a19\n",
    "itself within itself": "data: &d {x: *d}\n",
    "lists in one another": "data: " + DEEP,
    "an object": "data: !!python/object/apply:os.system ['touch BAD']\n",
    "a module": "data: !!python/module:os\n",
    "a day that is none": "data: {x: 2001-13-45}\n",
    "a number of thousands of digits": "data: {x: " + "9" * 5000 + "}\n",
    "a key that is a list": "data: {? [a, b] : c}\n",
    "keys that are numbers": "1: 2\n",
    "a question to the surroundings": "data: {micrographs: '${oc.env:HOME}'}\n",
    "two mebibytes": "data: {x: '" + "y" * 2 * MIB + "'}\n",
    "another text": "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    "nothing": "",
    "a word": "hello",
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Give a finished run's folder."""
    return Path(shutil.copytree(CORPUS / "beside-run", tmp_path / "run"))


@pytest.fixture
def cross_validated(tmp_path: Path) -> Path:
    """Give a finished cross-validation's folder, in a folder beside another run."""
    shutil.copytree(CORPUS / "beside-run", tmp_path / "secret")
    return Path(shutil.copytree(CORPUS / "beside-cross-validation", tmp_path / "in" / "cv"))


def test_settings_that_would_take_all_memory_or_run_something_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = []
    for number, text in enumerate(YAMLS.values()):
        for name in ("report-config", "from-run-config"):
            path = READERS[name].place(tmp_path / f"{name}-{number}")
            path.write_bytes(text.encode("latin-1"))
            files.append((name, path))
    for path, outcome in outcomes(files, memory_bytes=512 * MIB, seconds=60).items():
        assert path.parent.name in outcome.said, path.read_text(encoding="latin-1")[:100]
    assert not list(tmp_path.rglob("BAD"))


def test_the_good_folders_are_reported(run: Path, cross_validated: Path) -> None:
    """Else the tests here would show nothing."""
    assert "Cross-validation" in render(read_run(cross_validated))
    assert "Training" in render(read_run(run))
    assert expanded("train", [f"from_run={cross_validated}"])


@pytest.mark.parametrize("folder", ["../../secret", "..", ".", "", "a/b", None, 3, ["x"], {"x": 1}], ids=str)
def test_a_final_training_outside_its_cross_validation_is_not_read(cross_validated: Path, folder: object) -> None:
    path = cross_validated / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"final": {"folder": folder}}))
    with pytest.raises(InputError, match="damaged"):
        read_run(cross_validated)
    with pytest.raises(InputError, match="is a cross-validation"):
        expanded("train", [f"from_run={cross_validated}"])


def test_nothing_that_a_run_says_becomes_part_of_the_page(run: Path) -> None:
    evil = "<script>alert(1)</script>"
    path = run / "micrographs.csv"
    path.write_text(path.read_text().replace("simulated_0001", evil))
    summary = json.loads((run / "summary.json").read_text())
    summary["provenance"]["versions"] = {evil: evil}
    (run / "summary.json").write_text(json.dumps(summary))
    assert evil not in render(read_run(run))


EPOCH = '"best_epoch": '
Spoil = Callable[[str], str]
SPOILT: dict[str, tuple[str, Spoil]] = {
    "summary of lists in one another": ("summary.json", lambda text: DEEP),
    "summary that is a list": ("summary.json", lambda text: "[]"),
    "summary of nothing": ("summary.json", lambda text: "{}"),
    "summary with a word for a number": (
        "summary.json",
        lambda text: text.replace('"best_epoch": ', '"best_epoch": "x",  "y": '),
    ),
    "summary with an endless epoch": (
        "summary.json",
        lambda text: text.replace('"best_epoch": ', '"best_epoch": Infinity, "y": '),
    ),
    "curves that are no text": ("metrics.csv", lambda text: "\udcff"),
    "curves with a zero byte": ("metrics.csv", lambda text: text + "\0"),
    "curves with a field of a mebibyte": ("metrics.csv", lambda text: text + "9" * MIB),
    "curves of a row too long": ("metrics.csv", lambda text: text + "1," * 100 + "\n"),
    "micrographs of a row too short": ("micrographs.csv", lambda text: text + "x\n"),
    "micrographs under other columns": ("micrographs.csv", lambda text: text.replace("set", "seat", 1)),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_file_of_a_run_is_named_and_nothing_is_written(run: Path, case: str) -> None:
    name, spoil = SPOILT[case]
    path = run / name
    path.write_text(spoil(path.read_text()), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError, match=r"run/(summary\.json|metrics\.csv|micrographs\.csv) is damaged"):
        render(read_run(run))


def test_a_file_of_a_run_that_is_a_folder_is_named(run: Path) -> None:
    (run / "metrics.csv").unlink()
    (run / "metrics.csv").mkdir()
    with pytest.raises(InputError, match=r"metrics\.csv is damaged"):
        read_run(run)


RECORDS = [
    DEEP,
    "[]",
    "{}",
    "3",
    '{"decides": 3, "tracked_run": 1}',
    '{"decides": [[1, 2]], "tracked_run": null}',
    "\x00",
]


@pytest.mark.parametrize("text", RECORDS, ids=lambda text: text[:20])
def test_a_record_that_is_none_is_named(run: Path, text: str) -> None:
    (run / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json is damaged"):
        RunFolder.open(run, {}, epochs=1, given=True)
    assert expanded("train", [f"from_run={run}", "tracking=off"])  # the settings are whole


@pytest.mark.parametrize("epochs", ["Infinity", "NaN", '"x"', "[]", "null", DEEP], ids=lambda text: text[:9])
def test_a_summary_without_a_number_of_epochs_is_named(run: Path, epochs: str) -> None:
    decides = json.loads((run / "run.json").read_text())["decides"]
    (run / "summary.json").write_text(f'{{"epochs": {epochs}}}' if epochs != DEEP else DEEP)
    with pytest.raises(InputError, match=r"summary\.json is damaged"):
        RunFolder.open(run, decides, epochs=1, given=True)


def test_what_is_said_of_a_file_is_no_longer_than_a_page_and_obeyed_by_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("picks.csv").write_text("\x1b]0;owned\x07\x1b[2J" + "x" * 100_000 + ",y\n1,2\n")
    assert main(["convert", "convert.source=picks.csv", "convert.out=out.star"]) == 1
    said = capsys.readouterr().err
    assert "picks.csv" in said
    assert len(said) < 5000
    assert "\x1b" not in said
    assert "\x07" not in said
