"""What Topaz is given to read: micrographs as float32 MRC, lists of them, and picks as its table. Knows no settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickery.atomic import write_text
from pickery.data.datamodule import LabelledMicrographs
from pickery.formats.mrc import write_mrc


@dataclass(frozen=True)
class Side:
    """The files of the training or of the held-out micrographs.

    Attributes
    ----------
    images
        The list of the micrographs: a list, and not words of the command line, of which there may be too many.
    targets
        The table of their picks.
    """

    images: Path
    targets: Path


def write_side(folder: Path, side: str, micrographs: LabelledMicrographs) -> Side:
    """Write micrographs and picks for Topaz.

    The micrographs are numbered: names with folders or dots in them would not be matched. Picks are those of the
    prepared micrographs, rounded as here, since Topaz cuts decimals off.

    Parameters
    ----------
    folder
        Where to; it is made.
    side
        ``train`` or ``test``.
    micrographs
        Prepared micrographs with their picks in regions.

    Raises
    ------
    InputError
        When a file cannot be written.
    """
    images, targets = ["image_name\tpath"], ["image_name\tx_coord\ty_coord"]
    pictures = folder / side
    pictures.mkdir(parents=True, exist_ok=True)
    for index in range(len(micrographs)):
        name = f"{side}{index:06d}"
        path = (pictures / f"{name}.mrc").resolve()
        image = micrographs.image(index)
        write_mrc(path, image, pixel_size_angstrom=None)
        images.append(f"{name}\t{path}")
        rounded = rounded_picks(micrographs.points[index], (image.shape[0], image.shape[1]))
        targets += [f"{name}\t{x}\t{y}" for x, y in rounded.tolist()]
    written = Side(folder / f"{side}_images.txt", folder / f"{side}_targets.txt")
    write_text(written.images, "\n".join(images) + "\n")
    write_text(written.targets, "\n".join(targets) + "\n")
    return written


def rounded_picks(points: Sequence[object] | NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Give picks as whole regions of the micrograph, halves up as in `pickery.data.regions.positive_regions`.

    Parameters
    ----------
    points : shape (n, 2)
        ``(x, y)`` in regions.
    shape
        ``(rows, columns)``; one that is rounded out of it stays on its edge.
    """
    xy = np.floor(np.asarray(points, dtype=np.float64).reshape(-1, 2) + 0.5).astype(np.int64)
    return np.clip(xy, 0, (shape[1] - 1, shape[0] - 1))
