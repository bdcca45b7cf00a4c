"""Cross-validations that are killed without warning, or asked to end, come to the end of those that were not."""

import csv
import json
import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from pickery.cross_validation.study.presence import SILENT_S
from tests.conftest import TinyData
from tests.cross_validation.conftest import (
    EXAMPLE,
    Programs,
    epochs_said,
    history,
    runs_of,
    tracked,
)
from tests.programs import NO_DRAWING, Program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL"),
    # SQLAlchemy deprecates what MLflow 3.17 does when it opens its database
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

EPOCHS = 4
KILLS = 6
LENGTH = (f"trainer.epochs={EPOCHS}", "sampler.epoch_size=24")


def given(tiny: TinyData, place: Path, *more: str) -> list[str]:
    """Give the worked example, a little longer, with a folder and a tracking store in a place of their own."""
    return tiny.overrides(*EXAMPLE, *LENGTH, *tracked(place / "mlruns"), f"run_dir={place / 'run'}", *more)


@dataclass(frozen=True)
class Undisturbed:
    """What was not disturbed, and the seconds it took to begin and to do its work."""

    place: Path
    starts: float
    works: float


@pytest.fixture(scope="module")
def undisturbed(programs: Programs, tiny: TinyData, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    place, began = tmp_path_factory.mktemp("undisturbed"), time.monotonic()
    program = programs.start(given(tiny, place), place)
    wait_until_at_work(program, place / "run")
    starts = time.monotonic() - began
    assert program.wait() == 0, program.said
    return Undisturbed(place, starts, time.monotonic() - began - starts)


def times_begun(folder: Path) -> int:
    log = folder / "log.txt"
    return log.read_text().count("then the final one") if log.exists() else 0


def wait_until_at_work(program: Program, folder: Path, begun: int = 0) -> None:
    while times_begun(folder) <= begun and not program.ended():
        time.sleep(0.01)


def epochs_on_disk(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) - 1 for path in folder.glob("*/metrics.csv"))


def tables(folder: Path) -> str:
    return (folder / "cross_validation.csv").read_text()


def assert_as_if_undisturbed(place: Path, undisturbed: Path) -> None:
    """Hold what a disturbed cross-validation left in the end against one that was not disturbed."""
    run, other = place / "run", undisturbed / "run"
    assert tables(run) == tables(other)
    names = {path.parent.name for path in other.glob("*/metrics.csv")}
    assert {path.parent.name for path in run.glob("*/metrics.csv")} == names
    for name in names:
        assert (run / name / "metrics.csv").read_bytes() == (other / name / "metrics.csv").read_bytes()
    # an epoch is said when it is on the disk: none of those was trained again
    for epochs in epochs_said(run).values():
        assert epochs == sorted(set(epochs))
    assert list((run / "workers").iterdir()) == []

    root = place / "mlruns"
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    written = {json.loads(record.read_text())["tracked_run"]: record.parent for record in run.rglob("run.json")}
    assert len(written) == len(names) + 1
    runs = {one.info.run_id: one for one in runs_of(root)}
    # between the birth of a tracked run and the writing of its number a kill leaves one that nobody knows
    assert not any(one.data.metrics for number, one in runs.items() if number not in written)
    assert {runs[number].info.status for number in written} == {"FINISHED"}
    (parent,) = [number for number, of_folder in written.items() if of_folder == run]
    for number, of_folder in written.items():
        if number == parent:
            means = [row.split(",")[-3] for row in tables(of_folder).splitlines() if ",0,done," in row]
            assert [value for _, value in history(root, number, "mean/precision")] == list(map(float, means))
        else:
            assert runs[number].data.tags["mlflow.parentRunId"] == parent
            epochs = csv.DictReader((of_folder / "metrics.csv").read_text().splitlines())
            figures = [(int(epoch["epoch"]), float(epoch["test_precision"])) for epoch in epochs]
            assert history(root, number, "test/precision") == figures


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments_it_comes_to_the_same_end(
    programs: Programs, undisturbed: Undisturbed, tiny: TinyData, tmp_path: Path, workers: int
) -> None:
    words, run = given(tiny, tmp_path, f"cross_validation.workers={workers}"), tmp_path / "run"
    seed = random.randrange(2**32)
    generator, killed = random.Random(seed), 0
    whole = epochs_on_disk(undisturbed.place / "run")
    for left in range(KILLS, 0, -1):
        begun, ahead = times_begun(run), 1 - epochs_on_disk(run) / whole
        program = programs.start(words, tmp_path)
        if generator.random() < 0.2:  # some while they begin, the others spread over what is still to do
            time.sleep(generator.uniform(0, undisturbed.starts))
        else:
            wait_until_at_work(program, run, begun)
            time.sleep(generator.uniform(0, 1.5 * undisturbed.works * ahead / left))
        children = program.family()
        program.kill()
        _, alive = psutil.wait_procs(children, timeout=60)
        assert not alive, f"orphans are still at work (seed {seed})"
        assert program.status in (0, -signal.SIGKILL), program.said
        if program.status == 0:
            break
        killed += 1
    assert killed >= KILLS - 2, f"it ended after {killed} kills (seed {seed})"
    last = programs.run(words, tmp_path)
    assert last.status == 0, last.said
    assert_as_if_undisturbed(tmp_path, undisturbed.place)


# where a kill does most harm: between two things that belong together, in the order in which a run comes by
MOMENTS = [
    ("pickery.cross_validation.bench", "write_record", 1),
    ("pickery.cross_validation.bench", "write_config", 1),
    ("pickery.cross_validation.bench", "open_tracker", 1),
    ("pickery.training.run", "open_tracker", 1),
    ("pickery.training.callbacks", "save_checkpoint", 1),
    ("pickery.training.callbacks", "write_metrics", 1),
    ("pickery.training.fit", "track_epoch", 1),
    ("pickery.training.finish", "finish_run", 1),
    ("pickery.training.finish", "write_micrographs", 1),
    ("pickery.training.run", "end_tracked", 1),
    ("pickery.cross_validation.work", "result_of", 1),
    ("pickery.cross_validation.work", "result_of", 2),
    ("pickery.cross_validation.run", "write_table", 1),
    ("pickery.cross_validation.run", "track_values", 1),
    ("pickery.training.run", "end_tracked", 1),
    ("pickery.cross_validation.run", "conclude", 1),
    ("pickery.cross_validation.conclude", "write_table", 1),
    ("pickery.cross_validation.run", "say_end", 1),
    ("pickery.cross_validation.run", "end_tracked", 1),
    ("pickery.cross_validation.run", "write_summary", 1),
]


def test_killed_at_the_worst_moments_one_after_the_other_it_comes_to_the_same_end(
    programs: Programs, tiny: TinyData, tmp_path: Path
) -> None:
    more = ["cross_validation.values=[0.0001,0.0002]", "cross_validation.folds=1", "trainer.epochs=2"]

    def words(folder: str) -> list[str]:
        place = tmp_path / folder
        return tiny.overrides(*more, *tracked(place / "mlruns"), f"run_dir={place / 'run'}")

    whole = programs.run(words("whole"), tmp_path)
    assert whole.status == 0, whole.said
    for moment in MOMENTS:
        program = programs.run(words("killed"), tmp_path, moment)
        assert program.status == -signal.SIGKILL, f"never came by {moment}: {program.said}"
        assert not (tmp_path / "killed" / "run" / "summary.json").exists()
    last = programs.run(words("killed"), tmp_path)
    assert last.status == 0, last.said
    assert_as_if_undisturbed(tmp_path / "killed", tmp_path / "whole")


def test_halving_that_was_killed_stops_the_same_values(programs: Programs, tiny: TinyData, tmp_path: Path) -> None:
    def words(folder: str) -> list[str]:
        return given(tiny, tmp_path / folder, "cross_validation.pruning=halving", "optimizer.schedule=cosine")

    whole = programs.run(words("whole"), tmp_path)
    assert whole.status == 0, whole.said
    for moment in [
        ("pickery.cross_validation.work", "result_of", 2),  # stopped after its rung, and nobody was told
        ("pickery.training.run", "end_tracked", 2),
        ("pickery.cross_validation.work", "survivors", 1),
        ("pickery.training.callbacks", "write_metrics", 1),  # in the second rung
        ("pickery.cross_validation.work", "result_of", 2),
    ]:
        program = programs.run(words("killed"), tmp_path, moment)
        assert program.status == -signal.SIGKILL, f"never came by {moment}: {program.said}"
    last = programs.run(words("killed"), tmp_path)
    assert last.status == 0, last.said
    assert "saved" in last.said
    assert_as_if_undisturbed(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.parametrize("workers", [1, 2])
def test_asked_to_end_it_hands_its_trainings_back_and_goes_on_when_asked_again(
    programs: Programs, undisturbed: Undisturbed, tiny: TinyData, tmp_path: Path, workers: int
) -> None:
    words, run = given(tiny, tmp_path, f"cross_validation.workers={workers}"), tmp_path / "run"
    program = programs.start(words, tmp_path)
    while epochs_on_disk(run) < EPOCHS + 2:
        assert not program.ended(), program.said
        time.sleep(0.01)
    os.kill(program.pid, signal.SIGTERM)
    assert program.wait() == 130
    assert "Traceback" not in program.said
    assert "interrupted; the same command takes up where it stopped" in program.said
    assert list((run / "workers").iterdir()) == []
    runs = runs_of(tmp_path / "mlruns")
    (parent,) = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    assert parent.info.status == "KILLED"
    assert {one.info.status for one in runs} <= {"KILLED", "FINISHED"}
    again = programs.run(words, tmp_path)
    assert again.status == 0, again.said
    assert "going on in " in again.said
    assert_as_if_undisturbed(tmp_path, undisturbed.place)


def test_it_says_whom_it_waits_for_where_it_cannot_know_that_nobody_is_there(
    programs: Programs, tiny: TinyData, tmp_path: Path
) -> None:
    words = tiny.overrides("cross_validation.values=[0.0001,0.0002]", "cross_validation.folds=1", "run_dir=run")
    moment = ("pickery.training.callbacks", "write_metrics", 1)
    assert programs.run(words, tmp_path, moment).status == -signal.SIGKILL
    (record,) = (tmp_path / "run" / "workers").glob("*.json")
    record.write_text("[1,2")  # of which machine is no longer to be told
    nearly = time.time() - SILENT_S + 10
    os.utime(record, (nearly, nearly))
    soon = "import pickery.cross_validation.work as work; work.SAY_SO_AFTER_S = 0.5"
    again = programs.launcher.run(["cross-validate", *words], tmp_path, fault=f"{NO_DRAWING}\n{soon}")
    assert again.status == 0, again.said
    waits = f"nothing is left to begin; waiting for learning_rate=0.0001, fold 0 (worker {record.stem})."
    assert again.said.count(waits) == 1
    assert "learning_rate=0.0001, fold 0 lost its worker and is taken up again" in again.said
