"""Whole runs struck at random moments, from their first second to their last: `scripts/torture` does more of it."""

import random
import sys
from pathlib import Path

import pytest

from tests.faults.torture import Told, Victim, Whole

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")]


def strike(victim: Victim, whole: Whole, place: Path, strikes: int) -> None:
    seed, told = random.randrange(2**32), Told()
    print(f"seed {seed}")
    victim.disturb(place, whole, random.Random(seed), strikes=strikes, told=told)
    assert told.found.total() == told.strikes.total() >= 1


def test_a_training_that_is_killed_or_asked_to_end_at_random_moments_comes_to_the_undisturbed_end(
    training_together: Victim, whole: Whole, tmp_path: Path
) -> None:
    strike(training_together, whole, tmp_path / "struck", 4)


def test_a_cross_validation_that_is_killed_or_asked_to_end_at_random_moments_comes_to_the_undisturbed_end(
    cross_validation_together: Victim, whole_cross_validation: Whole, tmp_path: Path
) -> None:
    strike(cross_validation_together, whole_cross_validation, tmp_path / "struck", 3)
