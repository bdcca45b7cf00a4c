"""Memory that runs out while a model scores: the tile is halved, and where none fits it is said what would."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from pickery.errors import InputError, PickeryWarning
from pickery.evaluation.score_map import score_map
from pickery.memory import is_full
from pickery.model import build_model
from pickery.model.dense import DenseScorer


class Scarce(DenseScorer):
    """A scorer that has memory for so many pixels at a time."""

    pixels = 0
    error: BaseException = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    tried: list[tuple[int, ...]]

    def valid(self, padded, stride=1):
        self.tried.append(tuple(padded.shape[2:]))
        if padded.numel() > self.pixels:
            raise self.error
        return super().valid(padded, stride)


@pytest.fixture
def scarce(monkeypatch):
    monkeypatch.setattr("pickery.evaluation.score_map.DenseScorer", Scarce)
    monkeypatch.setattr(Scarce, "tried", [], raising=False)
    return Scarce


def image_of(height, width):
    return np.random.default_rng(0).normal(size=(height, width)).astype(np.float32)


FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    MemoryError(),
]


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("stride", [1, 4])
def test_a_tile_that_does_not_fit_is_halved_and_every_region_keeps_its_score(scarce, monkeypatch, error, stride):
    model = build_model("resnet8", units=4, seed=1).eval()
    image = image_of(150, 203)
    expected = DenseScorer(model)(torch.tensor(image)[None, None], stride)[0]
    monkeypatch.setattr(scarce, "error", error)
    monkeypatch.setattr(scarce, "pixels", (64 + model.receptive_field) ** 2)
    with pytest.warns(PickeryWarning, match=r"does not suffice to score .* at a time \(about [0-9]+ MB\)"):
        got = score_map(model, image, stride=stride)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    half = model.receptive_field // 2
    padded = functional.pad(torch.tensor(image), (half,) * 4)
    for y, x in ((0, 0), (36, 52), (148, 200)):  # the law: a region's score is its patch's
        patch = padded[y : y + model.receptive_field, x : x + model.receptive_field]
        with torch.no_grad():
            torch.testing.assert_close(
                got[y // stride, x // stride], model(patch[None, None])[0, 0, 0, 0], atol=1e-4, rtol=0
            )


def test_what_fits_is_found_once_for_a_model(scarce, monkeypatch):
    model, image = build_model("resnet8", units=4, seed=1).eval(), image_of(150, 203)
    monkeypatch.setattr(scarce, "pixels", (64 + model.receptive_field) ** 2)
    with pytest.warns(PickeryWarning):
        first = score_map(model, image)
    scarce.tried.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(score_map(model, image), first, rtol=0, atol=1e-6)
    assert max(height * width for height, width in scarce.tried) <= scarce.pixels


def test_where_no_tile_fits_it_is_said_what_would(scarce):
    model = build_model("resnet8", units=4, seed=1).eval()
    with pytest.warns(PickeryWarning), pytest.raises(InputError) as caught:
        score_map(model, image_of(150, 203))
    assert "does not suffice: scoring 33 x 33 pixels at a time, the least there is, needs about 1 MB" in str(
        caught.value
    )


def test_another_error_is_not_taken_for_want_of_memory(scarce, monkeypatch):
    monkeypatch.setattr(scarce, "error", RuntimeError("the weights are of another shape"))
    with pytest.raises(RuntimeError, match="another shape"):
        score_map(build_model("resnet8", units=4, seed=1).eval(), image_of(50, 50))
    assert len(scarce.tried) == 1
    assert not is_full(RuntimeError("the weights are of another shape"))
    assert is_full(RuntimeError("could not create a primitive"))
    assert not is_full(RuntimeError("could not create a primitive descriptor for a convolution"))


LIMITED = """
import resource, sys, warnings
import numpy as np, torch
from pickery.evaluation.score_map import score_map
from pickery.model import build_model

torch.set_num_threads(1)
model = build_model("resnet8", units=64, seed=1).eval()
image = np.random.default_rng(0).normal(size=(1100, 1024)).astype(np.float32)
score_map(model, image[:64, :64])  # so that all is loaded that computing needs
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]) * 2**20, resource.RLIM_INFINITY))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    got = score_map(model, image, stride=4)
# only now: what is freed after it stays the process's own and would do for the other
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
expected = score_map(build_model("resnet8", units=64, seed=1).eval(), image, stride=4)
assert torch.allclose(got, expected, rtol=0, atol=1e-6), (got - expected).abs().max()
print(len(told), *(one.message for one in told))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the address space as Linux does")
def test_a_processor_without_memory_for_a_whole_tile_scores_in_smaller_ones(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "100"], capture_output=True, text=True, timeout=300, cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the machine's memory does not suffice to score 1100 x 1100 pixels" in done.stdout or (
        "the machine's memory does not suffice to score 1024 x 1024 pixels" in done.stdout
    ), done.stdout
