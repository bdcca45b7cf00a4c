"""The rules of picking, scoring and converting: what each lacks, and what cannot go together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

from pickery.config.rules_training import MICROGRAPHS
from pickery.config.schema import ConvertConfig, PickConfig, ScoreConfig
from pickery.config.schema.picks import PickFormat

MODEL_ENDINGS = (".ckpt", ".sav")
WITH_BOXES = ("box", "cbox")
OF_MODELS = ("downsample", "topaz_0_3", "topaz_python")


def picking(config: PickConfig) -> Iterator[str]:
    """Say what a picking lacks."""
    if config.picking.model is None:
        yield "picking.model is missing: give a run's folder, a model.ckpt, a Topaz .sav or the name of a detector."
    if config.data.micrographs is None:
        yield f"data.micrographs is missing: {MICROGRAPHS}"
    if config.picking.out is None:
        yield "picking.out is missing: give a file such as picking.out=picks.star, or a folder."


def score(config: ScoreConfig) -> Iterator[str]:
    """Say what a scoring lacks."""
    for name in ("picks", "truth"):
        if getattr(config.score, name) is None:
            yield f"score.{name} is missing: give a file, a folder of files, or a glob in quotes."
    if config.score.radius is None and config.score.particle_diameter is None:
        yield "score.radius is missing: give it in pixels, or the particle's diameter as score.particle_diameter."


def convert(config: ConvertConfig) -> Iterator[str]:
    """Say what a conversion lacks."""
    if config.convert.source is None or config.convert.out is None:
        yield "two names are needed, what to convert and where to: pickery convert IN OUT."


def picking_without_effect(config: PickConfig) -> dict[str, str]:
    """Give the settings of a picking that do nothing beside the others, each with the reason."""
    given = config.picking
    found: dict[str, str] = {}
    model = given.model or ""
    if re.match(r"runs:|models:|[0-9a-f]{32}$", model) is None:
        found |= dict.fromkeys(("tracking.root", "tracking.uri"), f"with picking.model={model}, which is not tracked")
    elif config.tracking.uri is not None:
        found["tracking.root"] = f"with tracking.uri={config.tracking.uri}"
    kind = given.format or (given.out or "").rpartition(".")[2].lower()
    boxed = kind in WITH_BOXES
    if not boxed:
        found["picking.box_size"] = f"in files without boxes: those that have them are {', '.join(WITH_BOXES)}"
    if given.extraction_radius is not None and (given.box_size is not None or not boxed):
        found["data.particle_diameter"] = (
            f"with picking.extraction_radius={given.extraction_radius}, which it would have set"
        )
    return found


def score_without_effect(config: ScoreConfig) -> dict[str, str]:
    """Give the settings of a scoring that do nothing beside the others, each with the reason."""
    if config.score.radius is not None:
        return {"score.particle_diameter": "with score.radius, which it would have set"}
    return {}


def convert_without_effect(config: ConvertConfig) -> dict[str, str]:
    """Give the settings of a conversion that do nothing beside the others, each with the reason."""
    given = config.convert
    if given.out is not None and given.out.lower().endswith(MODEL_ENDINGS):
        ours, why = OF_MODELS, f"with convert.out={given.out}, a model: picks have it"
        names = [name for name in type(given).model_fields if name not in ours and name not in ("source", "out")]
        found = {f"convert.{name}": why for name in names}
        if given.out.lower().endswith(MODEL_ENDINGS[0]):
            why = f"with convert.out={given.out}, which Topaz does not read"
            found |= {"convert.topaz_0_3": why, "convert.topaz_python": why}
        else:
            found["convert.downsample"] = f"with convert.out={given.out}, which has no place for it"
        return found
    return {f"convert.{name}": "with picks: models have it" for name in OF_MODELS} | dict(_without_place(config))


def _without_place(config: ConvertConfig) -> Iterator[tuple[str, str]]:
    """Give the settings for what the format of the picks to be written has no place for."""
    out, format = config.convert.out or "", config.convert.out_format
    by_name = out.rpartition(".")[2].lower()
    one_file = by_name in get_args(PickFormat)
    kind = by_name if one_file else format
    why = f"with convert.out={out}, files of the kind .{kind}: they have no place for it"
    if kind is not None and kind not in WITH_BOXES:
        yield "convert.box_size", why
    if kind is not None and kind != "cs" and not (kind == "star" and one_file):
        yield "convert.pixel_size", why
    if kind == "cs":
        yield "convert.out_coordinate_scale", "with fractions of a micrograph, which a .cs holds"
