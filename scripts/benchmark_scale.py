"""Measures what a training of very many micrographs costs, against one of few: seconds, and memory by process.

The prepared sets are made up: a file of pixels that has a size and no content, and picks at random. Each job has a
process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmark_scale_jobs import DOWNSAMPLE, MINIBATCHES, PICKS, RADIUS, SIDE, make_store

JOBS = Path(__file__).with_name("benchmark_scale_jobs.py")
FEW = 100

Figures = dict[str, float]


def run(job: str, folder: Path, held_out: int, *more: object) -> Figures:
    """Do a job in a process of its own and give its figures."""
    command = [sys.executable, str(JOBS), job, str(folder), str(held_out), *map(str, more)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"benchmark: {' '.join(command)} failed:\n{done.stderr[-2000:]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    print(f"{job} {folder.name} {' '.join(map(str, more))}: {figures}", file=sys.stderr)
    return figures


def measure(folder: Path, count: int, held_out: int, largest: int) -> list[str]:
    """Measure a set of so many micrographs; gives the rows of the table."""
    make_store(folder, count)
    rows = []

    def row(what: str, figures: Figures, value: str) -> None:
        memory = f"{figures['own_mb']:.0f} | {figures['others_mb']:.0f}" if "own_mb" in figures else " | "
        rows.append(f"| {count:,} | {what} | {value} | {memory} |")

    row("nothing: the program's own modules", run("nothing", folder, held_out), "")
    done = run("label", folder, held_out)
    row("opening the set, labelling its regions", done, f"{done['open_s']:.2f} s, {done['label_s']:.2f} s")
    for sampler in ("patches", "crops"):
        for workers in (0, 2):
            done = run("draw", folder, held_out, sampler, workers)
            row(
                f"drawing and cutting {sampler}, {workers} loader workers",
                done,
                f"{done['first_ms']:.1f} ms a minibatch, {done['again_ms']:.1f} ms once read",
            )
    done = run("epoch", folder, held_out)
    row(
        f"`fit`: start, {MINIBATCHES} minibatches, evaluation of {held_out}, end",
        done,
        f"{done['start_s']:.2f} s, {done['minibatch_ms']:.1f} ms each, {done['evaluation_s']:.3f} s each, "
        f"{done['end_s']:.2f} s",
    )
    for stride, when in ((4, "an epoch's evaluation, stride 4"), (1, "the final evaluation, every region, and picks")):
        done = run("judge", folder, held_out, stride)
        row(f"{when}, of {held_out}", done, f"{done['evaluation_s']:.3f} s a micrograph")
    if largest:
        done = run("tally", folder, largest)
        row(
            f"only tallying every region of {largest:,}",
            done,
            f"{done['add_s']:.3f} s a micrograph, then {done['count_s']:.0f} s",
        )
    return rows


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--micrographs", type=int, default=10_000, help="how many (default 10000)")
    parser.add_argument("--held-out", type=float, default=0.02, help="share held out and scored (default 0.02)")
    parser.add_argument(
        "--tallied", type=float, default=0.2, help="share whose scores are tallied without being computed (default 0.2)"
    )
    parser.add_argument("--folder", type=Path, default=Path(), help="where to work (default: here); 4 MB for each of "
                        "the tallied are written there")  # fmt: skip
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pickery-benchmark-", dir=arguments.folder) as folder:
        rows = []
        for count in (FEW, arguments.micrographs):
            largest = round(count * arguments.tallied) if count != FEW else 0
            held_out = max(1, round(count * arguments.held_out))
            rows += measure(Path(folder) / f"prepared-{count}", count, held_out, largest)
    print(
        f"Micrographs of {SIDE} x {SIDE} regions (of {SIDE * DOWNSAMPLE} x {SIDE * DOWNSAMPLE} pixels), {PICKS} picks "
        f"each, discs of radius {RADIUS}; conv31 of 4 units; {os.cpu_count()} cores of {platform.machine()}. Memory: "
        "the most that this process, and that all loader processes together, held of their own; pages of mapped "
        "files, which the system takes back at need, are not counted.\n\n"
        "| micrographs | work | seconds | MB | loaders' MB |\n|---|---|---|---|---|"
    )
    print("\n".join(rows))


if __name__ == "__main__":
    main()
