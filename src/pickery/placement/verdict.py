"""Whether picks are where the particles are, and if not, which settings would bring them there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pickery.formats.frame import Frame
from pickery.placement.fit import RINGS, Anywhere, Coordinates, Fit
from pickery.placement.rings import Surroundings

FACTORS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0)
"""By which coordinates may have been divided, or multiplied."""
ALL_INSIDE = 0.9
"""Least share of the picks that lie inside in the right frame; a few may always be off the edge."""
LEAST_SPAN = 0.5
"""Share of the micrographs' sides over which picks spread in the right frame. Crowded into a corner, they all stand
beside the same few things, which is unlike the rest of the micrographs whatever it is."""
SURE = 80.0
"""T-squared that picks lying anywhere do not reach: twelve at chance, some fifty where they come in clusters."""
CROWDED = 4.0
"""How many times as much picks need that all lie in one part of the micrographs."""
BETTER = 2.0
"""How many times as far from chance another frame must be to be the right one."""
LEAD = 60.0
"""Least lead in T-squared, for the same."""
FEW = 50
"""Picks of which too little can be said if nothing is clear."""
REACH_PX, STRIDE_PX = 32, 2
"""How far picks are moved in search of a better place, in shrunk pixels, and the steps of the first look."""
LEAST_MOVE_PX = 2.5
"""A move of less, in shrunk pixels, is picking, not a fault."""
MOVE_BETTER = 1.3
"""How many times as large T-squared must be after a move. A move keeps the number of picks, so it is compared itself;
and it is near its best on a whole particle's middle, so less is needed than of another frame."""

Kind = Literal["good", "misplaced", "moved", "few", "unclear", "outside"]
Reason = Literal["crowded", "outside", "shrunk"]


@dataclass(frozen=True)
class Verdict:
    """What was found.

    Attributes
    ----------
    kind
        ``good``: picks sit on something and no other frame is better. ``misplaced``: another frame is clearly better.
        ``moved``: the same frame is, once all picks are moved. ``few``: too few picks to tell. ``unclear``: nothing is
        better than chance. ``outside``: most picks lie outside in the frame given, and no other is clearly right.
    given
        The frame given.
    better
        The one that is better, for ``misplaced`` and ``moved``.
    others
        All frames that were tried, the best first.
    """

    kind: Kind
    given: Fit
    better: Fit | None
    others: tuple[Fit, ...]

    @property
    def best_other(self) -> float:
        """The highest T-squared of the other frames in which picks could have been written."""
        return max((fit.statistic for fit in self.others if ruled_out(fit, self.given) is None), default=0.0)


def judge(
    coordinates: Coordinates, around: Mapping[str, Surroundings], given: Frame, more_factors: Iterable[float] = ()
) -> Verdict:
    """Judge whether picks sit on particles.

    Parameters
    ----------
    coordinates
        Micrograph's name → x and y as the file has them.
    around
        The micrographs that are looked at.
    given
        How the settings say that coordinates are read.
    more_factors
        Factors between the coordinates and full-size pixels that are worth a try beside powers of two, such as that of
        downsampling.
    """
    anywhere = Anywhere(around)
    own = anywhere.fit(given, coordinates)
    tried = sorted(
        (anywhere.fit(frame, coordinates) for frame in variants(given, more_factors)),
        key=lambda fit: -fit.distance if ruled_out(fit, own) is None else math.inf,
    )
    possible = [fit for fit in tried if ruled_out(fit, own) is None]
    others = tuple(tried)
    best = max(possible, key=lambda fit: fit.statistic, default=None)
    if best is not None and _clearly_better(best, own):
        return Verdict("misplaced", own, _centred(anywhere, best, coordinates), others)
    move = _best_move(anywhere, own, coordinates)
    if move is not None:
        return Verdict("moved", own, move, others)
    if own.inside < 0.5 * own.picks:
        return Verdict("outside", own, None, others)
    if own.statistic > (SURE if own.span >= LEAST_SPAN else CROWDED * SURE):
        return Verdict("good", own, None, others)
    return Verdict("few" if own.picks < FEW else "unclear", own, None, others)


def variants(given: Frame, more_factors: Iterable[float] = ()) -> list[Frame]:
    """Give the other frames that a file may be in: axes swapped, flipped, scaled, and any of these together."""
    factors = {1.0}
    for factor in (*FACTORS, *more_factors):
        factors |= {factor, 1 / factor}
    # coordinates may be full-size pixels already although a factor was given
    scales = sorted({given.coordinate_scale * factor for factor in factors} | {1.0})
    found = [
        replace(given, coordinate_scale=scale, swap_xy=swap, flip_x=flip_x, flip_y=flip_y)
        for scale in scales
        for swap in (False, True)
        for flip_x in (False, True)
        for flip_y in (False, True)
    ]
    return [frame for frame in found if frame != given]


def ruled_out(fit: Fit, own: Fit) -> Reason | None:
    """Say why picks cannot be so, whatever stands around them; None where they may be.

    They may where they lie inside, spread out, and are not made smaller although they lie inside as they are.
    """
    if fit.span < LEAST_SPAN:
        return "crowded"
    if fit.inside < ALL_INSIDE * fit.picks:
        return "outside"
    shrinks = fit.frame.coordinate_scale < own.frame.coordinate_scale * (1 - 1e-9)
    return "shrunk" if shrinks and own.inside >= 0.75 * own.picks else None


def _clearly_better(fit: Fit, own: Fit) -> bool:
    return fit.statistic > SURE and fit.statistic > own.statistic + LEAD and fit.distance > BETTER * own.distance


def _centred(anywhere: Anywhere, fit: Fit, coordinates: Coordinates) -> Fit:
    """Move the picks of a better frame where that makes it better still."""
    return _best_move(anywhere, fit, coordinates) or fit


def _best_move(anywhere: Anywhere, own: Fit, coordinates: Coordinates) -> Fit | None:
    """Give the frame with the picks moved to where they fit best, if that is clearly better than where they are."""
    reach = np.arange(-REACH_PX, REACH_PX + 1, STRIDE_PX)
    steps = np.array([(row, column) for row in reach for column in reach], dtype=np.int64)
    best = _at_best(anywhere, own, coordinates, steps)
    near = np.arange(-STRIDE_PX, STRIDE_PX + 1)
    best = _at_best(anywhere, own, coordinates, best + np.array([(row, column) for row in near for column in near]))
    here, there = anywhere.moved(own.frame, coordinates, np.array([(0, 0), best], dtype=np.int64))[0]
    if there <= max(SURE, MOVE_BETTER * here, here + LEAD) or math.hypot(*best) < LEAST_MOVE_PX:
        return None
    factors = [one.factor for name, one in anywhere.around.items() if len(coordinates.get(name, ()))]
    row, column = (best + _summit(anywhere, own, coordinates, best)) * float(np.median(factors))
    x, y = own.frame.offset_px
    frame = replace(own.frame, offset_px=(float(round(x + column)), float(round(y + row))))
    return replace(anywhere.fit(frame, coordinates), statistic=max(float(there), RINGS))


def _summit(anywhere: Anywhere, own: Fit, coordinates: Coordinates, best: np.ndarray) -> np.ndarray:
    """Give where between the pixels the summit lies, by a parabola along each axis: (rows, columns)."""
    steps = best + np.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)])
    middle, *sides = anywhere.moved(own.frame, coordinates, steps)[0]
    found = np.zeros(2)
    for axis, (before, after) in enumerate((sides[:2], sides[2:])):
        bend = before - 2 * middle + after
        if bend < 0:
            found[axis] = np.clip((before - after) / (2 * bend), -1, 1)
    return found


def _at_best(anywhere: Anywhere, own: Fit, coordinates: Coordinates, steps: np.ndarray) -> np.ndarray:
    statistics, counts = anywhere.moved(own.frame, coordinates, steps)
    # a step that pushes half of the picks off the images is judged on the rest only
    most = max(1, int(counts.max()))
    best: np.ndarray = steps[int(np.argmax(np.where(counts >= 0.7 * most, statistics, 0)))]
    return best
