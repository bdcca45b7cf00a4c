"""The clock set back by hours in the middle of a run: nothing waits for it, is lost, or is done twice."""

import os
import sys
from pathlib import Path

import pytest

from tests.faults.torture import Victim, Whole
from tests.programs import Launcher, epochs_of, tracked_runs

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="forks programs")]

SET_BACK = """
import os, time

_time, _time_ns, _switch = time.time, time.time_ns, os.environ["CLOCK_SET_BACK"]
_back = lambda: 7200 if os.path.exists(_switch) else 0
time.time = lambda: _time() - _back()
time.time_ns = lambda: _time_ns() - _back() * 10**9
"""
"""Two hours, from when there is a file of that name."""


@pytest.mark.parametrize("command", ["training_together", "cross_validation_together"])
def test_a_run_in_which_the_clock_is_set_back_comes_to_the_same_end(
    launcher: Launcher, request: pytest.FixtureRequest, tmp_path: Path, command: str
) -> None:
    victim: Victim = request.getfixturevalue(command)
    whole: Whole = request.getfixturevalue("whole" if command == "training_together" else "whole_cross_validation")
    place, aside = tmp_path / "set_back", tmp_path / "aside"
    place.mkdir()
    aside.mkdir()
    (aside / "sitecustomize.py").write_text(SET_BACK)  # for the processes that it starts
    program = victim.start(
        place, fault=SET_BACK,
        CLOCK_SET_BACK=str(aside / "now"), PYTHONPATH=os.pathsep.join([str(aside), os.environ.get("PYTHONPATH", "")]),
    )  # fmt: skip
    program.wait_until(lambda: any(epochs_of(table.parent) for table in place.glob("run/**/metrics.csv")))
    (aside / "now").touch()
    assert program.wait() == 0, program.said
    assert "does not answer" not in program.said, program.said
    victim.check(place, whole)
    assert all(one.ended for one in tracked_runs(launcher, place / "mlruns"))
