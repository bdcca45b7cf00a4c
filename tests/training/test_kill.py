"""A training killed without warning, in the middle of epochs, resumes to the figures of one that was not."""

import random
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import TinyData
from tests.programs import Launcher, epochs_of

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")]


def command(tiny: TinyData, folder: str) -> list[str]:
    words = tiny.overrides("sampler.epoch_size=40", "trainer.epochs=5", "sampler.workers=1", f"run_dir={folder}")
    return ["train", *words]


def test_killed_at_random_steps_and_resumed_gives_the_same_metrics(
    launcher: Launcher, tiny: TinyData, tmp_path: Path
) -> None:
    whole = launcher.run(command(tiny, "whole"), tmp_path)
    assert whole.status == 0, whole.said
    seed = random.randrange(2**32)
    generator, killed, run = random.Random(seed), [], tmp_path / "killed"
    for _ in range(3):
        begun = epochs_of(run)
        training = launcher.start(command(tiny, "killed"), tmp_path)
        training.wait_until(lambda begun=begun: epochs_of(run) > begun)
        time.sleep(generator.uniform(0, 0.3))
        if training.ended():
            break
        training.kill()
        killed.append(epochs_of(run))
        assert not (run / "summary.json").exists(), f"it had ended (seed {seed})"
    assert killed, "it was never killed"
    done = launcher.run(command(tiny, "killed"), tmp_path)
    assert done.status == 0, done.said
    assert "resuming" in done.said
    for name in ("metrics.csv", "summary.json"):
        assert (run / name).read_text() == (tmp_path / "whole" / name).read_text(), f"seed {seed}"


def test_a_run_that_is_asked_to_end_says_how_to_go_on(launcher: Launcher, tiny: TinyData, tmp_path: Path) -> None:
    training, run = launcher.start(command(tiny, "ended"), tmp_path), tmp_path / "ended"
    training.wait_until(lambda: epochs_of(run) >= 1)
    training.strike(signal.SIGTERM, group=False)
    assert training.status == 130
    assert "Traceback" not in training.said
    assert "takes up where it stopped" in training.said
    assert "interrupted" in (run / "log.txt").read_text()
