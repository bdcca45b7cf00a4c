"""The jobs of the scale benchmark: each runs in a process of its own, which prints its figures and its peak memory."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pickery.config.schema import TrainConfig
    from pickery.data.datamodule import LabelledMicrographs
    from pickery.training.division import TrainingData

SIDE, PICKS, RADIUS, DOWNSAMPLE = 1024, 200, 3, 4
MINIBATCHES = 20
WARM_UP = 5
"""Minibatches not counted, in which files are opened and loader processes started."""

Figures = dict[str, float]


def make_store(folder: Path, count: int) -> None:
    """Write a prepared set of so many micrographs whose file of pixels is one hole: it has a size and no content."""
    from pickery.preprocess.index import IMAGES_FILE, VALUE_BYTES, Entry, Index, write_index

    folder.mkdir(parents=True)
    with (folder / IMAGES_FILE).open("wb") as file:
        file.truncate(count * SIDE * SIDE * VALUE_BYTES)
    full = SIDE * DOWNSAMPLE
    entries = tuple(
        Entry(
            f"{i:032x}", f"mic_{i:05}", f"/nowhere/mic_{i:05}.mrc", (SIDE, SIDE), (full, full), 1.0, 0.0, 1.0, 1.0, 5.0
        )
        for i in range(count)
    )
    write_index(folder, Index({"downsample": float(DOWNSAMPLE), "method": "affine"}, entries))


def training_data(folder: Path, held_out: int) -> TrainingData:
    """Open the set, with picks at random and its last micrographs held out."""
    import numpy as np

    from pickery.formats.micrographs import MicrographFile
    from pickery.preprocess.store import open_prepared
    from pickery.training.division import TrainingData

    prepared = open_prepared(folder)
    names, kept = prepared.names, len(prepared) - held_out
    draw = np.random.default_rng(0)
    return TrainingData(
        prepared=prepared,
        train=names[:kept],
        test=names[kept:],
        points={name: draw.uniform(0, SIDE * DOWNSAMPLE, (PICKS, 2)) for name in names},
        files={name: MicrographFile(name, Path(path)) for name, path in zip(names, prepared.paths, strict=True)},
        skipped={},
        pixel_size_angstrom=1.0,
        expected_particles=1.5 * PICKS,
        radius=RADIUS,
        partial_labels=True,
        negatives={},
        masked={},
        fingerprint="",
    )


def settings(sampler: str = "patches", *more: str) -> TrainConfig:
    """Give the settings of a training with a small network."""
    import warnings

    from pickery.config.load import load
    from pickery.errors import PickeryWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PickeryWarning)  # that larger networks are better
        return load(
            "train",
            [
                "data.micrographs=none", "data.picks=none", f"data.expected_particles={1.5 * PICKS}",
                f"data.radius={RADIUS}", f"preprocess.downsample={DOWNSAMPLE}", "model=conv31", "model.units=4",
                f"sampler={sampler}", "tracking=off", "trainer.accelerator=cpu",
                f"sampler.epoch_size={MINIBATCHES}", "trainer.epochs=2", *more,
            ],
        )  # fmt: skip


def nothing(folder: Path, held_out: int) -> Figures:
    """Do nothing: what remains is the memory of the program's own modules."""
    return {}


def label(folder: Path, held_out: int) -> Figures:
    """Open the set and label the regions."""
    begin = time.perf_counter()
    data = training_data(folder, held_out)
    opened = time.perf_counter()
    regions = data.labelled(data.train).regions()
    done = time.perf_counter()
    assert len(regions.positives)
    return {"open_s": opened - begin, "label_s": done - opened}


def draw(folder: Path, held_out: int, sampler: str, workers: int) -> Figures:
    """Draw minibatches and cut their squares from the file, which nobody has read; then the same once more."""
    from pickery.data.datamodule import PickerDataModule
    from pickery.data.sampler import RegionSampler
    from pickery.model import build_model
    from pickery.training.choices import image_side, outputs_along_side

    config, data = settings(sampler), training_data(folder, held_out)
    train, model = data.labelled(data.train), build_model("conv31", units=4)
    regions = RegionSampler(
        train.regions(),
        minibatch_size=config.sampler.minibatch_size,
        balance=config.sampler.balance,
        seed=0,
        outputs=outputs_along_side(config),
        stride=model.stride,
    )
    module = PickerDataModule(
        train=train,
        test=None,
        sampler=regions,
        epoch_size=WARM_UP + 2 * MINIBATCHES,
        side=image_side(config, model),
        workers=workers,
        resident=False,
    )
    _forget(data)
    loader, figures = module.train_dataloader(), {}
    for name in ("first_ms", "again_ms"):
        ticks = [time.perf_counter() for _ in loader][WARM_UP:]
        figures[name] = 1000 * (ticks[-1] - ticks[0]) / (len(ticks) - 1)
    return figures


def _forget(data: TrainingData) -> None:
    """Have the system drop what it keeps of the file in memory."""
    from pickery.preprocess.index import IMAGES_FILE

    with (data.prepared.directory / IMAGES_FILE).open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def epoch(folder: Path, held_out: int) -> Figures:
    """Train for one epoch through `fit`, and evaluate it on the held-out micrographs at the default stride."""
    import tempfile

    from pickery.tracking import Tracker
    from pickery.training.fit import fit
    from pickery.training.listener import Silence

    class Clock(Silence):
        def __init__(self) -> None:
            self.minibatches: list[float] = []
            self.evaluated: list[float] = []

        def training(self, epoch: int, epochs: int, done: int, total: int, evaluating: bool) -> None:
            (self.evaluated if evaluating else self.minibatches).append(time.perf_counter())

    begin = time.perf_counter()
    config, data, clock = settings(), training_data(folder, held_out), Clock()
    _forget(data)
    opened = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder.parent) as run:
        fit(config, data, Path(run), Tracker(), clock, stop_after=1)
    end = time.perf_counter()
    first, last = clock.minibatches[0], clock.minibatches[-1]
    return {
        "open_s": opened - begin,
        "start_s": first - opened,
        "minibatch_ms": 1000 * (last - first) / (MINIBATCHES - 1),
        "evaluation_s": (clock.evaluated[-1] - last) / len(clock.evaluated),
        "end_s": end - clock.evaluated[-1],
    }


def judge(folder: Path, held_out: int, stride: int) -> Figures:
    """Evaluate a network on micrographs of noise, as an epoch does (stride 4) or the end (stride 1, and picks)."""
    from pickery.model import build_model
    from pickery.training.choices import pi_of, pick_level
    from pickery.training.held_out import HeldOutEvaluation, evaluate

    data = training_data(folder, held_out)
    test = data.labelled(data.test)
    judged = HeldOutEvaluation(
        names=test.names,
        points=test.points,
        stride=stride,
        pi=pi_of(data, test),
        picks=pick_level(settings(), data) if stride == 1 else None,
        mask=test.mask,
        folder=folder.parent,
    )
    model = build_model("conv31", units=4).eval()
    begin = time.perf_counter()
    evaluate(model, judged, _noise(test), map(test.labels, range(held_out)))
    figures = {"evaluation_s": (time.perf_counter() - begin) / held_out}
    if judged.pick_metrics is not None:
        figures["candidates"] = judged.pick_metrics.candidates / held_out
    return figures


def tally(folder: Path, held_out: int) -> Figures:
    """Only tally scores of all regions, as many as so many held-out micrographs have, without a network."""
    from pickery.evaluation.tally import RegionTally

    data = training_data(folder, 0)
    test = data.labelled(data.train[:held_out])
    counted = RegionTally(folder.parent)
    adding = 0.0
    for index, scores in enumerate(_noise(test)):
        labels = test.labels(index % len(test)).ravel()
        begin = time.perf_counter()
        counted.add(scores.ravel() - 3, labels)
        adding += time.perf_counter() - begin
    begin = time.perf_counter()
    counted.metrics(pi=0.01)
    return {"add_s": adding / held_out, "count_s": time.perf_counter() - begin}


def _noise(micrographs: LabelledMicrographs) -> Iterator[NDArray[np.float32]]:
    import numpy as np

    for index in range(len(micrographs)):
        yield np.random.default_rng(index).standard_normal((SIDE, SIDE), dtype=np.float32)


JOBS: dict[str, Callable[..., Figures]] = {
    "nothing": nothing, "label": label, "draw": draw, "epoch": epoch, "judge": judge, "tally": tally,
}  # fmt: skip


class Memory:
    """Peak memory of this process and of those that it starts, in MB, looked at fifty times a second.

    What processes hold themselves (anonymous pages) is told apart from pages of mapped files, which the system takes
    back when it needs them.
    """

    def __init__(self) -> None:
        self.own = self.own_file = self.others = 0.0

    def look(self) -> None:
        """Look once."""
        parents, sizes = {}, {}
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue  # it ended
            found = dict(re.findall(r"^(PPid|RssAnon|RssFile):\s+(\d+)", text, re.MULTILINE))
            if "RssAnon" in found:
                pid = int(status.parent.name)
                parents[pid] = int(found["PPid"])
                sizes[pid] = (int(found["RssAnon"]) / 1024, int(found["RssFile"]) / 1024)
        own = os.getpid()
        below = {own}
        while more := {pid for pid, parent in parents.items() if parent in below and pid not in below}:
            below |= more
        anonymous, mapped = sizes[own]
        self.own, self.own_file = max(self.own, anonymous), max(self.own_file, mapped)
        self.others = max(self.others, sum(sizes[pid][0] for pid in below - {own}))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look again and again while the block lasts."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.02):
                self.look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.look()


def main() -> None:
    """Do one job: its name, the set's folder, the number held out, and what else it takes; print its figures."""
    import pickery.training.fit  # noqa: F401  # before any clock starts

    name, folder, held_out, *more = sys.argv[1:]
    memory = Memory()
    given: list[Any] = [int(word) if word.isdigit() else word for word in more]
    with memory.watched():
        figures = JOBS[name](Path(folder), int(held_out), *given)
    print(json.dumps(figures | {"own_mb": memory.own, "file_mb": memory.own_file, "others_mb": memory.others}))


if __name__ == "__main__":
    main()
