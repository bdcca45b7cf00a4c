"""Batch normalisation over a minibatch that several processes share, each with an equal part of it.

torch's own (`nn.SyncBatchNorm`) refuses tensors on the CPU. Knows torch's process group, and not who set it up.
"""

from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by the statistics of all processes' parts together.

    In evaluation, and where there is one process, it is its parent class. All processes have equal parts, and all of
    them call it equally often and in the same order, backwards too.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise activations (b, c, h, w)."""
        if not self.training or not distributed.is_initialized() or distributed.get_world_size() == 1:
            return super().forward(x)
        result: Tensor = self._normalised(x)
        return result

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # what processes tell each other cannot be compiled
    def _normalised(self, x: Tensor) -> Tensor:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            mean, variance = _statistics(x)
            count = x.numel() // x.shape[1] * distributed.get_world_size()
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        result: Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.bias, mean, variance, count, self.eps
        )
        return result


def synchronise(module: nn.Module) -> None:
    """Have all batch normalisation in a module done over all processes; parameters, buffers and names stay."""
    for layer in module.modules():
        if type(layer) is nn.BatchNorm2d:
            layer.__class__ = SynchronisedBatchNorm  # which adds no state


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Give the mean and the variance (by the full count) of each channel over all processes.

    From each part's mean and its variance about that mean, one exchange gives both with nothing lost to cancellation
    (Chan, Golub and LeVeque, The American Statistician 37, 242 (1983)).
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    own_mean = x.mean((0, 2, 3))
    own_variance = (x - own_mean[:, None, None]).square_().mean((0, 2, 3))
    own = torch.stack([own_mean, own_variance])
    parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, own)
    means, variances = torch.stack(parts, dim=1)
    mean = means.mean(0)
    return mean, variances.mean(0) + (means - mean).square().mean(0)


class _Normalise(torch.autograd.Function):
    """Normalise by statistics to which every process contributes: the gradient goes through those of the others too."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, count: int, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.count, ctx.eps = count, eps
        return functional.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        inverse = (variance + ctx.eps).rsqrt()
        centred = x - mean[:, None, None]
        # The objectives pull all scores alike, and normalisation takes nearly all of that out again. So each channel's
        # own mean is taken out first, in which nothing is lost, and the numbers of channels are doubles.
        gradient = gradient.to(centred.dtype)
        own = gradient.mean((0, 2, 3))
        rest = gradient - own[:, None, None]
        pixels = x.numel() // x.shape[1]
        of_bias = own.double() * pixels + _total(rest)
        of_weight = (_total(centred * rest) + own.double() * _total(centred)) * inverse
        sums = torch.stack([of_weight, of_bias])
        distributed.all_reduce(sums)
        by_weight, by_bias = sums / ctx.count
        rest -= (by_bias - own).to(rest.dtype)[:, None, None]
        rest -= centred.mul_((inverse * by_weight).to(rest.dtype)[:, None, None])
        rest *= (weight * inverse)[:, None, None]
        of_parameters = of_weight.to(weight.dtype), of_bias.to(weight.dtype)
        return rest.to(x.dtype), *of_parameters, None, None, None, None


def _total(values: Tensor) -> Tensor:
    """Give each channel's sum, as a double."""
    return values.sum((0, 2, 3)).double()
