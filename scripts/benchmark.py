"""Measures the main job's parts, side by side with the reference program where its environment is given.

The reference is only ever run as a program. Its start-up is taken out by running each job at two sizes: the difference
is the work. Both programs get the same micrographs, picks and settings, run in turns, and use all cores.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DOWNSAMPLE, RADIUS, EXPECTED, MINIBATCH = 4, 3, 170, 256
TESTED = 4


@dataclass(frozen=True)
class Data:
    """Micrographs and picks that both programs get."""

    files: tuple[Path, ...]
    picks: Path


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


def timed(action: Callable[[], object]) -> float:
    """Give the seconds that an action takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


class Pickery:
    """Pickery's side, in this process but for peak memory."""

    def __init__(self, data: Data, work: Path) -> None:
        self.data, self.work = data, work

    def preprocess(self) -> float:
        """Seconds per micrograph, one process, reading and writing included."""
        from pickery.formats.micrographs import find_micrographs
        from pickery.preprocess.prepare import prepare

        files = find_micrographs([str(path) for path in self.data.files])
        store = Path(tempfile.mkdtemp(dir=self.work))
        settings = {"downsample": DOWNSAMPLE, "method": "gmm", "pixel_sampling": 1, "iterations": 100}
        seconds = timed(
            lambda: prepare(files, store=store, workers=1, skip_bad=False, seed=0, **settings)  # type: ignore[arg-type]
        )
        shutil.rmtree(store)
        return seconds / len(files)

    def _config(self, *more: str) -> list[str]:
        listed = self.work / "micrographs.txt"
        listed.write_text("\n".join(str(path) for path in self.data.files))
        settings = {
            "data.micrographs": listed, "data.picks": self.data.picks, "data.expected_particles": EXPECTED,
            "data.radius": RADIUS, "preprocess.downsample": DOWNSAMPLE, "preprocess.store": self.work / "prepared",
            "sampler.minibatch_size": MINIBATCH, "tracking": "off", "trainer.accelerator": "cpu",
        }  # fmt: skip
        return [f"{name}={value}" for name, value in settings.items()] + list(more)

    def minibatch(self) -> float:
        """Seconds per minibatch in Lightning's loop: median of 30, the first five left out."""
        from pickery.config.load import load
        from pickery.tracking import Tracker
        from pickery.training.division import gather
        from pickery.training.fit import fit
        from pickery.training.listener import Silence

        class Clock(Silence):
            def __init__(self) -> None:
                self.ticks: list[float] = []

            def training(self, epoch: int, epochs: int, done: int, total: int, evaluating: bool) -> None:
                if not evaluating:
                    self.ticks.append(time.perf_counter())

        config = load("train", self._config("sampler.epoch_size=36", "trainer.epochs=1", "data.test_fraction=0.1"))
        clock = Clock()
        data = gather(config, clock)
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            fit(config, data, Path(folder), Tracker(), clock)
        steps = [later - earlier for earlier, later in zip(clock.ticks[5:], clock.ticks[6:], strict=False)]
        return statistics.median(steps)

    def evaluation(self) -> float:
        """Seconds per held-out micrograph of an epoch's evaluation, at the default stride."""
        import torch

        from pickery.config.load import load
        from pickery.model import build_model
        from pickery.training.choices import pi_of
        from pickery.training.division import gather
        from pickery.training.held_out import HeldOutEvaluation, evaluate
        from pickery.training.listener import Silence

        config = load("train", self._config())
        data = gather(config, Silence())
        micrographs = data.labelled(data.train)
        model = build_model("resnet8", units=32).eval()
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        judged = HeldOutEvaluation(
            names=micrographs.names,
            points=micrographs.points,
            stride=config.evaluation.stride,
            pi=pi_of(data, micrographs),
        )
        chosen = range(TESTED)
        images, labels = [micrographs.image(i) for i in chosen], [micrographs.labels(i) for i in chosen]
        evaluate(model, judged, images[:1], labels[:1])
        return timed(lambda: evaluate(model, judged, images, labels)) / TESTED

    def peak_memory(self) -> float:
        """Peak memory of a training of 12 minibatches, MB."""
        run_dir = Path(tempfile.mkdtemp(dir=self.work)) / "run"
        words = self._config("sampler.epoch_size=12", "trainer.epochs=1", f"run_dir={run_dir}")
        return child_memory([sys.executable, "-m", "pickery", "train", *words])


class Reference:
    """The reference program's side: Topaz 0.2.5 as its command line gives it."""

    def __init__(self, data: Data, work: Path, environment: Path) -> None:
        self.data, self.work = data, work
        self.program = environment / "bin" / "topaz"
        if not self.program.exists():
            raise SystemExit(f"benchmark: {self.program} does not exist")
        self.prepared = work / "topaz-prepared"
        self._run("preprocess", "-s", str(DOWNSAMPLE), "-o", f"{self.prepared}/", *map(str, data.files))
        self._split_picks()

    def _run(self, *words: str) -> float:
        def run() -> None:
            done = subprocess.run([str(self.program), *words], cwd=self.work, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"benchmark: topaz {' '.join(words[:1])} failed:\n{done.stderr[-2000:]}")

        return timed(run)

    def _split_picks(self) -> None:
        """Write the picks in regions, for training and for testing, as this program wants them."""
        rows = [line.split("\t") for line in self.data.picks.read_text().splitlines()]
        head, body = rows[0], rows[1:]
        x, y = head.index("x_coord"), head.index("y_coord")
        tested = {path.name.split(".mrc")[0] for path in self.data.files[:TESTED]}
        for side in ("train", "test"):
            (self.work / side).mkdir(exist_ok=True)
            lines = ["\t".join(head)]
            for row in body:
                if (row[0] in tested) == (side == "test"):
                    scaled = list(row)
                    scaled[x], scaled[y] = (str(round(float(row[i]) / DOWNSAMPLE)) for i in (x, y))
                    lines.append("\t".join(scaled))
            (self.work / f"topaz-{side}.txt").write_text("\n".join(lines) + "\n")
        picked = {row[0] for row in body}
        for path in self.prepared.glob("*.mrc"):
            side = "test" if path.stem in tested else "train"
            link = self.work / side / path.name
            if path.stem in picked and not link.exists():
                link.symlink_to(path)
        self.tested = len(list((self.work / "test").iterdir()))

    def _train_words(self, minibatches: int, *, tested: bool) -> list[str]:
        words = [
            "train", "--train-images", "train", "--train-targets", "topaz-train.txt", "-n", str(EXPECTED), "-r",
            str(RADIUS), "-m", "resnet8", "--units", "32", "--no-pretrained", "--minibatch-size", str(MINIBATCH),
            "--num-epochs", "1", "--epoch-size", str(minibatches), "-d", "-1", "--num-workers", "0", "-o", os.devnull,
        ]  # fmt: skip
        return words + (["--test-images", "test", "--test-targets", "topaz-test.txt"] if tested else [])

    def preprocess(self) -> float:
        """Seconds per micrograph, one process."""
        few, many = self.data.files[:1], self.data.files
        seconds = [
            self._run("preprocess", "-s", str(DOWNSAMPLE), "-t", "0", "-o", f"{self.work}/again/", *map(str, files))
            for files in (few, many)
        ]
        return (seconds[1] - seconds[0]) / (len(many) - len(few))

    def minibatch(self) -> float:
        """Seconds per minibatch: 35 against 5."""
        short, long = (self._run(*self._train_words(count, tested=False)) for count in (5, 35))
        return (long - short) / 30

    def evaluation(self) -> float:
        """Seconds per held-out micrograph of an epoch's evaluation."""
        without, with_test = (self._run(*self._train_words(5, tested=tested)) for tested in (False, True))
        return (with_test - without) / self.tested

    def peak_memory(self) -> float:
        """Peak memory of a training of 12 minibatches with its evaluation, MB."""
        return child_memory([str(self.program), *self._train_words(12, tested=True)], cwd=self.work)


# a process's peak begins at that of whoever started it, so a small one stands between
LAUNCHER = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
if done.returncode:
    sys.exit(done.stderr[-2000:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def child_memory(command: list[str], cwd: Path | None = None) -> float:
    """Run a command and give the peak resident memory, in MB, of its largest process."""
    launched = [sys.executable, "-c", LAUNCHER, *command]
    done = subprocess.run(launched, cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"benchmark: {' '.join(command[:4])} failed:\n{done.stderr}")
    return int(done.stdout) / 1024


ROWS = (
    ("preprocessing, s per micrograph, one process", "preprocess"),
    ("training, s per minibatch of 256 patches", "minibatch"),
    ("an epoch's evaluation, s per held-out micrograph", "evaluation"),
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
