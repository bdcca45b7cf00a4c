"""Measures the main job's parts, side by side with the reference program where its environment is given.

Both programs get the same micrographs, picks and settings, run in turns, and use all cores.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path

from benchmark_measures import DOWNSAMPLE, Data
from benchmark_pickery import Pickery
from benchmark_reference import Reference


def find_data(arguments: argparse.Namespace, work: Path) -> Data:
    """Take the data given, else the reference's real micrographs, else simulated ones."""
    from pickery.formats.micrographs import find_micrographs

    reference = os.environ.get("PICKERY_REFERENCE")
    if arguments.micrographs is not None:
        return Data(tuple(f.path for f in find_micrographs(arguments.micrographs)), Path(arguments.picks).resolve())
    if reference is not None:
        folder = Path(reference) / "data" / "apoferritin"
        return Data(tuple(f.path for f in find_micrographs(str(folder / "micrographs"))), folder / "picks.txt")
    from pickery.simulation.data_set import write_data_set
    from pickery.simulation.settings import SimulationSettings

    made = write_data_set(work / "simulated", SimulationSettings(micrographs=16))
    return Data(tuple(f.path for f in find_micrographs(str(made.micrographs))), made.picks)


ROWS = (
    ("preprocessing, s per micrograph, one process", "preprocess"),
    ("training, s per minibatch of 256 patches", "minibatch"),
    ("an epoch's evaluation, s per held-out micrograph", "evaluation"),
    ("scoring all regions of a micrograph, s", "score"),
    ("picks from its score map, s", "suppress"),
    ("peak memory of a training, MB", "peak_memory"),
)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="an environment that has Topaz 0.2.5 in bin/topaz")
    parser.add_argument("--micrographs", help="folder of micrographs; default: real ones if found, else simulated")
    parser.add_argument("--picks", help="their picks, a Topaz table")
    parser.add_argument("--rounds", type=int, default=3, help="times each program does each job (default 3)")
    parser.add_argument("--output", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    if (arguments.micrographs is None) != (arguments.picks is None):
        parser.error("--micrographs and --picks go together")
    with tempfile.TemporaryDirectory(prefix="pickery-benchmark-") as folder:
        work = Path(folder)
        data = find_data(arguments, work)
        sides: list[Pickery | Reference] = [Pickery(data, work)]
        if arguments.against is not None:
            sides.append(Reference(data, work, arguments.against.resolve()))
        table = measure(sides, arguments.rounds, data)
    print(table)
    if arguments.output is not None:
        arguments.output.write_text(table + "\n")


def measure(sides: list[Pickery | Reference], rounds: int, data: Data) -> str:
    """Run the jobs in turns and make the table of medians, and of medians of the rounds' ratios."""
    lines = [
        f"{len(data.files)} micrographs, downsampled by {DOWNSAMPLE}; resnet8 of 32 units; {os.cpu_count()} cores of "
        f"{platform.machine()}; medians of {rounds} rounds in turns.",
        "",
        "| work | Pickery | Topaz 0.2.5 | ratio, Topaz : Pickery |",
        "|---|---|---|---|",
    ]
    for label, job in ROWS:
        figures: list[list[float]] = [[] for _ in sides]
        for number in range(rounds):
            for side, kept in zip(sides, figures, strict=True):
                kept.append(getattr(side, job)())
            done = ", ".join(f"{type(side).__name__} {kept[-1]:.3g}" for side, kept in zip(sides, figures, strict=True))
            print(f"{job} {number + 1}/{rounds}: {done}", file=sys.stderr)
        own = statistics.median(figures[0])
        if len(sides) == 1:
            lines.append(f"| {label} | {own:.4g} | | |")
            continue
        ratio = statistics.median(other / mine for mine, other in zip(*figures, strict=True))
        lines.append(f"| {label} | {own:.4g} | {statistics.median(figures[1]):.4g} | {ratio:.2g} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
