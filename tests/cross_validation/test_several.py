"""Several processes at one cross-validation: they share the work, and whatever becomes of some, the others end it."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from pickery.errors import InputError
from tests.conftest import TinyData
from tests.cross_validation.conftest import EXAMPLE, Done, Programs, cross_validate, epochs_said, runs_of, tracked

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="forks"),
    # SQLAlchemy deprecates what MLflow 3.17 does when it opens its database
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]


def tables(folder: Path) -> str:
    return (folder / "cross_validation.csv").read_text()


def assert_each_was_trained_once(folder: Path, reference: Done, *, but: str = "") -> None:
    """Hold the trainings of a folder against those of a process alone; one may have been taken up again."""
    names = {path.parent.name for path in reference.path.glob("*/metrics.csv")}
    assert {path.parent.name for path in folder.glob("*/metrics.csv")} == names
    assert (folder / "model.ckpt").exists()
    for name in names:
        assert (folder / name / "metrics.csv").read_bytes() == (reference.path / name / "metrics.csv").read_bytes()
        said = (folder / name / "log.txt").read_text()
        if name != but:
            assert said.count(" training in ") == 1
            assert " resuming in " not in said
            assert epochs_said(folder)[name] == [1, 2, 3]
    assert list((folder / "workers").iterdir()) == []


@pytest.mark.parametrize("storage", ["journal", "database"])
def test_two_workers_give_the_same_table_as_one(
    programs: Programs, reference: Done, tiny: TinyData, tmp_path: Path, storage: str
) -> None:
    words = ["cross_validation.workers=2", "run_dir=cross"]
    if storage == "database":
        words.append("cross_validation.storage=sqlite:///study.db")
    program = programs.run(tiny.overrides(*EXAMPLE, *words), tmp_path)
    assert program.status == 0, program.said
    assert tables(tmp_path / "cross") == reference.table
    assert_each_was_trained_once(tmp_path / "cross", reference)
    assert (tmp_path / "cross" / "study.journal").exists() == (storage == "journal")
    assert not (tmp_path / "mlruns").exists()


def test_halving_stops_the_same_values_with_two_workers(programs: Programs, tiny: TinyData, tmp_path: Path) -> None:
    words = [*EXAMPLE, "optimizer.schedule=cosine"]
    full = programs.run(tiny.overrides(*words, "run_dir=full"), tmp_path)
    assert full.status == 0, full.said
    for workers in (1, 2):
        halving = ["cross_validation.pruning=halving", f"cross_validation.workers={workers}", f"run_dir=by_{workers}"]
        halved = programs.run(tiny.overrides(*words, *halving), tmp_path)
        assert halved.status == 0, halved.said
        assert "took 16 epochs instead of 18" in halved.said
    assert tables(tmp_path / "by_1") == tables(tmp_path / "by_2")
    rows, whole = (tables(tmp_path / folder).splitlines() for folder in ("by_2", "full"))
    assert sum(",stopped," in row for row in rows) == 2
    assert {row for row in rows if ",stopped," not in row} <= set(whole)


def test_four_processes_that_start_at_once_train_everything_once(
    programs: Programs, reference: Done, tiny: TinyData, tmp_path: Path
) -> None:
    # a store of their own too: what is prepared is prepared by all at once
    words = [*EXAMPLE, *tracked(tmp_path / "mlruns"), "preprocess.store=store", "run_dir=cross"]
    started = [programs.start(tiny.overrides(*words), tmp_path) for _ in range(4)]
    for program in started:
        assert program.wait() == 0, program.said
        assert "Traceback" not in program.said
        assert "is best" in program.said
    assert tables(tmp_path / "cross") == reference.table
    assert_each_was_trained_once(tmp_path / "cross", reference)
    assert sum(program.said.count("final training: ") for program in started) == 1
    runs = runs_of(tmp_path / "mlruns")
    assert [one.info.status for one in runs] == ["FINISHED"] * 8
    assert sum("mlflow.parentRunId" not in one.data.tags for one in runs) == 1
    assert len(list((tmp_path / "store").glob("*/index.json"))) == 1


@pytest.mark.parametrize("at", ["a fold", "final"])
def test_what_one_of_four_leaves_when_it_is_killed_the_others_finish(
    programs: Programs, reference: Done, tiny: TinyData, tmp_path: Path, at: str
) -> None:
    words = tiny.overrides(*EXAMPLE, *tracked(tmp_path / "mlruns"), "run_dir=cross")
    # in mid-training: when its second minibatches are about to be saved
    moment = ("pickery.training.callbacks", "save_checkpoint", 2)
    if at == "final":
        moment = ("pickery.cross_validation.run", "track_values", 1)
    started = [programs.start(words, tmp_path, moment)]
    if at == "a fold":  # it is to have one, however busy the machine is
        while not started[0].ended() and not list((tmp_path / "cross").glob("*/metrics.csv")):
            time.sleep(0.02)
    started += [programs.start(words, tmp_path, moment if at == "final" else None) for _ in range(3)]
    if at == "final":  # whoever gets to it is killed: one after the other
        for program in started:
            assert program.wait() == -signal.SIGKILL
        again = [programs.start(words, tmp_path) for _ in range(2)]
        assert [program.wait() for program in again] == [0, 0]
    else:
        assert started[0].wait() == -signal.SIGKILL
        for program in started[1:]:
            assert program.wait() == 0, program.said
    assert tables(tmp_path / "cross") == reference.table
    runs = runs_of(tmp_path / "mlruns")
    assert {one.info.status for one in runs} == {"FINISHED"}
    (resumed,) = [
        log.parent.name for log in (tmp_path / "cross").glob("*/log.txt") if " resuming in " in log.read_text()
    ] or [""]
    assert bool(resumed) == (at == "a fold")
    assert_each_was_trained_once(tmp_path / "cross", reference, but=resumed)
    if resumed:
        assert sorted(epochs_said(tmp_path / "cross")[resumed]) == [1, 2, 3]


def test_when_all_of_several_fail_the_tracked_run_has_failed(
    programs: Programs, tiny: TinyData, tmp_path: Path
) -> None:
    words = ["cross_validation.values=[1e30,1e31,1e32]", "cross_validation.folds=1", "trainer.epochs=1"]
    words = tiny.overrides(*words, *tracked(tmp_path / "mlruns"), "run_dir=cross")
    started = [programs.start(words, tmp_path) for _ in range(3)]
    for program in started:
        assert program.wait() == 1
        assert "no value could be trained on every fold" in program.said
        assert "Traceback" not in program.said
    assert {one.info.status for one in runs_of(tmp_path / "mlruns")} == {"FAILED"}


def test_workers_end_with_whoever_started_them(programs: Programs, tiny: TinyData, tmp_path: Path) -> None:
    import psutil

    words = ["cross_validation.workers=2", "trainer.epochs=50", "run_dir=cross"]
    program = programs.start(tiny.overrides(*EXAMPLE, *words), tmp_path)
    while len(epochs_said(tmp_path / "cross")) < 2:
        assert not program.ended(), program.said
        time.sleep(0.05)
    workers = psutil.Process(program.pid).children()
    assert len(workers) == 2
    os.kill(program.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive
    assert [path.name for path in (tmp_path / "cross" / "workers").glob("*.json")] == [
        path.name for path in (tmp_path / "cross" / "workers").glob(f"*-{program.pid}-*.json")
    ]


def test_a_worker_that_is_killed_is_told_of_and_its_training_is_taken_up(
    programs: Programs, reference: Done, tiny: TinyData, tmp_path: Path
) -> None:
    import psutil

    program = programs.start(tiny.overrides(*EXAMPLE, "cross_validation.workers=2", "run_dir=cross"), tmp_path)
    while not epochs_said(tmp_path / "cross"):
        assert not program.ended(), program.said
        time.sleep(0.02)
    psutil.Process(program.pid).children()[0].kill()
    assert program.wait() == 0, program.said
    assert "a worker was killed by signal 9" in program.said
    assert tables(tmp_path / "cross") == reference.table


def test_several_processes_refuse_what_one_refuses(reference: Done, tiny: TinyData) -> None:
    with pytest.raises(InputError, match="seed=0, not 1"):
        cross_validate(tiny.overrides(*EXAMPLE, "cross_validation.workers=2", "seed=1", f"run_dir={reference.path}"))
