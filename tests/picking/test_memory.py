"""What is held at once for a micrograph of any size, in bytes a pixel or region (of which it may have 57 million)."""

import tracemalloc

import numpy as np
import pytest
import torch

from pickery.evaluation.suppression import suppress
from pickery.formats.micrographs import write_mrc
from pickery.picking.model import build_network, open_model
from pickery.picking.work import Task, pick_micrograph
from pickery.preprocess.work import prepare_image
from tests.picking.conftest import write_model

SIDE = 1000
SETTINGS = {"downsample": 1.0, "method": "gmm", "pixel_sampling": 1, "iterations": 100}


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr("pickery.evaluation.suppression.CHUNK", 1 << 15)
    monkeypatch.setattr("pickery.preprocess.mixture.PIXELS_AT_ONCE", 1 << 15)


@pytest.fixture
def image():
    return np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32)


def peak_bytes_a_pixel(act):
    """Count what numpy holds at most at once, beyond what was there; a megabyte of it is the same for any size."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1] / SIDE**2
    finally:
        tracemalloc.stop()


def test_suppression_takes_eleven_bytes_a_region(image):
    assert peak_bytes_a_pixel(lambda: suppress(image, 12, -6)) < 11


def test_preparing_takes_one_more_image_of_four_bytes_a_pixel(image):
    assert peak_bytes_a_pixel(lambda: prepare_image(image, SETTINGS, "")) < 5


def test_picking_takes_fifteen_bytes_a_pixel_and_what_a_tile_needs(image, tmp_path):
    write_model(tmp_path / "model.ckpt", preprocess={"downsample": 1.0})
    write_mrc(tmp_path / "mic.mrc", image, pixel_size_angstrom=1.0)
    network = build_network(open_model(str(tmp_path / "model.ckpt"), root=tmp_path, uri=None).weights)
    task = Task(0, tmp_path / "mic.mrc", SETTINGS, 12, -6.0, 128, tmp_path / "kept.npz", "stamp")
    # the map is torch's, whose memory is not counted here: four bytes a region
    assert peak_bytes_a_pixel(lambda: pick_micrograph(network, task, torch.device("cpu"))) + 4 < 15
