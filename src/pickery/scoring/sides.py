"""Picks and truth brought side by side, micrograph by micrograph: what counts, and what is left out and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickery.config.schema import ScoreGroup
from pickery.errors import InputError
from pickery.formats.assignment import AssignedPicks, match_names
from pickery.formats.contract import PickTable
from pickery.formats.files import natural_key
from pickery.formats.frame import Frame
from pickery.formats.micrographs import MicrographFile, find_micrographs, read_header
from pickery.formats.pairing import named_micrographs, pair_picks
from pickery.formats.picks import read_picks

Points = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Sides:
    """Picks and true particles of the micrographs that count.

    Attributes
    ----------
    names
        Of the micrographs, in natural order.
    picks, scores, truth
        By name: (x, y) in full-size pixels, (n, 2); (n,); (m, 2).
    ranked
        Whether the picks have scores that put them in an order.
    shapes
        By name, (rows, columns), of those whose size is known.
    pixel_size_angstrom
        None where nothing says.
    remarks
        What was left out, and what else a person should know, in sentences.
    """

    names: tuple[str, ...]
    picks: Points
    scores: Points
    truth: Points
    ranked: bool
    shapes: Mapping[str, tuple[int, int]]
    pixel_size_angstrom: float | None
    remarks: tuple[str, ...]

    @property
    def unpicked(self) -> list[str]:
        """The micrographs without any pick."""
        return [name for name in self.names if len(self.picks[name]) == 0]


def gather(settings: ScoreGroup) -> Sides:
    """Read both sides and put them together.

    Without ``score.micrographs`` the micrographs that count are those that the truth names: picks elsewhere are left
    out, since a missing label is not an absence, and a micrograph without picks has all its particles missed. With it,
    all micrographs given count: those without a true particle hold none.

    Raises
    ------
    InputError
        Something cannot be read, no names fit, picks have scores in part, or all of one side lies outside.
    """
    assert settings.picks is not None
    assert settings.truth is not None
    picks = read_picks(settings.picks, setting="score.picks", may_be_empty=True)
    truth = read_picks(settings.truth, setting="score.truth")
    if settings.micrographs is None:
        names = sorted(dict.fromkeys(truth.micrograph), key=natural_key)
        micrographs = named_micrographs(names, setting="score.truth")
    else:
        micrographs = find_micrographs(settings.micrographs, setting="score.micrographs")
    shapes, pixel_sizes = _known(micrographs, (picks, truth), headers=settings.micrographs is not None)
    found = pair_picks(
        picks,
        micrographs,
        shapes,
        frame=Frame(settings.coordinate_scale, flip_y=settings.flip_y),
        setting="score.picks",
        prefix="score.",
    )
    wanted = pair_picks(
        truth,
        micrographs,
        shapes,
        frame=Frame(settings.truth_coordinate_scale, flip_y=settings.truth_flip_y),
        setting="score.truth",
        prefix="score.truth_",
    )
    remarks: list[str] = []
    pixel_size = settings.pixel_size
    if pixel_size is None and pixel_sizes:
        pixel_size = pixel_sizes[0]
        if max(pixel_sizes) - min(pixel_sizes) > 0.001 * pixel_size:
            remarks.append(
                f"the micrographs have pixels of {min(pixel_sizes):g} to {max(pixel_sizes):g} Å: lengths in Å are "
                f"worked out with {pixel_size:g} Å, or give score.pixel_size"
            )
    sides = Sides(
        names=tuple(micrograph.name for micrograph in micrographs),
        picks=found.points,
        scores=found.scores,
        truth=wanted.points,
        ranked=_is_ranked(found.scores, picks.source),
        shapes=shapes,
        pixel_size_angstrom=pixel_size,
        remarks=(),
    )
    remarks += _remarks(settings, sides, found, wanted)
    return Sides(**{**vars(sides), "remarks": tuple(remarks)})


def radius_px(settings: ScoreGroup, pixel_size_angstrom: float | None) -> float:
    """Distance within which a pick finds a particle, in full-size pixels.

    Raises
    ------
    InputError
        It is to follow from the particle's diameter, and the pixel size is not known.
    """
    if settings.radius is not None:
        return settings.radius
    assert settings.particle_diameter is not None
    if pixel_size_angstrom is None:
        raise InputError(
            f"score.particle_diameter={settings.particle_diameter:g} is in Å, and no file says the pixel size: give it "
            "as score.pixel_size, or the radius in pixels as score.radius."
        )
    return settings.particle_diameter / 2 / pixel_size_angstrom


def _known(
    micrographs: Sequence[MicrographFile], tables: Sequence[PickTable], *, headers: bool
) -> tuple[dict[str, tuple[int, int]], list[float]]:
    """Sizes and pixel sizes of the micrographs, as far as their headers or the files of picks say."""
    shapes: dict[str, tuple[int, int]] = {}
    pixel_sizes: list[float] = []
    if headers:
        for micrograph in micrographs:
            header = read_header(micrograph.path)
            shapes[micrograph.name] = header.shape
            if header.pixel_size_angstrom is not None:
                pixel_sizes.append(header.pixel_size_angstrom)
    for table, setting in zip(tables, ("score.picks", "score.truth"), strict=True):
        for name, index in match_names(dict.fromkeys(table.known), micrographs, setting).items():
            known = table.known[name]
            if known.shape is not None:
                shapes.setdefault(micrographs[index].name, known.shape)
            if known.pixel_size_angstrom is not None:
                pixel_sizes.append(known.pixel_size_angstrom)
    return shapes, pixel_sizes


def _is_ranked(scores: Points, source: str) -> bool:
    every = np.concatenate([*scores.values(), np.zeros(0)])
    missing = int(np.count_nonzero(np.isnan(every)))
    if 0 < missing < len(every):
        raise InputError(
            f"score.picks={source} has {len(every)} picks, {missing} of them without a score: give files in which all "
            "picks have one, or none."
        )
    return missing == 0 and len(np.unique(every)) > 1


def _remarks(settings: ScoreGroup, sides: Sides, found: AssignedPicks, wanted: AssignedPicks) -> Iterator[str]:
    for assigned, whose in ((found, "picks"), (wanted, "truth")):
        if assigned.unmatched:
            yield _unmatched(assigned.unmatched, whose, bool(settings.micrographs))
        if assigned.outside:
            yield f"{_places(assigned.outside, f'score.{whose}', 'outside the image')}: left out"
        if assigned.repeated:
            yield f"{_places(assigned.repeated, f'score.{whose}', 'exactly on another one')}: each place counts once"
    unpicked, missed = sides.unpicked, sum(len(sides.truth[name]) for name in sides.unpicked)
    if missed:
        text = (
            f"{_count(len(unpicked), 'micrograph')} of {len(sides.names)} {'has' if len(unpicked) == 1 else 'have'} no "
            f"picks ({_some(unpicked)}): {'its' if len(unpicked) == 1 else 'their'} "
            f"{_count(missed, 'true particle')} {'counts' if missed == 1 else 'count'} as missed"
        )
        yield text if settings.micrographs else f"{text}. score.micrographs would say which micrographs were picked"
    unlabelled = [name for name in sides.names if len(sides.truth[name]) == 0 and len(sides.picks[name])]
    if unlabelled:
        extras = sum(len(sides.picks[name]) for name in unlabelled)
        yield (
            f"{_count(len(unlabelled), 'micrograph')} {'has' if len(unlabelled) == 1 else 'have'} no true particle "
            f"({_some(unlabelled)}): the {_count(extras, 'pick')} there {'counts' if extras == 1 else 'count'} as extra"
        )
    every = np.concatenate([*sides.scores.values(), np.zeros(0)])
    if len(every) and not sides.ranked:
        why = "have no scores" if np.isnan(every).all() else "all have the same score"
        yield f"the picks {why}: average precision, a curve and a best threshold need scores, so all picks count"


def _unmatched(counts: Mapping[str, int], whose: str, given: bool) -> str:
    what = _count(sum(counts.values()), "pick" if whose == "picks" else "particle")
    where = f"{_count(len(counts), 'micrograph')} ({_some(list(counts))})"
    if given:
        return f"score.{whose} has {what} on {where} not among score.micrographs: left out"
    return (
        f"score.{whose} has {what} on {where} that score.truth does not name: left out, since a missing label is "
        "not an absence. With score.micrographs all micrographs count"
    )


def _places(counts: Mapping[str, int], whose: str, where: str) -> str:
    total = sum(counts.values())
    return f"{total:,} of {whose} ({_some(list(counts))}) {'lies' if total == 1 else 'lie'} {where}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
