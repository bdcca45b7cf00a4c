"""Runs on disks that are too small: they stop with a sentence, and go on when there is room."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.torture import COMMANDS, Whole
from tests.programs import Launcher, differences, figures_of, leftovers, tracked_runs, words_of

ENOUGH = "64m"
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
"""Runs a command where it may mount disks, and nobody else sees them."""


@dataclass(frozen=True)
class Filled:
    """How a run on a disk of a size came to an end.

    Attributes
    ----------
    size
        Of the disk, kilobytes.
    status
        With which it ended there.
    said
        Its last line.
    """

    size: int
    status: int
    said: str


class SmallDisk:
    """A training whose files, all but those of the tracking store, lie on a disk that is too small for them.

    Parameters
    ----------
    launcher
        One that may mount disks.
    data
        Folder with ``micrographs`` and ``picks.txt``.
    place
        An empty folder.
    """

    def __init__(self, launcher: Launcher, data: Path, place: Path, **settings: Any) -> None:
        self._launcher, self._place, self._disk = launcher, place, place / "disk"
        self._disk.mkdir()
        own = {"data.micrographs": data / "micrographs", "data.picks": data / "picks.txt"}
        elsewhere = {"tracking.root": place / "mlruns", "run_dir": self._disk / "run"}
        store = {"preprocess.store": self._disk / "store"}
        self._words = words_of("train", COMMANDS["train"] | own | elsewhere | store | settings)

    def fill(self, size: int, whole: Whole) -> Filled:
        """Let it train where there are so many kilobytes, then with room enough.

        Raises
        ------
        AssertionError
            When it does not end as it should.
        """
        self._launcher.mount(self._disk, f"{size}k")
        try:
            first = self._launcher.run(self._words, self._place)
            assert "Traceback" not in first.said, first.said
            last = first.said.strip().splitlines()[-1]
            left = self._copy("full")
            runs = tracked_runs(self._launcher, self._place / "mlruns")
            assert len(runs) <= 1
            if first.status == 0:
                assert [run.status for run in runs] == ["FINISHED"]
            else:
                assert first.status == 1, first.said
                assert last.startswith("pickery: "), first.said
                assert {run.status for run in runs} <= {"FAILED"}, first.said
                assert not (left / "run" / "summary.json").exists() or "summary.json" not in last
            assert not leftovers(left)
            for record in left.rglob("*.json"):
                json.loads(record.read_text())  # what is there is whole
            self._launcher.mount(self._disk, ENOUGH)
            again = self._launcher.run(self._words, self._place)
            assert again.status == 0, again.said
            done = self._copy("done")
            wrong = differences(figures_of(done / "run"), figures_of(whole.place / "run"))
            assert not wrong, f"not the undisturbed {wrong}"
            runs = tracked_runs(self._launcher, self._place / "mlruns")
            assert [run.status for run in runs] == ["FINISHED"]
            return Filled(size, first.status or 0, last)
        finally:
            self._launcher.unmount(self._disk)

    def _copy(self, name: str) -> Path:
        """Bring what is on the disk to where this process sees it."""
        target = self._place / name
        self._launcher.ask("copy", str(self._disk), str(target))
        return target
