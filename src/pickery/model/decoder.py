"""The decoder of the autoencoder: images of patches from their features, to regularise the conv networks.

Layout and names are Topaz's (see also Radford et al. 2016, arXiv:1511.06434). Knows nothing of losses.
"""

import torch
from torch import Tensor, nn

from pickery.errors import InputError
from pickery.model.picker import Picker

# the decoder's width follows the architecture's name, also with average pooling, whose field is wider
_WIDTHS = {"conv31": 31, "conv63": 63, "conv127": 127}


class Decoder(nn.Module):
    """Transposed convolutions from features (b, latent_dim, 1, 1) to images (b, 1, width, width).

    Parameters
    ----------
    latent_dim
        Number of features.
    width
        Side of the images in pixels: 8·2^n - 1.
    units
        Channels of the last hidden layer; each layer before it has twice as many.
    """

    def __init__(self, latent_dim: int, width: int, units: int) -> None:
        super().__init__()
        doublings = (width + 1).bit_length() - 4
        assert width + 1 == 8 << doublings, f"{width} is not 8·2^n - 1"
        self.width = width
        channels = units << doublings
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim, channels, 4, bias=False)]  # 1 -> 4 pixels
        for _ in range(doublings):
            layers += [nn.BatchNorm2d(channels), nn.LeakyReLU()]
            layers += [nn.ConvTranspose2d(channels, channels // 2, 4, stride=2, padding=1, bias=False)]  # n -> 2n
            channels //= 2
        layers += [nn.BatchNorm2d(channels), nn.LeakyReLU()]
        layers += [nn.ConvTranspose2d(channels, 1, 3, stride=2, padding=1, bias=False)]  # n -> 2n - 1
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return the images."""
        result: Tensor = self.layers(features)
        return result


def decoder_for(model: Picker, units: int = 32, *, seed: int | None = 0) -> Decoder:
    """Build the decoder that fits a network, with PyTorch's initial weights.

    Parameters
    ----------
    model
        A conv network.
    units
        Channels of the decoder's last hidden layer (`loss.decoder_unit_scaling`; Topaz calls it `--ngf`).
    seed
        Of the initial weights; torch's global random state is neither used nor changed. None draws from it.

    Raises
    ------
    InputError
        For a resnet, which has no decoder.
    """
    architecture = model.settings["architecture"]
    if architecture not in _WIDTHS:
        raise InputError(
            f"An autoencoder does not go with model.architecture={architecture}: take loss.autoencoder=0, or a conv "
            f"architecture."
        )
    if units < 1:
        raise InputError(f"loss.decoder_unit_scaling={units} must be at least 1.")
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        return Decoder(model.latent_dim, _WIDTHS[architecture], units)


def one_by_one(features: Tensor, images: Tensor, model: Picker) -> tuple[Tensor, Tensor]:
    """Part images of several scores into the patches that the decoder knows.

    Parameters
    ----------
    features
        (b, latent_dim, o, o), of images with o × o scores.
    images
        (b, 1, side, side).
    model
        The network that made the features of the images.

    Returns
    -------
    Features (b · o², latent_dim, 1, 1), and the patch that decided each, (b · o², 1, field, field).
    """
    field, stride = model.receptive_field, model.stride
    patches = images.unfold(2, field, stride).unfold(3, field, stride)  # (b, 1, o, o, field, field)
    alone = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1], 1, 1)
    return alone, patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, 1, field, field)
