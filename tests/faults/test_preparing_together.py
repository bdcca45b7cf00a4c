"""Several programs that want the same set at the same time: it is made once, whoever of them is killed."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import TinyData
from tests.programs import SMALL_POOL, Launcher, leftovers

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")]

COUNTS = """
import os, pathlib
import pickery.preprocess.build as build
run_tasks = build.run_tasks

def run_and_count(tasks, **options):
    for number, outcome in run_tasks(tasks, **options):
        pathlib.Path(f"made_{number}_{os.getpid()}").touch()
        yield number, outcome

build.run_tasks = run_and_count
"""

LINGERS = """
import time
write_index = build.write_index

def write_index_late(*given):
    time.sleep(1)
    write_index(*given)

build.write_index = write_index_late
"""


def words(tiny: TinyData) -> list[str]:
    settings = tiny.overrides("preprocess.store=store", "preprocess.workers=2")
    return ["preprocess", *(word for word in settings if word.startswith(("data.micrographs", "preprocess.")))]


@pytest.mark.parametrize("programs", [2, 4])
def test_a_set_that_several_want_at_once_is_made_once(
    launcher: Launcher, tiny: TinyData, tmp_path: Path, programs: int
) -> None:
    started = [launcher.start(words(tiny), tmp_path, fault=SMALL_POOL + COUNTS) for _ in range(programs)]
    for program in started:
        assert program.wait() == 0, program.said
    made = [path.name.rpartition("_")[0] for path in tmp_path.glob("made_*")]
    assert sorted(made) == [f"made_{number}" for number in range(6)]
    assert len(list((tmp_path / "store").glob("*/index.json"))) == 1
    assert not leftovers(tmp_path)


def test_what_one_of_four_leaves_that_is_killed_another_makes(
    launcher: Launcher, tiny: TinyData, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    assert launcher.run(words(tiny), alone).status == 0
    slow = (
        SMALL_POOL
        + COUNTS
        + "import time; build.write_index = lambda *given, w=build.write_index: (time.sleep(1), w(*given))"
    )
    started = [launcher.start(words(tiny), tmp_path, fault=slow) for _ in range(4)]
    until = time.monotonic() + 60
    while not (made := list(tmp_path.glob("made_*"))):
        assert time.monotonic() < until
        time.sleep(0.005)
    builder = int(made[0].name.rpartition("_")[2])
    (killed,) = [program for program in started if program.pid == builder]
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    for program in started:
        if program is not killed:
            assert program.wait() == 0, program.said
    assert (
        len({path.name.rpartition("_")[2] for path in tmp_path.glob("made_*")}) == 2
    )  # the dead one, and one after it
    (index,) = (tmp_path / "store").glob("*/index.json")
    (other,) = (alone / "store").glob("*/index.json")
    assert index.parent.name == other.parent.name
    for name in ("index.json", "images.f32"):
        assert (index.parent / name).read_bytes() == (other.parent / name).read_bytes()
    assert not leftovers(tmp_path)
