"""Whole runs struck at random moments, from their first second to their last: `scripts/torture` does more of it."""

import random
import sys
from pathlib import Path

import pytest

from tests.conftest import TinyData
from tests.faults.programs import Launcher
from tests.faults.torture import torture

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")]


@pytest.mark.parametrize(("command", "strikes"), [("train", 5), ("cross-validate", 3)])
def test_a_run_that_is_killed_or_asked_to_end_at_random_moments_comes_to_the_undisturbed_end(
    launcher: Launcher, tiny: TinyData, tmp_path: Path, command: str, strikes: int
) -> None:
    seed = random.randrange(2**32)
    told = torture(launcher, command, tiny.folder, tmp_path, rounds=1, strikes=strikes, seed=seed)
    assert told.strikes.total() >= 1
    assert told.found.total() == told.strikes.total()
