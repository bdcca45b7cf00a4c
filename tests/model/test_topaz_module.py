import os
import pickletools
import warnings
import zipfile

import pytest
import torch

from pickery.errors import PickeryWarning
from pickery.model import build_model
from pickery.model.restricted_pickle import read_torch_file
from pickery.model.topaz_module import save_topaz_module
from pickery.model.weights import load_weights

from .conftest import COMBINATIONS, scramble


@pytest.mark.parametrize(("architecture", "pooling", "batch_norm"), COMBINATIONS)
def test_a_network_comes_back_from_a_topaz_file(tmp_path, architecture, pooling, batch_norm):
    model = scramble(build_model(architecture, units=2, pooling=pooling, batch_norm=batch_norm)).eval()
    path = tmp_path / "model.sav"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        save_topaz_module(path, model)
    assert [entry.category for entry in caught] == ([PickeryWarning] if pooling == "average" else [])
    assert not model.training
    loaded = load_weights(str(path))
    assert loaded.architecture == model.settings
    assert all(torch.equal(tensor, loaded.state_dict[name]) for name, tensor in model.state_dict().items())
    assert os.listdir(tmp_path) == ["model.sav"]


def test_a_topaz_file_names_only_classes_of_topaz_and_torch(tmp_path):
    save_topaz_module(tmp_path / "model.sav", build_model("resnet16", units=2, pooling="max", dropout=0.5))
    with zipfile.ZipFile(tmp_path / "model.sav") as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        named = {arg for op, arg, _ in pickletools.genops(archive.read(name)) if op.name == "GLOBAL"}
    assert "topaz.model.classifier LinearClassifier" in named
    assert "topaz.model.features.resnet ResNet16" in named
    assert not any("pickery" in name for name in named)


def test_a_file_to_train_with_keeps_dropout_and_the_strides_of_topaz(tmp_path):
    path = tmp_path / "model.sav"
    model = build_model("resnet8", units=2, dropout=0.25)
    save_topaz_module(path, model, dropout=True)
    assert load_weights(str(path)).architecture == model.settings
    layers = read_torch_file(path).state["_modules"]["features"].state["_modules"]["features"].state["_modules"]
    blocks = [layer.state for layer in layers.values() if layer.class_name.endswith("ResidA")]
    strides = {
        block["stride"]: block["_modules"]["proj"].state["stride"] for block in blocks if "proj" in block["_modules"]
    }
    assert strides == {2: (2, 2)}
    assert model.settings["dropout"] == 0.25
    save_topaz_module(path, model)
    assert load_weights(str(path)).architecture["dropout"] == 0


@pytest.mark.parametrize(("architecture", "pooling", "batch_norm"), COMBINATIONS[:4])
def test_a_file_for_later_versions_of_topaz_bears_their_names(tmp_path, architecture, pooling, batch_norm):
    path = tmp_path / "model.sav"
    model = scramble(build_model(architecture, units=2, pooling=pooling, batch_norm=batch_norm)).eval()
    save_topaz_module(path, model, since_0_3=True)
    loaded = load_weights(str(path))
    assert all(torch.equal(tensor, loaded.state_dict[name]) for name, tensor in model.state_dict().items())
    top = read_torch_file(path)
    features = top.state["_modules"]["features"]
    assert top.state["dims"] == features.state["dims"] == 2
    first = features.state["_modules"]["features"].state["_modules"]["0"]
    if architecture.startswith("resnet"):
        assert first.class_name == "topaz.model.features.resnet.BasicConv"
