"""The expected fraction of positive regions, and which objective it allows."""

from dataclasses import dataclass

from pickery.errors import InputError

GE_OBJECTIVES = ("ge_kl", "ge_binomial")


def expected_pi(expected_particles: float, micrographs: int, disc_size: int, regions: int) -> float:
    """Return the expected fraction of positive regions.

    Parameters
    ----------
    expected_particles
        Expected particles per micrograph.
    micrographs
        Number of training micrographs.
    disc_size
        Positive regions per particle: regions in a disc of the training radius.
    regions
        Regions of all training micrographs together.

    Raises
    ------
    InputError
        If the discs of that many particles would cover everything.
    """
    pi = expected_particles * micrographs * disc_size / regions
    if not pi > 0:
        raise InputError(f"data.expected_particles={expected_particles:g} must be above 0.")
    if pi >= 1:
        raise InputError(
            f"data.expected_particles={expected_particles:g} particles of {disc_size} regions each (data.radius) are "
            f"more than the {regions / micrographs:.0f} regions of a micrograph: lower data.expected_particles or "
            f"data.radius, or downsample less (preprocess.downsample)."
        )
    return pi


@dataclass(frozen=True)
class ObjectiveChoice:
    """The objective that is used in place of the one asked for.

    Attributes
    ----------
    asked, used
        Names of objectives.
    pi
        Expected fraction of positive regions.
    observed
        Fraction of regions that are labelled positive.
    objective_pi
        The pi that the used objective is built with.
    warning
        What the user should know, or None.
    """

    asked: str
    used: str
    pi: float
    observed: float
    objective_pi: float
    warning: str | None


def choose_objective(
    asked: str, *, pi: float, observed: float, expected_particles: float, mean_picks: float
) -> ObjectiveChoice:
    """Choose the objective and its pi.

    GE objectives are about the positives among the unlabeled regions: `pi - observed`. With none left there (pi ≤
    observed) PN takes their place, with pi = observed. PN and PU keep their pi, with a warning.

    Parameters
    ----------
    asked
        The objective set.
    pi, observed
        Expected fraction of positive regions, and fraction labelled positive.
    expected_particles, mean_picks
        Expected particles and mean number of picks per training micrograph, for the warning.
    """
    exhausted = pi <= observed
    is_ge = asked in GE_OBJECTIVES
    numbers = (
        f"data.expected_particles={expected_particles:g} gives pi = {pi:.6g}, which is not above the fraction of "
        f"regions that the picks already label positive, {observed:.6g} ({mean_picks:.4g} picks per training "
        f"micrograph)"
    )
    if not exhausted:
        return ObjectiveChoice(asked, asked, pi, observed, pi - observed if is_ge else pi, None)
    if is_ge:
        warning = f"{numbers}: {asked} leaves no positives to be found, so pn is used with pi = {observed:.6g}."
        return ObjectiveChoice(asked, "pn", pi, observed, observed, warning)
    warning = f"{numbers}: {asked} keeps this pi; is data.expected_particles too low?"
    return ObjectiveChoice(asked, asked, pi, observed, pi, warning)
