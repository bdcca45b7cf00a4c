"""The convolution of an image of one channel, in the shape that processors are fast at. Same sums, same parameters."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def convolve_image(image: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """Convolve images of one channel without padding.

    A single channel leaves vector units idle, and its memory layout is ambiguous, so that torch goes on in the slower
    one. With a stride of 2, each 2×2 pixels are four channels of one pixel and the kernel is dealt out likewise: the
    same products, summed in another order, three times as fast.

    Parameters
    ----------
    image : (b, 1, h, w)
    weight : (c, 1, k, k)
        k odd.
    bias : (c,)
    stride
        Pixels between neighbouring outputs.

    Returns
    -------
    (b, c, (h - k) // stride + 1, the same of w)
    """
    if stride != 2:
        return functional.conv2d(image, weight, bias, stride=stride)
    kernel = weight.shape[2]
    # an even kernel begins where the odd one does, its last row and column 0
    down, across = (2 * ((size - kernel) // 2) + kernel + 1 - size for size in image.shape[2:])
    deep = functional.pixel_unshuffle(functional.pad(image, (0, across, 0, down)), 2)
    dealt = functional.pixel_unshuffle(functional.pad(weight, (0, 1, 0, 1)), 2)
    channels_last = torch.channels_last
    return functional.conv2d(
        deep.contiguous(memory_format=channels_last), dealt.contiguous(memory_format=channels_last), bias
    )


class ImageConvolution(nn.Conv2d):
    """The first convolution of a network; (b, 1, h, w) -> (b, c, h', w')."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolved images."""
        return convolve_image(input, self.weight, self.bias, self.stride[0])


def convolution(channels: int, out_channels: int, kernel: int, *, stride: int, bias: bool) -> nn.Conv2d:
    """Build a convolution without padding, an `ImageConvolution` where there is one channel."""
    kind = ImageConvolution if channels == 1 else nn.Conv2d
    return kind(channels, out_channels, kernel, stride=stride, bias=bias)
