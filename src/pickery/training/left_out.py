"""What masks leave out of a training: regions, and the picks and known negatives that lie there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pickery.data.regions import runs_of
from pickery.formats.masks import Mask
from pickery.preprocess.fourier import downsampled_shape
from pickery.training.listener import Listener

Points = dict[str, NDArray[np.float64]]
MaskedRuns = dict[str, NDArray[np.int64]]


def apply_masks(
    masks: Mapping[str, Mask], positions: Mapping[str, Points], downsample: float, listener: Listener
) -> tuple[dict[str, Points], MaskedRuns]:
    """Leave out what masks cover; each mask is read once.

    Parameters
    ----------
    masks
        By micrograph's name.
    positions
        Under the words that name them in messages: each micrograph's points, ``(x, y)`` in full-size pixels.
    downsample
        The factor by which micrographs are to shrink.
    listener
        Told how many points are left out.

    Returns
    -------
    positions
        Those outside the masks.
    masked
        Micrograph's name → its masked regions (`pickery.data.regions.runs_of`); only those that have some.

    Raises
    ------
    InputError
        When a mask cannot be read, or leaves nothing of its micrograph.
    """
    kept = {words: dict(points) for words, points in positions.items()}
    lost: dict[str, dict[str, int]] = {words: {} for words in positions}
    masked: MaskedRuns = {}
    if masks:
        listener.working("reading masks")
    for name, mask in masks.items():
        rows, columns = downsampled_shape(mask.shape, downsample)
        if min(rows, columns) < 1:
            continue  # too small to be prepared, which is said there
        area = mask.read()
        runs = runs_of(area.regions((rows, columns), (mask.shape[0] / rows, mask.shape[1] / columns)))
        if len(runs):
            masked[name] = runs
        for words, points in kept.items():
            if name in points:
                covered = area.covers(points[name])
                points[name] = points[name][~covered]
                if covered.any():
                    lost[words][name] = int(covered.sum())
    for words, counts in lost.items():
        if counts:
            most = max(counts, key=lambda name: counts[name])
            listener.warn(
                f"{sum(counts.values())} {words} lie in masked areas (data.masks; most in {most}) and are left out"
            )
    return kept, masked
