import os
import sys

import pytest
import torch

from pickery.errors import InputError
from pickery.model import build_model
from pickery.model.weights import load_model, load_model_file, load_weights, save_model

from .conftest import scramble


@pytest.fixture
def model():
    return scramble(build_model("resnet8", units=3, dropout=0.25, pooling="max"))


def save(path, model, **changes):
    parts = {
        "preprocess": {"downsample": 8.0},
        "picking": {"threshold": -1.5},
        "metrics": {},
        "provenance": {"seed": 0},
    }
    save_model(path, model, **(parts | changes))


def assert_same_weights(first, second):
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_model_file_gives_back_what_was_saved(tmp_path, model):
    save(tmp_path / "model.ckpt", model)
    again, content = load_model(tmp_path / "model.ckpt")
    assert not again.training
    assert again.settings == model.settings
    assert_same_weights(again.state_dict(), model.state_dict())
    assert content["preprocess"] == {"downsample": 8.0}
    assert content["picking"] == {"threshold": -1.5}
    assert content["format"] == "pickery-model"
    assert os.listdir(tmp_path) == ["model.ckpt"]


def test_a_model_file_serves_as_weights(tmp_path, model):
    save(tmp_path / "model.ckpt", model)
    loaded = load_weights(str(tmp_path / "model.ckpt"))
    assert loaded.architecture == model.settings
    assert_same_weights(loaded.state_dict, model.state_dict())
    assert "resnet8, 3 units, batch normalisation, max pooling, dropout 0.25" in loaded.description
    assert "Pickery model" in loaded.description


def test_a_failed_save_leaves_the_old_file(tmp_path, model):
    path = tmp_path / "model.ckpt"
    save(path, model)
    before = path.read_bytes()
    with pytest.raises(Exception, match=r"pickle|local"):
        save(path, model, metrics={"unsaveable": lambda: None})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.ckpt"]


def test_a_later_version_is_refused(tmp_path, model):
    path = tmp_path / "model.ckpt"
    save(path, model)
    content = load_model_file(path)
    torch.save(content | {"version": 99}, path)
    for load in (load_model_file, lambda path: load_weights(str(path))):
        with pytest.raises(InputError, match="later version"):
            load(path)


def test_a_file_of_another_kind_is_no_model_file(tmp_path):
    path = tmp_path / "model.ckpt"
    with pytest.raises(InputError, match=r"model\.ckpt cannot be read"):
        load_model_file(path)
    for content in (b"", b"hello\n" * 100):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"model\.ckpt is not a file of weights"):
            load_model_file(path)
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(InputError, match=r"model\.ckpt is not a model file"):
        load_model_file(path)
    torch.save({"format": "pickery-model", "hook": os.system}, path)
    with pytest.raises(InputError, match=r"model\.ckpt asks to run code"):
        load_model_file(path)


def test_no_file_and_no_name_is_said_plainly(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"model\.pretrained=.*weights\.sav: there is no such file"):
        load_weights(str(tmp_path / "weights.sav"))
    with pytest.raises(InputError, match=r"picking\.model=.*no such file"):
        load_weights(str(tmp_path), setting="picking.model")


def test_without_topaz_a_detectors_name_is_refused_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr("pickery.model.weights._pretrained_folder", lambda: None)
    with pytest.raises(InputError, match=r"model\.pretrained=resnet8 .*pip install --no-deps topaz-em"):
        load_weights("resnet8")


def test_detectors_are_read_from_an_installed_topaz_that_is_never_imported(tmp_path, monkeypatch):
    folder = tmp_path / "topaz" / "pretrained" / "detector"
    folder.mkdir(parents=True)
    (tmp_path / "topaz" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    for units in (8, 16):
        model = build_model("resnet8", units=units, batch_norm=False)
        torch.save(model.state_dict(), folder / f"resnet8_u{units}.sav", _use_new_zipfile_serialization=False)
    monkeypatch.setattr("importlib.metadata.distribution", _no_distribution)
    monkeypatch.delitem(sys.modules, "topaz", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_weights("resnet8_u8").architecture["units"] == 8
    assert load_weights("resnet8").architecture["units"] == 16
    assert "topaz" not in sys.modules
    with pytest.raises(InputError, match=r"resnet16 is neither a file nor one of Topaz's detectors \(resnet8_u16, "):
        load_weights("resnet16")


def _no_distribution(name):
    raise __import__("importlib.metadata").metadata.PackageNotFoundError(name)


@pytest.mark.parametrize("name", ["resnet8_u32", "resnet16_u32"])
def test_topaz_own_detectors_are_recognised(name):
    try:
        loaded = load_weights(name)
    except InputError:
        pytest.skip("topaz-em is not installed")
    model = build_model(**loaded.architecture)
    model.load_state_dict(loaded.state_dict)
    assert model.settings["architecture"] == name.removesuffix("_u32")
    assert not model.settings["batch_norm"]
