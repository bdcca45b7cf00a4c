"""Sequential halving: many values train a little, the better half of them longer, the best two in full. Pure.

All values of a rung are trained to the same epoch and compared only when every one of them is there, so that which
values survive does not depend on the order in which results come, nor on how many processes train.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal


@dataclass(frozen=True)
class Rung:
    """One step of the ladder.

    Attributes
    ----------
    values
        How many values take part.
    epochs
        Up to which epoch each is trained, counted from the beginning: a survivor goes on from the rung before.
    """

    values: int
    epochs: int


def rungs(values: int, epochs: int) -> tuple[Rung, ...]:
    """Plan the rungs.

    From rung to rung half of the values (rounded up) survive, until two are left, which train in full. Counted from
    the last rung, each has half the epochs (rounded up) of the next. With few epochs the first rungs would have
    equally many; they become one, of all their values. So 3 values and 6 epochs give 3 values of 3 epochs, then 2 of
    6; one or two values, or a single epoch, give one rung: nothing is stopped.

    Parameters
    ----------
    values
        Number of values to compare, at least 1.
    epochs
        Epochs of a full training, at least 1.
    """
    assert values >= 1, f"{values} values"
    assert epochs >= 1, f"{epochs} epochs"
    counts = [values]
    while counts[-1] > 2:
        counts.append(math.ceil(counts[-1] / 2))
    ladder: list[Rung] = []
    for count in reversed(counts):
        if ladder and ladder[0].epochs == epochs:
            ladder[0] = Rung(count, epochs)
        else:
            ladder.insert(0, Rung(count, epochs))
        epochs = math.ceil(epochs / 2)
    return tuple(ladder)


def survivors(
    means: Sequence[float], count: int, better: Literal["higher", "lower"], tie: Sequence[float | Fraction]
) -> tuple[int, ...]:
    """Choose which values go on to the next rung.

    Parameters
    ----------
    means
        Each value's mean over its folds; nan where a fold failed. Such a value cannot win and never goes on, so that
        fewer than `count` survive where too few have a mean.
    count
        How many may survive.
    better
        Whether the higher or the lower mean is better.
    tie
        Each value's distance from the unchanged setting (`table.distances`): of equal means the nearest goes on, of
        equally near ones the first.

    Returns
    -------
    indices
        Of the survivors, in the order given.
    """
    assert len(means) == len(tie), "one distance for every mean"
    sign = -1 if better == "higher" else 1
    ranked = sorted((sign * mean, tie[index], index) for index, mean in enumerate(means) if mean == mean)
    return tuple(sorted(index for _, _, index in ranked[:count]))


def saved(ladder: Sequence[Rung], folds: int, epochs: int) -> tuple[int, int]:
    """Count the epochs trained in all folds with halving, and without it.

    A survivor goes on from where it was, so that a rung costs only the epochs beyond the one before. The final
    training is not counted.

    Parameters
    ----------
    ladder
        From `rungs`.
    folds
        Trainings of each value.
    epochs
        Epochs of a full training.
    """
    before = (0, *(rung.epochs for rung in ladder))
    trained = sum(rung.values * (rung.epochs - done) for rung, done in zip(ladder, before, strict=False))
    return folds * trained, folds * ladder[0].values * epochs
