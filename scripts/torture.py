"""Small runs disturbed as often as is asked for: `scripts/torture` says how. The tests of faults do so a few times."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.faults.disks import NAMESPACE, SmallDisk
from tests.faults.torture import Victim, torture
from tests.programs import Launcher


def main() -> None:
    """Disturb, and say how often and what was found."""
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["train", "cross-validate", "disk"], default="train")
    parser.add_argument("--rounds", type=int, default=10, help="runs, each begun anew (10)")
    parser.add_argument("--strikes", type=int, default=4, help="kills and requests to end in each (4)")
    parser.add_argument("--seed", type=int, default=None, help="of the moments; it is said in any case")
    parser.add_argument("--sizes", type=int, nargs=3, default=(100, 900, 20), metavar=("FROM", "TO", "STEP"))
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    folder = Path(tempfile.mkdtemp(prefix="torture_"))
    print(f"in {folder}, which is left there when anything goes wrong")
    data = simulated(folder / "data")
    began = time.monotonic()
    if given.command == "disk":
        fill(data, folder, range(*given.sizes))
    else:
        seed = random.randrange(2**32) if given.seed is None else given.seed
        print(f"{given.command}: {given.rounds} rounds of up to {given.strikes} strikes, seed {seed}", flush=True)
        launcher = Launcher()
        told = torture(
            launcher, given.command, data, folder, rounds=given.rounds, strikes=given.strikes, seed=seed, say=print
        )
        launcher.end()
        for title, counts in (("struck by", told.strikes), ("which found it", told.found)):
            print(f"{title}: {', '.join(f'{name} {count}' for name, count in counts.most_common())}")
    print(f"all came to the undisturbed end, in {time.monotonic() - began:.0f} s")


def simulated(folder: Path) -> Path:
    """Make a small data set."""
    from pickery.simulation.data_set import write_data_set
    from pickery.simulation.settings import SimulationSettings

    settings = SimulationSettings(
        micrographs=6, rows=384, columns=384, particles_per_micrograph=8, picked_fraction=0.5, carbon_probability=0
    )
    write_data_set(folder, settings)
    return folder


def fill(data: Path, folder: Path, sizes: range) -> None:
    """Train on disks of these sizes, in kilobytes."""
    launcher = Launcher(NAMESPACE)
    whole = Victim(launcher, "train", data, together=True).undisturbed(folder / "whole")
    said: Counter[str] = Counter()
    for size in sizes:
        place = folder / f"size_{size}"
        place.mkdir()
        filled = SmallDisk(launcher, data, place).fill(size, whole)
        words = filled.said.replace(str(place), "")
        said[words] += 1
        print(f"{size} kB, status {filled.status}: {words}", flush=True)
    launcher.end()
    print(f"{len(sizes)} sizes, {len(said)} sentences")


if __name__ == "__main__":
    main()
