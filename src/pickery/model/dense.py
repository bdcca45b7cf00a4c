"""The scores of whole micrographs: the same numbers as patch by patch, without computing anything twice.

A network with a stride scores every stride-th region. To score those between, the textbook way removes the strides and
dilates every later layer. Here the image is instead dealt out at each stride, by the parity of row and column, into
four smaller images (a polyphase decomposition), which pass through the rest of the network as they are: the same sums,
in the layout that convolutions are fastest at, and in pieces that stay in a processor's cache.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from pickery.model.first_layer import convolve_image
from pickery.model.picker import Picker, layer_geometry
from pickery.model.resnet import ConvolutionLayer, MaxPool, ResidualBlock


class DenseScorer(nn.Module):
    """Scores every region of images with the present weights of a network, which it shares.

    Always as in evaluation: running statistics normalise and nothing is dropped, whatever the model's mode. Gives no
    gradients.

    Parameters
    ----------
    model
        The network. Training it further changes the scores.
    """

    def __init__(self, model: Picker) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, stride: int = 1) -> Tensor:
        """Score the regions in every stride-th row and column, from 0 on.

        Parameters
        ----------
        images
            Normalised images (b, 1, h, w). Outside them lies the background, 0.
        stride
            A power of two.

        Returns
        -------
        Logits (b, ceil(h / stride), ceil(w / stride)): each that of the patch centred on its region.
        """
        edge = self.model.receptive_field // 2
        rows, columns = (-(-size // stride) for size in images.shape[2:])
        return self._score(images, stride, rows, columns, edge)

    def valid(self, padded: Tensor, stride: int = 1) -> Tensor:
        """Score the regions whose patches lie wholly inside: for tiles that bring their own surroundings.

        Parameters
        ----------
        padded
            Tiles (b, 1, h, w), h and w at least the receptive field.
        stride
            A power of two.

        Returns
        -------
        Logits (b, (h - receptive_field) // stride + 1, the same of w); the first is that of the top left patch.
        """
        field = self.model.receptive_field
        assert min(padded.shape[2:]) >= field, (padded.shape, field)
        rows, columns = ((size - field) // stride + 1 for size in padded.shape[2:])
        return self._score(padded, stride, rows, columns, 0)

    @torch.no_grad()
    def _score(self, images: Tensor, stride: int, rows: int, columns: int, edge: int) -> Tensor:
        """Score rows × columns regions `stride` apart; the first patch begins at (-edge, -edge)."""
        assert stride.bit_count() == 1, f"{stride} is not a power of two"
        model = self.model
        skip = min(stride, model.stride)
        thin = stride // skip  # a wider stride than the network's leaves out some of its scores
        phases = model.stride // skip
        extents = (-(-(thin * (count - 1) + 1) // phases) * phases for count in (rows, columns))
        height, width = (model.receptive_field + skip * (extent - 1) for extent in extents)
        # what lies beyond the last patch is cut off, what the last phases lack is 0
        x = functional.pad(images, (edge, width - edge - images.shape[3], edge, height - edge - images.shape[2]))
        x = x.to(memory_format=torch.channels_last)  # twice as fast on a CPU
        scores = _run(x, _steps(model), skip)
        return scores[:, 0, ::thin, ::thin][:, :rows, :columns]


@dataclass(frozen=True)
class _Step:
    """A layer, its stride, and the batch normalisation that follows it as a layer of its own."""

    layer: nn.Module
    stride: int
    norm: nn.Module | None = None


def _steps(model: Picker) -> list[_Step]:
    steps: list[_Step] = []
    for layer in [*model.features.features, model.classifier]:
        if isinstance(layer, nn.BatchNorm2d):
            steps[-1] = replace(steps[-1], norm=layer)
        else:
            steps.append(_Step(layer, layer_geometry(layer)[1]))
    return steps


def _run(x: Tensor, steps: list[_Step], skip: int) -> Tensor:
    """Run the steps; their first strides skip pixels, until `skip` is used up, and from there nothing is skipped."""
    for i, step in enumerate(steps):
        if step.stride <= skip:
            x = _apply(step, x, step.stride)
            skip //= step.stride
            continue
        assert step.stride == 2
        corners = [(0, 0), (0, 1), (1, 0), (1, 1)]
        if x.shape[1] == 1:  # an image: smaller to shift before the step than what comes out is to deal out after it
            h, w = (size - 1 for size in x.shape[2:])
            parts = [x[:, :, dy : dy + h, dx : dx + w] for dy, dx in corners]
            rest, rest_skip = steps[i:], 2
        else:
            x = _apply(step, x, 1)
            parts = [x[:, :, dy::2, dx::2] for dy, dx in corners]
            rest, rest_skip = steps[i + 1 :], 1
        if x.is_cuda:
            scores = _run(torch.cat(parts), rest, rest_skip).chunk(4)
        else:  # one after the other: their activations stay in the cache
            scores = tuple(_run(part, rest, rest_skip) for part in parts)
        return functional.pixel_shuffle(torch.cat(scores, dim=1), 2)
    return x


def _apply(step: _Step, x: Tensor, stride: int) -> Tensor:
    """Run a layer in evaluation, with the stride given instead of its own."""
    match step.layer:
        case ConvolutionLayer() as layer:
            return _convolve(x, layer.conv, layer.bn, stride).relu_()
        case ResidualBlock() as block:
            return _residual(x, block, stride)
        case MaxPool():
            return functional.max_pool2d(x, 3, stride=stride)
        case nn.Conv2d() as conv:
            return _convolve(x, conv, step.norm, stride)
        case nn.AvgPool2d(kernel_size=int(kernel)):
            return functional.avg_pool2d(x, kernel, stride=stride)
        case other:
            assert isinstance(other, nn.PReLU), other
            return functional.prelu(x, other.weight)


def _residual(x: Tensor, block: ResidualBlock, stride: int) -> Tensor:
    hidden = _convolve(x, block.conv0, block.bn0, 1).relu_()
    hidden = _convolve(hidden, block.conv1, block.bn1, stride)
    scale, _ = _scale_and_shift(block.bn1)
    shortcut = block.crop(x, stride)
    if block.proj is not None:
        weight = block.proj.weight if scale is None else block.proj.weight * scale[:, None, None, None]
        hidden += functional.conv2d(shortcut, weight)
    elif scale is not None:
        hidden.addcmul_(shortcut, scale[:, None, None])
    else:
        hidden += shortcut
    return hidden.relu_()


def _convolve(x: Tensor, conv: nn.Conv2d, norm: nn.Module | None, stride: int) -> Tensor:
    """Convolve and normalise in one pass: the normalisation's scale goes into the weights."""
    scale, shift = _scale_and_shift(norm)
    weight, bias = conv.weight, conv.bias
    if scale is not None:
        weight, bias = weight * scale[:, None, None, None], shift
    if x.shape[1] == 1:
        return convolve_image(x, weight, bias, stride)
    weight = weight.contiguous(memory_format=torch.channels_last)
    return functional.conv2d(x, weight, bias, stride=stride, dilation=conv.dilation)


def _scale_and_shift(norm: nn.Module | None) -> tuple[Tensor, Tensor] | tuple[None, None]:
    if norm is None:
        return None, None
    assert isinstance(norm, nn.BatchNorm2d), norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale
