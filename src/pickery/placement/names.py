"""Names of picks that are no micrograph's: which micrographs they may have meant, and what stands in the way."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Sequence

from pickery.errors import InputError
from pickery.formats.assignment import match_names
from pickery.formats.images import bare_name
from pickery.formats.micrographs import MicrographFile

LOOKED_AT = 8
"""Names from which the difference is worked out: what is found has to fit all others anyway."""
MOST_PARTS = 3
"""Parts of names that a suggestion ignores at most."""
ENOUGH = 0.8
"""Share of the names, or of the micrographs, that a suggestion must match."""


def nearest(name: str, micrographs: Sequence[MicrographFile], most: int = 2) -> list[str]:
    """Give the micrographs whose names are most like a name, the likeliest first; empty where none is alike."""
    return difflib.get_close_matches(bare_name(name), [file.name for file in micrographs], n=most, cutoff=0.6)


def to_ignore(names: Sequence[str], micrographs: Sequence[MicrographFile]) -> tuple[str, ...]:
    """Find the parts of names that keep picks and micrographs from each other.

    Parameters
    ----------
    names
        Names in the file of picks that are no micrograph's.
    micrographs
        All micrographs.

    Returns
    -------
    parts : tuple of str
        With these ignored (``data.ignore_in_names``), at least four in five of the names, or of the micrographs, find
        each other, each its own; empty where there is no such thing.
    """
    if not names or not micrographs:
        return ()
    own = sorted({bare_name(name) for name in names})
    others = sorted({bare_name(os.fspath(file.path.name)) for file in micrographs})
    best: tuple[int, int, tuple[str, ...]] | None = None
    for parts in _candidates(own, others):
        matched = _matched(names, micrographs, parts)
        if matched < ENOUGH * min(len(own), len(others)):
            continue
        score = (-matched, sum(map(len, parts)), parts)
        best = score if best is None else min(best, score)
    return () if best is None else best[2]


def _matched(names: Sequence[str], micrographs: Sequence[MicrographFile], parts: Sequence[str]) -> int:
    """Count the names that find a micrograph of their own."""
    try:
        place = match_names(names, micrographs, "data.picks", parts)
    except InputError:  # two would be one
        return 0
    return len(set(place.values()))


def _candidates(own: list[str], others: list[str]) -> list[tuple[str, ...]]:
    """Give sets of parts that may be worth ignoring."""
    found: Counter[tuple[str, ...]] = Counter()
    step = max(1, len(own) // LOOKED_AT)
    for name in own[::step]:
        for near in difflib.get_close_matches(name, others, n=3, cutoff=0.3):
            parts = _differing(name, near)
            # numbers tell micrographs apart
            if 0 < len(parts) <= MOST_PARTS and not any(part.isdigit() for part in parts):
                found[parts] += 1
    ends = _ends(own, others)
    return [parts for parts, _ in found.most_common(12)] + ([ends] if ends else [])


def _differing(name: str, near: str) -> tuple[str, ...]:
    """Give what only one of two names has, in order."""
    matcher = difflib.SequenceMatcher(None, name, near, autojunk=False)
    parts: dict[str, None] = {}
    for what, a, b, c, d in matcher.get_opcodes():
        if what != "equal":
            parts |= dict.fromkeys(part for part in (name[a:b], near[c:d]) if part)
    return tuple(parts)


def _ends(own: list[str], others: list[str]) -> tuple[str, ...]:
    """Give what all names of one side begin or end with, and those of the other do not."""
    parts: dict[str, None] = {}
    for names, beside in ((own, others), (others, own)):
        if len(names) < 2:
            continue
        start = re.sub(r"\d+$", "", _common_start(names))
        end = re.sub(r"^\d+", "", _common_start([name[::-1] for name in names])[::-1])
        if start and not all(name.startswith(start) for name in beside):
            parts[start] = None
        if end and not all(name.endswith(end) for name in beside):
            parts[end] = None
    return tuple(parts)


def _common_start(names: Sequence[str]) -> str:
    """Give what all names begin with."""
    first, last = min(names), max(names)
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]
