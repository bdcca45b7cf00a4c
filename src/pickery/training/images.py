"""The images of a minibatch: how many scores each gives, how large it is, and which micrographs do not hold one."""

from __future__ import annotations

from collections.abc import Iterable

from pickery.config.schema import TrainConfig
from pickery.errors import InputError
from pickery.model import Picker, build_model


def outputs_along_side(config: TrainConfig) -> int:
    """Count the scores along each side of an image of a minibatch."""
    return config.sampler.outputs if config.sampler.name == "crops" else 1


def image_side(config: TrainConfig, model: Picker | None = None) -> int:
    """Give the side in pixels of the images of a minibatch; odd.

    Parameters
    ----------
    config
        All settings, with nothing left open.
    model
        The network, where it is there already: only its geometry counts.
    """
    if model is None:
        model = build_model(config.model.architecture, units=1, pooling=config.model.pooling, seed=None)
    return model.receptive_field + model.stride * (outputs_along_side(config) - 1)


def check_sizes(config: TrainConfig, shapes: Iterable[tuple[str, tuple[int, int]]], side: int) -> None:
    """Refuse micrographs that are smaller than one image of a minibatch.

    Parameters
    ----------
    config
        All settings, with nothing left open.
    shapes
        Micrographs' names and their (rows, columns), downsampled.
    side
        That of an image (`image_side`).

    Raises
    ------
    InputError
        One of them is smaller.
    """
    outputs = outputs_along_side(config)
    for name, (rows, columns) in shapes:
        if min(rows, columns) < side:
            what = "patch" if outputs == 1 else f"crop of sampler.outputs={outputs}"
            fewer = "" if outputs == 1 else " or fewer outputs"
            raise InputError(
                f"{name} has {columns} x {rows} pixels at preprocess.downsample={config.preprocess.factor:g}, less "
                f"than one {what} of model={config.model.architecture} ({side} x {side}): downsample less, choose a "
                f"model with a smaller patch{fewer}, or leave the micrograph out of data.micrographs"
            )
