"""`pickery score`: the picks of any program against the true particles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pickery.config.schema import ScoreConfig
from pickery.terminal import Terminal

if TYPE_CHECKING:
    from pickery.evaluation.matching import MicrographPickMetrics
    from pickery.scoring.compare import Comparison
    from pickery.scoring.sides import Sides

# more micrographs than these are not listed one by one, but for the worst
MOST_LISTED = 24
WORST_LISTED = 5
LONGEST_NAME = 40


def run(config: ScoreConfig) -> None:
    """Score as the settings say, and tell of it.

    Raises
    ------
    InputError
        When something given cannot be used.
    """
    settings = config.score
    with Terminal() as terminal:
        terminal.working("comparing picks")
        from pickery.scoring.run import score

        found = score(settings)
        sides, done = found.sides, found.done
        terminal.rest()
        for text in found.summary["remarks"]:
            terminal.warn(f"{text}.")
        if settings.threshold is not None and not sides.ranked:
            terminal.warn(f"score.threshold={settings.threshold:g} has no effect on picks without scores.")
        _tell(terminal, sides, done)
        _list(terminal, done)
        terminal.say(f"  folder     {found.folder}")
        names = ", ".join(path.name for path in found.plots)
        terminal.say(f"             summary.json, micrographs.csv, {Path('plots')}/ ({names})")


def _tell(terminal: Terminal, sides: Sides, done: Comparison) -> None:
    found, pixel = done.metrics, sides.pixel_size_angstrom

    def length(pixels: float) -> str:
        return f"{pixels:.1f} px" + (f" ({pixels * pixel:.1f} Å)" if pixel else "")

    terminal.head(
        f"{found.candidates:,} picks against {found.targets:,} particles of {len(sides.names):,} "
        f"{'micrograph' if len(sides.names) == 1 else 'micrographs'}, within {length(found.radius)}"
    )
    if sides.ranked:
        terminal.say(f"  average precision {_f(found.average_precision)}")
    if found.hits == 0:
        terminal.say("  none of the picks that count hits a particle")
        return
    if not sides.ranked:
        terminal.say("  all picks:")
    elif done.best_threshold == found.threshold:
        terminal.say(f"  F1 is best at score {found.threshold:.2f}:")
    else:
        best = f" (F1 is best, {_f(done.best_f1)}, at {done.best_threshold:.2f})"
        terminal.say(f"  at score {found.threshold:.2f}{best}:")
    terminal.say(f"             precision {_f(found.precision)}, recall {_f(found.recall)}, F1 {_f(found.f1)}")
    terminal.say(f"             {found.hits:,} found, {found.misses:,} missed, {found.extras:,} extra")
    x, y = done.offsets.mean(axis=0)
    terminal.say(
        f"             centre error {length(found.centre_error_px)} on average; mean offset "
        f"x {round(x, 1) + 0:+.1f}, y {round(y, 1) + 0:+.1f} px"
    )
    bounds = "precision, F1 and average precision" if sides.ranked else "precision and F1"
    terminal.say(f"  labels may be partial: {bounds} are lower bounds")


def _list(terminal: Terminal, done: Comparison) -> None:
    """Say the figures of each micrograph, or of the worst where there are many."""
    rows = list(done.metrics.micrographs)
    if len(rows) > MOST_LISTED:
        rows = sorted(rows, key=lambda row: (row.f1 != row.f1, row.f1))[:WORST_LISTED]
        terminal.say(f"  the {WORST_LISTED} micrographs with the lowest F1 (micrographs.csv has all):")
    name = max(len("micrograph"), *(min(len(row.name), LONGEST_NAME) for row in rows))
    widths = {"found": 7, "missed": 8, "extra": 7, "precision": 11, "recall": 8, "F1": 7, "error px": 10}
    terminal.say(f"  {'micrograph':{name}}" + "".join(f"{word:>{width}}" for word, width in widths.items()))
    for row in rows:
        cells = "".join(f"{cell:>{width}}" for cell, width in zip(_cells(row), widths.values(), strict=True))
        shown = row.name if len(row.name) <= LONGEST_NAME else f"…{row.name[1 - LONGEST_NAME :]}"
        terminal.say(f"  {shown:{name}}{cells}")


def _cells(row: MicrographPickMetrics) -> list[str]:
    error = "-" if row.centre_error_px != row.centre_error_px else f"{row.centre_error_px:.1f}"
    counts = [str(count) for count in (row.hits, row.misses, row.extras)]
    return [*counts, _f(row.precision), _f(row.recall), _f(row.f1), error]


def _f(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"
