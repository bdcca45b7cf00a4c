"""The layers of the plain convolutional feature networks conv31, conv63 and conv127, with Topaz's parameter names.

Knows nothing of losses, files or whole micrographs. No layer pads, average pooling included: Topaz pads there, which
makes a patch's score differ from the whole micrograph's, so pooled networks here see 37, 77 and 157 pixels.
"""

from torch import nn

from pickery.model.first_layer import convolution


def conv_layers(
    depth: int, *, units: int, unit_scaling: int, batch_norm: bool, average_pool: bool
) -> tuple[list[nn.Module], int]:
    """Build `depth` rounds of convolution, batch normalisation, PReLU: 7×7 first, then 5×5.

    All but the last round halve the resolution, by the convolution's stride or by an average pool of 3×3 after it.

    Parameters
    ----------
    depth
        Number of convolutions.
    units, unit_scaling
        Channels of the first convolution, and the factor from each to the next.
    batch_norm, average_pool
        As the model's settings.

    Returns
    -------
    The layers, and the number of channels of the last one.
    """
    layers: list[nn.Module] = []
    channels, out_channels = 1, units
    for i in range(depth):
        last = i == depth - 1
        stride = 1 if last or average_pool else 2
        layers += [convolution(channels, out_channels, 7 if i == 0 else 5, stride=stride, bias=not batch_norm)]
        if batch_norm:
            layers += [nn.BatchNorm2d(out_channels)]
        layers += [nn.PReLU()]
        if average_pool and not last:
            layers += [nn.AvgPool2d(3, stride=2)]
        channels, out_channels = out_channels, out_channels * unit_scaling
    return layers, channels
