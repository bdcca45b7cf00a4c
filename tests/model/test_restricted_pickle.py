import io
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from copy import deepcopy

import pytest
import torch
from torch import nn

from pickery.errors import InputError
from pickery.model import build_model
from pickery.model.first_layer import ImageConvolution
from pickery.model.restricted_pickle import read_torch_file
from pickery.model.weights import load_weights

from .conftest import scramble

REFUSAL = "asks to run code"


class Call:
    """Pickles as a call of anything."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def written(path, content, zipped):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_come_back_as_they_were(tmp_path, zipped):
    shared = torch.arange(12.0)
    content = OrderedDict(
        a=shared,
        b=shared.reshape(3, 4).T,
        c=torch.tensor(3),
        d=torch.zeros(0, 2),
        e=torch.ones(2, dtype=torch.bfloat16),
        f=nn.Parameter(torch.ones(2, 2, dtype=torch.float64)),
        g=[1, 2.5, "x", None, (True, {"k": torch.Size([2])})],
    )
    read = read_torch_file(written(tmp_path / "x.sav", content, zipped))
    assert list(read) == list(content)
    for name in "abcdef":
        assert torch.equal(read[name], content[name])
        assert read[name].dtype == content[name].dtype
    assert read["g"] == [1, 2.5, "x", None, (True, {"k": (2,)})]


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        Call(os.system, "touch BAD"),
        Call(eval, "open('BAD', 'w')"),
        Call(exec, "open('BAD', 'w')"),
        Call(getattr, "x", "upper"),
        {"classifier.weight": torch.zeros(2), "x": [{"y": (Call(os.system, "touch BAD"),)}]},
        OrderedDict(a=Call(Call, 1)),
        Call(torch.load, "other.sav"),
        Call(torch.hub.load, "a", "b"),
        Call(torch.storage._load_from_bytes, b"x"),
        Call(io.BytesIO, b"x"),
        Call(pickle.loads, b"x"),
        os.system,
        types.SimpleNamespace(a=1),
    ],
)
def test_whatever_asks_to_run_something_is_refused_and_not_run(tmp_path, monkeypatch, content, zipped):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path / "x.sav", content, zipped)
    with pytest.raises(InputError, match=REFUSAL) as error:
        load_weights(str(path))
    assert "x.sav" in str(error.value)
    assert not (tmp_path / "BAD").exists()


def test_a_plain_pickle_is_refused_before_anything_in_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for content in (Call(os.system, "touch BAD"), {"a": Call(eval, "open('BAD', 'w')")}):
        (tmp_path / "x.sav").write_bytes(pickle.dumps(content))
        with pytest.raises(InputError, match=REFUSAL):
            load_weights("x.sav")
    assert not (tmp_path / "BAD").exists()


def test_a_stand_in_cannot_be_made_to_act(tmp_path, monkeypatch):
    """Names under topaz and torch.nn never reach the real modules, whatever they are."""
    monkeypatch.chdir(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        fake = types.ModuleType("topaz.commands")
        patch.setitem(sys.modules, "topaz", types.ModuleType("topaz"))
        patch.setitem(sys.modules, "topaz.commands", fake)

        def touch(name):
            open(name, "w").close()

        touch.__module__, touch.__qualname__ = "topaz.commands", "touch"
        fake.touch = touch
        written(tmp_path / "x.sav", Call(touch, "BAD"), True)
    with pytest.raises(InputError, match=r"topaz\.commands\.touch, which is not a Topaz particle picker"):
        load_weights("x.sav")
    assert not (tmp_path / "BAD").exists()


def test_a_torchscript_program_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.sav", "w") as archive:
        archive.writestr("x/constants.pkl", b"")
        archive.writestr("x/data.pkl", pickle.dumps({}))
    with pytest.raises(InputError, match="TorchScript"):
        load_weights(str(tmp_path / "x.sav"))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_broken_file_is_said_to_be_broken(tmp_path, zipped):
    path = written(tmp_path / "x.sav", {"a": torch.zeros(1000)}, zipped)
    data = path.read_bytes()
    for broken in (b"", b"hello", data[:100], data[: len(data) // 2], data[:-1000]):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"x\.sav .*(cut short|particle picker)"):
            load_weights(str(path))


def test_a_tensor_larger_than_its_numbers_is_refused(tmp_path):
    path = written(tmp_path / "x.sav", {"a": torch.zeros(1).expand(10**6)}, True)
    with pytest.raises(InputError, match="storage of 1 numbers"):
        load_weights(str(path))


@pytest.fixture
def topaz_classes():
    """Classes under Topaz's names, importable while a file is written."""
    names = {
        "topaz.model.classifier": ["LinearClassifier"],
        "topaz.model.features.resnet": ["ResNet8", "BasicConv2d", "ResidA", "MaxPool"],
        "topaz.model.features.basic": ["BasicConv"],
        "topaz.model.generative": ["ConvGenerator"],
    }
    with pytest.MonkeyPatch.context() as patch:
        classes = {}
        for module_name, class_names in names.items():
            parts = module_name.split(".")
            for i in range(len(parts)):
                if ".".join(parts[: i + 1]) not in sys.modules:
                    patch.setitem(sys.modules, ".".join(parts[: i + 1]), types.ModuleType(".".join(parts[: i + 1])))
            for name in class_names:
                classes[name] = type(name, (nn.Module,), {"__module__": module_name})
                setattr(sys.modules[module_name], name, classes[name])
        yield classes


def as_topaz_module(model, classes, dropout):
    """Rebuild a network's tree of modules from classes under Topaz's names."""

    def copy(source, target):
        for name, child in source.named_children():
            if not isinstance(child, nn.Dropout):
                target.add_module(name, child)
        return target

    top = classes["LinearClassifier"]()
    is_resnet = model.settings["architecture"].startswith("resnet")
    top.features = classes["ResNet8" if is_resnet else "BasicConv"]()
    layers = []
    for layer in model.features.features:
        match type(layer).__name__:
            case "ConvolutionLayer":
                layers.append(copy(layer, classes["BasicConv2d"]()))
            case "ResidualBlock":
                layers.append(copy(layer, classes["ResidA"]()))
            case "MaxPool":
                layers.append(classes["MaxPool"]())
            case _:
                layers.append(layer)
        if dropout and type(layer).__name__ in ("ConvolutionLayer", "PReLU"):
            layers.append(nn.Dropout(dropout))
    top.features.features = nn.Sequential(*layers)
    top.classifier = model.classifier
    top = deepcopy(top)  # the network stays as it is
    for module in top.modules():
        if isinstance(module, ImageConvolution):
            module.__class__ = nn.Conv2d
    return top


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize(
    ("architecture", "pooling"), [("resnet8", "none"), ("resnet8", "max"), ("conv31", "none"), ("conv31", "average")]
)
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code:UserWarning")
def test_a_whole_topaz_module_gives_its_weights_and_settings(
    tmp_path, topaz_classes, architecture, pooling, dropout, zipped
):
    model = scramble(build_model(architecture, units=2, pooling=pooling))
    module = as_topaz_module(model, topaz_classes, dropout)
    module.generative = topaz_classes["ConvGenerator"]()
    module.generative.layer = nn.Conv2d(2, 2, 1)
    path = written(tmp_path / "x.sav", module, zipped)
    for name in list(sys.modules):
        if name.split(".")[0] == "topaz":
            del sys.modules[name]
    loaded = load_weights(str(path))
    is_resnet = architecture == "resnet8"
    assert loaded.architecture == model.settings | {"dropout": dropout if is_resnet else 0.0}
    assert list(loaded.state_dict) == list(model.state_dict())
    assert all(torch.equal(tensor, loaded.state_dict[name]) for name, tensor in model.state_dict().items())
    assert "Topaz module" in loaded.description
    assert "decoder left out" in loaded.description
    assert ("dropout 0.3 left out" in loaded.description) == (dropout > 0 and not is_resnet)
    assert "topaz" not in sys.modules


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code:UserWarning")
def test_a_conv_network_with_max_pooling_is_refused(tmp_path, topaz_classes):
    module = as_topaz_module(build_model("conv31", units=2), topaz_classes, 0)
    module.features.features.append(nn.MaxPool2d(3))
    path = written(tmp_path / "x.sav", module, True)
    with pytest.raises(InputError, match="conv31 with max pooling"):
        load_weights(str(path))
