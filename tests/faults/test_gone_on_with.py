"""Finished runs that are gone on with and disturbed, and folders of runs that were copied: no figure is another's."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch

from tests.faults.torture import Victim
from tests.programs import (
    NO_DRAWING,
    Launcher,
    assert_tracked_whole,
    doubles_and_gaps,
    epochs_of,
    figures_of,
    killed_at,
    tracked_run_of,
    tracked_runs,
)

pytestmark = pytest.mark.slow


def done(launcher: Launcher, words: list[str], place: Path) -> str:
    program = launcher.run(words, place, fault=NO_DRAWING)
    assert program.status == 0, program.said
    return program.said


def best_of(run: Path) -> tuple[int, int]:
    """Give the best epoch, as the summary has it and as the model has it."""
    model = torch.load(run / "model.ckpt", weights_only=True)
    return json.loads((run / "summary.json").read_text())["best_epoch"], model["metrics"]["epoch"]


def test_a_longer_training_that_is_killed_is_no_finished_one(
    launcher: Launcher, training: Victim, tmp_path: Path
) -> None:
    longer = [*training.words, "trainer.epochs=7"]
    done(launcher, longer, tmp_path)
    (tmp_path / "run").rename(tmp_path / "at_once")
    done(launcher, training.words, tmp_path)
    run = tmp_path / "run"
    killed = launcher.run(longer, tmp_path, fault=killed_at("pickery.training.callbacks", "write_metrics", 3))
    assert killed.status == -signal.SIGKILL
    assert epochs_of(run) > 4
    assert not (run / "summary.json").exists()
    report = launcher.run(["report", "run"], tmp_path)
    assert report.status == 1
    assert "is not finished" in report.said

    # with no more epochs asked for than were done before, all that were done count
    copied = tmp_path / "copied"
    shutil.copytree(tmp_path, copied, ignore=shutil.ignore_patterns("said.*", "at_once"))
    said = done(launcher, training.words, copied)
    assert "more than trainer.epochs=4: all count" in said
    best, held = best_of(copied / "run")
    assert best == held
    summary = json.loads((copied / "run" / "summary.json").read_text())
    assert summary["epochs"] == epochs_of(copied / "run") > 4

    done(launcher, longer, tmp_path)
    figures, at_once = figures_of(run), figures_of(tmp_path / "at_once")
    assert figures["metrics.csv"] == at_once["metrics.csv"]
    assert figures["model.ckpt"] == at_once["model.ckpt"]
    tracked = {one.id: one for one in tracked_runs(launcher, tmp_path / "mlruns")}
    one = tracked[str(tracked_run_of(run))]
    assert one.status == "FINISHED"
    # what was best of four epochs may be there as well as what is best of seven
    assert not [name for name in doubles_and_gaps(one, run / "metrics.csv") if not name.startswith("best/")]


def test_a_copied_run_is_tracked_on_its_own_and_a_moved_one_goes_on(
    launcher: Launcher, training: Victim, tmp_path: Path
) -> None:
    done(launcher, training.words, tmp_path)
    run, copy = tmp_path / "run", tmp_path / "copy"
    original = str(tracked_run_of(run))
    before = {one.id: one for one in tracked_runs(launcher, tmp_path / "mlruns")}
    shutil.copytree(run, copy)
    done(launcher, [*training.words, "run_dir=copy", "trainer.epochs=5"], tmp_path)
    after = {one.id: one for one in tracked_runs(launcher, tmp_path / "mlruns")}
    assert after[original] == before[original]
    of_copy = str(tracked_run_of(copy))
    assert after.keys() == {original, of_copy}
    assert_tracked_whole(after[of_copy], copy)
    assert len(after[of_copy].history["test/precision"]) == 5

    moved = tmp_path / "moved"
    run.rename(moved)
    done(launcher, [*training.words, "run_dir=moved", "trainer.epochs=5"], tmp_path)
    assert tracked_run_of(moved) == original
    one = {one.id: one for one in tracked_runs(launcher, tmp_path / "mlruns")}[original]
    assert len(one.history["test/precision"]) == 5
