"""A model with random weights, in a file as a training leaves it, and an audience that remembers."""

from pathlib import Path

import pytest
import torch

from pickery.model import build_model
from pickery.model.weights import save_model


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Images this small cost more to share out between threads than to score."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Remembering:
    """An audience (`pickery.picking.audience.Audience`)."""

    def __init__(self):
        self.said, self.warned, self.told = [], [], []

    def say(self, text):
        self.said.append(text)

    def head(self, text):
        self.said.append(text)

    def warn(self, text):
        self.warned.append(text)

    def keep_log(self, path):
        pass

    def picking(self, done, total, picks, left_s):
        self.told.append((done, total, picks))

    def working(self, text):
        pass

    def rest(self):
        pass


@pytest.fixture
def audience():
    return Remembering()


def write_model(path: Path, *, architecture="conv31", units=4, seed=3, preprocess=(), picking=(), provenance=()):
    model = build_model(architecture, units=units, seed=seed)
    save_model(
        path,
        model,
        preprocess={"downsample": 4.0, "method": "gmm", "pixel_sampling": 1, "iterations": 100} | dict(preprocess),
        picking={"extraction_radius": 6, "threshold_best_f1": 0.05} | dict(picking),
        metrics={},
        provenance={"seed": 0, "pixel_size_angstrom": 2.0} | dict(provenance),
    )
    return model


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.ckpt"
    write_model(path)
    return path
