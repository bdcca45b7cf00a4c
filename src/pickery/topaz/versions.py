"""What is known of Topaz's versions: what each gets wrong, and what is done about it here. Knows no settings."""

from __future__ import annotations

from collections.abc import Iterator

from pickery.data.regions import disc_size
from pickery.topaz.program import TopazProgram

TRIED = ((0, 2, 5), (0, 3, 20))
"""The oldest and the newest version that this was tried with."""


def warnings(program: TopazProgram, *, workers: int) -> Iterator[str]:
    """Say what the version gets wrong, each time whether it is corrected here.

    Parameters
    ----------
    program
        The program.
    workers
        Loader processes asked for.
    """
    oldest, newest = TRIED
    if not oldest <= program.number <= newest:
        known = " to ".join(".".join(map(str, number)) for number in TRIED)
        yield f"{program.name} has not been tried with Pickery, only {known}: compare its figures with a native run's"
    if counts_discs_wrongly(program):
        yield (
            f"{program.name} counts the regions of a disc once for each of its 2r+1 rows, so that pi and the labelled "
            "fraction are several times too large: corrected by a pi that makes up for it and in the figures shown. It "
            "ignores --k-fold, --fold, --format and --image-ext, and fails on integer images, PNG and TIFF: the split, "
            "the picks and float32 micrographs are given by Pickery"
        )
    if (0, 3, 19) <= program.number <= (0, 3, 20):
        yield f"{program.name} draws the same unlabeled regions in every epoch: this cannot be corrected"
    if workers and counts_discs_wrongly(program):
        why = "draw the same regions as each other" if program.number >= (0, 3, 19) else "are ignored"
        yield f"sampler.workers={workers}: the loader processes of {program.name} {why}; it is given none"


def counts_discs_wrongly(program: TopazProgram) -> bool:
    """Whether it counts the regions of a disc once for each of its rows."""
    return (0, 3, 0) <= program.number <= (0, 3, 20)


def loader_workers(program: TopazProgram, asked: int) -> int:
    """Give the number of loader processes that do no harm."""
    return 0 if counts_discs_wrongly(program) else asked


def pi_to_give(
    program: TopazProgram, *, is_ge: bool, pi: float, objective_pi: float, picks: int, radius: int, regions: int
) -> float:
    """Give the pi with which the program's objective becomes the one meant.

    For a GE objective Topaz takes the fraction that it believes labelled from the pi it is given. Where it believes
    too much, as much is added.

    Parameters
    ----------
    program
        The program.
    is_ge
        Whether the objective is a GE one.
    pi
        The expected fraction of positive regions.
    objective_pi
        The pi with which the objective should be built: for a GE objective, that among the unlabeled regions.
    picks, regions
        Training picks, and regions of all training micrographs.
    radius
        Of the discs, regions.
    """
    if not is_ge:
        return objective_pi
    if not counts_discs_wrongly(program):
        return pi
    return objective_pi + believed_observed(program, picks=picks, radius=radius, regions=regions)


def believed_observed(program: TopazProgram, *, picks: int, radius: int, regions: int) -> float:
    """Give the fraction of regions that the program believes labelled positive, where discs do not overlap."""
    rows = 2 * radius + 1 if counts_discs_wrongly(program) else 1
    return picks * disc_size(radius) * rows / regions
