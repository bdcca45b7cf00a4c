"""A training killed without warning, in the middle of epochs, resumes to the figures of one that was not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import TinyData

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")]


def command(tiny: TinyData, folder: str) -> list[str]:
    words = tiny.overrides("sampler.epoch_size=40", "trainer.epochs=5", "sampler.workers=1", f"run_dir={folder}")
    return [sys.executable, "-m", "pickery", "train", *words]


def epochs_of(folder: Path) -> int:
    metrics = folder / "metrics.csv"
    return len(metrics.read_text().splitlines()) - 1 if metrics.exists() else 0


def test_killed_at_random_steps_and_resumed_gives_the_same_metrics(tiny: TinyData, tmp_path: Path) -> None:
    subprocess.run(command(tiny, "whole"), cwd=tmp_path, check=True, capture_output=True)
    seed = random.randrange(2**32)
    generator, killed = random.Random(seed), []
    for _ in range(3):
        begun = epochs_of(tmp_path / "killed")
        with subprocess.Popen(
            command(tiny, "killed"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as training:  # fmt: skip
            while epochs_of(tmp_path / "killed") <= begun and training.poll() is None:
                time.sleep(0.005)
            time.sleep(generator.uniform(0, 0.3))
            if training.poll() is not None:
                break
            os.killpg(training.pid, signal.SIGKILL)
            training.wait()
        killed.append(epochs_of(tmp_path / "killed"))
        assert not (tmp_path / "killed" / "summary.json").exists(), f"it had ended (seed {seed})"
    assert killed, "it was never killed"
    done = subprocess.run(command(tiny, "killed"), cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "resuming" in done.stdout
    for name in ("metrics.csv", "summary.json"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text(), f"seed {seed}"


def test_a_run_that_is_asked_to_end_says_how_to_go_on(tiny: TinyData, tmp_path: Path) -> None:
    with subprocess.Popen(
        command(tiny, "ended"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as training:
        while epochs_of(tmp_path / "ended") < 1:
            assert training.poll() is None
            time.sleep(0.01)
        training.send_signal(signal.SIGTERM)
        said, _ = training.communicate(timeout=60)
    assert training.returncode not in (0, None)
    assert "Traceback" not in said
    assert "takes up where it stopped" in said
    assert "interrupted" in (tmp_path / "ended" / "log.txt").read_text()
