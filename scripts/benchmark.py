"""Measures the main jobs and their parts, side by side with the reference program where its environment is given.

Both programs get the same micrographs, picks and settings, run in turns, and use all cores. Each row is kept as it was
measured last; `--rows` measures some of them anew.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmark_measures import DOWNSAMPLE, Data
from benchmark_pickery import Pickery
from benchmark_reference import Reference
from benchmark_whole import WholePickery, WholeReference, times_to


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


Side = Pickery | Reference | WholePickery | WholeReference


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes
    ----------
    work
        What is measured, and in which unit.
    job
        Name of the method of either side.
    target
        The ratio, Topaz to Pickery, that is aimed at; 0 for none.
    whole
        Whether it is one of the whole jobs.
    """

    work: str
    job: str
    target: float = 0
    whole: bool = False


ROWS = (
    Row("preprocessing, s per micrograph, one process", "preprocess", 6),
    Row("training, s per minibatch of 256 patches", "minibatch", 1.5),
    Row("an epoch's evaluation, s per held-out micrograph", "evaluation", 15),
    Row("scoring all regions of a micrograph, s", "score"),
    Row("picks from its score map, s", "suppress", 20),
    Row("peak memory of a training, MB", "peak_memory", 1),
    Row("the same with `sampler=patches`, MB", "peak_memory_on_patches"),
    Row("picking, s per raw micrograph", "pick", 2, whole=True),
    Row("time to Topaz's best auprc, s", "quality", 10, whole=True),
    Row("the same with `sampler=patches`, s", "quality_on_patches", 0, whole=True),
    Row("cross-validation, 3 values × 2 folds, s", "cross_validation", 3, whole=True),
    Row("the same with `sampler=patches`, s", "cross_validation_on_patches", 0, whole=True),
)
HEADING = ("work", "Pickery", "Topaz 0.2.5", "ratio, Topaz : Pickery", "target", "rounds")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def main() -> None:
    """Measure, print a table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="an environment that has Topaz 0.2.5 in bin/topaz")
    parser.add_argument("--micrographs", help="folder of micrographs; default: real ones if found, else simulated")
    parser.add_argument("--picks", help="their picks, a Topaz table")
    parser.add_argument("--rounds", type=int, default=3, help="times each program does each job (default 3)")
    jobs = [row.job for row in ROWS]
    parser.add_argument("--rows", nargs="+", choices=jobs, metavar="ROW", help=f"only these: {', '.join(jobs)}")
    parser.add_argument("--keep", type=Path, help="the document that keeps the table between two marks")
    arguments = parser.parse_args()
    if (arguments.micrographs is None) != (arguments.picks is None):
        parser.error("--micrographs and --picks go together")
    chosen = [row for row in ROWS if arguments.rows is None or row.job in arguments.rows]
    if arguments.against is None:
        chosen = [row for row in chosen if not row.job.startswith("quality")]  # there is nothing to reach
    with tempfile.TemporaryDirectory(prefix="pickery-benchmark-") as folder:
        work = Path(folder)
        data = find_data(arguments, work)
        parts: list[Side] = [Pickery(data, work)]
        whole: list[Side] = [WholePickery(data, work)]
        if arguments.against is not None:
            parts.append(Reference(data, work, arguments.against.resolve()))
            whole.append(WholeReference(data, work, arguments.against.resolve()))
        measured = {}
        for row in chosen:
            measured[row.job] = line(
                row, measure(whole if row.whole else parts, row, arguments.rounds), arguments.rounds
            )
            if arguments.keep is not None:  # after each row: some take an hour
                keep(arguments.keep, measured, len(data.files))
    print(table(measured, len(data.files)))


def measure(sides: list[Side], row: Row, rounds: int) -> list[list[float]]:
    """Run a job in turns; gives each side's figures, and of curves the seconds to the last side's best."""
    figures: list[list[Any]] = [[] for _ in sides]
    for number in range(rounds):
        for side, kept in zip(sides, figures, strict=True):
            kept.append(getattr(side, row.job)(number))
            told = kept[-1] if isinstance(kept[-1], float) else ", ".join(f"{t:.0f} s {q:.3f}" for t, q in kept[-1])
            print(f"{row.job} {number + 1}/{rounds}, {type(side).__name__}: {told}", file=sys.stderr, flush=True)
    if row.job.startswith("quality"):
        return list(times_to(figures[0], figures[1]))
    return figures


def line(row: Row, figures: list[list[float]], rounds: int) -> str:
    """Put a row's medians, and the median of the rounds' ratios, into a line."""
    own = f"{statistics.median(figures[0]):.3g}"
    other = ratio = ""
    if len(figures) > 1:
        other = f"{statistics.median(figures[1]):.3g}"
        ratio = f"{statistics.median(b / a for a, b in zip(*figures, strict=True)):.2g}"
    target = f"{row.target:g}" if row.target else ""
    return f"| {' | '.join((row.work, own, other, ratio, target, str(rounds)))} |"


def table(lines: Mapping[str, str], micrographs: int) -> str:
    """Put the lines together under what they were measured on."""
    machine = f"{os.cpu_count()} cores of {processor()}, {platform.machine()}; torch {version('torch')}"
    return "\n".join(
        [
            f"{micrographs} micrographs, downsampled by {DOWNSAMPLE}; resnet8 of 32 units; {machine}; medians of "
            "rounds in turns.",
            "",
            f"| {' | '.join(HEADING)} |",
            f"|{'---|' * len(HEADING)}",
            *(lines[row.job] for row in ROWS if row.job in lines),
        ]
    )


def keep(document: Path, measured: Mapping[str, str], micrographs: int) -> None:
    """Put the lines measured into a document, beside those that it has already."""
    text = document.read_text()
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    works = {row.job: row.work for row in ROWS}
    kept: dict[str, str] = {}
    rows = iter(ROWS)
    for written in old.splitlines():
        # the rows stand in order, and two of them bear the same words
        if written.startswith("| ") and not written.startswith(f"| {HEADING[0]} "):
            row = next(row for row in rows if works[row.job] == written.split(" | ")[0][2:])
            kept[row.job] = written
    document.write_text(f"{before}{BEGIN}\n{table(kept | dict(measured), micrographs)}\n{END}{after}")


def processor() -> str:
    """Name the processor."""
    try:
        found = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        return found[0].split(":")[1].strip()
    except (OSError, IndexError):
        return platform.processor() or "an unnamed processor"


if __name__ == "__main__":
    main()
