"""One micrograph picked: in whatever pieces, and when it cannot be used."""

import numpy as np
import pytest
import torch

from pickery.errors import InputError
from pickery.evaluation.suppression import suppress
from pickery.formats.micrographs import write_mrc
from pickery.model.weights import load_weights
from pickery.picking.candidates import read_candidates
from pickery.picking.model import build_network
from pickery.picking.work import Task, pick_micrograph

SETTINGS = {"downsample": 3.0, "method": "gmm", "pixel_sampling": 1, "iterations": 100}
CPU = torch.device("cpu")


@pytest.fixture
def network(model_file):
    return build_network(load_weights(str(model_file)))


@pytest.fixture
def micrograph(tmp_path):
    path = tmp_path / "mic.mrc"
    image = np.random.default_rng(1).normal(100, 10, (200, 251)).astype(np.float32)
    write_mrc(path, image, pixel_size_angstrom=2.0)
    return path


def task(micrograph, *, floor=-50, tile=None):
    return Task(0, micrograph, SETTINGS, 4, float(floor), tile, micrograph.parent / "kept.npz", "stamp")


def test_no_tile_size_changes_a_pick(network, micrograph):
    whole = pick_micrograph(network, task(micrograph), CPU)
    assert len(whole.scores) > 50
    for tile in (16, 37, 64):
        tiled = pick_micrograph(network, task(micrograph, tile=tile), CPU)
        np.testing.assert_array_equal(tiled.points, whole.points)
        np.testing.assert_allclose(tiled.scores, whole.scores, rtol=0, atol=1e-5)


def test_what_is_given_is_what_is_kept(network, micrograph):
    given = pick_micrograph(network, task(micrograph, floor=-1), CPU)
    kept = read_candidates(micrograph.parent / "kept.npz", floor=-1, stamp="stamp")
    np.testing.assert_array_equal(kept.points, given.points)
    np.testing.assert_array_equal(kept.scores, given.scores)
    assert (kept.shape, kept.full_shape) == ((66, 83), (200, 251))


def test_a_micrograph_smaller_than_a_patch_is_said(network, tmp_path):
    path = tmp_path / "small.mrc"
    write_mrc(path, np.random.default_rng(1).normal(size=(80, 80)).astype(np.float32), pixel_size_angstrom=2.0)
    assert "less than one patch of the model (31 x 31)" in pick_micrograph(network, task(path), CPU)


def test_a_diverged_model_is_said_and_not_taken_for_a_bad_micrograph(network, micrograph):
    with torch.no_grad():
        network.classifier.bias.fill_(float("nan"))
    with pytest.raises(InputError, match="diverged"):
        pick_micrograph(network, task(micrograph), CPU)


def test_an_unfit_micrograph_is_said_and_nothing_kept(network, tmp_path):
    path = tmp_path / "flat.mrc"
    write_mrc(path, np.ones((200, 200), np.float32), pixel_size_angstrom=2.0)
    assert "same everywhere" in pick_micrograph(network, task(path), CPU)
    assert not (tmp_path / "kept.npz").exists()


def test_suppression_of_a_map_larger_than_what_is_looked_at_at_once(monkeypatch):
    scores = np.random.default_rng(0).normal(size=(61, 47)).astype(np.float32)
    whole = suppress(scores, 3)
    monkeypatch.setattr("pickery.evaluation.suppression.CHUNK", 100)
    for one, other in zip(whole, suppress(scores, 3), strict=True):
        np.testing.assert_array_equal(one, other)
