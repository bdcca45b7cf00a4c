"""Pickery's side of the benchmark, in this process but for peak memory."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


PATCHES = ("sampler=patches", f"sampler.minibatch_size={MINIBATCH}")
"""What Topaz trains on."""


def settings(data: Data, work: Path, *more: str) -> list[str]:
    """Give the settings of a training as words of the command line."""
    listed = work / "micrographs.txt"
    listed.write_text("\n".join(str(path) for path in data.files))
    given = {
        "data.micrographs": listed, "data.picks": data.picks, "data.expected_particles": EXPECTED,
        "data.radius": RADIUS, "preprocess.downsample": DOWNSAMPLE, "preprocess.store": work / "prepared",
        "tracking": "off", "trainer.accelerator": "cpu",
    }  # fmt: skip
    return [f"{name}={value}" for name, value in given.items()] + list(more)


@cache
def trained_model(data: Data, work: Path) -> tuple[Path, Path]:
    """Train a model for both sides to pick with; gives its file and the same as one of Topaz's."""
    from pickery.model.topaz_module import save_topaz_module
    from pickery.model.weights import load_model

    run_dir = work / "picker"
    words = ("optimizer.learning_rate=0.001", "sampler.epoch_size=60", "trainer.epochs=1", f"run_dir={run_dir}")
    subprocess.run(
        [sys.executable, "-m", "pickery", "train", *settings(data, work, *words)], check=True, capture_output=True
    )
    exported = work / "picker.sav"
    save_topaz_module(exported, load_model(run_dir / "model.ckpt")[0])
    return run_dir / "model.ckpt", exported


class Pickery:
    """Pickery's side, in this process but for peak memory."""

    def __init__(self, data: Data, work: Path) -> None:
        self.data, self.work = data, work
        self.maps: list[NDArray[np.float32]] = []

    def preprocess(self, number: int) -> float:
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

    def minibatch(self, number: int) -> float:
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

        config = load(
            "train",
            settings(
                self.data, self.work, *PATCHES, "sampler.epoch_size=36", "trainer.epochs=1", "data.test_fraction=0.1"
            ),
        )
        clock = Clock()
        data = gather(config, clock)
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            fit(config, data, Path(folder), Tracker(), clock)
        steps = [later - earlier for earlier, later in zip(clock.ticks[5:], clock.ticks[6:], strict=False)]
        return statistics.median(steps)

    def evaluation(self, number: int) -> float:
        """Seconds per held-out micrograph of an epoch's evaluation, at the default stride."""
        import torch

        from pickery.config.load import load
        from pickery.model import build_model
        from pickery.training.choices import pi_of
        from pickery.training.division import gather
        from pickery.training.held_out import HeldOutEvaluation, evaluate
        from pickery.training.listener import Silence

        config = load("train", settings(self.data, self.work))
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

    def score(self, number: int) -> float:
        """Seconds per held-out micrograph of scoring all regions with a trained model."""
        import numpy as np
        import torch

        from pickery.config.load import load
        from pickery.evaluation.score_map import score_map
        from pickery.model.weights import load_model
        from pickery.training.division import gather
        from pickery.training.listener import Silence

        model, _ = load_model(trained_model(self.data, self.work)[0])
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        data = gather(load("train", settings(self.data, self.work)), Silence())
        micrographs = data.labelled(data.train)
        images = [micrographs.image(i) for i in range(TESTED)]
        score_map(model, images[0])
        self.maps.clear()
        return timed(lambda: self.maps.extend(np.asarray(score_map(model, image)) for image in images)) / TESTED

    def suppress(self, number: int) -> float:
        """Seconds per held-out micrograph of taking picks from its score map."""
        from pickery.evaluation.suppression import suppress

        return timed(lambda: [suppress(scores, EXTRACTION_RADIUS, -6.0) for scores in self.maps]) / len(self.maps)

    def peak_memory(self, number: int) -> float:
        """Peak memory of a training of 12 minibatches as by default, MB."""
        return self._peak_memory()

    def peak_memory_on_patches(self, number: int) -> float:
        """Peak memory of a training of 12 minibatches of patches, MB."""
        return self._peak_memory(*PATCHES)

    def _peak_memory(self, *words: str) -> float:
        run_dir = Path(tempfile.mkdtemp(dir=self.work)) / "run"
        steps = ("sampler.epoch_size=12", "trainer.epochs=1", f"run_dir={run_dir}")
        command = [sys.executable, "-m", "pickery", "train", *settings(self.data, self.work, *steps, *words)]
        return child_memory(command)
