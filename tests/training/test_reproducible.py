"""The same versions, settings and seed give the same numbers bit for bit, whatever surrounds the process."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import TinyData

pytestmark = pytest.mark.slow

AROUND: dict[str, tuple[dict[str, str], list[str]]] = {
    "another hash seed, time zone and language": (
        {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C", "LANG": "C"},
        [],
    ),
    "more processes": ({"PYTHONHASHSEED": "3"}, ["preprocess.workers=3", "sampler.workers=2"]),
    "a store of its own, in an environment that asks for more threads": (
        {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
        ["preprocess.store=own"],
    ),
}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(folder / "model.ckpt", weights_only=True)["state_dict"])


def train(folder: Path, words: list[str], environment: dict[str, str] | None = None) -> Path:
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-m", "pickery", "train", *words, "run_dir=run"],
        cwd=folder, env=os.environ | (environment or {}), check=True, capture_output=True,
    )  # fmt: skip
    return folder / "run"


def test_nothing_around_a_training_changes_a_bit_of_it(tiny: TinyData, tmp_path: Path) -> None:
    folders = [
        (name, train(tmp_path / str(number), tiny.overrides(*more), environment))
        for number, (name, (environment, more)) in enumerate({"as it is": ({}, []), **AROUND}.items())
    ]
    (_, first), *others = folders
    for name, other in others:
        assert (other / "metrics.csv").read_text() == (first / "metrics.csv").read_text(), name
        for key, value in weights(first).items():
            assert torch.equal(value, weights(other)[key]), (name, key)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU at hand")
def test_on_a_gpu_the_same_command_gives_like_numbers(tiny: TinyData, tmp_path: Path) -> None:
    words = tiny.overrides("trainer.accelerator=gpu", "trainer.epochs=1")
    rows = []
    for name in ("one", "other"):
        (row,) = csv.DictReader((train(tmp_path / name, words) / "metrics.csv").read_text().splitlines())
        rows.append({column: float(value) for column, value in row.items()})
    # sums in another order: last digits, and six steps amplify them but little
    assert rows[0] == pytest.approx(rows[1], rel=1e-2, abs=1e-2, nan_ok=True)
