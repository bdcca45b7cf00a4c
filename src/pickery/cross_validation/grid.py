"""The values that a cross-validation compares, and the trainings that it asks for. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import Final

from pickery.decimals import Number, word

Value = tuple[Number, ...]
"""One number for each parameter."""

FINAL: Final = -1
"""The fold of the final training, which holds out what the ordinary split holds out."""


@dataclass(frozen=True)
class Axis:
    """One parameter that is varied.

    Attributes
    ----------
    parameter
        Dotted name of the setting, such as ``"optimizer.learning_rate"``.
    values
        The numbers that it takes: integers where the setting is a whole number.
    """

    parameter: str
    values: tuple[Number, ...]

    @property
    def short(self) -> str:
        """The last part of the name, such as ``"learning_rate"``."""
        return self.parameter.rpartition(".")[2]


@dataclass(frozen=True, order=True)
class Point:
    """One training.

    Attributes
    ----------
    rung
        Step of the ladder of halving; 0 without it.
    fold
        The fold held out, from 0; `FINAL` for the final training.
    value
        Index into `Grid.values`.
    """

    rung: int
    fold: int
    value: int


@dataclass(frozen=True)
class Grid:
    """All values, and the number of folds on which each is trained.

    Attributes
    ----------
    axes
        One parameter or two.
    folds
        1 for the ordinary split.
    """

    axes: tuple[Axis, ...]
    folds: int

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """Every combination of the parameters' values; the first parameter changes slowest."""
        return tuple(product(*(axis.values for axis in self.axes)))

    def label(self, value: int) -> str:
        """Name a value: ``learning_rate=0.0001``, or ``learning_rate=0.0001, radius=3``."""
        return ", ".join(f"{name}={text}" for name, text in self._words(value))

    def name(self, point: Point) -> str:
        """Name a training: ``learning_rate=0.0001, fold 0``, or ``learning_rate=0.0001, final``."""
        fold = "final" if point.fold == FINAL else f"fold {point.fold}"
        return f"{self.label(point.value)}, {fold}"

    def run_name(self, point: Point) -> str:
        """Name a training where its cross-validation is plain to see and room is short: ``0.0001, fold 0``."""
        fold = "final" if point.fold == FINAL else f"fold {point.fold}"
        return ", ".join([*(text for _, text in self._words(point.value)), fold])

    def folder(self, point: Point) -> str:
        """Name a training's folder: ``learning_rate_0.0001_fold_0``; the same on every rung, which continues it."""
        fold = "final" if point.fold == FINAL else f"fold_{point.fold}"
        return "_".join([*(f"{name}_{text}" for name, text in self._words(point.value)), fold])

    def points(self, rung: int = 0, values: Sequence[int] | None = None) -> tuple[Point, ...]:
        """Give the trainings of all folds, fold by fold and every value in each; of some values only, if given."""
        chosen = range(len(self.values)) if values is None else values
        return tuple(Point(rung, fold, value) for fold in range(self.folds) for value in chosen)

    def _words(self, value: int) -> list[tuple[str, str]]:
        numbers = self.values[value]
        return [(axis.short, word(number)) for axis, number in zip(self.axes, numbers, strict=True)]


def stepped(initial: Number, increment: Number, times: int) -> tuple[Number, ...]:
    """Give ``initial + i * increment`` for ``i = 0 .. times - 1``, reckoned with the decimals as they were typed.

    Parameters
    ----------
    initial
        The first value.
    increment
        From each value to the next; may be negative.
    times
        Number of values.

    Returns
    -------
    tuple of int or of float
        Integers if both numbers are; else the floats nearest to the exact decimals, so that 0.0001 in steps of 0.0001
        comes to 0.0003, never to 0.00030000000000000003. One beyond all floats is infinite.
    """
    if isinstance(initial, int) and isinstance(increment, int):
        return tuple(initial + i * increment for i in range(times))
    first, step = Fraction(repr(initial)), Fraction(repr(increment))
    return tuple(_nearest(first + i * step) for i in range(times))


def _nearest(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
