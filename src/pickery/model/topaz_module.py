"""Writes a network as the whole-module file that Topaz reads (`topaz extract --model FILE.sav`).

Topaz takes no state dict from a file, only a pickled module: a tree of objects of its own classes, named by module and
class. The classes below are empty twins that carry the same attributes, as seen in files that Topaz wrote; in the
finished file their names are replaced by Topaz's. Nothing of Topaz is needed or run.
"""

import copy
import io
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pickery.errors import PickeryWarning
from pickery.model.picker import Picker, layer_geometry, receptive_field
from pickery.model.resnet import ConvolutionLayer, MaxPool, ResidualBlock


class TopazClassifier(nn.Module):
    """Stands for the whole network."""


class TopazResNet8(nn.Module):
    """Stands for a feature network."""


class TopazResNet16(nn.Module):
    """Stands for a feature network."""


class TopazConv(nn.Module):
    """Stands for a feature network."""


class TopazConvolutionLayer(nn.Module):
    """Stands for a layer."""


class TopazResidualBlock(nn.Module):
    """Stands for a layer."""


class TopazMaxPool(nn.Module):
    """Stands for a layer."""


_TOPAZ_NAMES: dict[type[nn.Module], tuple[str, str]] = {
    TopazClassifier: ("topaz.model.classifier", "LinearClassifier"),
    TopazResNet8: ("topaz.model.features.resnet", "ResNet8"),
    TopazResNet16: ("topaz.model.features.resnet", "ResNet16"),
    TopazConv: ("topaz.model.features.basic", "BasicConv"),
    TopazConvolutionLayer: ("topaz.model.features.resnet", "BasicConv2d"),
    TopazResidualBlock: ("topaz.model.features.resnet", "ResidA"),
    TopazMaxPool: ("topaz.model.features.resnet", "MaxPool"),
}


def save_topaz_module(path: Path, model: Picker) -> None:
    """Write a network for Topaz 0.2.5; a file that stands at the path is replaced as a whole or not at all.

    Topaz pads where it pools averages, so a conv network with average pooling scores a little differently there: a
    `PickeryWarning` says so. Dropout is left out, which changes no score.
    """
    if model.settings["pooling"] == "average":
        warnings.warn(
            f"{path}: Topaz pads where it pools averages, so its scores will differ a little from Pickery's.",
            PickeryWarning,
            stacklevel=2,
        )
    written = io.BytesIO()
    torch.save(_tree(copy.deepcopy(model).cpu().train()), written)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(written) as source, zipfile.ZipFile(temporary, "w") as target:
            for entry in source.infolist():
                data = source.read(entry)
                target.writestr(entry.filename, _with_topaz_names(data) if _is_pickle(entry) else data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _is_pickle(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.endswith("/data.pkl")


def _with_topaz_names(data: bytes) -> bytes:
    """Replace our classes' names; in torch's pickles (protocol 2) a name stands as text between line ends."""
    for twin, (module, name) in _TOPAZ_NAMES.items():
        data = data.replace(f"c{__name__}\n{twin.__name__}\n".encode(), f"c{module}\n{name}\n".encode())
    assert __name__.encode() not in data
    return data


def _tree(model: Picker) -> nn.Module:
    layers = list(model.features.features)
    if model.settings["architecture"].startswith("resnet"):
        features: nn.Module = TopazResNet8() if model.settings["architecture"] == "resnet8" else TopazResNet16()
        stride = 2 if model.settings["pooling"] == "none" else 1
        _set(features, num_features=model.latent_dim, stride=stride, pad=False)
        layers = [_resnet_layer(layer) for layer in layers]
    else:
        features = TopazConv()
        _set(features, strides=[layer_geometry(layer)[1] for layer in layers], filled=False)
        layers = [nn.AvgPool2d(3, 2, padding=1) if isinstance(layer, nn.AvgPool2d) else layer for layer in layers]
    # with average pooling Topaz's field is that of the network without, thanks to its padding
    pooling = "max" if model.settings["pooling"] == "max" else "none"
    _set(features, latent_dim=model.latent_dim, width=receptive_field(model.settings["architecture"], pooling))
    features.add_module("features", nn.Sequential(*layers))
    top = TopazClassifier()
    top.add_module("features", features)
    top.add_module("classifier", model.classifier)
    return top


def _resnet_layer(layer: nn.Module) -> nn.Module:
    if isinstance(layer, MaxPool):
        pool = _set(TopazMaxPool(), kernel_size=3, stride=2, og_stride=2, dilation=1, padding=0)
        pool.add_module("pool", nn.MaxPool2d(3, 2))
        return pool
    assert isinstance(layer, ConvolutionLayer | ResidualBlock)
    common = {"kernel_size": layer.reach + 1, "stride": layer.stride, "dilation": 1, "padding": 0}
    if isinstance(layer, ConvolutionLayer):
        twin = _set(TopazConvolutionLayer(), og_dilation=1, **common)
        activations = {"bn": "act", "conv": "act"}
    else:
        twin = _set(TopazResidualBlock(), bn=layer.bn1 is not None, **common)
        activations = {"bn0": "act0", "conv0": "act0", "bn1": "act1", "conv1": "act1"}
    for name, child in layer.named_children():
        if not isinstance(child, nn.Dropout):
            twin.add_module(name, child)
        if name in activations:
            twin.add_module(activations[name], nn.ReLU(inplace=True))
    return twin


def _set(module: nn.Module, **attributes: Any) -> nn.Module:
    for name, value in attributes.items():
        setattr(module, name, value)
    return module
