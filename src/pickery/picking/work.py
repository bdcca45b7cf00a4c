"""One micrograph from its file to its candidate picks: what a worker does, in bounded memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from pickery.errors import InputError
from pickery.evaluation.score_map import score_map
from pickery.evaluation.suppression import suppress
from pickery.formats.micrographs import read_micrograph
from pickery.model import Picker
from pickery.picking.candidates import Candidates, write_candidates
from pickery.preprocess.index import Settings
from pickery.preprocess.work import prepare_image


@dataclass(frozen=True)
class Task:
    """One micrograph to pick, and where its candidates are kept.

    Attributes
    ----------
    number
        By which its candidates are told from others'.
    micrograph
        Its file.
    preprocess
        See `pickery.picking.choices.Choices`.
    extraction_radius
        Regions.
    floor
        The lowest score of a candidate.
    tile
        Side of the squares that are scored at a time, regions; None for the usual one.
    keep
        The file for the candidates.
    stamp
        What the micrograph is now.
    """

    number: int
    micrograph: Path
    preprocess: Settings
    extraction_radius: int
    floor: float
    tile: int | None
    keep: Path
    stamp: str


def pick_micrograph(network: Picker, task: Task, device: torch.device) -> Candidates | str:
    """Take and keep the candidate picks of one micrograph.

    Memory holds the micrograph and its score map at four bytes a pixel and region, eight more a region while picks are
    taken, and what the network needs for one tile.

    Returns
    -------
    Candidates or str
        Or why the micrograph cannot be used.

    Raises
    ------
    InputError
        If the scores are no numbers.
    OSError
        If the candidates cannot be kept.
    """
    try:
        image = read_micrograph(task.micrograph)
        full_shape = (int(image.shape[0]), int(image.shape[1]))
        prepared, _ = prepare_image(image, task.preprocess, _content(task))
        del image  # at full size it may be the larger part of what is held
        field = network.receptive_field
        if min(prepared.shape) < field:
            rows, columns = prepared.shape
            raise InputError(
                f"{task.micrograph} has {columns} x {rows} pixels when shrunk by {task.preprocess['downsample']:g}, "
                f"less than one patch of the model ({field} x {field})."
            )
        shape = (int(prepared.shape[0]), int(prepared.shape[1]))
    except (InputError, OSError) as error:
        return str(error)
    scores = score_map(network, prepared, tile=task.tile, device=device).numpy()
    del prepared
    points, values = suppress(scores, task.extraction_radius, task.floor)
    found = Candidates(points, values, shape, full_shape)
    write_candidates(task.keep, found, floor=task.floor, stamp=task.stamp)
    return found


def _content(task: Task) -> str:
    """Give the hash by which the micrograph's sampled pixels are drawn, where any are."""
    if int(task.preprocess.get("pixel_sampling", 1)) == 1:
        return ""
    with task.micrograph.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
