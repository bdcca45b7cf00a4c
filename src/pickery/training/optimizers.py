"""Optimizers and learning-rate schedules by name. Plain torch."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


def build_optimizer(
    name: str,
    parameters: Iterable[torch.nn.Parameter],
    *,
    learning_rate: float,
    weight_decay: float = 0.01,
    momentum: float = 0.9,
) -> torch.optim.Optimizer:
    """Build an optimizer.

    Parameters
    ----------
    name
        ``adam`` (as Topaz has it), ``adamw`` (Loshchilov & Hutter 2019) or ``sgd``.
    parameters
        What it optimizes.
    learning_rate
        Its (peak) learning rate.
    weight_decay
        Decoupled weight decay; adamw alone.
    momentum
        Momentum; sgd alone.
    """
    match name:
        case "adam":
            return torch.optim.Adam(parameters, lr=learning_rate, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay, fused=True)
        case "sgd":
            return torch.optim.SGD(parameters, lr=learning_rate, momentum=momentum, fused=True)
    raise AssertionError(f"unknown optimizer {name!r}")


def schedule_factor(name: str, step: int, total_steps: int) -> float:
    """Give the learning rate of a step as a fraction of the stated one.

    ``constant``: 1. ``cosine``: falls from 1 to 0 along half a cosine (Loshchilov & Hutter 2017, without restarts).
    ``one_cycle``: rises from 1/25 to 1 over the first 30 % of the steps, then falls to 0, both along half cosines
    (Smith & Topin 2019).
    """

    def ease(begin: float, end: float, part: float) -> float:
        return end + (begin - end) * (1 + math.cos(math.pi * min(part, 1.0))) / 2

    part = step / max(1, total_steps)
    match name:
        case "constant":
            return 1.0
        case "cosine":
            return ease(1.0, 0.0, part)
        case "one_cycle":
            return ease(0.04, 1.0, part / 0.3) if part < 0.3 else ease(1.0, 0.0, (part - 0.3) / 0.7)
    raise AssertionError(f"unknown schedule {name!r}")


def build_schedule(name: str, optimizer: torch.optim.Optimizer, *, total_steps: int) -> LRScheduler | None:
    """Build a learning-rate schedule over the whole training; None for ``constant``."""
    if name == "constant":
        return None
    return LambdaLR(optimizer, lambda step: schedule_factor(name, step, total_steps))
