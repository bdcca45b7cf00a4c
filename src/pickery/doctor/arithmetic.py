"""What sizes and numbers imply: the particle against the patch, the labels against what is expected."""

from __future__ import annotations

import numpy as np

from pickery.config.schema import TrainConfig
from pickery.data.regions import disc_size
from pickery.doctor.files import Micrographs, Picks
from pickery.doctor.findings import Report
from pickery.errors import InputError
from pickery.loss.prior import GE_OBJECTIVES, choose_objective, expected_pi
from pickery.model.picker import receptive_field
from pickery.preprocess.fourier import downsampled_shape
from pickery.training.images import check_sizes, image_side
from pickery.training.sizes import Following, radius_for, say_chosen

WIDEST = 0.65
"""Share of a patch that a particle may fill: about half is what the field advises."""
NARROWEST = 0.15
"""Share below which most of a patch is background."""


def sizes(following: Following, found: Micrographs, report: Report) -> None:
    """Hold the particle's size against what the network sees."""
    config = following.config
    factor, radius = config.preprocess.factor, config.data.disc_radius
    field = receptive_field(config.model.architecture, config.model.pooling)
    pixel_size, diameter = found.pixel_size_angstrom, config.data.particle_diameter
    shapes = {name: downsampled_shape(shape, factor) for name, shape in found.shapes.items()}
    rows, columns = np.median(list(shapes.values()), axis=0)
    facts = report.facts["sizes"] = {
        "downsample": factor,
        "prepared": [int(columns), int(rows)],
        "receptive_field": field,
        "radius": radius,
        "particle_diameter_angstrom": diameter,
        "chosen": dict(following.chosen),
    }
    if following.chosen:
        report.say("sizes", *say_chosen(config, pixel_size, following.chosen))
    heading = "" if following.chosen else "sizes"
    seen = f"{config.model.architecture} sees {field} × {field} regions"
    if pixel_size is not None:
        seen += f", {field * factor * pixel_size:.0f} Å"
    report.say(heading, f"shrunk by {factor:g} to {columns:.0f} × {rows:.0f} regions; {seen}; discs of radius {radius}")
    try:
        check_sizes(config, shapes.items(), image_side(config))
    except InputError as error:
        report.fault("sizes", str(error))
    if diameter is None:
        report.advise(
            "sizes",
            "how large the particle is in the patch cannot be told. With its diameter downsampling, radii and model "
            "follow",
            "data.particle_diameter=DIAMETER",
        )
        return
    if pixel_size is None:
        report.advise("sizes", "the diameter is in Å, and no pixel size is known", "data.pixel_size=SIZE")
        return
    across = diameter / (pixel_size * factor)
    facts["particle_diameter_regions"] = across
    share = across / field
    report.say("", f"a particle of {diameter:g} Å is {across:.0f} regions wide, {100 * share:.0f} % of what is seen")
    right = float(max(1, round(2 * diameter / (pixel_size * field))))  # half of what this network sees
    if (share > WIDEST and right > factor) or (share < NARROWEST and right < factor):
        much = "more" if share > WIDEST else "far less"
        report.advise(
            "sizes",
            f"the particle fills {much} than half of what the network sees ({100 * share:.0f} %)",
            f"preprocess.downsample={right:g}",
        )
    if 2 * radius + 1 > max(3.0, across):
        report.advise(
            "sizes",
            f"the labelled discs ({2 * radius + 1} regions) are wider than the particle ({across:.0f})",
            f"data.radius={radius_for(diameter, pixel_size, factor)}",
        )


def particles(config: TrainConfig, found: Micrographs, picked: Picks, report: Report) -> None:
    """Hold the labels against the particles that are expected."""
    expected = config.data.expected_particles
    counts = picked.counts
    if config.data.unpicked == "drop":
        counts = {name: count for name, count in counts.items() if count}
    mean = float(np.mean(list(counts.values())))
    if expected is None:
        report.fault(
            "particles",
            "data.expected_particles is missing, the particles actually present in a micrograph, labelled or not "
            f"({mean:.3g} are labelled). Count them in two or three micrographs",
            "data.expected_particles=NUMBER",
        )
        return
    if expected == "auto" or report.has_fault("sizes"):
        return  # what could not be counted, or measured, has been said
    regions = sum(int(np.prod(downsampled_shape(found.shapes[name], config.preprocess.factor))) for name in counts)
    disc = disc_size(config.data.disc_radius)
    observed = disc * sum(counts.values()) / regions
    try:
        pi = expected_pi(expected, len(counts), disc, regions)
    except InputError as error:
        report.fault("particles", str(error))
        return
    kept = config.data.picks_per_micrograph
    trained = float(np.mean([min(count, kept or count) for count in counts.values()]))
    choice = choose_objective(
        config.loss.objective,
        pi=pi,
        observed=observed * trained / max(mean, 1e-12),
        expected_particles=expected,
        mean_picks=trained,
    )
    report.facts["particles"] = {
        "expected": expected,
        "labelled": mean,
        "pi": pi,
        "observed": choice.observed,
        "objective": choice.used,
    }
    report.say(
        "particles",
        f"{expected:g} expected and {trained:.3g} labelled in a micrograph: {100 * trained / expected:.0f} % of them",
        f"pi {pi:.4g}: one region in {1 / pi:.0f} lies on a particle; {choice.observed:.4g} are labelled",
    )
    if choice.used in GE_OBJECTIVES:
        hidden = (pi - choice.observed) / (1 - choice.observed)
        report.say("", f"{config.loss.objective} expects {100 * hidden:.2g} % of the unlabeled regions to be positive")
    if choice.warning:
        # more picks than particles: what is counted is wrong, or what is picked
        busiest = max(counts.values())
        report.advise("particles", choice.warning, f"data.expected_particles={max(mean * 1.2, busiest):.0f}")
    elif pi > 0.3:
        report.advise(
            "particles",
            f"{100 * pi:.0f} % of all regions would be positive, which leaves little background to learn from: is "
            "data.radius too large, or data.expected_particles too high?",
        )
