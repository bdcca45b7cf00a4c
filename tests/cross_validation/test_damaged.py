"""Cross-validations in whose folders somebody has removed, cut or changed files: named or put right, never believed."""

import json
import re
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from pickery.cli import main
from pickery.errors import InputError
from tests.conftest import TinyData
from tests.cross_validation.conftest import EXAMPLE, Done, Programs, cross_validate

pytestmark = [
    pytest.mark.slow,
    # SQLAlchemy deprecates what MLflow 3.17 does when it opens its database
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

Again = Callable[[], Done]


@pytest.fixture
def folder(reference: Done, tmp_path: Path) -> Path:
    """Copy the finished worked example."""
    return Path(shutil.copytree(reference.path, tmp_path / "cross"))


@pytest.fixture
def again(folder: Path, tiny: TinyData) -> Again:
    """Give the same command again."""
    return lambda: cross_validate(tiny.overrides(*EXAMPLE, f"run_dir={folder}"))


def assert_whole(done: Done, reference: Done) -> None:
    assert done.table == reference.table
    assert without_tracking(done.summary) == without_tracking(reference.summary)
    final = done.path / reference.summary["final"]["folder"]
    assert (done.path / "model.ckpt").read_bytes() == (final / "model.ckpt").read_bytes()
    assert (done.path / "plots" / "cross_validation.png").is_file()


def without_tracking(summary: dict) -> dict:  # type: ignore[type-arg]
    final = {name: value for name, value in summary["final"].items() if name != "tracked_run"}
    return {name: value for name, value in summary.items() if name != "tracked_run"} | {"final": final}


# ---- the journal


def changed(pattern: str, replacement: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, replacement, text)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + '{"op_code":99}\n{"op_code":6}\n',
        lambda text: text + '{"op_code":[],"worker_id":"x"}\n',
        changed('"state":1', '"state":77'),
        changed(r'"values":\[[0-9.]+\]', '"values":["abc"]'),
        changed('"rung":0', '"rung":"x"'),
        changed('"value":0,"name"', '"value":9,"name"'),
        changed('"fold":0,"value":0,"name"', '"fold":1,"value":1,"name"'),
        changed(r'"figures":\{[^}]*\}', '"figures":5'),
        changed(r'"best_epoch":\d+', '"best_epoch":"x"'),
        changed(r'"grid":\{[^}]*\}[^}]*\}', '"grid":7}'),
    ],
    ids=["operation", "list", "state", "result", "point", "value", "another", "figures", "epoch", "grid"],
)
def test_a_journal_that_makes_no_sense_is_named_and_without_it_all_is_found_again(
    folder: Path, again: Again, reference: Done, change: Callable[[str], str]
) -> None:
    journal = folder / "study.journal"
    text = journal.read_text()
    journal.write_text(change(text))
    assert journal.read_text() != text
    with pytest.raises(
        InputError, match=r"study\.journal is damaged \(.+\): remove it and give the same command again"
    ):
        again()
    assert (folder / "cross_validation.csv").read_text() == reference.table
    journal.unlink()
    assert_whole(again(), reference)


def test_whatever_line_the_journal_has_lost_no_training_gets_the_figure_of_another(
    folder: Path, again: Again, reference: Done
) -> None:
    journal = folder / "study.journal"
    lines = journal.read_text().splitlines(keepends=True)
    made = [number for number, line in enumerate(lines) if json.loads(line)["op_code"] == 4]
    assert len(made) >= 6
    said = []
    for number in made:
        journal.write_text("".join(lines[:number] + lines[number + 1 :]))
        with suppress(InputError):
            again()
            said.append(number)
        assert (folder / "cross_validation.csv").read_text() == reference.table
    # of the last there is no next whose results could be taken for its own
    assert len(said) <= 2


# ---- what it has left


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no model": lambda folder: (folder / "model.ckpt").unlink(),
    "no table": lambda folder: (folder / "cross_validation.csv").unlink(),
    "another table": lambda folder: (folder / "cross_validation.csv").write_text("value,mean\n1,0.9\n"),
    "no plots": lambda folder: shutil.rmtree(folder / "plots"),
    "no summary": lambda folder: (folder / "summary.json").unlink(),
    "half a summary": lambda folder: cut(folder / "summary.json"),
    "a list": lambda folder: (folder / "summary.json").write_text("[]"),
    "an empty one": lambda folder: (folder / "summary.json").write_text("{}"),
    "no final training": lambda folder: [shutil.rmtree(final) for final in folder.glob("*_final")],
    "nor a summary": lambda folder: [
        (folder / "summary.json").unlink(),
        *(shutil.rmtree(final) for final in folder.glob("*_final")),
    ],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_a_finished_one_lacks_the_same_command_puts_right(
    folder: Path, again: Again, reference: Done, damage: str
) -> None:
    DAMAGES[damage](folder)
    done = again()
    if "summary" not in damage or "half" in damage:
        assert "missing or changed is" in done.said
    assert_whole(done, reference)
    assert "nothing to do" in again().said


@pytest.mark.parametrize("name", ["summary.json", "config.yaml"])
def test_its_report_says_what_to_remove_and_that_is_enough(
    folder: Path, again: Again, reference: Done, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (folder / name).write_text("{")
    assert main(["report", str(folder)]) == 1
    assert f"{name} is damaged" in (said := capsys.readouterr().err)
    assert "remove it, and the command that cross-validated writes it again" in said
    (folder / name).unlink()
    assert_whole(again(), reference)
    assert main(["report", str(folder), "report.track=false"]) == 0


@pytest.mark.parametrize("text", ["[]", '{"best_epoch": "two"}', '{"best_epoch": 2, "epo'])
@pytest.mark.parametrize("finished", [True, False])
def test_of_a_final_training_whose_summary_is_damaged_it_is_said_what_to_remove(
    folder: Path, again: Again, reference: Done, text: str, finished: bool
) -> None:
    (final,) = folder.glob("*_final")
    (final / "summary.json").write_text(text)
    if not finished:
        (folder / "summary.json").unlink()
    with pytest.raises(InputError, match=rf"is missing or damaged: remove {final}, and the same command trains it"):
        again()
    shutil.rmtree(final)
    assert_whole(again(), reference)


def test_a_folds_figures_that_are_none_are_named(folder: Path, again: Again, reference: Done) -> None:
    (folder / "summary.json").unlink()
    metrics = sorted(folder.glob("*_fold_0"))[0] / "metrics.csv"
    metrics.write_text(metrics.read_text().replace("\n2,", "\ntwo,"))
    with pytest.raises(InputError, match=rf"{metrics} is damaged: remove it, and the same command draws"):
        again()
    metrics.unlink()
    assert_whole(again(), reference)


def test_a_folds_summary_that_makes_no_sense_is_not_taken_into_a_new_journal(
    folder: Path, again: Again, reference: Done
) -> None:
    fold = sorted(folder.glob("*_fold_0"))[0]
    summary = json.loads((fold / "summary.json").read_text())
    summary["picks"]["pick_f1"] = "x"
    (fold / "summary.json").write_text(json.dumps(summary))
    (folder / "study.journal").unlink()
    (folder / "summary.json").unlink()
    with pytest.raises(InputError, match=rf"remove {fold}, and the same command trains it"):
        again()
    shutil.rmtree(fold)
    assert_whole(again(), reference)


# ---- what a killed one was at


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda fold: cut(fold / "last.ckpt"), "last.ckpt is damaged"),
        (lambda fold: cut(fold / "model.ckpt"), "model.ckpt"),
        (lambda fold: (fold / "run.json").write_text("{"), "run.json is damaged"),
    ],
    ids=["checkpoint", "model", "record"],
)
def test_a_training_whose_folder_is_damaged_makes_no_other_value_the_best(
    programs: Programs, tiny: TinyData, tmp_path: Path, reference: Done, spoil: Callable[[Path], None], said: str
) -> None:
    words = tiny.overrides(*EXAMPLE, "run_dir=cross")
    moment = ("pickery.training.callbacks", "write_metrics", 2)
    assert programs.run(words, tmp_path, moment).status == -signal.SIGKILL
    (fold,) = (path.parent for path in (tmp_path / "cross").glob("*/last.ckpt"))
    spoil(fold)
    told = programs.run(words, tmp_path)
    assert told.status == 1, told.said
    assert "Traceback" not in told.said
    assert said in told.said
    assert f"remove cross/{fold.name}, and the same command trains it again" in told.said
    shutil.rmtree(fold)
    done = programs.run(words, tmp_path)
    assert done.status == 0, done.said
    assert (tmp_path / "cross" / "cross_validation.csv").read_text() == reference.table
