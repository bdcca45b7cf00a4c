"""Terms beside the objective: L2 on the weights, and the autoencoder's reconstruction error."""

from collections.abc import Iterable

import torch
from torch import Tensor

from pickery.errors import InputError

AUTOENCODER_PICKS = 250
"""Number of picks up to which an automatic autoencoder weight is above 0."""


def l2_penalty(parameters: Iterable[Tensor], weight: float) -> Tensor:
    """Return `weight / 2 · Σ w²`.

    Parameters
    ----------
    parameters
        All parameters of the feature network and the final layer: biases, batch normalisation and PReLU slopes
        included, the decoder's not.
    weight
        The setting `loss.l2`.
    """
    return weight / 2 * torch.stack([parameter.float().square().sum() for parameter in parameters]).sum()


def reconstruction_error(reconstruction: Tensor, patches: Tensor) -> Tensor:
    """Return the mean over patches of the summed squared difference to what the decoder made of them.

    Parameters
    ----------
    reconstruction
        Images (b, 1, width, width).
    patches
        Patches (b, 1, side, side), at least as wide; their central width × width pixels count.
    """
    top, left = ((have - want) // 2 for have, want in zip(patches.shape[2:], reconstruction.shape[2:], strict=True))
    assert min(top, left) >= 0, (patches.shape, reconstruction.shape)
    height, width = reconstruction.shape[2:]
    target = patches[:, :, top : top + height, left : left + width]
    return (reconstruction.float() - target.float()).square().sum(dim=(1, 2, 3)).mean()


def autoencoder_weight(weight: str | float, picks: int, has_decoder: bool) -> float:
    """Return the weight of the reconstruction error.

    Parameters
    ----------
    weight
        The setting `loss.autoencoder`: a number, or "auto" for 10/N with N ≤ 250 picks and 0 with more.
    picks
        Number N of training picks.
    has_decoder
        Whether the architecture has a decoder (conv); "auto" is 0 where it has none.

    Raises
    ------
    InputError
        For a weight below 0 or another word than auto, or a weight above 0 without a decoder.

    Source: Bepler et al., Nature Methods 16, 1153 (2019), doi:10.1038/s41592-019-0575-8.
    """
    if weight == "auto":
        return 10 / picks if has_decoder and 0 < picks <= AUTOENCODER_PICKS else 0.0
    if isinstance(weight, str) or weight < 0:
        raise InputError(f"loss.autoencoder={weight} must be auto or a number of at least 0.")
    if weight > 0 and not has_decoder:
        raise InputError(
            f"loss.autoencoder={weight:g} does not go with a resnet (model.architecture): take loss.autoencoder=0, or "
            f"a conv architecture."
        )
    return float(weight)
