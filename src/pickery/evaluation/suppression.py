"""Non-maximum suppression: a score map in, picks out, exactly as if taken one by one from the highest score down.

Knows nothing of models or micrographs; coordinates are regions of the map that was given.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.errors import InputError

# as many regions are blanked at a time: bounds memory at a few tens of megabytes
CHUNK = 1 << 21
LOW_BITS = np.uint64(2**32 - 1)


def suppress(
    score_map: ArrayLike, radius: float, threshold: float = -math.inf
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Greedy non-maximum suppression of a score map.

    Take the highest score, suppress every region with dx² + dy² ≤ radius² around it, repeat. Equal scores are taken
    in the order of y, then x. Nothing wraps at the borders.

    Parameters
    ----------
    score_map : (height, width)
        Scores, compared as float32; -inf where nothing may be picked (with any finite threshold).
    radius
        In regions of this map; 0 keeps every region.
    threshold
        The lowest score that is picked (``score >= threshold``).

    Returns
    -------
    points : (n, 2) int64
        x, y of each pick, highest score first.
    scores : (n,) float32

    Raises
    ------
    InputError
        Where a score is nan.

    Notes
    -----
    The map is cut into square cells so small that one pick empties its cell. A cell whose best region beats the best
    of all cells that its disc can reach will be picked whatever else happens, so all such cells are picked at once;
    then the cells near them are looked at again. Every score is paired with its position into one integer, so that no
    two compare equal. Beside the map itself that takes eight bytes a region.
    """
    scores = np.asarray(score_map, dtype=np.float32)
    assert scores.ndim == 2, f"a score map is [y, x], not {scores.shape}"
    assert radius >= 0
    if np.isnan(scores).any():
        raise InputError(
            f"The score map holds {np.isnan(scores).sum()} scores that are not numbers: the model's training diverged; "
            "train again with a lower optimizer.learning_rate."
        )
    height, width = scores.shape
    squared = math.floor(radius * radius)
    side = math.isqrt(squared // 2) + 1  # 2 (side - 1)² ≤ radius²: any two regions of a cell suppress each other
    reach = -(-math.isqrt(squared) // side)  # cells that a disc can reach beyond its own, each way
    margin = reach * side

    # a frame of `margin` empty regions spares every later step a look at the borders
    rows, columns = -(-height // side) + 2 * reach, -(-width // side) + 2 * reach
    stride = columns * side
    assert rows * side * stride < 2**32, "positions are kept in 32 bits"
    keys = np.zeros((rows * side, stride), dtype=np.uint64)
    across = np.arange(margin, margin + width, dtype=np.uint64)
    at_once = max(1, CHUNK // width)
    for top in range(0, height, at_once):
        some = scores[top : top + at_once]
        first = margin + top
        inside = keys[first : first + len(some), margin : margin + width]
        inside[:] = _ordered(some)
        # earlier positions get the higher number, so that they win among equal scores
        inside |= LOW_BITS - (np.arange(first, first + len(some), dtype=np.uint64) * np.uint64(stride))[:, None]
        inside -= across
        inside[some < threshold] = 0

    best = np.zeros((rows, columns), dtype=np.uint64)
    for dy in range(side):
        for dx in range(side):
            np.maximum(best, keys[dy::side, dx::side], out=best)
    flat, best = keys.ravel(), best.ravel()  # views: both are contiguous

    in_cell = _window(range(side), stride)
    near = _window(range(-reach, reach + 1), columns)
    disc = _disc(squared, stride)
    picked: list[NDArray[np.uint64]] = []
    waiting = np.flatnonzero(best)
    while len(waiting):
        wins = np.ones(len(waiting), dtype=bool)
        for offset in near:
            wins &= best[waiting] >= best[waiting + offset]
        winners = best[waiting[wins]]
        picked.append(winners)
        centres = _position(winners)
        step = max(1, CHUNK // len(disc))
        for start in range(0, len(centres), step):
            flat[(centres[start : start + step, None] + disc).ravel()] = 0
        # of the cells that these discs touch, those whose best is gone get a new best
        touched = _around(waiting[wins], near, len(best))
        touched = touched[best[touched] > 0]
        stale = touched[flat[_position(best[touched])] == 0]
        cell_y, cell_x = np.divmod(stale, columns)
        corner = cell_y * (side * stride) + cell_x * side
        renewed = np.zeros(len(stale), dtype=np.uint64)
        for offset in in_cell:
            np.maximum(renewed, flat[corner + offset], out=renewed)
        best[stale] = renewed
        # and only cells that such a cell may have held back can win next
        waiting = _around(stale, near, len(best))
        waiting = waiting[best[waiting] > 0]

    order = np.sort(np.concatenate([np.zeros(0, np.uint64), *picked]))[::-1]
    y, x = np.divmod(_position(order), stride)
    points = np.stack([x - margin, y - margin], axis=1)
    return points, scores[points[:, 1], points[:, 0]]


def _ordered(scores: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Make integers > 0 in the upper 32 bits that compare as the scores do."""
    # adding 0 makes -0 equal to 0; flipping the bits of negative numbers makes IEEE floats compare as integers
    bits = (scores + np.float32(0)).view(np.uint32)
    flipped = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31))
    return flipped.astype(np.uint64) << np.uint64(32)


def _position(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Give the flat positions of the regions that the keys belong to."""
    return (LOW_BITS - (keys & LOW_BITS)).astype(np.int64)


def _window(steps: range, stride: int) -> NDArray[np.int64]:
    along = np.array(steps, dtype=np.int64)
    return (along[:, None] * stride + along).ravel()


def _disc(squared_radius: int, stride: int) -> NDArray[np.int64]:
    reach = math.isqrt(squared_radius)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = dy**2 + dx**2 <= squared_radius
    return np.asarray(dy[inside] * stride + dx[inside], dtype=np.int64)


def _around(cells: NDArray[np.int64], near: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Find the distinct cells within reach of any of these, ascending."""
    if len(cells) * len(near) * 16 < count:
        return np.unique(cells[:, None] + near)
    mask = np.zeros(count, dtype=bool)
    for offset in near:
        mask[cells + offset] = True
    return np.flatnonzero(mask)
