"""Models here and in an installed Topaz, which is found through PICKERY_TOPAZ_PYTHON: the same scores and picks."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from pickery.evaluation.score_map import score_map
from pickery.evaluation.suppression import suppress
from pickery.formats.micrographs import read_micrograph, write_mrc
from pickery.model import Picker, build_model
from pickery.model.topaz_module import save_topaz_module
from pickery.model.weights import load_weights
from pickery.preprocess.fourier import downsample
from pickery.preprocess.mixture import fit_mixture
from pickery.topaz.score_map import VARIABLE, TopazUnavailable, topaz_score_map

TOPAZ = os.environ.get("PICKERY_TOPAZ_PYTHON", "")
REFERENCE = os.environ.get("PICKERY_REFERENCE", "")
needs_topaz = pytest.mark.skipif(not TOPAZ, reason="PICKERY_TOPAZ_PYTHON names no python with Topaz 0.2.5")
needs_micrographs = pytest.mark.skipif(not REFERENCE, reason="PICKERY_REFERENCE is not set")
DETECTORS = ("resnet8_u32", "resnet8_u64", "resnet16_u32", "resnet16_u64")

# dropout and batch normalisation take turns, so that each architecture is met with and without
KINDS = [
    ("resnet8", "none", True, 0.0),
    ("resnet8", "max", False, 0.3),
    ("resnet16", "none", False, 0.5),
    ("resnet16", "max", True, 0.0),
    ("conv31", "none", True, 0.0),
    ("conv63", "none", False, 0.0),
    ("conv127", "none", True, 0.0),
]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def lively(model: Picker) -> Picker:
    """Give a random network batch statistics that are not the initial ones, and scores that spread over about 1."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.3, 0.3, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
        noise = torch.randn(1, 1, 150, 150, generator=generator)
        spread = float(model.eval()(noise).std())
        model.classifier.weight /= spread
    return model


def prepared(name: str, factor: float) -> np.ndarray:
    image = downsample(read_micrograph(Path(REFERENCE) / "data" / "apoferritin" / "micrographs" / name), factor)
    fit = fit_mixture(image)
    return ((image - fit.mean) / fit.std).astype(np.float32)


@needs_topaz
@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "pooling", "batch_norm", "dropout"), KINDS)
def test_a_model_made_here_scores_in_topaz_as_it_does_here(tmp_path, architecture, pooling, batch_norm, dropout):
    model = lively(build_model(architecture, units=4, pooling=pooling, batch_norm=batch_norm, dropout=dropout))
    save_topaz_module(tmp_path / "model.sav", model)
    image = np.random.default_rng(1).normal(size=(131, 158)).astype(np.float32)
    theirs = topaz_score_map(TOPAZ, tmp_path / "model.sav", image)
    ours = score_map(model, image).numpy()
    assert ours.std() > 0.1
    np.testing.assert_allclose(theirs.scores, ours, rtol=0, atol=1e-4)
    assert theirs.version.startswith("0.2.5")


@needs_topaz
@pytest.mark.slow
def test_average_pooling_scores_otherwise_in_topaz_which_is_said(tmp_path):
    model = lively(build_model("conv31", units=4, pooling="average"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        save_topaz_module(tmp_path / "model.sav", model)
    assert "Topaz pads where it pools averages" in str(caught[0].message)
    image = np.random.default_rng(1).normal(size=(80, 90)).astype(np.float32)
    theirs = topaz_score_map(TOPAZ, tmp_path / "model.sav", image)
    assert theirs.scores.shape == image.shape


@needs_topaz
@needs_micrographs
@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_topazs_own_detectors_score_a_real_micrograph_as_topaz_does(name, monkeypatch):
    where = "import os, topaz; print(os.path.join(os.path.dirname(topaz.__file__), 'pretrained', 'detector'))"
    folder = Path(subprocess.run([TOPAZ, "-c", where], capture_output=True, text=True, check=True).stdout.strip())
    monkeypatch.setattr("pickery.model.weights._pretrained_folder", lambda: folder)
    weights = load_weights(name)
    model = build_model(**weights.architecture)
    model.load_state_dict(weights.state_dict)
    image = prepared("May08_03.05.02.mrc", 8)
    ours = score_map(model.eval(), image).numpy()
    assert ours.std() > 0.5
    np.testing.assert_allclose(topaz_score_map(TOPAZ, name, image).scores, ours, rtol=0, atol=1e-4)


@needs_topaz
@needs_micrographs
@pytest.mark.slow
def test_topaz_extracts_the_same_picks_with_an_exported_model(tmp_path):
    model = lively(build_model("resnet8", units=8))
    save_topaz_module(tmp_path / "model.sav", model)
    image = prepared("May08_03.05.02.mrc", 8)
    write_mrc(tmp_path / "mic.mrc", image, pixel_size_angstrom=None)
    radius, threshold = 5, 0.25
    words = ["extract", "-m", str(tmp_path / "model.sav"), "-r", str(radius), "-t", str(threshold), "-d", "-1"]
    words += ["-j", "1", "-o", str(tmp_path / "picks.txt"), str(tmp_path / "mic.mrc")]
    run = "import sys; from topaz.main import main; sys.exit(main())"
    subprocess.run([TOPAZ, "-c", run, *words], check=True, capture_output=True, env=os.environ | {VARIABLE: "1"})
    table = np.loadtxt(tmp_path / "picks.txt", skiprows=1, usecols=(1, 2, 3))
    theirs = {(int(x), int(y)): score for x, y, score in table}
    points, scores = suppress(score_map(model, image).numpy(), radius, threshold)
    ours = {(int(x), int(y)): float(score) for (x, y), score in zip(points, scores, strict=True)}
    assert len(ours) > 50
    # Topaz's suppression wraps round the right border: picks may differ within twice the radius of the two sides
    wide = image.shape[1]
    inner = {point for point in ours.keys() | theirs.keys() if 2 * radius < point[0] < wide - 1 - 2 * radius}
    assert ours.keys() & inner == theirs.keys() & inner
    assert all(theirs[point] == pytest.approx(ours[point], abs=1e-4) for point in ours.keys() & inner)
    assert len(inner) > 0.8 * len(ours)


def test_a_python_without_topaz_is_told_apart(tmp_path):
    image = np.zeros((8, 8), np.float32)
    with pytest.raises(TopazUnavailable, match=r"topaz_python=.*nowhere cannot be run \(No such file"):
        topaz_score_map(str(tmp_path / "nowhere"), tmp_path / "model.sav", image)
    bare = tmp_path / "python"  # -I: nothing that this environment may have installed beside
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(TopazUnavailable, match=r"cannot import Topaz \(ModuleNotFoundError: No module named 'topaz'"):
        topaz_score_map(str(bare), tmp_path / "model.sav", image)


@needs_topaz
@pytest.mark.slow
def test_a_file_that_topaz_cannot_read_is_said_in_its_words(tmp_path):
    (tmp_path / "model.sav").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"Topaz 0\.2\.5.* does not score an image with .*model\.sav: "):
        topaz_score_map(TOPAZ, tmp_path / "model.sav", np.zeros((80, 80), np.float32))
