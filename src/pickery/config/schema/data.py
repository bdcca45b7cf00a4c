"""Which micrographs and picks, how they are split, and how micrographs are prepared."""

from typing import Annotated, Literal

from pydantic import Field

from pickery.config.schema.base import Files, Folder, Offset, Parts, Settings

OF_FILES = (
    "micrographs",
    "picks",
    "negatives",
    "masks",
    "test_micrographs",
    "test_picks",
    "ignore_in_names",
    "coordinate_scale",
    "swap_xy",
    "flip_x",
    "flip_y",
    "offset",
    "check_picks",
    "pixel_size",
)
"""Settings of the group `data` that say which files there are and how they are meant."""


class MicrographsGroup(Settings):
    """The micrographs to prepare."""

    micrographs: Files | None = Field(
        None,
        description="The micrographs: a folder, a glob in quotes, a list file (.txt, .csv, .star, .cs), one file, or a "
        "list of these.",
    )


class _Specimen(Settings):
    masks: Files | None = Field(
        None,
        description="Areas to leave out of everything (carbon, ice, gold): images in which they are not 0, or polygons "
        "in a table; a file, a folder, or a glob in quotes.",
    )
    particle_diameter: float | None = Field(
        None,
        gt=0,
        description="Longest diameter of the particle, Å. It sets preprocess.downsample, data.radius, "
        "evaluation.extraction_radius and the model where they are left open.",
    )
    pixel_size: float | None = Field(
        None, gt=0, description="Pixel size of the full-size micrographs, Å. null: as their headers say."
    )


# the second base gives its fields first
class SpecimenGroup(_Specimen, MicrographsGroup):
    """Micrographs, what of them is left out, and the particle's size."""


class _Labels(MicrographsGroup):
    source: Literal["files", "simulated"] = Field(
        "files",
        description="Where the data come from. Chosen by data=files or data=simulated; data=files is taken by itself "
        "as soon as data.micrographs or data.picks is given.",
    )
    picks: Files | None = Field(
        None,
        description="The labelled particle centres: a file, a folder of files, or a glob in quotes. The kind by "
        "the ending.",
    )
    negatives: Files | None = Field(
        None,
        description="Positions known to hold no particle, in the same formats as data.picks: on training micrographs "
        "the regions within data.radius of them are negative.",
    )
    expected_particles: Annotated[float, Field(gt=0)] | Literal["auto"] | None = Field(
        None,
        description="Average number of particles actually present in one micrograph, labelled or not. Required: "
        "count them in two or three micrographs and take the mean, leaving out what data.masks leaves out. It sets "
        "pi, and must be above the mean number of picks for a GE objective. auto: estimated from how the picks stand "
        "out, which needs data.particle_diameter; the estimate and its uncertainty are shown.",
    )
    radius: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="Regions (pixels of the downsampled micrograph) within this distance of a pick are positive. "
        "null: an eighth of data.particle_diameter, or 3 without it.",
    )
    test_fraction: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of the picked micrographs held out, to choose the best epoch. 0 is not recommended: "
        "training figures would then choose it.",
    )
    test_micrographs: Files | None = Field(
        None, description="Micrographs held out, given apart; data.test_fraction is then not used."
    )
    test_picks: Files | None = Field(None, description="The picks of data.test_micrographs.")
    folds: int | None = Field(
        None,
        ge=2,
        description="Number of folds of which one, data.fold, is held out instead of data.test_fraction; pickery "
        "cross-validate sets both itself.",
    )
    fold: int | None = Field(None, ge=0, description="The fold held out, 0 for the first.")
    picks_per_micrograph: int | None = Field(
        None,
        ge=1,
        description="Train on no more than this many picks of each micrograph, drawn at random; held-out micrographs "
        "keep all of theirs. null: all.",
    )
    unpicked: Literal["keep", "drop"] = Field(
        "keep",
        description="What becomes of micrographs without picks: keep them as unlabeled training data, or drop them "
        "(when nobody looked at them; one with data.negatives stays).",
    )
    ignore_in_names: Parts | None = Field(
        None,
        description="Parts of names that do not count when picks and micrographs are matched by name, such as "
        "_DW or [_patch_aligned,FoilHole_].",
    )
    check_picks: bool = Field(
        True,
        description="Whether the picks are looked at on some of the micrographs before a training starts, and refused "
        "where they fit far better mirrored, scaled, swapped or moved; false: that is a warning.",
    )
    coordinate_scale: float = Field(
        1.0,
        gt=0,
        description="Factor from the picks' coordinates to full-size pixels: 4 for picks made on micrographs binned "
        "by 4.",
    )
    swap_xy: bool = Field(False, description="Whether the picks have y where x belongs, and the reverse.")
    flip_x: bool = Field(False, description="Whether the picks' x axis points the other way, once swapped.")
    flip_y: bool = Field(False, description="Whether the picks' y axis points the other way, once swapped.")
    offset: Offset = Field(
        (0.0, 0.0),
        description="What is added last to the picks' coordinates, x and y in full-size pixels: half a box, for picks "
        "that are corners.",
    )


class DataGroup(_Specimen, _Labels):
    """Micrographs, picks, and what is held out."""

    @property
    def disc_radius(self) -> int:
        """The radius of the labelled disc, once it is settled."""
        assert self.radius is not None, "settled before anything is trained"
        return self.radius

    @property
    def particles(self) -> float:
        """The expected particles, once they are settled."""
        assert isinstance(self.expected_particles, (int, float)), "settled before anything is trained"
        return self.expected_particles


class PreprocessGroup(Settings):
    """Downsampling and normalisation."""

    downsample: Annotated[float, Field(ge=1)] | None = Field(
        None,
        description="Factor by which micrographs shrink; need not be whole. Choose it so that a particle is at most "
        "about half a patch wide (35 regions for resnet8): 16 suits 7676 x 7420 pixels, 4 to 8 most others. null: so, "
        "by data.particle_diameter, and at least 4; 16 without it.",
    )
    method: Literal["gmm", "affine"] = Field(
        "gmm",
        description="Normalisation: by the background of a two-component Gaussian mixture, or by plain mean and "
        "standard deviation.",
    )
    pixel_sampling: int = Field(
        1, ge=1, description="Fit the mixture to one pixel in this many. 1, all, costs little here (method=gmm)."
    )
    iterations: int = Field(100, ge=1, description="Most EM steps of the mixture's fit (method=gmm).")
    workers: int = Field(
        4, ge=0, description="Processes that prepare micrographs, four or more recommended; below 2 means one."
    )
    write_mrc: bool = Field(False, description="Whether the prepared micrographs are also written as MRC files.")
    skip_bad: bool = Field(
        False, description="Whether an unusable micrograph is left out and listed; false: it stops the program."
    )
    store: Folder = Field("prepared", description="Folder that keeps prepared micrographs, found again by content.")

    @property
    def factor(self) -> float:
        """The downsampling, once it is settled."""
        assert self.downsample is not None, "settled before anything is prepared"
        return self.downsample
