"""Measures what a cross-validation costs beyond its trainings, and what two workers gain on this machine.

The time of each training is what its study records, from a worker's taking it up to its result; everything else (the
program's start, checking and preparing, the study, tables, plots and tracking) is overhead. Micrographs are prepared
before the clock starts. One worker and two take turns.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """One cross-validation.

    Attributes
    ----------
    wall_s
        Seconds from the command's start to its end.
    trainings_s
        Seconds of each training, the final one last.
    """

    wall_s: float
    trainings_s: tuple[float, ...]

    @property
    def overhead(self) -> float:
        """Share of the trainings' own time that comes on top; only for one worker."""
        return self.wall_s / sum(self.trainings_s) - 1


def words(work: Path, run_dir: Path, arguments: argparse.Namespace, workers: int) -> list[str]:
    """Give the command."""
    settings = {
        "preprocess.store": work / "prepared", "tracking.root": work / "mlruns", "run_dir": run_dir,
        "trainer.accelerator": "cpu", "trainer.epochs": arguments.epochs, "sampler.epoch_size": arguments.minibatches,
        "cross_validation.workers": workers, "evaluation.monitor": "auprc",
    }  # fmt: skip
    given = [f"{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "pickery", "cross-validate", f"model={arguments.model}", *given]


def run(command: list[str]) -> float:
    """Run a command and give its seconds."""
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode != 0:
        raise SystemExit(f"benchmark: {' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return seconds


def trainings(run_dir: Path) -> tuple[float, ...]:
    """Read the seconds of each training from the study."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(run_dir / "study.journal")))
    found = []
    for name in ("pickery", "pickery final"):
        for trial in optuna.load_study(study_name=name, storage=storage).trials:
            assert trial.duration is not None
            found.append(trial.duration.total_seconds())
    return tuple(found)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet8", help="network (default resnet8)")
    parser.add_argument("--minibatches", type=int, default=15, help="minibatches in an epoch (default 15)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of each training (default 3)")
    parser.add_argument("--rounds", type=int, default=3, help="times each number of workers is measured (default 3)")
    arguments = parser.parse_args()
    timings: dict[int, list[Timing]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(prefix="pickery-benchmark-") as folder:
        work = Path(folder)
        # micrographs simulated and prepared, files read once
        run([sys.executable, "-m", "pickery", "train", "model=conv31", "model.units=4", "sampler.minibatch_size=16",
             "sampler.epoch_size=2", "trainer.epochs=1", "tracking=off", f"preprocess.store={work / 'prepared'}",
             f"run_dir={work / 'first'}"])  # fmt: skip
        for number in range(arguments.rounds):
            for workers, kept in timings.items():
                run_dir = work / f"{workers}-{number}"
                wall = run(words(work, run_dir, arguments, workers))
                kept.append(Timing(wall, trainings(run_dir)))
                print(f"round {number + 1}/{arguments.rounds}, workers {workers}: {wall:.1f} s", file=sys.stderr)
    print(table(timings, arguments))


def table(timings: dict[int, list[Timing]], arguments: argparse.Namespace) -> str:
    """Put the medians into words."""
    one, two = timings[1], timings[2]
    each = statistics.median(seconds for timing in one for seconds in timing.trainings_s)
    overhead = statistics.median(timing.overhead for timing in one)
    ratio = statistics.median(a.wall_s / b.wall_s for a, b in zip(one, two, strict=True))
    return "\n".join(
        [
            f"3 values on 2 folds and the final training; {arguments.model}, {arguments.epochs} epochs of "
            f"{arguments.minibatches} minibatches; {os.cpu_count()} cores of {platform.machine()}; medians of "
            f"{arguments.rounds} rounds in turns.",
            "",
            "| figure | |",
            "|---|---|",
            f"| one training, s | {each:.1f} |",
            f"| one worker: the whole command, s | {statistics.median(timing.wall_s for timing in one):.1f} |",
            f"| one worker: overhead beyond the trainings | {overhead:.1%} |",
            f"| two workers: the whole command, s | {statistics.median(timing.wall_s for timing in two):.1f} |",
            f"| one worker against two | {ratio:.2f} |",
        ]
    )


if __name__ == "__main__":
    main()
