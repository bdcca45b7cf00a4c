"""The first convolution: the sums of an ordinary one, in another order."""

import pytest
import torch
from torch.nn import functional

from pickery.model.first_layer import ImageConvolution, convolution, convolve_image


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(7, 7), (8, 9), (9, 8), (31, 46), (46, 31)])
def test_values_and_gradients_are_those_of_an_ordinary_convolution(
    kernel: int, stride: int, shape: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    image = torch.randn(3, 1, *shape, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 1, kernel, kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    ours = convolve_image(image, weight, bias, stride)
    theirs = functional.conv2d(image, weight, bias, stride=stride)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    upstream = torch.randn_like(theirs)
    for own, other in zip(
        torch.autograd.grad(ours, (image, weight, bias), upstream),
        torch.autograd.grad(theirs, (image, weight, bias), upstream),
        strict=True,
    ):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-11)


def test_what_comes_after_a_stride_is_laid_out_channels_last() -> None:
    layer = convolution(1, 8, 7, stride=2, bias=False)
    assert isinstance(layer, ImageConvolution)
    assert layer(torch.randn(2, 1, 31, 31)).is_contiguous(memory_format=torch.channels_last)
    assert not isinstance(convolution(2, 8, 7, stride=2, bias=False), ImageConvolution)
