"""A real disk that is full at each kind of write: a sentence, nothing half written, and the same numbers with room."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TinyData
from tests.faults.disks import ENOUGH
from tests.faults.torture import COMMANDS, Whole
from tests.programs import (
    SMALL_POOL,
    Launcher,
    Program,
    assert_tracked_whole,
    differences,
    figures_of,
    leftovers,
    tracked_runs,
    words_of,
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="mounts disks")]

FILLS = """
from importlib import import_module

def fill(filler):
    with open(filler, "wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(b"0" * size):
                    pass
            except OSError:
                pass

def fill_at(filler, module, name, times):
    *inner, name = name.split(".")
    owner = import_module(module)
    for one in inner:
        owner = getattr(owner, one)
    before, calls = getattr(owner, name), []

    def full(*given, **named):
        calls.append(1)
        if len(calls) == times:
            fill(filler)
        return before(*given, **named)

    setattr(owner, name, full)

fill_at(*{moment!r})
"""

Moment = tuple[str, str, int]


class Disk:
    """A disk of its own in a folder; what is on it only the launcher's programs see."""

    def __init__(self, launcher: Launcher, place: Path) -> None:
        self._launcher, self._place, self.path = launcher, place, place / "disk"
        self.path.mkdir()
        launcher.mount(self.path, ENOUGH)
        self._filler = self.path / "filler"
        self._copies = 0

    def run(self, words: list[str], *, full_at: Moment | None = None) -> Program:
        """Run a command; at a moment, when a function is called for the how-manieth time, the disk becomes full."""
        fault = SMALL_POOL
        if full_at is not None:
            fault += "\n" + FILLS.format(moment=(str(self._filler), *full_at))
        return self._launcher.run(words, self._place, fault=fault)

    def make_room(self) -> None:
        self._launcher.ask("remove", str(self._filler))

    def files(self) -> list[str]:
        found: list[str] = self._launcher.ask("names", str(self.path))
        return [name for name in found if name != "filler"]

    def copy(self) -> Path:
        """Bring what is on it to where this process sees it."""
        self._copies += 1
        target = self._place / f"copy_{self._copies}"
        self._launcher.ask("copy", str(self.path), str(target))
        return target

    def end(self) -> None:
        self._launcher.unmount(self.path)


@pytest.fixture
def disk(with_disks: Launcher, tmp_path: Path):
    disk = Disk(with_disks, tmp_path)
    yield disk
    disk.end()


def complaint(program: Program) -> str:
    """Give the sentence in which it said that the disk is full."""
    assert program.status == 1, program.said
    assert "Traceback" not in program.said, program.said
    last = program.said.strip().splitlines()[-1]
    assert last.startswith("pickery: "), program.said
    assert "No space left on device" in last, program.said
    return last


def given(tiny: TinyData, settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"data.micrographs": tiny.micrographs, "data.picks": tiny.picks}


# in the order in which a training comes by
OF_A_TRAINING: list[tuple[Moment, str]] = [
    (("pickery.preprocess.build", "run_tasks", 1), "store"),
    (("pickery.preprocess.build", "write_index", 1), "store"),
    (("pickery.training.run_folder", "write_record", 1), "run.json"),
    (("pickery.training.run", "write_config", 1), "config.yaml"),
    (("pickery.training.common", "save_model", 1), "model.ckpt"),
    (("pickery.training.callbacks", "save_checkpoint", 1), "last.ckpt"),
    (("pickery.training.callbacks", "write_metrics", 1), "metrics.csv"),
    (("pickery.training.finish", "save_model", 1), "model.ckpt"),
    (("pickery.training.finish", "save_figure", 1), "precision.png"),
    (("pickery.training.finish", "write_micrographs", 1), "micrographs.csv"),
    (("pickery.training.finish", "write_text", 2), "summary.json"),
]


def test_a_training_on_a_disk_that_is_full_at_each_of_its_writes_comes_to_the_same_end(
    disk: Disk, with_disks: Launcher, tiny: TinyData, whole: Whole, tmp_path: Path
) -> None:
    settings = {"run_dir": disk.path / "run", "preprocess.store": disk.path / "store"}
    settings |= {"tracking.root": tmp_path / "mlruns"}
    words = words_of("train", given(tiny, COMMANDS["train"]) | settings)
    for moment, file in OF_A_TRAINING:
        said = complaint(disk.run(words, full_at=moment))
        assert file in said, f"full at {file}, and it said {said}"
        assert {one.status for one in tracked_runs(with_disks, tmp_path / "mlruns")} <= {"FAILED"}
        assert "run/summary.json" not in disk.files()
        left = disk.copy()
        assert not leftovers(left)
        for record in left.rglob("*.json"):
            json.loads(record.read_text())
        disk.make_room()
    last = disk.run(words)
    assert last.status == 0, last.said
    run = disk.copy() / "run"
    assert not differences(figures_of(run), figures_of(whole.place / "run"))
    (one,) = tracked_runs(with_disks, tmp_path / "mlruns")
    assert_tracked_whole(one, run)


@pytest.mark.parametrize(
    "moment",
    [
        ("pickery.tracking.store", "client", 1),
        ("pickery.training.fit", "track_epoch", 2),
        ("pickery.training.finish", "track_finished", 1),
    ],
    ids=["the database made", "an epoch recorded", "plots and model kept"],
)
def test_a_tracking_store_on_a_full_disk_ends_no_training_and_is_told_all_when_there_is_room(
    disk: Disk, with_disks: Launcher, tiny: TinyData, whole: Whole, tmp_path: Path, moment: Moment
) -> None:
    words = words_of("train", given(tiny, COMMANDS["train"]) | {"tracking.root": disk.path / "mlruns"})
    program = disk.run(words, full_at=moment)
    assert program.status == 0, program.said
    assert "does not answer" in program.said
    assert "did not reach it" in program.said
    run = tmp_path / "run"
    assert not differences(figures_of(run), figures_of(whole.place / "run"))
    disk.make_room()
    again = disk.run(words)
    assert again.status == 0, again.said
    assert "warning" not in again.said, again.said
    (one,) = tracked_runs(with_disks, disk.copy() / "mlruns")
    assert one.status == "FINISHED"


OF_A_CROSS_VALIDATION: list[tuple[Moment, str]] = [
    (("pickery.cross_validation.bench", "write_record", 1), "run.json"),
    (("pickery.cross_validation.study.journal", "Journal.append_logs", 1), "study.journal"),
    (("pickery.cross_validation.study.journal", "Journal.append_logs", 9), "study.journal"),
    (("pickery.cross_validation.work", "result_of", 1), "study.journal"),
    (("pickery.cross_validation.run", "write_table", 1), "cross_validation.csv"),
    (("pickery.cross_validation.conclude", "save_figure", 1), "cross_validation.png"),
    (("pickery.cross_validation.run", "write_summary", 1), "summary.json"),
]


def test_a_cross_validation_on_a_disk_that_is_full_at_each_of_its_writes_comes_to_the_same_end(
    disk: Disk, tiny: TinyData, tmp_path: Path
) -> None:
    settings = given(tiny, COMMANDS["cross-validate"]) | {"cross_validation.workers": 1, "tracking": "off"}
    del settings["tracking.system_metrics"]
    undisturbed = disk.run(words_of("cross-validate", settings | {"run_dir": tmp_path / "whole"}))
    assert undisturbed.status == 0, undisturbed.said
    words = words_of("cross-validate", settings | {"run_dir": disk.path / "run"})
    for moment, file in OF_A_CROSS_VALIDATION:
        said = complaint(disk.run(words, full_at=moment))
        assert file in said, f"full at {file}, and it said {said}"
        assert "run/summary.json" not in disk.files()
        disk.make_room()
    last = disk.run(words)
    assert last.status == 0, last.said
    left = disk.copy() / "run"
    assert not leftovers(left)
    for name in ("cross_validation.csv", *(f"{table.parent.name}/metrics.csv" for table in left.glob("*/metrics.csv"))):
        assert (left / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_picks_and_simulated_data_on_a_full_disk_are_there_whole_or_not_at_all(
    disk: Disk, tiny: TinyData, whole: Whole
) -> None:
    words = [
        "simulate",
        "simulation.micrographs=2",
        "simulation.particles_per_micrograph=2",
        "simulation.rows=256",
        "simulation.columns=256",
    ]
    words.append(f"simulation.out={disk.path / 'simulated'}")
    for moment in (("pickery.formats.mrc", "write_mrc", 2), ("pickery.simulation.data_set", "_write_table", 1)):
        complaint(disk.run(words, full_at=moment))
        assert not disk.files()
        disk.make_room()
    assert disk.run(words).status == 0

    words = ["pick", f"picking.model={whole.place / 'run'}", f"data.micrographs={tiny.micrographs}"]
    words += ["picking.threshold=-2", "picking.workers=1"]
    for out in ("whole", "full"):
        one = [*words, f"picking.out={disk.path / out / 'picks.star'}"]
        if out == "full":
            for moment, file in (
                (("pickery.picking.work", "write_candidates", 2), "candidates"),
                (("pickery.picking.output", "write_picks", 2), "picks.star"),
            ):
                said = complaint(disk.run(one, full_at=moment))
                assert file in said, said
                assert not [name for name in disk.files() if name.startswith("full/picks.star")]
                disk.make_room()
        assert disk.run(one).status == 0
    left = disk.copy()
    assert (left / "full" / "picks.star").read_text() == (left / "whole" / "picks.star").read_text()
    assert not leftovers(left)
