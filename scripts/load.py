"""Load: many tracked runs, a large set over many epochs, a training of hours; memory and speed early and late."""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

PICKERY = (sys.executable, "-m", "pickery")
SMALL = (
    "data.expected_particles=120", "data.check_picks=false", "preprocess.workers=1", "model=conv31", "model.units=8",
    "sampler.minibatch_size=32", "trainer.accelerator=cpu", "trainer.threads=1",
)  # fmt: skip
SIDE, DOWNSAMPLE = 512, 8
SAMPLE_S = 0.5


@dataclass
class Watched:
    """A training, watched from outside: when its epochs ended, in seconds of its processors, and its memory."""

    epochs: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    prepared_s: float = 0.0

    def seconds(self, window: slice) -> float:
        """Median processor seconds of the epochs of a window: what else runs on the machine does not count."""
        return statistics.median(np.diff(self.worked)[window])

    def megabytes(self, begin: float, end: float) -> float:
        """Most memory between two moments."""
        return max(value for at, value in self.memory if begin <= at <= end)


def micrographs(folder: Path, count: int, picks: int) -> list[str]:
    """Write micrographs of noise with bright discs at random places, and the places as picks; gives the settings."""
    import mrcfile

    generator = np.random.default_rng(0)
    (folder / "micrographs").mkdir()
    y, x = np.mgrid[-8:9, -8:9]
    disc = 1.5 * np.exp(-(x**2 + y**2) / 30)
    rows = ["image_name\tx_coord\ty_coord"]
    for number in range(count):
        image = generator.standard_normal((SIDE, SIDE)).astype(np.float32)
        places = generator.integers(8, SIDE - 8, (picks, 2))
        for at_y, at_x in places:
            image[at_y - 8 : at_y + 9, at_x - 8 : at_x + 9] += disc
        rows += [f"m{number:05d}\t{at_x}\t{at_y}" for at_y, at_x in places]
        with mrcfile.new(folder / "micrographs" / f"m{number:05d}.mrc") as file:
            file.set_data(image)
    (folder / "picks.txt").write_text("\n".join(rows) + "\n")
    return ["data.micrographs=micrographs", "data.picks=picks.txt", f"preprocess.downsample={DOWNSAMPLE}", *SMALL]


def memory_of(process: psutil.Process) -> float:
    """Give the memory of a process and its children in MB; pages that they share count once, where the system says."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += getattr(one.memory_full_info(), "pss", one.memory_info().rss)
        except psutil.Error:
            continue
    return total / 1e6


def work_of(process: psutil.Process) -> float:
    """Give the processor seconds of a process and its children, those that have ended included."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        except psutil.Error:
            continue
    return total


def watch(folder: Path, words: list[str], *, seconds: float | None = None) -> Watched:
    """Train and watch; after so many seconds of training, if stated, the training is asked to end."""
    found, begun = Watched(), time.monotonic()
    with (folder / "said.txt").open("w") as said:
        training = subprocess.Popen([*PICKERY, "train", *words, "run_dir=run"], cwd=folder, stdout=said, stderr=said)
        process = psutil.Process(training.pid)
        metrics = folder / "run" / "metrics.csv"
        while training.poll() is None:
            now = time.monotonic()
            done = max(0, len(metrics.read_text().splitlines()) - 1) if metrics.exists() else 0
            if not found.prepared_s and (folder / "run").exists():
                found.prepared_s = now - begun
            new = done - len(found.epochs)
            found.epochs += [now] * new
            found.worked += [work_of(process)] * new
            found.memory.append((now, memory_of(process)))
            if seconds is not None and found.epochs and now - found.epochs[0] > seconds:
                training.send_signal(signal.SIGTERM)
                training.wait(120)
            time.sleep(SAMPLE_S)
    if training.returncode != 0 and seconds is None:
        raise SystemExit((folder / "said.txt").read_text()[-2000:])
    return found


def early_and_late(name: str, found: Watched) -> None:
    """Print how an early and a late tenth of the epochs compare."""
    count = len(found.epochs)
    tenth = max(1, count // 10)
    early, late = slice(1, 1 + tenth), slice(-tenth, None)
    at = found.epochs
    print(f"| {name} | epochs | CPU s an epoch, early | late | MB, early | late | most |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| | {count} | {found.seconds(early):.2f} | {found.seconds(late):.2f} | "
        f"{found.megabytes(at[0], at[tenth]):.0f} | {found.megabytes(at[-tenth - 1], at[-1]):.0f} | "
        f"{found.megabytes(0, float('inf')):.0f} |"
    )


def load_data(folder: Path, count: int, picks: int, epochs: int) -> None:
    """Train many epochs on many micrographs with many picks."""
    words = micrographs(folder, count, picks)
    found = watch(folder, [*words, f"trainer.epochs={epochs}", "sampler.epoch_size=50", "tracking.system_metrics=true"])
    print(f"{count:,} micrographs, {count * picks:,} picks: {found.prepared_s:.0f} s until the training began")
    early_and_late(f"{count:,} micrographs, {count * picks:,} picks", found)


def load_hours(folder: Path, hours: float) -> None:
    """Train for hours."""
    words = micrographs(folder, 40, 100)
    found = watch(
        folder,
        [
            *words,
            "trainer.epochs=100000",
            "sampler.epoch_size=100",
            "sampler.workers=1",
            "tracking.system_metrics=true",
        ],
        seconds=3600 * hours,
    )
    early_and_late(f"{hours:g} hours", found)
    print((folder / "said.txt").read_text().splitlines()[-1])


def load_runs(folder: Path, count: int) -> None:
    """Track many runs in one database, each with what a training tells of itself."""
    from pickery.config.load import flat, load
    from pickery.tracking import experiment_page, open_tracker

    os.chdir(folder)
    parameters = flat(load("train"))
    for name, size in (
        ("config.yaml", 4000),
        ("metrics.csv", 6000),
        ("model.ckpt", 500_000),
        ("precision.png", 60_000),
    ):
        Path(name).write_bytes(os.urandom(size))
    names = [f"{side}/{name}" for side in ("train", "test") for name in ("precision", "auprc", "tpr", "fpr", "loss")]
    taken, warned = [], []
    for number in range(count):
        begun = time.monotonic()
        tracker = open_tracker(
            enabled=True, root=Path("mlruns"), uri=None, experiment="pickery", run_name=f"run {number}", run_id=None,
            system_metrics=False, warn=warned.append,
        )  # fmt: skip
        tracker.parameters(parameters | {"seed": number})
        tracker.tags({"engine": "native", "data_fingerprint": "0" * 32, "device": "cpu"})
        for epoch in range(1, 11):
            tracker.metrics(dict.fromkeys(names, epoch / 10 + number / count), step=epoch)
        tracker.metrics({f"best/{name}": number / count for name in ("auprc", "precision", "pick_f1")}, step=10)
        tracker.artifacts([Path("config.yaml"), Path("metrics.csv")])
        tracker.artifacts([Path("precision.png")], "plots")
        tracker.model(Path("model.ckpt"), name="resnet8", step=10, metrics={"auprc": 0.5})
        tracker.finish("FINISHED")
        taken.append(time.monotonic() - begun)
    if warned:
        raise SystemExit(warned[0])
    begun = time.monotonic()
    page = experiment_page(Path("mlruns"), None, "pickery")
    asked = time.monotonic() - begun
    size, part = Path("mlruns/mlflow.db").stat().st_size / 1e6, min(50, count // 2)
    print("| runs | s a run, first | last | database, MB | s for its page's address |")
    print("|---|---|---|---|---|")
    first, last = statistics.median(taken[1:part]), statistics.median(taken[-part:])
    print(f"| {count} | {first:.2f} | {last:.2f} | {size:.0f} | {asked:.2f} |")
    print(page)


@contextmanager
def place(given: str | None) -> Iterator[Path]:
    """Give the folder to work in: a new one that is stated and kept, or a temporary one."""
    if given is not None:
        folder = Path(given).absolute()
        folder.mkdir(parents=True)
        yield folder
    else:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)


def main() -> None:
    """Read the line and measure."""
    parser = argparse.ArgumentParser(prog="scripts/load")
    kinds = parser.add_subparsers(dest="kind", required=True)
    runs, data, hours = (kinds.add_parser(name) for name in ("runs", "data", "hours"))
    runs.add_argument("--count", type=int, default=500)
    data.add_argument("--micrographs", type=int, default=1000)
    data.add_argument("--picks", type=int, default=100)
    data.add_argument("--epochs", type=int, default=100)
    hours.add_argument("--hours", type=float, default=2)
    for one in (runs, data, hours):
        one.add_argument("--folder")
    given = parser.parse_args()
    with place(given.folder) as folder:
        match given.kind:
            case "runs":
                load_runs(folder, given.count)
            case "data":
                load_data(folder, given.micrographs, given.picks, given.epochs)
            case _:
                load_hours(folder, given.hours)


if __name__ == "__main__":
    main()
