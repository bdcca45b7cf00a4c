"""What a picking says at its beginning and end."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import torch

from pickery.decimals import word
from pickery.picking.audience import Audience
from pickery.picking.choices import Choices
from pickery.picking.model import PickingModel


def introduce(model: PickingModel, choices: Choices, *, micrographs: int, kept: int, audience: Audience) -> None:
    """Say what is about to be done, and with what."""
    audience.head(f"picking {micrographs} micrograph{'' if micrographs == 1 else 's'}")
    audience.say(f"  model      {model.description}")
    settings = choices.preprocess
    audience.say(f"  pixels     shrunk by {word(float(settings['downsample']))}, normalised ({settings['method']})")
    audience.say(f"  threshold  {threshold_words(choices)}")
    audience.say(f"  radius     {radius_words(choices)}")
    if kept:
        audience.say(f"  {kept} of the micrographs have been scored before and are not scored again")


def say_of_gpus(device: torch.device, workers: int, audience: Audience) -> None:
    """Say how to use all GPUs, where some would lie idle."""
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if count > workers:
        audience.say(f"  {count} GPUs are there, of which {workers} work: picking.workers={count} takes all of them")


def threshold_words(choices: Choices) -> str:
    """Say the threshold and where it comes from."""
    return f"{choices.threshold:.4g} ({choices.threshold_from})"


def radius_words(choices: Choices) -> str:
    """Say the extraction radius and where it comes from."""
    pixels = choices.extraction_radius * choices.factor
    size = f"{pixels:.0f} px"
    if choices.pixel_size_angstrom is not None:
        size += f", {pixels * choices.pixel_size_angstrom:.0f} Å"
    return f"{choices.extraction_radius} regions = {size} ({choices.radius_from})"


def conclude(
    counts: Sequence[int],
    choices: Choices,
    *,
    out: Path,
    kind: str,
    files: Sequence[Path],
    lost: Sequence[str],
    details: Path,
    pictures: int,
    with_ids: bool,
    audience: Audience,
) -> None:
    """Say what was picked, where it is, and how to go on.

    Parameters
    ----------
    counts
        Picks of each micrograph.
    choices
        How they were picked.
    out
        Where they were written.
    kind
        Ending of their files, without its dot.
    files
        Those that were written.
    lost
        What they could not hold.
    details
        Folder of the rest.
    pictures
        How many pictures are in it.
    with_ids
        Whether CryoSPARC's ids of the micrographs are known.
    audience
        Hears it.
    """
    total = sum(counts)
    picks = f"{total} pick{'' if total == 1 else 's'}"
    on = f"{len(counts)} micrograph{'' if len(counts) == 1 else 's'}"
    audience.head(f"{picks} on {on}, {total / len(counts):.1f} on average")
    empty = sum(count == 0 for count in counts)
    if total == 0:
        audience.warn(
            f"nothing scores {choices.threshold:.4g} or more: lower picking.threshold (which takes no scoring again), "
            "or see whether picking.downsample and the model suit these micrographs"
        )
    elif empty:
        audience.say(f"  {empty} micrographs have none (see micrographs.csv)")
    audience.say(f"  threshold  {threshold_words(choices)}")
    audience.say(f"  radius     {radius_words(choices)}")
    several = f" ({len(files)} files)" if len(files) > 1 else ""
    audience.say(f"  picks      {out}{several}")
    audience.say(f"  details    {details} (micrographs.csv{', pictures' if pictures else ''}, candidates)")
    if lost:
        audience.say(f"  not kept in a {kind} file: {'; '.join(lost)}")
    if total:
        for line in how_to_go_on(out, kind, files, choices, with_ids=with_ids):
            audience.say(line)


def how_to_go_on(out: Path, kind: str, files: Sequence[Path], choices: Choices, *, with_ids: bool) -> list[str]:
    """Say which jobs of other programs take the picks, and how to judge them."""
    one_file = list(files) == [out]
    lines = []
    if kind == "star" and one_file:
        lines.append(f"CryoSPARC: Import Particle Stack takes {out}, its micrographs imported beforehand")
        lines.append("RELION: Extract takes a file for each micrograph; picking.out=FOLDER writes those and their list")
    elif kind == "star":
        lines.append(f"RELION: Extract takes {files[-1]} as its input coordinates")
    elif kind == "cs" and with_ids:
        lines.append(f"CryoSPARC: Import Result Group or cryosparc-tools take {out}, which has its own ids")
    elif kind == "cs":
        lines.append(
            "CryoSPARC joins picks and micrographs by ids, which its exposures have: "
            "data.micrographs=[FOLDER,EXPOSURES.cs] keeps them, and takes no scoring again"
        )
    elif kind == "box":
        lines.append("RELION: Import (2D micrograph coordinates) and EMAN's e2boxer take these files")
    radius = round(choices.extraction_radius * choices.factor)
    picks = str(out) if one_file or kind != "star" else str(files[-1])
    lines.append(
        f"against known particles: pickery score {shlex.join([f'score.picks={picks}'])} "
        f"score.truth=TRUTH score.radius={radius}"
    )
    return lines
