"""The reference program's side of the benchmark: Topaz 0.2.5 as its command line gives it.

It is only ever run as a program. Its start-up is taken out by running each job at two sizes: the difference is
the work.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmark_measures import (
    DOWNSAMPLE,
    EXPECTED,
    EXTRACTION_RADIUS,
    MINIBATCH,
    RADIUS,
    TESTED,
    Data,
    child_memory,
    timed,
)
from benchmark_pickery import trained_model


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

    def preprocess(self, number: int) -> float:
        """Seconds per micrograph, one process."""
        few, many = self.data.files[:1], self.data.files
        seconds = [
            self._run("preprocess", "-s", str(DOWNSAMPLE), "-t", "0", "-o", f"{self.work}/again/", *map(str, files))
            for files in (few, many)
        ]
        return (seconds[1] - seconds[0]) / (len(many) - len(few))

    def minibatch(self, number: int) -> float:
        """Seconds per minibatch: 35 against 5."""
        short, long = (self._run(*self._train_words(count, tested=False)) for count in (5, 35))
        return (long - short) / 30

    def evaluation(self, number: int) -> float:
        """Seconds per held-out micrograph of an epoch's evaluation."""
        without, with_test = (self._run(*self._train_words(5, tested=tested)) for tested in (False, True))
        return (with_test - without) / self.tested

    def peak_memory(self, number: int) -> float:
        """Peak memory of a training of 12 minibatches with its evaluation, MB."""
        return child_memory([str(self.program), *self._train_words(12, tested=True)], cwd=self.work)

    peak_memory_on_patches = peak_memory

    def _tested_images(self, count: int) -> list[str]:
        return [str(path) for path in sorted((self.work / "test").iterdir())[:count]]

    def score(self, number: int) -> float:
        """Seconds per micrograph of scoring all regions: all held-out ones against one."""
        self.model = trained_model(self.data, self.work)[1]
        counts = (1, self.tested)
        few, many = (
            self._run("segment", "-m", str(self.model), "-d", "-1", "-o", "scored/", *self._tested_images(count))
            for count in counts
        )
        return (many - few) / (counts[1] - counts[0])

    def suppress(self, number: int) -> float:
        """Seconds per micrograph of taking picks from score maps."""
        maps = [str(path) for path in sorted((self.work / "scored").iterdir())]
        few, many = (
            self._run("extract", "-m", "none", "-r", str(EXTRACTION_RADIUS), "-o", os.devnull, *some)
            for some in (maps[:1], maps)
        )
        return (many - few) / (len(maps) - 1)
