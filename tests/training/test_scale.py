"""A training on far more micrographs than fit into memory: what it reads and what it holds."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pickery.cli import main
from tests.conftest import TinyData

COUNT, SIDE = 200, 1024
MEGABYTE = 1 << 20

# in a process of its own, whose memory is then this training's alone
TRAINING = """
import ctypes, json, os, re, sys, tempfile, warnings
from pathlib import Path
import numpy as np
from pickery.config.load import load
from pickery.formats.micrographs import MicrographFile
from pickery.preprocess.index import IMAGES_FILE, Entry, Index, write_index
from pickery.preprocess.store import open_prepared
from pickery.tracking import Tracker
from pickery.training.division import TrainingData
from pickery.training.fit import fit
from pickery.training.listener import Silence

count, side = int(sys.argv[1]), int(sys.argv[2])
store = Path("prepared")
store.mkdir()
with (store / IMAGES_FILE).open("wb") as file:
    file.truncate(4 * count * side**2)  # a size, and no content
shape = (side, side)
names = [f"mic_{i}" for i in range(count)]
entries = tuple(Entry(name, name, name, shape, shape, 1.0, 0.0, 1.0, 1.0, 5.0) for name in names)
write_index(store, Index({"downsample": 1.0, "method": "affine"}, entries))
draw = np.random.default_rng(0)
prepared = open_prepared(store)
data = TrainingData(
    prepared=prepared, train=prepared.names[1:], test=prepared.names[:1],
    points={name: draw.uniform(0, side, (200, 2)) for name in names},
    files={name: MicrographFile(name, Path(name)) for name in names}, skipped={}, pixel_size_angstrom=1.0,
    expected_particles=300, radius=3, partial_labels=True, negatives={}, masked={}, fingerprint="",
)


def own_bytes():
    return 1024 * int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])


class Watch(Silence):
    minibatches, most = 0, 0

    def training(self, epoch, epochs, done, total, evaluating):
        self.minibatches += not evaluating
        self.most = max(self.most, own_bytes())


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that larger networks are better
    config = load("train", [
        "data.micrographs=none", "data.picks=none", "data.expected_particles=300", "model=conv31", "model.units=4",
        "sampler.minibatch_size=32", "sampler.epoch_size=2", "trainer.epochs=2", "trainer.accelerator=cpu",
        "trainer.threads=1", "tracking=off", "preprocess.downsample=1", *sys.argv[3:],
    ])
watch, before = Watch(), own_bytes()
fit(config, data, Path(tempfile.mkdtemp(dir=".")), Tracker(), watch, stop_after=1)
pixels = np.memmap(store / IMAGES_FILE, dtype=np.float32, mode="r")
resident = (ctypes.c_ubyte * -(-pixels.nbytes // os.sysconf("SC_PAGE_SIZE")))()
assert not ctypes.CDLL(None).mincore(ctypes.c_void_p(pixels.ctypes.data), ctypes.c_size_t(pixels.nbytes), resident)
print(json.dumps({
    "minibatches": watch.minibatches, "held_bytes": watch.most - before,
    "read": float(np.mean(np.frombuffer(resident, np.uint8) & 1)),
    "on_disk_bytes": 512 * (store / IMAGES_FILE).stat().st_blocks,
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at memory through /proc and mincore")
@pytest.mark.parametrize("words", [["sampler=patches"], ["sampler=crops", "sampler.outputs=2"]])
def test_a_training_reads_what_it_cuts_and_holds_none_of_it(words: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, str(COUNT), str(SIDE), *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["minibatches"] == 2
    assert found["held_bytes"] < 150 * MEGABYTE < 4 * COUNT * SIDE**2 / 5
    # 64 cuts of some 50 rows, and what the system reads around each, of 200 micrographs; one is evaluated whole
    assert found["read"] < 0.1
    assert found["on_disk_bytes"] < 0.1 * 4 * COUNT * SIDE**2


@pytest.mark.slow
def test_scores_that_wait_on_disk_change_no_digit_and_a_full_one_is_said(
    tiny: TinyData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full:
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None: ...

    monkeypatch.chdir(tmp_path)
    words = tiny.overrides("trainer.epochs=1")
    assert main(["train", *words, "run_dir=memory"]) == 0
    monkeypatch.setattr("pickery.evaluation.tally.MOST_IN_MEMORY", 100)
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", lambda **options: Full())
        assert main(["train", *words, "run_dir=disk"]) != 0
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "pickery: disk: No space left on device. Free some space, then give the same command again."
    assert main(["train", *words, "run_dir=disk"]) == 0
    for name in ("metrics.csv", "summary.json"):
        assert Path("disk", name).read_text() == Path("memory", name).read_text()
    assert {path.name for path in Path("disk").iterdir()} == {path.name for path in Path("memory").iterdir()}
