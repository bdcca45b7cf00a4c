"""Tells a network's settings from its parameters' names and shapes. Knows nothing of files."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pickery.errors import InputError, PickeryWarning
from pickery.model.picker import Picker, build_model
from pickery.model.resnet import ConvolutionLayer, MaxPool, ResidualBlock

_PREFIX = "features.features."
_ARCHITECTURES = {("resnet", 5): "resnet8", ("resnet", 9): "resnet16"} | {  # by number of convolving layers
    ("conv", 3): "conv31",
    ("conv", 4): "conv63",
    ("conv", 5): "conv127",
}


@dataclass(frozen=True)
class Recognised:
    """A network that was told from its weights.

    Attributes
    ----------
    settings
        Keyword arguments of `build_model` (all but the seed).
    state_dict
        The weights, under the names that this network has here.
    remarks
        What else was seen, in words.
    """

    settings: dict[str, Any]
    state_dict: dict[str, Tensor]
    remarks: tuple[str, ...]


def recognise(
    state_dict: Mapping[str, Tensor], *, layer_kinds: Sequence[str] | None = None, dropout: float = 0.0, source: str
) -> Recognised:
    """Tell the settings of a network from its weights, and rename them as its parameters are named here.

    Layers are numbered in Topaz's names. Pooling and dropout layers have no parameters but count, so both show as gaps
    in the numbers, and the two look alike unless the kinds of the layers are known.

    Parameters
    ----------
    state_dict
        Weights under Topaz's names.
    layer_kinds
        Names of the feature layers' classes in order, where the file holds whole modules.
    dropout
        The rate, where the file tells it.
    source
        The file, for messages.

    Raises
    ------
    InputError
        If these are not the weights of a network that can be built here.
    """
    remarks: list[str] = []
    state = {name: tensor for name, tensor in state_dict.items() if not name.startswith("generative.")}
    if len(state) < len(state_dict):
        remarks.append("its decoder left out")
    numbers = sorted({_layer_number(name, source) for name in state if not name.startswith("classifier.")})
    first = state.get(f"{_PREFIX}0.conv.weight", state.get(f"{_PREFIX}0.weight"))
    convolving = {
        name.split(".")[2] for name, tensor in state.items() if tensor.ndim == 4 and not name.startswith("classifier.")
    }
    family = "resnet" if f"{_PREFIX}0.conv.weight" in state else "conv"
    architecture = _ARCHITECTURES.get((family, len(convolving)))
    if first is None or architecture is None or "classifier.weight" not in state:
        raise InputError(
            f"{source} does not hold a Topaz particle picker of a kind known here (resnet8, resnet16, conv31, conv63, "
            f"conv127): its parameters are {', '.join(list(state_dict)[:3])}, …"
        )
    units = first.shape[0]
    widest = state["classifier.weight"].shape[1]
    widenings = 2 if family == "resnet" else len(convolving) - 1
    settings: dict[str, Any] = {
        "architecture": architecture,
        "units": units,
        "dropout": dropout if family == "resnet" else 0.0,
        "batch_norm": any(name.endswith("running_mean") for name in state),
        "pooling": "none",
        "unit_scaling": round((widest / units) ** (1 / widenings)),
    }
    if dropout > 0 and family == "conv":
        remarks.append(f"dropout {dropout:g} left out")
    if layer_kinds is None:
        settings["pooling"] = _pooling_by_numbers(settings, numbers, source)
    elif any("MaxPool" in kind for kind in layer_kinds):
        if family == "conv":
            raise InputError(f"{source} holds a {architecture} with max pooling, which has no counterpart here.")
        settings["pooling"] = "max"
    elif any("AvgPool" in kind for kind in layer_kinds):
        settings["pooling"] = "average"
        remarks.append("average pooling without Topaz's padding")

    model = _blank(settings)
    own_numbers = [i for i, layer in enumerate(model.features.features) if _has_parameters(layer)]
    if len(own_numbers) != len(numbers):
        raise InputError(
            f"{source} has {len(numbers)} layers with parameters, where {architecture} has another number."
        )
    new_numbers = dict(zip(numbers, own_numbers, strict=True))
    renamed = {_rename(name, new_numbers): tensor for name, tensor in state.items()}
    return Recognised(settings, _checked(renamed, model.state_dict(), source), tuple(remarks))


def _layer_number(name: str, source: str) -> int:
    parts = name.split(".")
    if not name.startswith(_PREFIX) or not re.fullmatch(r"[0-9]{1,6}", parts[2]):
        raise InputError(
            f"{source} does not hold a Topaz particle picker: it has a parameter {name}, where {_PREFIX}NUMBER.… or "
            f"classifier.… is expected."
        )
    return int(parts[2])


def _rename(name: str, new_numbers: dict[int, int]) -> str:
    if name.startswith("classifier."):
        return name
    parts = name.split(".")
    parts[2] = str(new_numbers[int(parts[2])])
    return ".".join(parts)


def _blank(settings: dict[str, Any]) -> Picker:
    with torch.device("meta"):
        return build_model(**settings, seed=None)


def _has_parameters(layer: nn.Module) -> bool:
    return next(layer.parameters(), None) is not None


def _numbers(settings: dict[str, Any], *, dropout_layers: bool) -> list[int]:
    """Return the numbers of the layers with parameters, with or without dropout as layers of its own, as in Topaz."""
    dropout = 0.5 if settings["architecture"].startswith("resnet") else 0.0
    numbers: list[int] = []
    number = 0
    for layer in _blank(settings | {"dropout": dropout}).features.features:
        if _has_parameters(layer):
            numbers.append(number)
        drops = isinstance(layer, nn.PReLU) or (
            isinstance(layer, ConvolutionLayer | ResidualBlock | MaxPool) and layer.dropout.p > 0
        )
        number += 2 if dropout_layers and drops else 1
    return numbers


def _pooling_by_numbers(settings: dict[str, Any], numbers: list[int], source: str) -> str:
    pooled = "max" if settings["architecture"].startswith("resnet") else "average"
    fitting = [
        pooling
        for pooling in ("none", pooled)
        for dropout_layers in (False, True)
        if _numbers(settings | {"pooling": pooling}, dropout_layers=dropout_layers) == numbers
    ]
    if not fitting:
        raise InputError(f"{source} numbers its layers {numbers}, which fits no {settings['architecture']}.")
    if len(fitting) > 1:
        warnings.warn(
            f"{source} may have {pooled} pooling or dropout: names alone do not tell. It is read as having {pooled} "
            f"pooling.",
            PickeryWarning,
            stacklevel=4,
        )
    return fitting[-1]


def _checked(state: dict[str, Tensor], expected: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """Return the state in the expected order, after comparing names and shapes."""
    checked: dict[str, Tensor] = {}
    for name, blank in expected.items():
        if name.endswith("num_batches_tracked"):  # absent in files of old versions of torch
            checked[name] = state.get(name, torch.tensor(0))
            continue
        if name not in state:
            raise InputError(f"{source} lacks the parameter {name}.")
        if state[name].shape != blank.shape:
            raise InputError(
                f"{source} has a parameter {name} of shape {tuple(state[name].shape)}, where {tuple(blank.shape)} is "
                f"expected."
            )
        checked[name] = state[name].to(torch.float32)
    if unknown := [name for name in state if name not in expected]:
        raise InputError(f"{source} has a parameter {unknown[0]} that is not known here.")
    return checked
