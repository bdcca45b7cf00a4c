import json
import math
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pickery.cross_validation.grid import FINAL, Axis, Grid, Point, stepped
from pickery.cross_validation.study import points as of_study
from pickery.cross_validation.study.points import LOSSES, PointStudy, Standing
from pickery.errors import InputError

GRID = Grid((Axis("optimizer.learning_rate", stepped(0.0001, 0.0001, 3)), Axis("data.radius", (2, 3))), 2)
FEW = Grid((Axis("optimizer.learning_rate", stepped(0.0001, 0.0002, 2)),), 2)
KINDS = ["journal", "sqlite"]


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    return address(request.param, tmp_path)


def address(kind: str, folder: Path) -> str | None:
    return None if kind == "journal" else f"sqlite:///{folder / 'study.db'}"


def opened(folder: Path, storage: str | None = None, *, grid: Grid = FEW, better: str = "higher") -> PointStudy:
    return PointStudy.open(folder, grid, name="pickery", storage=storage, better=better)


def filled(folder: Path, storage: str | None = None) -> PointStudy:
    study = opened(folder, storage)
    study.enqueue(FEW.points())
    return study


def work_off(study: PointStudy, worker: str = "me") -> list[Point]:
    done = []
    while (claim := study.claim(worker)) is not None:
        assert study.complete(claim, float(claim.point.value), {"best_epoch": 1})
        done.append(claim.point)
    return done


def standing(study: PointStudy, point: Point) -> Standing:
    return next(one for one in study.standings() if one.point == point)


def nobody(name: str) -> bool:
    return False


def everybody(name: str) -> bool:
    return True


# --- one process


def test_points_are_given_in_the_order_in_which_they_were_enqueued_each_once(
    storage: str | None, tmp_path: Path
) -> None:
    study = filled(tmp_path, storage)
    assert [one.point for one in study.standings()] == list(FEW.points())
    assert work_off(study) == list(FEW.points())
    assert [one.point for one in study.standings()] == list(FEW.points())
    assert study.claim("me") is None


def test_enqueueing_again_adds_only_what_is_new(tmp_path: Path) -> None:
    study = filled(tmp_path)
    study.enqueue(FEW.points())
    other = opened(tmp_path)
    other.enqueue([*FEW.points(), Point(1, 0, 1), Point(1, 0, 1)])
    assert [one.point for one in study.standings()] == [*FEW.points(), Point(1, 0, 1)]


def test_what_a_point_was_completed_with_is_found_again(storage: str | None, tmp_path: Path) -> None:
    study = filled(tmp_path, storage)
    claim = study.claim("gpu7-1-aa")
    assert claim is not None
    figures = {"epochs": 3, "objective": "pn", "figures": {"auprc": 0.1 + 0.2, "tpr": None}, "warnings": ["é"]}
    assert study.complete(claim, 0.1 + 0.2, figures)
    assert study.standings()[0] == Standing(claim.point, "done", "gpu7-1-aa", 0.1 + 0.2, figures)
    assert opened(tmp_path, storage).standings()[0] == study.standings()[0]


@pytest.mark.parametrize("better", ["higher", "lower"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_that_is_not_a_number_is_kept_and_is_the_worst_to_optuna(
    kind: str, better: str, tmp_path: Path
) -> None:
    study = opened(tmp_path, address(kind, tmp_path), better=better)
    study.enqueue(FEW.points()[:2])
    for figure in (math.nan, 0.5):
        claim = study.claim("me")
        assert claim is not None
        assert study.complete(claim, figure, {})
    monitored = study.standings()[0].monitored
    assert monitored is not None
    assert math.isnan(monitored)
    assert study.study.best_trial.number == 1


def test_a_failed_point_stays_failed_until_it_is_retried(storage: str | None, tmp_path: Path) -> None:
    study = filled(tmp_path, storage)
    claim = study.claim("me")
    assert claim is not None
    assert study.fail(claim, "radius=2 is too small")
    work_off(study)
    study.enqueue(FEW.points())
    assert study.requeue_lost(nobody) == []
    assert study.claim("me") is None
    assert standing(study, claim.point) == Standing(claim.point, "failed", "me", reason="radius=2 is too small")
    assert study.retry_failed() == [claim.point]
    assert study.retry_failed() == []
    assert standing(study, claim.point).state == "waiting"
    assert work_off(study) == [claim.point]


def test_a_released_point_waits_again_behind_the_others(tmp_path: Path) -> None:
    study = filled(tmp_path)
    claim = study.claim("me")
    assert claim is not None
    assert standing(study, claim.point) == Standing(claim.point, "running", "me")
    assert study.release(claim)
    assert standing(study, claim.point) == Standing(claim.point, "waiting")
    assert work_off(study) == [*FEW.points()[1:], claim.point]


def test_one_point_can_be_asked_for(tmp_path: Path) -> None:
    study = filled(tmp_path)
    last = FEW.points()[-1]
    claim = study.claim("me", last)
    assert claim is not None
    assert claim.point == last
    assert study.claim("me", last) is None
    assert study.claim("me", Point(3, 0, 0)) is None


def test_a_point_whose_worker_is_gone_waits_again_and_the_others_do_not(storage: str | None, tmp_path: Path) -> None:
    study, other = filled(tmp_path, storage), opened(tmp_path, storage)
    mine, theirs = study.claim("me"), other.claim("gone")
    assert mine is not None
    assert theirs is not None
    assert study.requeue_lost(everybody) == []
    assert study.requeue_lost(lambda name: name == "me") == [theirs.point]
    assert study.requeue_lost(lambda name: name == "me") == []
    assert standing(study, mine.point).state == "running"
    assert standing(study, theirs.point) == Standing(theirs.point, "waiting")
    assert sorted(work_off(study)) == sorted(set(FEW.points()) - {mine.point})


def test_a_worker_that_was_taken_for_dead_comes_too_late(storage: str | None, tmp_path: Path) -> None:
    study, asleep = filled(tmp_path, storage), opened(tmp_path, storage)
    for late in ("complete", "fail", "release"):
        claim = asleep.claim("asleep")
        assert claim is not None
        assert study.requeue_lost(nobody) == [claim.point]

        def come_back(late: str = late, claim: of_study.Claim = claim) -> bool:
            if late == "complete":
                return asleep.complete(claim, 0.9, {"epochs": 1})
            return asleep.fail(claim, "late") if late == "fail" else asleep.release(claim)

        assert not come_back()  # while it waits
        assert standing(study, claim.point) == Standing(claim.point, "waiting")
        again = study.claim("me", claim.point)
        assert again is not None
        assert not come_back()  # while another trains it
        assert standing(study, claim.point).worker == "me"
        assert study.complete(again, 0.5, {})
        assert not come_back()  # when another has done it
        assert standing(study, claim.point) == Standing(claim.point, "done", "me", 0.5)
        assert not study.complete(again, 0.7, {})
        assert standing(study, claim.point).monitored == 0.5


def test_a_point_that_loses_its_worker_again_and_again_fails_in_words(tmp_path: Path) -> None:
    study = opened(tmp_path)
    study.enqueue(FEW.points()[:1])

    def lose() -> list[Point]:
        assert study.claim("poisoned") is not None
        return study.requeue_lost(nobody)

    for loss in range(LOSSES):
        assert lose() == [FEW.points()[0]]
        if loss == 2:
            released = study.claim("me")
            assert released is not None
            assert study.release(released)  # neither a loss nor a cure
    assert lose() == []
    failed = study.standings()[0]
    assert (failed.state, failed.worker) == ("failed", "poisoned")
    assert failed.reason is not None
    assert "lost its worker 6 times in a row" in failed.reason
    assert study.retry_failed() == [FEW.points()[0]]
    assert lose() == [FEW.points()[0]]  # counted from anew


def test_a_command_given_again_after_a_kill_never_fails_a_point_and_losses_count_from_there(tmp_path: Path) -> None:
    study = opened(tmp_path)
    study.enqueue(FEW.points()[:1])
    for _ in range(3 * LOSSES):
        assert study.claim("killed") is not None
        assert study.requeue_lost(nobody, anew=True) == [FEW.points()[0]]
    for _ in range(LOSSES):
        assert study.claim("poisoned") is not None
        assert study.requeue_lost(nobody) == [FEW.points()[0]]
    assert study.claim("poisoned") is not None
    assert study.requeue_lost(nobody) == []
    assert study.standings()[0].state == "failed"


def test_of_several_trials_of_a_point_the_first_counts_and_the_others_are_never_trained(
    storage: str | None, tmp_path: Path
) -> None:
    study = opened(tmp_path, storage)
    first, second = FEW.points()[:2]
    for point in (first, first, second, first):
        study._create(point)  # as processes do that do not see each other's locks
    assert [one.point for one in study.standings()] == [first, second]
    claim = study.claim("me")
    assert claim is not None
    assert study.fail(claim, "no")
    assert work_off(study) == [second]
    study._create(first, follows=claim.trial)
    study._create(first, follows=claim.trial)
    study._create(first)
    assert work_off(study) == [first]
    assert Counter(trial.user_attrs.get("ended") for trial in study.study.trials) == {
        None: 2,
        "failed": 1,
        "duplicate": 4,
    }


def test_a_process_killed_between_ending_a_trial_and_enqueueing_the_next_loses_no_point(tmp_path: Path) -> None:
    study = filled(tmp_path)
    claim = study.claim("me")
    assert claim is not None
    study._end(claim.trial, "lost", "its worker is gone")
    assert standing(study, claim.point).state == "waiting"
    assert claim.point in work_off(opened(tmp_path))


def test_a_worker_killed_before_it_could_put_its_name_to_a_trial_is_missed(tmp_path: Path) -> None:
    from optuna.trial import TrialState

    study, point = opened(tmp_path), FEW.points()[0]
    study.enqueue([point])
    storage = study.study._storage

    def lost(*wanting: str, alive: str) -> bool:
        trial = study.study.trials[-1]
        for name in wanting:
            storage.set_trial_system_attr(trial._trial_id, f"wanted by {name}", True)
        storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        return study.requeue_lost(lambda name: name == alive) == [point]

    assert lost("killed", alive="another")
    assert lost("killed", "also killed", alive="another")
    assert not lost("about to", "killed", alive="about to")
    study.claim("me")
    assert lost("me", alive="me")  # we wanted it, and know that we did not get it
    assert lost(alive="another")


def test_what_this_process_does_not_hold_is_not_its_own(tmp_path: Path) -> None:
    study = filled(tmp_path)
    claim = study.claim("me")
    assert claim is not None
    assert study.requeue_lost(everybody) == []
    study._held.clear()  # the database granted it, and the connection broke before it could say so
    assert study.requeue_lost(everybody) == [claim.point]


def test_a_finished_study_is_not_changed_by_looking_at_it(storage: str | None, tmp_path: Path) -> None:
    def contents() -> object:
        trials = [repr(trial) for trial in opened(tmp_path, storage).study.trials]
        return trials, (tmp_path / "study.journal").read_bytes() if storage is None else None

    work_off(filled(tmp_path, storage))
    before = contents()
    study = filled(tmp_path, storage)
    assert work_off(study) == []
    assert study.requeue_lost(nobody) == []
    assert study.retry_failed() == []
    assert len(study.standings()) == len(FEW.points())
    study.close()
    assert contents() == before


def test_names_and_values_are_exact_decimals(storage: str | None, tmp_path: Path) -> None:
    study = opened(tmp_path, storage, grid=GRID)
    study.enqueue(GRID.points())
    trials = study.study.trials
    assert trials[4].user_attrs["name"] == "learning_rate=0.0003, radius=2, fold 0"
    assert trials[4].params == {"optimizer.learning_rate": 0.0003, "data.radius": 2, "fold": 0}
    assert [type(value) for value in trials[4].params.values()].count(float) == 1
    assert trials[-1].params == {"optimizer.learning_rate": 0.0003, "data.radius": 3, "fold": 1}


def test_the_final_training_and_higher_rungs_are_points_like_others(tmp_path: Path) -> None:
    study = opened(tmp_path)
    points = [Point(0, 0, 1), Point(1, 0, 1), Point(0, FINAL, 1)]
    study.enqueue(points)
    assert work_off(study) == points
    assert study.study.trials[-1].params == {"optimizer.learning_rate": 0.0003}


def test_the_grid_sampler_is_exhausted_when_every_point_is_done_or_failed(storage: str | None, tmp_path: Path) -> None:
    study = filled(tmp_path, storage)
    sampler = study.study.sampler
    held = study.claim("me")
    released = study.claim("me")
    assert held is not None
    assert released is not None
    study.release(released)
    while (claim := study.claim("me")) is not None:
        assert not sampler.is_exhausted(study.study)  # type: ignore[attr-defined]
        study.complete(claim, 0.5, {})
    assert not sampler.is_exhausted(study.study)  # type: ignore[attr-defined]
    study.fail(held, "no")
    assert sampler.is_exhausted(study.study)  # type: ignore[attr-defined]


def test_the_grid_sampler_knows_each_point_by_its_own_values(tmp_path: Path) -> None:
    points = opened(tmp_path, grid=GRID)
    points.enqueue(GRID.points())
    study = points.study
    for trial in study.trials:
        for name, distribution in trial.distributions.items():
            assert study.sampler.sample_independent(study, trial, name, distribution) == trial.params[name]


@pytest.mark.parametrize(("better", "direction"), [("higher", "MAXIMIZE"), ("lower", "MINIMIZE")])
def test_the_direction_is_the_metrics(better: str, direction: str, tmp_path: Path) -> None:
    assert opened(tmp_path, better=better).study.direction.name == direction


def test_two_studies_share_a_storage(tmp_path: Path) -> None:
    study = filled(tmp_path)
    finals = PointStudy.open(tmp_path, FEW, name="pickery final", storage=None, better="higher")
    finals.enqueue([Point(0, FINAL, 0)])
    assert work_off(finals) == [Point(0, FINAL, 0)]
    assert work_off(study) == list(FEW.points())


def test_trials_of_another_making_are_let_alone(tmp_path: Path) -> None:
    from optuna.trial import create_trial

    study = filled(tmp_path)
    study.study.add_trial(create_trial(value=0.5))
    assert study.requeue_lost(nobody) == []
    assert [one.point for one in study.standings()] == list(FEW.points())


# --- what is wrong is said


@pytest.mark.parametrize("grid", [Grid(FEW.axes, 3), GRID])
def test_a_study_of_other_values_is_refused(grid: Grid, storage: str | None, tmp_path: Path) -> None:
    opened(tmp_path, storage).close()
    with pytest.raises(InputError, match="has a study 'pickery' of other values, folds or direction"):
        opened(tmp_path, storage, grid=grid)
    with pytest.raises(InputError, match="give another run_dir"):
        opened(tmp_path, storage, better="lower")


@pytest.mark.parametrize(
    "bad",
    [
        "study.db",
        "",
        "nonsense://host/database",
        "redis://localhost",
        "mssql+pyodbc://user:secret@host/database",
        "postgresql+nodriver://user:secret@localhost:1/database",
        "sqlite:////no/such/folder/study.db",
        "postgresql://user:secret@localhost:port/database",
        "{}",
    ],
)
def test_a_storage_that_cannot_be_used_is_named_without_its_password(bad: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^cross_validation\.storage=.* cannot be used \(.*\): (give a|install)"
    ) as caught:
        opened(tmp_path, bad)
    assert "secret" not in str(caught.value)
    assert bad.partition(":")[0] in str(caught.value)


@pytest.mark.parametrize("memory", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(memory: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another database in every process"):
        opened(tmp_path, memory)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("no database " * 100)
    with pytest.raises(InputError, match=r"study\.db cannot be used \(.*not a database"):
        opened(tmp_path, address("sqlite", tmp_path))


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    filled(tmp_path)
    path = tmp_path / "study.journal"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"garbage\n", *lines[1:]]))
    with pytest.raises(InputError, match=re.escape(f"{path} is damaged")):
        opened(tmp_path)


def test_a_journal_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    study = filled(tmp_path)
    (tmp_path / "study.journal").unlink()
    (tmp_path / "study.journal").mkdir()
    with pytest.raises(InputError, match=r"study\.journal cannot be read or written \(Is a directory\)"):
        study.claim("me")
    with pytest.raises(InputError, match=r"study\.journal cannot be read or written \(Is a directory\)"):
        opened(tmp_path)


def test_nothing_is_said_by_optuna(storage: str | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    work_off(filled(tmp_path, storage))
    assert capfd.readouterr() == ("", "")


def test_optuna_is_not_imported_before_a_study_is_opened() -> None:
    code = "import sys, pickery.cross_validation.study.points; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"optuna", "sqlalchemy"} & {*done.stdout.split()}


# --- several processes

WORKER = """
import json, os, sys, time
from pathlib import Path
import optuna, sqlalchemy
from pickery.cross_validation.grid import Axis, Grid, stepped
from pickery.cross_validation.study.locks import FolderLock
from pickery.cross_validation.study.presence import Presence, is_alive
from pickery.cross_validation.study.points import PointStudy

GRID = Grid((Axis("optimizer.learning_rate", stepped(0.0001, 0.0001, 3)), Axis("data.radius", (2, 3))), 2)
optuna.storages.JournalStorage, optuna.storages.RDBStorage

def work(folder, storage, hang):
    done = []
    with Presence(folder) as here:
        study = PointStudy.open(folder, GRID, name="pickery", storage=storage, better="higher")
        study.enqueue(GRID.points())
        while any(one.state in ("waiting", "running") for one in study.standings()):
            study.requeue_lost(lambda name: is_alive(folder, name))
            claim = study.claim(here.name)
            if claim is None:
                time.sleep(0.01)
                continue
            if hang:
                print("hanging", flush=True)
                time.sleep(600)
            assert study.complete(claim, claim.point.value, {"by": here.name})
            done.append([claim.point.fold, claim.point.value])
        study.close()
    return done

print("ready", flush=True)
for line in sys.stdin:
    folder, storage, locks, hang = json.loads(line)
    if not locks:
        FolderLock.__enter__ = lambda self: self
        FolderLock.__exit__ = lambda self, *error: None
    print(json.dumps(work(Path(folder), storage, hang)), flush=True)
"""


class Workers:
    """Processes that are ready to work."""

    def __init__(self, count: int) -> None:
        words = [sys.executable, "-W", "error", "-c", WORKER]
        self.processes = [
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        assert [self._line(process) for process in self.processes] == ["ready\n"] * count

    def begin(self, folder: Path, storage: str | None, *, locks: bool = True) -> None:
        for process in self.processes:
            self._order(process, folder, storage, locks=locks)

    def done(self) -> list[Point]:
        return [Point(0, *point) for process in self.processes for point in json.loads(self._line(process))]

    def take_one_and_hang(self, folder: Path, storage: str | None) -> "subprocess.Popen[str]":
        process = self.processes.pop()
        self._order(process, folder, storage, hang=True)
        assert self._line(process)
        return process

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        for process in self.processes:
            if kind is not None:
                process.kill()
            process.communicate(timeout=60)
            assert kind is not None or process.returncode == 0

    @staticmethod
    def _order(
        process: "subprocess.Popen[str]", folder: Path, storage: str | None, *, locks: bool = True, hang: bool = False
    ) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps([str(folder), storage, locks, hang]) + "\n")
        process.stdin.flush()

    @staticmethod
    def _line(process: "subprocess.Popen[str]") -> str:
        assert process.stdout is not None
        return process.stdout.readline()


@pytest.mark.slow
def test_processes_that_start_at_once_train_every_point_once(tmp_path: Path) -> None:
    with Workers(4) as workers:
        for kind, locks in (("journal", True), ("sqlite", True), ("journal", False)):
            for repetition in range(3):
                folder = tmp_path / f"{kind}-{locks}-{repetition}"
                folder.mkdir()
                workers.begin(folder, address(kind, folder), locks=locks)
                assert sorted(workers.done()) == sorted(GRID.points()), folder
                study = opened(folder, address(kind, folder), grid=GRID)
                assert {one.state for one in study.standings()} == {"done"}
                assert sorted(one.point for one in study.standings()) == sorted(GRID.points())
                states = Counter(trial.state.name for trial in study.study.trials)
                assert states["COMPLETE"] == len(GRID.points())
                assert not locks or states == {"COMPLETE": len(GRID.points())}
                study.close()


@pytest.mark.slow
def test_the_points_of_killed_workers_are_done_by_the_others_once(storage: str | None, tmp_path: Path) -> None:
    with Workers(4) as workers:
        hanging = [workers.take_one_and_hang(tmp_path, storage) for _ in range(2)]
        workers.begin(tmp_path, storage)
        for process in hanging:
            process.kill()
            process.communicate()
        assert sorted(workers.done()) == sorted(GRID.points())
    study = opened(tmp_path, storage, grid=GRID)
    assert {one.state for one in study.standings()} == {"done"}
    lost = [trial.user_attrs["name"] for trial in study.study.trials if trial.user_attrs.get("ended") == "lost"]
    assert lost == [GRID.name(point) for point in GRID.points()[:2]]
    assert len(study.study.trials) == len(GRID.points()) + 2
    study.close()
    assert list((tmp_path / "workers").glob("*.json")) == []


KILLED_AT_EVERY_WRITE = """
import os, signal, sys
from pathlib import Path
import optuna
from pickery.cross_validation.grid import Axis, Grid
from pickery.cross_validation.study.journal import Journal
from pickery.cross_validation.study.presence import Presence, is_alive
from pickery.cross_validation.study.points import PointStudy

GRID = Grid((Axis("seed", (0, 1)),), 1)
append = Journal.append_logs
done = []

def work(folder, name):
    study = PointStudy.open(folder, GRID, name="pickery", storage=None, better="higher")
    study.enqueue(GRID.points())
    study.requeue_lost(lambda name: is_alive(folder, name))
    while (claim := study.claim(name)) is not None:
        if not done:
            study.release(claim)
            done.append(None)
            continue
        assert study.complete(claim, 0.5, {"epochs": 1})
        done.append(claim.point)
    return study

def killed_at(number, when, folder):
    count = 0
    def counted(self, logs):
        nonlocal count
        count += 1
        if count == number and when != "after":
            if when == "within":  # as if the kernel had come to write half of it
                with self._writing(), self.path.open("ab") as file:
                    file.write(b'{"op_code":6,"worker')
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        append(self, logs)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
    Journal.append_logs = counted
    with Presence(folder) as here:
        work(folder, here.name)
    os._exit(0)

writes = 0
for when in ("before", "within", "after"):
    for number in range(1, 100):
        folder = Path(sys.argv[1]) / f"{when}-{number}"
        folder.mkdir()
        done.clear()
        child = os.fork()
        if child == 0:
            killed_at(number, when, folder)
        status = os.waitpid(child, 0)[1]
        done[:] = [None]
        study = work(folder, "survivor")
        standings = study.standings()
        assert [one.state for one in standings] == ["done", "done"], (when, number, standings)
        complete = [trial for trial in study.study.trials if trial.state.name == "COMPLETE"]
        assert len(complete) == 2, (when, number)
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        writes += 1
print(writes)
"""


@pytest.mark.slow
def test_a_worker_killed_at_any_write_leaves_every_point_to_be_done_once(tmp_path: Path) -> None:
    words = [sys.executable, "-W", "error", "-c", KILLED_AT_EVERY_WRITE, str(tmp_path)]
    run = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert int(run.stdout) > 45  # three times as many as a worker writes
