"""A look at some raw micrographs before anything is prepared: whether the picks sit on particles."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pickery.config.schema import TrainConfig
from pickery.errors import InputError
from pickery.formats.files import natural_key
from pickery.formats.frame import Frame
from pickery.formats.micrographs import MicrographFile, read_micrograph
from pickery.placement.count import Estimate, estimate
from pickery.placement.rings import Surroundings, surroundings
from pickery.placement.verdict import Verdict, judge
from pickery.placement.words import mending, sentence
from pickery.sharing import usable_cores
from pickery.training.left_out import Points
from pickery.training.listener import Listener

FEWEST, MOST = 4, 24
"""Micrographs that are looked at: as many as hold enough picks."""
ENOUGH_PICKS = 500


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen.

    Attributes
    ----------
    verdict
        Whether the picks sit on particles.
    around
        Micrograph's name → its surroundings, of those looked at.
    unreadable
        Micrograph's name → why it could not be looked at.
    """

    verdict: Verdict
    around: Mapping[str, Surroundings]
    unreadable: Mapping[str, str]


def to_look_at(counts: Mapping[str, int]) -> list[str]:
    """Choose micrographs, spread evenly over those with picks, the fewest that hold enough of them."""
    picked = sorted((name for name, count in counts.items() if count), key=natural_key)
    chosen: list[str] = []
    for number in range(min(FEWEST, len(picked)), min(MOST, len(picked)) + 1):
        chosen = [picked[(2 * index + 1) * len(picked) // (2 * number)] for index in range(number)]
        if sum(counts[name] for name in chosen) >= ENOUGH_PICKS:
            break
    return chosen


def look(
    files: Sequence[MicrographFile],
    coordinates: Points,
    frame: Frame,
    *,
    factors: Iterable[float] = (),
    listener: Listener,
) -> Look:
    """Look at micrographs.

    Parameters
    ----------
    files
        Those to look at; they are read in full.
    coordinates
        Micrograph's name → x and y of its picks as their file has them.
    frame
        How the settings say that these are read.
    factors
        Scales that are worth a try beside powers of two.
    listener
        Told that this is going on.
    """
    listener.working("looking whether the picks sit on particles")
    around: dict[str, Surroundings] = {}
    unreadable: dict[str, str] = {}
    # reading and the transforms let other threads work
    with ThreadPoolExecutor(min(4, usable_cores())) as pool:
        waiting = [(file.name, pool.submit(_around, file)) for file in files]
        for name, future in waiting:
            try:
                around[name] = future.result()
            except InputError as error:
                unreadable[name] = str(error)
    return Look(judge(coordinates, around, frame, factors), around, unreadable)


def _around(file: MicrographFile) -> Surroundings:
    return surroundings(read_micrograph(file.path))


def check_picks(config: TrainConfig, seen: Look, listener: Listener) -> None:
    """Refuse picks that clearly sit elsewhere; a warning with ``data.check_picks=false``.

    Raises
    ------
    InputError
        The picks fit far better mirrored, swapped, scaled or moved.
    """
    better = seen.verdict.better
    if better is None:
        if seen.verdict.kind in ("unclear", "outside"):
            listener.warn(f"{sentence(seen.verdict)}; pickery doctor draws them")
        return
    words = f"{sentence(seen.verdict)}: give {shlex.join(mending(seen.verdict.given.frame, better.frame))}"
    if config.data.check_picks:
        raise InputError(
            f"{words}. pickery doctor with the same settings draws both; data.check_picks=false trains on them all the "
            "same."
        )
    listener.warn(f"{words}; trained on as they are, since data.check_picks=false")


def check_held_out_picks(config: TrainConfig, seen: Look, listener: Listener) -> None:
    """Do as `check_picks` with picks given apart, ``data.test_picks``.

    Raises
    ------
    InputError
        They fit far better mirrored, swapped, scaled or moved.
    """
    fault = held_out_fault(seen)
    if fault is None:
        if seen.verdict.kind in ("unclear", "outside"):
            listener.warn(f"data.test_picks: {sentence(seen.verdict)}")
        return
    if config.data.check_picks:
        raise InputError(f"{fault}. data.check_picks=false judges by them all the same.")
    listener.warn(f"{fault}; judged by as they are, since data.check_picks=false")


def held_out_fault(seen: Look) -> str | None:
    """Say that picks given apart sit elsewhere; None if they do not. No setting turns them without the others."""
    better = seen.verdict.better
    if better is None:
        return None
    mend = shlex.join(mending(seen.verdict.given.frame, better.frame))
    return (
        f"data.test_picks: {sentence(seen.verdict)}. {mend} would hold for data.picks too: write both files of picks "
        "alike (pickery convert)"
    )


def estimate_particles(
    config: TrainConfig, seen: Look, coordinates: Points, pixel_size_angstrom: float | None, listener: Listener
) -> Estimate:
    """Estimate the particles in a micrograph, and say how sure that is.

    Raises
    ------
    InputError
        The pixel size is not known, or there are too few picks.
    """
    diameter = config.data.particle_diameter
    assert diameter is not None, "a rule of the settings"
    if pixel_size_angstrom is None:
        raise InputError(
            "data.expected_particles=auto counts particles a diameter apart, and nothing says the pixel size of the "
            "micrographs: give data.pixel_size"
        )
    found = estimate(
        coordinates,
        seen.around,
        seen.verdict.given.frame,
        diameter_px=diameter / pixel_size_angstrom,
        seed=config.seed,
    )
    if found is None:
        raise InputError(
            "data.expected_particles=auto cannot be told from so few picks: count the particles of two or three "
            "micrographs and give their mean as data.expected_particles"
        )
    listener.say(
        f"data.expected_particles=auto: {in_words(found)}. What looks like the picked ones was counted; faint "
        "particles that nobody picks are missed, and look-alikes are not."
    )
    return found


def in_words(found: Estimate) -> str:
    """Say an estimate."""
    return (
        f"about {found.particles:.0f} particles in a micrograph (nine times in ten from {found.lowest:.0f} to "
        f"{found.highest:.0f}; {found.picks:.3g} picks in each of {found.micrographs} looked at)"
    )
