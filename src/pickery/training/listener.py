"""Who hears of a run while it goes: the terminal, or nobody."""

from __future__ import annotations

from typing import Protocol

from pickery.training.history import Epoch


class Listener(Protocol):
    """Hears of a run."""

    def say(self, text: str) -> None:
        """Hear a plain line."""

    def warn(self, text: str) -> None:
        """Hear of something that the user should know."""

    def preparing(self, done: int, total: int) -> None:
        """Hear how many micrographs are prepared."""

    def training(self, epoch: int, epochs: int, done: int, total: int, evaluating: bool) -> None:
        """Hear how many minibatches, or held-out micrographs, of an epoch are done."""

    def epoch(self, epoch: Epoch, epochs: int, monitor: str, is_best: bool) -> None:
        """Hear of an epoch's figures."""

    def working(self, text: str) -> None:
        """Hear what the program is busy with, in a few words."""


class Silence:
    """Hears nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""

    def warn(self, text: str) -> None:
        """Do nothing."""

    def preparing(self, done: int, total: int) -> None:
        """Do nothing."""

    def training(self, epoch: int, epochs: int, done: int, total: int, evaluating: bool) -> None:
        """Do nothing."""

    def epoch(self, epoch: Epoch, epochs: int, monitor: str, is_best: bool) -> None:
        """Do nothing."""

    def working(self, text: str) -> None:
        """Do nothing."""
