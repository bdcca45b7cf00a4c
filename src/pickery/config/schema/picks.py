"""Picks: how they are taken with a model, held against the truth, and turned from one format into another."""

from typing import Annotated, Literal

from pydantic import Field

from pickery.config.schema.base import File, Files, Folder, Place, Settings

PickFormat = Literal["star", "cs", "txt", "tsv", "csv", "box", "json", "cbox"]


class PickingGroup(Settings):
    """The model, what counts as a pick, and where picks go."""

    model: File | None = Field(
        None,
        description="A run's folder, its model.ckpt, a tracked run (runs:/ID), a registered model "
        "(models:/NAME@ALIAS or models:/NAME/VERSION), a Topaz .sav, or the name of one of Topaz's detectors "
        "(resnet16_u64). Required.",
    )
    out: Place | None = Field(
        None,
        description="Where the picks go. A name with one of the formats' endings is one file for all micrographs; any "
        "other is a folder with a file for each. Required.",
    )
    format: PickFormat | None = Field(
        None, description="Kind of file. null: as the ending of picking.out says, star for a folder."
    )
    threshold: Literal["best_f1"] | float = Field(
        "best_f1",
        description="Lowest score (logit) that is picked; best_f1: where the model's held-out F1 was best. -6 is "
        "Topaz's.",
    )
    extraction_radius: int | None = Field(
        None,
        ge=1,
        description="Distance within which only the best pick stays, regions. null: half of data.particle_diameter, or "
        "the model's without it. Filaments are not supported: picks along one would just keep this distance.",
    )
    margin: float = Field(0.0, ge=0, description="Width of the border in which nothing is picked, full-size pixels.")
    downsample: float | None = Field(
        None,
        ge=1,
        description="Factor by which micrographs shrink. null: the model's own; a model from Topaz knows none, and "
        "needs it.",
    )
    box_size: int | None = Field(
        None,
        ge=1,
        description="Side of the boxes in formats that have them, full-size pixels. null: 1.5 times the particle's "
        "diameter, or 3 times the extraction radius.",
    )
    pictures: Literal["all"] | Annotated[int, Field(ge=0)] = Field(
        0, description="Of how many micrographs, spread over all, to draw the picks on their image."
    )
    details: Folder | None = Field(
        None,
        description="Folder for what a picking leaves beside the picks: pictures, a table of the micrographs, and "
        "what was found at lower scores, so that another threshold or format takes no scoring. null: NAME_details, "
        "beside picking.out.",
    )
    skip_bad: bool = Field(
        False, description="Whether an unusable micrograph is left out and listed; false: it stops the program."
    )
    accelerator: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="Where to compute; auto: on a GPU if there is one."
    )
    workers: int = Field(
        1, ge=1, description="Processes that pick at once, each with its share of the cores or a GPU of its own."
    )
    threads: int | None = Field(None, ge=1, description="Compute threads of all processes. null: as torch chooses.")
    tile: int | None = Field(
        None,
        ge=16,
        description="Side of the squares that are scored at a time, regions: memory grows with it, and the picks do "
        "not depend on it. null: 1024.",
    )


class ScoreGroup(Settings):
    """Picks, the truth, and what counts as a hit."""

    picks: Files | None = Field(
        None, description="The picks of any program: a file, a folder of files, or a glob in quotes. Required."
    )
    truth: Files | None = Field(None, description="The true particles, likewise. Required.")
    radius: float | None = Field(
        None,
        gt=0,
        description="Distance below which a pick finds a particle, full-size pixels. Required, unless "
        "score.particle_diameter is given, whose half it then is.",
    )
    particle_diameter: float | None = Field(None, gt=0, description="Longest diameter of the particle, Å.")
    pixel_size: float | None = Field(None, gt=0, description="Pixel size, Å. null: as the micrographs or files say.")
    threshold: float | None = Field(
        None, description="Lowest score that counts as a pick. null: where F1 is best, all where there are no scores."
    )
    micrographs: Files | None = Field(
        None,
        description="The micrographs that count, all of them: picks where there is no true particle are then extra. "
        "null: those that the truth names; picks elsewhere are left out, as a missing label is not an absence. Either "
        "way particles of micrographs without picks are missed.",
    )
    coordinate_scale: float = Field(
        1.0, gt=0, description="Factor from the coordinates of score.picks to full-size pixels."
    )
    flip_y: bool = Field(False, description="Whether the y axis of score.picks points the other way.")
    truth_coordinate_scale: float = Field(1.0, gt=0, description="The same factor for score.truth.")
    truth_flip_y: bool = Field(False, description="Whether the y axis of score.truth points the other way.")
    out: Folder | None = Field(
        None,
        description="Folder for the plots and tables. null: scores/NAME-HASH, after score.picks and the settings.",
    )


class ConvertGroup(Settings):
    """What to convert, into what, and what neither file says."""

    source: Files | None = Field(
        None, description="The picks, or the model: the first word after the command. Required."
    )
    out: Place | None = Field(
        None,
        description="Where to write: the second word after the command. A name with a format's ending is one file; any "
        "other is a folder with a file for each micrograph. Required.",
    )
    source_format: PickFormat | None = Field(None, description="Kind of convert.source. null: as it looks.")
    out_format: PickFormat | None = Field(
        None, description="Kind of convert.out. null: as its ending says; a folder needs it."
    )
    micrographs: Files | None = Field(
        None,
        description="The micrographs, or a list of them (a CryoSPARC exposures .cs keeps its ids): for formats that "
        "need their sizes, paths or ids.",
    )
    coordinate_scale: float = Field(
        1.0, gt=0, description="Factor from the coordinates of convert.source to full-size pixels."
    )
    flip_y: bool = Field(False, description="Whether the y axis of convert.source points the other way.")
    out_coordinate_scale: float = Field(
        1.0,
        gt=0,
        description="Factor from the coordinates of convert.out to full-size pixels: 8 to write those of "
        "micrographs shrunk by 8.",
    )
    out_flip_y: bool = Field(False, description="Whether the y axis of convert.out is to point the other way.")
    threshold: float | None = Field(None, description="Lowest score that is kept. null: all.")
    box_size: int | None = Field(
        None, ge=1, description="Side of the boxes in formats that have them, full-size pixels. null: as in the source."
    )
    pixel_size: float | None = Field(None, gt=0, description="Pixel size, Å. null: as the files say.")
    downsample: float | None = Field(
        None,
        ge=1,
        description="Factor by which micrographs shrink for the model, to be kept in a model.ckpt made of a Topaz "
        "model, which knows none.",
    )
    topaz_0_3: bool | None = Field(
        None,
        description="Whether the Topaz that is to read the model is of version 0.3.0 or later, which names its parts "
        "otherwise. null: as convert.topaz_python is, 0.2 without it.",
    )
    topaz_python: File | None = Field(
        None,
        description="The python of an installed Topaz, which then reads a model written for it and scores an image: "
        "its scores must be those of the model here.",
    )
