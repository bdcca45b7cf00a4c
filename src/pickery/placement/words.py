"""What a verdict on picks says, in sentences and in settings of the command line."""

from __future__ import annotations

from pickery.formats.frame import Frame
from pickery.placement.verdict import SURE, Verdict


def mending(given: Frame, better: Frame) -> list[str]:
    """Give the settings that make one frame of another, as words of the command line."""
    words = []
    if better.coordinate_scale != given.coordinate_scale:
        words.append(f"data.coordinate_scale={better.coordinate_scale:.6g}")
    words += [
        f"data.{name}={str(getattr(better, name)).lower()}"
        for name in ("swap_xy", "flip_x", "flip_y")
        if getattr(better, name) != getattr(given, name)
    ]
    if better.offset_px != given.offset_px:
        words.append(f"data.offset=[{better.offset_px[0]:g},{better.offset_px[1]:g}]")
    return words


def sentence(verdict: Verdict) -> str:
    """Say what was found."""
    given, better = verdict.given, verdict.better
    of = f"{given.picks} picks on the micrographs looked at"
    match verdict.kind:
        case "good":
            return (
                f"the picks sit on particles: what stands around the {of} is unlike the rest of the micrographs "
                f"(T² {given.statistic:,.0f}; at most {verdict.best_other:,.0f} flipped, swapped or scaled)"
            )
        case "misplaced" | "moved":
            assert better is not None
            return (
                f"the picks do not sit on particles as they are read, but would {changes(given.frame, better.frame)} "
                f"(T² {better.statistic:,.0f} against {given.statistic:,.0f} for the {of})"
            )
        case "few":
            return f"too few picks to tell whether they sit on particles ({of}, T² {given.statistic:,.0f})"
        case "outside":
            return (
                f"{given.picks - given.inside} of the {of} lie outside them, and no flip, swap or scale brings them to "
                "particles"
            )
        case "unclear":
            return (
                f"whether the picks sit on particles cannot be told: what stands around the {of} is like any other "
                f"place of the micrographs (T² {given.statistic:,.0f}; picks on plain particles reach {SURE:g}). Small "
                "or faint particles look so, and so do picks of other micrographs"
            )


def changes(given: Frame, better: Frame) -> str:
    """Say what turns one frame into another, to complete "the picks would sit on particles …"."""
    parts = []
    if (ratio := better.coordinate_scale / given.coordinate_scale) != 1:
        parts.append(f"with coordinates times {ratio:.6g}" if ratio > 1 else f"with coordinates over {1 / ratio:.6g}")
    if better.swap_xy != given.swap_xy:
        parts.append("with x and y exchanged")
    if better.flip_x != given.flip_x:
        parts.append("with x counted from the other side")
    if better.flip_y != given.flip_y:
        parts.append("with y counted from the other side")
    if better.offset_px != given.offset_px:
        x, y = (new - old for new, old in zip(better.offset_px, given.offset_px, strict=True))
        parts.append(f"moved by {x:g} pixels in x and {y:g} in y")
    return " and ".join(parts)
