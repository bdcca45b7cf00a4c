"""The layers of the residual feature networks resnet8 and resnet16, with Topaz's parameter names.

Knows nothing of losses, files or whole micrographs. No layer pads, so that a score depends on its own patch alone.
"""

import torch
from torch import Tensor, nn

from pickery.model.first_layer import convolution


class ConvolutionLayer(nn.Module):
    """A convolution, batch normalisation, ReLU and dropout; (b, c, h, w) -> (b, c', h', w')."""

    def __init__(
        self, channels: int, out_channels: int, kernel: int, *, stride: int, batch_norm: bool, dropout: float
    ) -> None:
        super().__init__()
        self.conv = convolution(channels, out_channels, kernel, stride=stride, bias=not batch_norm)
        self.bn = nn.BatchNorm2d(out_channels) if batch_norm else None
        self.dropout = nn.Dropout(dropout)

    @property
    def stride(self) -> int:
        """Input pixels between neighbouring outputs."""
        return self.conv.stride[0]

    @property
    def reach(self) -> int:
        """Input pixels that an output sees along an axis, less one."""
        return self.conv.kernel_size[0] - 1

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations."""
        x = self.conv(x)
        if self.bn is not None:
            x = self.bn(x)
        # in place, here and below: nothing needs what was there before, and it saves passes through memory
        result: Tensor = self.dropout(torch.relu_(x))
        return result


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a short cut; (b, c, h, w) -> (b, c', h', w').

    The short cut is the input, cropped to what the convolutions leave of it, and projected where the number of channels
    changes. It joins *before* the second batch normalisation: with that order Topaz's scores are met exactly. A stride
    or dilation is the second convolution's, so the first one runs at every pixel.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        *,
        dilation: int,
        stride: int = 1,
        batch_norm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, out_channels, 1, bias=False) if channels != out_channels else None
        self.conv0 = nn.Conv2d(channels, channels, 3, bias=not batch_norm)
        self.bn0 = nn.BatchNorm2d(channels) if batch_norm else None
        self.conv1 = nn.Conv2d(channels, out_channels, 3, dilation=dilation, stride=stride, bias=not batch_norm)
        self.bn1 = nn.BatchNorm2d(out_channels) if batch_norm else None
        self.dropout = nn.Dropout(dropout)

    @property
    def stride(self) -> int:
        """Input pixels between neighbouring outputs."""
        return self.conv1.stride[0]

    @property
    def reach(self) -> int:
        """Input pixels that an output sees along an axis, less one."""
        return 2 + 2 * self.conv1.dilation[0]

    def crop(self, x: Tensor, stride: int) -> Tensor:
        """Return the pixels of the input that stand at the centres of the block's outputs."""
        edge = self.reach // 2
        return x[:, :, edge : x.shape[2] - edge : stride, edge : x.shape[3] - edge : stride]

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations."""
        hidden = self.conv0(x)
        if self.bn0 is not None:
            hidden = self.bn0(hidden)
        hidden = self.conv1(torch.relu_(hidden))
        shortcut = self.crop(x, self.stride)
        if self.proj is not None:
            shortcut = self.proj(shortcut)
        hidden += shortcut
        if self.bn1 is not None:
            hidden = self.bn1(hidden)
        result: Tensor = self.dropout(torch.relu_(hidden))
        return result


class MaxPool(nn.Module):
    """The largest of 3×3 pixels at every second pixel, and dropout; it halves height and width."""

    stride = 2
    reach = 2

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the pooled activations."""
        result: Tensor = self.dropout(nn.functional.max_pool2d(x, 3, stride=2))
        return result


def resnet_layers(
    plain_blocks: tuple[int, int, int],
    *,
    dilation: int,
    units: int,
    unit_scaling: int,
    batch_norm: bool,
    max_pool: bool,
    dropout: float,
) -> tuple[list[nn.Module], int]:
    """Build a residual network of three stages.

    The first stage begins with a 7×7 convolution, the second ends in a block that widens, the third in a 5×5
    convolution that widens. The last layer of the first two stages has stride 2, or has a max pool after it instead.
    Each stage ends in dropout, which is part of its last layer: it shifts no parameter's name.

    Parameters
    ----------
    plain_blocks
        Number of residual blocks that do not widen in each stage.
    dilation
        That of each block's second convolution.
    units, unit_scaling
        Channels of the first layers, and the factor of each widening.
    batch_norm, max_pool, dropout
        As the model's settings.

    Returns
    -------
    The layers, and the number of channels of the last one.
    """
    first, second, third = plain_blocks
    wide, widest = units * unit_scaling, units * unit_scaling**2
    # of the layer that ends a stage; a pool after it takes both over
    stride, end_dropout = (1, 0.0) if max_pool else (2, dropout)

    def convolved(channels: int, out_channels: int, kernel: int, stride: int, dropout: float) -> ConvolutionLayer:
        return ConvolutionLayer(channels, out_channels, kernel, stride=stride, batch_norm=batch_norm, dropout=dropout)

    def block(channels: int, out_channels: int, stride: int = 1, dropout: float = 0.0) -> ResidualBlock:
        return ResidualBlock(
            channels, out_channels, dilation=dilation, stride=stride, batch_norm=batch_norm, dropout=dropout
        )

    layers: list[nn.Module] = []
    if first == 0:
        layers += [convolved(1, units, 7, stride, end_dropout)]
    else:
        layers += [convolved(1, units, 7, 1, 0.0)]
        layers += [block(units, units) for _ in range(first - 1)]
        layers += [block(units, units, stride, end_dropout)]
    if max_pool:
        layers += [MaxPool(dropout)]
    layers += [block(units, units) for _ in range(second)]
    layers += [block(units, wide, stride, end_dropout)]
    if max_pool:
        layers += [MaxPool(dropout)]
    layers += [block(wide, wide) for _ in range(third)]
    layers += [convolved(wide, widest, 5, 1, dropout)]
    return layers, widest
