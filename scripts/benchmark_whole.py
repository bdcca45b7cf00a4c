"""The benchmark's whole jobs as each side's command line gives them: training to a quality, cross-validation, picking.

Start-up, reading and evaluation are part of the time.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmark_measures import DOWNSAMPLE, EXPECTED, EXTRACTION_RADIUS, RADIUS, Data, timed
from benchmark_pickery import PATCHES, settings, trained_model
from benchmark_reference import Reference

FEW_LABELS = ("data.picks_per_micrograph=16", "data.test_fraction=0.35")
"""Of the training to a quality: some 160 labels."""

Curve = list[tuple[float, float]]
"""Seconds since the command was given, and the held-out auprc over all regions that was known then."""


def first_time(curve: Curve, quality: float) -> float:
    """Give the seconds after which a quality was reached; infinity where it never was."""
    return next((seconds for seconds, auprc in curve if auprc >= quality), float("inf"))


def best(curve: Curve) -> float:
    """Give the best quality of a training."""
    return max(auprc for _, auprc in curve)


class WholePickery:
    """Pickery's side."""

    def __init__(self, data: Data, work: Path) -> None:
        self.data, self.work = data, work

    def _command(self, command: str, *words: str) -> list[str]:
        return [sys.executable, "-m", "pickery", command, *words]

    def _train(self, number: int, *words: str) -> Curve:
        """Train on few labels and follow the table of epochs."""
        run_dir = Path(tempfile.mkdtemp(dir=self.work)) / "run"
        quality = ("evaluation.monitor=auprc", "evaluation.stride=1", f"seed={number}", f"run_dir={run_dir}")
        begin, curve = time.perf_counter(), Curve()
        command = self._command("train", *settings(self.data, self.work, *FEW_LABELS, *quality, *words))
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            table = run_dir / "metrics.csv"
            while process.poll() is None:
                time.sleep(0.1)
                rows = list(csv.DictReader(table.read_text().splitlines())) if table.exists() else []
                now = time.perf_counter() - begin
                curve += [(now, float(row["test_auprc"])) for row in rows[len(curve) :]]
            if process.returncode != 0:
                assert process.stderr is not None
                raise SystemExit(f"benchmark: pickery train failed:\n{process.stderr.read()[-2000:]}")
        return curve

    def quality(self, number: int) -> Curve:
        """Train on crops, as by default, at the learning rate that suits few labels."""
        steps = ("sampler.epoch_size=25", "trainer.epochs=12")
        return self._train(number, "optimizer.learning_rate=0.001", *steps)

    def quality_on_patches(self, number: int) -> Curve:
        """Train on patches, as Topaz does, at the same learning rate."""
        steps = ("sampler.epoch_size=25", "trainer.epochs=12")
        return self._train(number, "optimizer.learning_rate=0.001", *PATCHES, *steps)

    def cross_validation(self, number: int) -> float:
        """Seconds of a cross-validation on crops, from raw micrographs."""
        return self._cross_validate()

    def cross_validation_on_patches(self, number: int) -> float:
        """Seconds of a cross-validation on patches, from raw micrographs."""
        return self._cross_validate(*PATCHES)

    def _cross_validate(self, *words: str) -> float:
        work = Path(tempfile.mkdtemp(dir=self.work))
        listed = settings(self.data, work, "tracking=mlflow", f"tracking.root={work / 'mlruns'}")
        what = (
            "cross_validation.initial=0.0001", "cross_validation.increment=0.0001", "cross_validation.times=3",
            "cross_validation.folds=2", "sampler.epoch_size=100", "trainer.epochs=3", f"run_dir={work / 'run'}",
        )  # fmt: skip
        kept = [word for word in listed if word != "tracking=off"]
        command = self._command("cross-validate", *kept, *what, *words)
        seconds = timed(lambda: _run(command, self.work))
        shutil.rmtree(work)
        return seconds

    def pick(self, number: int) -> float:
        """Seconds per micrograph, from the raw one to a file of picks: all against two."""
        model = trained_model(self.data, self.work)[0]
        seconds = []
        for files in (self.data.files[:2], self.data.files):
            out = Path(tempfile.mkdtemp(dir=self.work))
            listed = out / "micrographs.txt"
            listed.write_text("\n".join(str(path) for path in files))
            words = (f"picking.model={model}", f"data.micrographs={listed}", f"picking.out={out / 'picks.txt'}")
            command = self._command("pick", *words, "picking.threshold=-6", "picking.workers=1")
            seconds.append(timed(lambda command=command: _run(command, self.work)))  # type: ignore[misc]
        return (seconds[1] - seconds[0]) / (len(self.data.files) - 2)


class WholeReference:
    """The reference program's side: Topaz 0.2.5 with its defaults."""

    def __init__(self, data: Data, work: Path, environment: Path) -> None:
        self.data, self.work = data, work
        self.program = environment / "bin" / "topaz"
        self.prepared = Reference(data, work, environment).prepared
        self._curves: dict[int, Curve] = {}
        self._cross_validations: dict[int, float] = {}

    def _few_labels(self, number: int) -> tuple[Path, list[str]]:
        """Write the picks of Pickery's division for a seed, in regions; gives their folder and what says so."""
        from pickery.config.load import load
        from pickery.training.division import gather
        from pickery.training.listener import Silence

        data = gather(load("train", settings(self.data, self.work, *FEW_LABELS, f"seed={number}")), Silence())
        folder = self.work / f"few-{number}"
        for side, names in (("train", data.train), ("test", data.test)):
            (folder / side).mkdir(parents=True, exist_ok=True)
            micrographs = data.labelled(names)
            lines = ["image_name\tx_coord\ty_coord"]
            for name, points in zip(micrographs.names, micrographs.points, strict=True):
                lines += [f"{name}\t{round(x)}\t{round(y)}" for x, y in points]
                link = folder / side / f"{name}.mrc"
                if not link.exists():
                    link.symlink_to(self.prepared / f"{name}.mrc")
            (folder / f"{side}.txt").write_text("\n".join(lines) + "\n")
        words = ["--train-images", "train", "--train-targets", "train.txt"]
        return folder, [*words, "--test-images", "test", "--test-targets", "test.txt"]

    def _train_words(self, *words: str) -> list[str]:
        expected = ["-n", str(EXPECTED), "-r", str(RADIUS), "-m", "resnet8", "--units", "32", "--no-pretrained"]
        return [str(self.program), "train", *expected, "-d", "-1", "--num-workers", "0", *words]

    def quality(self, number: int) -> Curve:
        """Train on few labels with Topaz's defaults, 1,400 minibatches judged after each 100."""
        from pickery.topaz.table import TableReader

        if number in self._curves:  # the same training serves both of Pickery's
            return self._curves[number]
        folder, words = self._few_labels(number)
        begin, curve, reader = time.perf_counter(), Curve(), TableReader()
        command = self._train_words(*words, "--num-epochs", "14", "--epoch-size", "100")
        with (
            tempfile.TemporaryFile("w+") as said,
            subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=said, text=True) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                row = reader.read(line)
                if row is not None and row.split == "test":
                    curve.append((time.perf_counter() - begin, row.figures["auprc"]))
            if process.wait() != 0:
                said.seek(0)
                raise SystemExit(f"benchmark: topaz train failed:\n{said.read()[-2000:]}")
        self._curves[number] = curve
        return curve

    quality_on_patches = quality

    def cross_validation(self, number: int) -> float:
        """Seconds of preprocessing, six trainings on folds and a final one."""
        if number in self._cross_validations:  # the same one serves both of Pickery's
            return self._cross_validations[number]
        folder = Path(tempfile.mkdtemp(dir=self.work))
        begin = time.perf_counter()
        _run(
            [str(self.program), "preprocess", "-s", str(DOWNSAMPLE), "-o", "prepared/", *map(str, self.data.files)],
            folder,
        )
        final = (0, 5, "0.0001")  # a fifth is held out
        for fold, of, rate in (*((fold, 2, rate) for rate in RATES for fold in range(2)), final):
            words = self._fold(folder, fold, of)
            more = ["--num-epochs", "3", "--epoch-size", "100", "--learning-rate", rate]
            _run(self._train_words(*words, *more), folder)
        self._cross_validations[number] = time.perf_counter() - begin
        shutil.rmtree(folder)
        return self._cross_validations[number]

    cross_validation_on_patches = cross_validation

    def _fold(self, folder: Path, fold: int, of: int) -> list[str]:
        """Hold out every so many-th micrograph; gives what says so.

        By hand: Topaz 0.2.5's own ``--k-fold`` stops with an error beside numpy 2.
        """
        head, *rows = (line.split("\t") for line in self.data.picks.read_text().splitlines())
        x, y = head.index("x_coord"), head.index("y_coord")
        names = sorted(path.stem for path in self.data.files)
        words = []
        for side in ("train", "test"):
            place = folder / f"{side}-{fold}-{of}"
            place.mkdir(exist_ok=True)
            chosen = {name for at, name in enumerate(names) if (at % of == fold) == (side == "test")}
            for name in chosen:
                if not (place / f"{name}.mrc").exists():
                    (place / f"{name}.mrc").symlink_to(folder / "prepared" / f"{name}.mrc")
            lines = [
                f"{row[0]}\t{round(float(row[x]) / DOWNSAMPLE)}\t{round(float(row[y]) / DOWNSAMPLE)}"
                for row in rows
                if row[0] in chosen
            ]
            place.with_suffix(".txt").write_text("\n".join(("image_name\tx_coord\ty_coord", *lines)) + "\n")
            words += [f"--{side}-images", place.name, f"--{side}-targets", f"{place.name}.txt"]
        return words

    def pick(self, number: int) -> float:
        """Seconds per micrograph, from the raw one to a table of picks: all against two."""
        model = trained_model(self.data, self.work)[1]
        seconds = []
        for files in (self.data.files[:2], self.data.files):
            folder = Path(tempfile.mkdtemp(dir=self.work))
            prepare = [str(self.program), "preprocess", "-s", str(DOWNSAMPLE), "-o", "prepared/", *map(str, files)]
            names = [f"prepared/{path.name}" for path in files]
            options = [
                "-m",
                str(model),
                "-r",
                str(EXTRACTION_RADIUS),
                "-x",
                str(DOWNSAMPLE),
                "-d",
                "-1",
                "-o",
                "picks.txt",
            ]
            extract = [str(self.program), "extract", *options, *names]
            seconds.append(timed(lambda: (_run(prepare, folder), _run(extract, folder))))  # noqa: B023
        return (seconds[1] - seconds[0]) / (len(self.data.files) - 2)


RATES = ("0.0001", "0.0002", "0.0003")


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"benchmark: {' '.join(command[:4])} failed:\n{done.stdout[-500:]}\n{done.stderr[-2000:]}")


def times_to(own: list[Curve], other: list[Curve]) -> tuple[list[float], list[float]]:
    """Give each side's seconds to the other's best quality, training by training."""
    mine = [first_time(curve, best(against)) for curve, against in zip(own, other, strict=True)]
    return mine, [first_time(curve, best(curve)) for curve in other]
