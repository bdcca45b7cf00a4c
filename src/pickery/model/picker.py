"""The classifier of regions: a feature network and a 1×1 convolution; built by name and settings."""

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from pickery.errors import InputError
from pickery.model.conv import conv_layers
from pickery.model.resnet import ConvolutionLayer, MaxPool, ResidualBlock, resnet_layers

ARCHITECTURES = ("resnet8", "resnet16", "conv31", "conv63", "conv127")
POOLINGS = ("none", "max", "average")

_RESNETS = {"resnet8": ((0, 1, 1), 2), "resnet16": ((1, 3, 2), 1)}  # plain blocks per stage, dilation
_CONV_DEPTHS = {"conv31": 3, "conv63": 4, "conv127": 5}


class Features(nn.Module):
    """The feature network; (b, 1, h, w) -> (b, latent_dim, h', w')."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        result: Tensor = self.features(x)
        return result


class Picker(nn.Module):
    """Scores patches of micrographs; made by `build_model`.

    Attributes
    ----------
    settings : dict
        The keyword arguments of `build_model` that make this network again (the seed aside).
    features, classifier : nn.Module
        The feature network and the final layer. Their parameters bear Topaz's names.
    receptive_field : int
        Side in pixels of the patch that decides one score; odd.
    stride : int
        Pixels between neighbouring scores.
    latent_dim : int
        Number of features.
    """

    def __init__(self, settings: dict[str, Any], layers: list[nn.Module], latent_dim: int) -> None:
        super().__init__()
        self.settings = settings
        self.features = Features(layers)
        self.classifier = nn.Conv2d(latent_dim, 1, 1)
        self.latent_dim = latent_dim
        self.receptive_field, self.stride = 1, 1
        for layer in layers:
            reach, stride = layer_geometry(layer)
            self.receptive_field += reach * self.stride
            self.stride *= stride

    def forward(self, x: Tensor) -> Tensor:
        """Score every `stride`-th patch that lies wholly inside.

        Parameters
        ----------
        x
            Normalised images or patches (b, 1, h, w), h and w at least `receptive_field`.

        Returns
        -------
        Logits (b, 1, (h - receptive_field) // stride + 1, the same of w); (b, 1, 1, 1) for patches of the receptive
        field.
        """
        result: Tensor = self.classifier(self.features(x))
        return result


def set_expected_fraction(model: Picker, fraction: float) -> None:
    """Set the final layer's bias so that a network with random weights begins by expecting this fraction of positives.

    The bias becomes the fraction's log-odds (Lin et al., Focal loss for dense object detection, ICCV 2017, section
    3.3). Beginning at one half instead, the first hundred minibatches are spent on lowering all scores alike, and the
    features learned meanwhile are poor.
    """
    with torch.no_grad():
        assert model.classifier.bias is not None
        model.classifier.bias.fill_(math.log(fraction / (1 - fraction)))


def layer_geometry(layer: nn.Module) -> tuple[int, int]:
    """Return a layer's reach (pixels that an output sees along an axis, less one) and stride, in its input's pixels."""
    match layer:
        case ConvolutionLayer() | ResidualBlock() | MaxPool():
            return layer.reach, layer.stride
        case nn.Conv2d():
            return layer.dilation[0] * (layer.kernel_size[0] - 1), layer.stride[0]
        case nn.AvgPool2d(kernel_size=int(kernel), stride=int(stride)):
            return kernel - 1, stride
        case _:
            assert isinstance(layer, nn.BatchNorm2d | nn.PReLU), layer
            return 0, 1


def build_model(
    architecture: str,
    *,
    units: int = 32,
    dropout: float = 0.0,
    batch_norm: bool = True,
    pooling: str = "none",
    unit_scaling: int = 2,
    seed: int | None = 0,
) -> Picker:
    """Build a network with PyTorch's initial weights.

    Parameters
    ----------
    architecture
        One of `ARCHITECTURES`.
    units
        Channels of the first layers.
    dropout
        Chance that an activation is dropped, after each halving of the resolution and after the last layer; resnets
        only. It draws from torch's global generator, in training only, and changes no parameter's name.
    batch_norm
        Whether activations are normalised over the minibatch.
    pooling
        "none" (strides), "max" (resnets only) or "average" (conv only, without padding).
    unit_scaling
        Factor of the number of channels wherever the network widens.
    seed
        Of the initial weights; torch's global random state is neither used nor changed. None draws from it.

    Raises
    ------
    InputError
        For an unknown name, a number out of range, or settings that exclude each other.

    Source: Bepler et al., Nature Methods 16, 1153 (2019), doi:10.1038/s41592-019-0575-8.
    """
    _check(architecture, units, dropout, pooling, unit_scaling)
    settings: dict[str, Any] = {
        "architecture": architecture,
        "units": units,
        "dropout": dropout,
        "batch_norm": batch_norm,
        "pooling": pooling,
        "unit_scaling": unit_scaling,
    }
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        if architecture in _RESNETS:
            plain_blocks, dilation = _RESNETS[architecture]
            layers, latent_dim = resnet_layers(
                plain_blocks,
                dilation=dilation,
                units=units,
                unit_scaling=unit_scaling,
                batch_norm=batch_norm,
                max_pool=pooling == "max",
                dropout=dropout,
            )
        else:
            layers, latent_dim = conv_layers(
                _CONV_DEPTHS[architecture],
                units=units,
                unit_scaling=unit_scaling,
                batch_norm=batch_norm,
                average_pool=pooling == "average",
            )
        return Picker(settings, layers, latent_dim)


@cache
def receptive_field(architecture: str, pooling: str = "none") -> int:
    """Return the side in pixels of the patch that decides one score."""
    with torch.device("meta"):  # shapes only
        return build_model(architecture, units=1, pooling=pooling, unit_scaling=2, seed=None).receptive_field


def _check(architecture: str, units: int, dropout: float, pooling: str, unit_scaling: int) -> None:
    if architecture not in ARCHITECTURES:
        raise InputError(f"model.architecture={architecture} is none of {', '.join(ARCHITECTURES)}.")
    if pooling not in POOLINGS:
        raise InputError(f"model.pooling={pooling} is none of {', '.join(POOLINGS)}.")
    if units < 1:
        raise InputError(f"model.units={units} must be at least 1.")
    if unit_scaling < 1:
        raise InputError(f"model.unit_scaling={unit_scaling} must be at least 1.")
    if not 0 <= dropout < 1:
        raise InputError(f"model.dropout={dropout} must be at least 0 and below 1.")
    is_resnet = architecture in _RESNETS
    if is_resnet and pooling == "average":
        raise InputError(
            f"model.pooling=average does not go with model.architecture={architecture}: take model.pooling=max or "
            f"none, or a conv architecture."
        )
    if not is_resnet and pooling == "max":
        raise InputError(
            f"model.pooling=max does not go with model.architecture={architecture}: take model.pooling=average or "
            f"none, or a resnet."
        )
    if not is_resnet and dropout > 0:
        raise InputError(
            f"model.dropout={dropout} does not go with model.architecture={architecture}: take model.dropout=0, or a "
            f"resnet."
        )
