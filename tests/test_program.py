"""`pickery` as a program of its own: what Ctrl-C meets before its command begins and after it has ended."""

import signal
import sys
from pathlib import Path

import pytest

from tests.programs import Launcher

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")

LEAVES_SLOWLY = """
import atexit, pathlib, time
atexit.register(time.sleep, 60)
atexit.register(pathlib.Path("leaving").touch)
"""
BEGINS_SLOWLY = """
import pathlib, sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "pickery.cli":
            pathlib.Path("beginning").touch()
            time.sleep(60)

sys.modules.pop("pickery.cli", None)
sys.meta_path.insert(0, Slow())
"""


@pytest.mark.parametrize(
    ("fault", "sign", "status"), [(LEAVES_SLOWLY, "leaving", -signal.SIGINT), (BEGINS_SLOWLY, "beginning", 130)]
)
def test_ctrl_c_ends_it_at_once_and_shows_no_traceback(
    launcher: Launcher, tmp_path: Path, fault: str, sign: str, status: int
) -> None:
    program = launcher.start(["--version"], tmp_path, fault=fault)
    program.wait_until((tmp_path / sign).exists)
    program.strike(signal.SIGINT, group=True)
    assert program.status == status
    assert "Traceback" not in program.said
    assert ("pickery" in program.said) == (sign == "leaving")
