"""Writes a network as the whole-module file that Topaz reads (`topaz extract --model FILE.sav`).

Topaz takes no state dict from a file, only a pickled module: a tree of objects of its own classes, named by module and
class. The classes below are empty twins that carry the same attributes, as seen in files that Topaz wrote; in the
finished file their names are replaced by Topaz's. Nothing of Topaz is needed or run.
"""

import copy
import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pickery.atomic import atomic_path
from pickery.errors import PickeryWarning
from pickery.model.first_layer import ImageConvolution
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
_NAMES_SINCE_0_3: dict[type[nn.Module], tuple[str, str]] = {
    TopazConvolutionLayer: ("topaz.model.features.resnet", "BasicConv"),
}


def save_topaz_module(path: Path, model: Picker, *, since_0_3: bool = False, dropout: bool = False) -> None:
    """Write a network for Topaz 0.2.5; a file that stands at the path is replaced as a whole or not at all.

    Topaz pads where it pools averages, so a conv network with average pooling scores a little differently there: a
    `PickeryWarning` says so.

    Parameters
    ----------
    path
        The file.
    model
        The network.
    since_0_3
        Write it for Topaz 0.3.0 and later, which name a class otherwise and look for one more attribute.
    dropout
        Keep dropout, for Topaz to train with. It is left out otherwise, which changes no score.
    """
    if model.settings["pooling"] == "average":
        warnings.warn(
            "Topaz pads where it pools averages, so its scores will differ from Pickery's.",
            PickeryWarning,
            stacklevel=2,
        )
    written = io.BytesIO()
    torch.save(_tree(copy.deepcopy(model).cpu().train(), since_0_3, dropout), written)
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(written) as source,
        zipfile.ZipFile(temporary, "w") as target,
    ):
        for entry in source.infolist():
            data = source.read(entry)
            target.writestr(entry.filename, _with_topaz_names(data, since_0_3) if _is_pickle(entry) else data)


def _is_pickle(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.endswith("/data.pkl")


def _with_topaz_names(data: bytes, since_0_3: bool) -> bytes:
    """Replace our classes' names; in torch's pickles (protocol 2) a name stands as text between line ends."""
    names = _TOPAZ_NAMES | (_NAMES_SINCE_0_3 if since_0_3 else {})
    for twin, (module, name) in names.items():
        data = data.replace(f"c{__name__}\n{twin.__name__}\n".encode(), f"c{module}\n{name}\n".encode())
    assert __name__.encode() not in data
    return data


def _tree(model: Picker, since_0_3: bool, dropout: bool) -> nn.Module:
    layers = list(model.features.features)
    if model.settings["architecture"].startswith("resnet"):
        features: nn.Module = TopazResNet8() if model.settings["architecture"] == "resnet8" else TopazResNet16()
        stride = 2 if model.settings["pooling"] == "none" else 1
        _set(features, num_features=model.latent_dim, stride=stride, pad=False)
        layers = [twin for layer in layers for twin in (_resnet_layer(layer), *_dropout(layer, dropout))]
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
    for module in top.modules():
        if isinstance(module, ImageConvolution):
            # which it is but for the order of its sums; the network is a copy
            module.__class__ = nn.Conv2d  # type: ignore[assignment]
        if since_0_3 and type(module) in _TOPAZ_NAMES:
            _set(module, dims=2)
    return top


def _dropout(layer: nn.Module, kept: bool) -> list[nn.Module]:
    """Give the dropout of a layer, which in Topaz is a layer of its own."""
    return [child for child in layer.children() if kept and isinstance(child, nn.Dropout) and child.p > 0]


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
        if name == "proj":
            # ours is given every other pixel, Topaz's takes them itself
            _set(child, stride=(layer.stride, layer.stride))
        if name in activations:
            twin.add_module(activations[name], nn.ReLU(inplace=True))
    return twin


def _set(module: nn.Module, **attributes: Any) -> nn.Module:
    for name, value in attributes.items():
        setattr(module, name, value)
    return module
