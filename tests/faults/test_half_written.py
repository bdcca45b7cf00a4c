"""Programs that are killed in the middle of a write, at every file that is written whole: nothing of it stays."""

import signal
import sys
from pathlib import Path

import pytest

from tests.faults.torture import Victim, Whole
from tests.programs import killed_writing, leftovers

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")]

# in the order in which they are written
OF_A_TRAINING = [
    "store/contents.json", "run/run.json", "run/config.yaml", "run/model.ckpt", "run/last.ckpt", "run/metrics.csv",
    "plots/precision.png", "plots/metrics.png", "plots/precision_recall.png", "plots/picks.png",
    "run/micrographs.csv", "run/summary.json",
]  # fmt: skip
OF_A_CROSS_VALIDATION = [
    "store/contents.json", "run/run.json", "run/config.yaml", "learning_rate_0.003_final/model.ckpt",
    "plots/picks.png", "learning_rate_0.003_final/summary.json", "run/cross_validation.csv",
    "plots/cross_validation.png", "plots/curves.png", "run/model.ckpt", "run/micrographs.csv", "run/summary.json",
]  # fmt: skip


def killed_at_each(victim: Victim, whole: Whole, place: Path, files: list[str]) -> None:
    place.mkdir()
    for file in files:
        program = victim.run(place, fault=killed_writing(file))
        assert program.status == -signal.SIGKILL, f"{file} was never written: {program.said}"
        assert [path for path in leftovers(place) if file.replace("/", "/.") in path]
    assert victim.run(place).status == 0
    victim.check(place, whole)


def test_a_training_killed_in_the_middle_of_each_of_its_files_leaves_nothing_half_written(
    training: Victim, whole: Whole, tmp_path: Path
) -> None:
    killed_at_each(training, whole, tmp_path / "killed", OF_A_TRAINING)


def test_a_cross_validation_killed_in_the_middle_of_each_of_its_files_leaves_nothing_half_written(
    cross_validation: Victim, whole_cross_validation: Whole, tmp_path: Path
) -> None:
    killed_at_each(cross_validation, whole_cross_validation, tmp_path / "killed", OF_A_CROSS_VALIDATION)
