"""`pickery convert`: picks from one program's format into another's; models are another module's."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pickery.config.schema import ConvertConfig
from pickery.errors import InputError
from pickery.terminal import Terminal

if TYPE_CHECKING:
    from pickery.formats.contract import FileKind
    from pickery.formats.conversion import Gathered
    from pickery.formats.picks import PickTable, Written

TURNED = "turned about: row r is row rows - 1 - r"


def run(config: ConvertConfig) -> None:
    """Convert picks or a model, and say what was read, what was written and what is lost."""
    from pickery.commands import convert_model

    assert config.convert.source is not None
    with Terminal() as terminal:
        if convert_model.is_model(config.convert.source):
            convert_model.run(config, terminal)
        else:
            _convert_picks(config, terminal)


def _convert_picks(config: ConvertConfig, terminal: Terminal) -> None:
    from pickery.formats.conversion import above, by_micrograph
    from pickery.formats.frame import Frame
    from pickery.formats.micrographs import find_micrographs
    from pickery.formats.picks import files_to_write, read_picks, write_picks

    settings = config.convert
    assert settings.source is not None
    assert settings.out is not None
    out = Path(settings.out).expanduser()
    kind = _kind_of_out(out, settings.out_format)
    table = read_picks(settings.source, setting="convert.source", format=settings.source_format)
    if "boxes" in kind.holds_each and settings.box_size is None and table.box_size is None:
        raise InputError(
            f"convert.box_size is missing: {kind.name} has the size of the boxes, which {table.source} does not say; it"
            " is in full-size pixels."
        )
    micrographs = None
    if settings.micrographs is not None:
        micrographs = find_micrographs(settings.micrographs, setting="convert.micrographs", absent_too=True)
    gathered = by_micrograph(
        table,
        micrographs,
        frame=Frame(settings.coordinate_scale, flip_y=settings.flip_y),
        pixel_size_angstrom=settings.pixel_size,
    )
    if settings.threshold is not None:
        before = sum(map(len, gathered.picks))
        gathered = _above(above(gathered, settings.threshold), table, settings.threshold)
        left = before - sum(map(len, gathered.picks))
    outputs = files_to_write(out, gathered.picks, format=settings.out_format)
    _refuse_overwriting(settings.source, outputs)
    replaced = sum(path.exists() for path in outputs)
    written = write_picks(
        out,
        gathered.picks,
        format=settings.out_format,
        box_size_px=settings.box_size,
        coordinate_scale=settings.out_coordinate_scale,
        flip_y=settings.out_flip_y,
    )
    _say_read(terminal, table, gathered, config)
    if settings.threshold is not None:
        terminal.say(f"  left out     {_count(left, 'pick')} with scores below {settings.threshold:g}")
    _say_written(terminal, kind, written, gathered, config)
    if replaced:
        terminal.say(f"  replaced     {_count(replaced, 'file')} that {'was' if replaced == 1 else 'were'} there")
    _say_lost(terminal, written, table)
    if micrographs is None and not kind.fractions:
        _say_ids(terminal, gathered)
    _warn(terminal, gathered)


def _refuse_overwriting(source: str | Sequence[str], outputs: Sequence[Path]) -> None:
    """Keep the files that are read from being replaced by those that are written."""
    from pickery.formats.files import expand

    read = {
        os.path.realpath(path)
        for one in ([source] if isinstance(source, str) else source)
        for path in expand(one, "convert.source")[0]
    }
    for out in outputs:
        if os.path.realpath(out) in read:
            raise InputError(f"convert.out: {out} is what is to be converted: give another place, so that it stays.")


def _kind_of_out(out: Path, format: str | None) -> FileKind:
    from pickery.formats.registry import WRITTEN_ENDINGS, kind_by_ending

    kind = kind_by_ending(out) or (kind_by_ending(Path(f"_.{format}")) if format else None)
    if kind is None:
        raise InputError(
            f"convert.out={out} ends in none of {', '.join(WRITTEN_ENDINGS)}, so it is a folder: give"
            " convert.out_format=star or another for the files in it."
        )
    return kind


def _above(gathered: Gathered, table: PickTable, threshold: float) -> Gathered:
    import numpy as np

    scores = table.score[np.isfinite(table.score)]
    if not len(scores):
        raise InputError(f"convert.threshold={threshold:g}, and {table.source} has no scores: leave it away.")
    if not any(map(len, gathered.picks)):
        raise InputError(
            f"convert.threshold={threshold:g} leaves no pick: the scores in {table.source} go from {scores.min():g} to"
            f" {scores.max():g}."
        )
    return gathered


def _say_read(terminal: Terminal, table: PickTable, gathered: Gathered, config: ConvertConfig) -> None:
    settings = config.convert
    picked = _count(len(set(table.micrograph)), "micrograph")
    terminal.head(f"{_count(len(table), 'pick')} on {picked} in {table.source}, {_names(table.kinds)}")
    for kind in table.kinds:
        terminal.say(f"  coordinates  {kind.convention}")
    scale = settings.coordinate_scale
    terminal.say(f"  scale        {'1: they are full size' if scale == 1 else f'times {scale:g} for full size'}")
    terminal.say(f"  y axis       {TURNED if settings.flip_y else 'as it is'}")
    if without := sum(len(one) == 0 for one in gathered.picks):
        terminal.say(f"  beside them  {_count(without, 'micrograph')} without picks")


def _say_written(
    terminal: Terminal, kind: FileKind, written: Written, gathered: Gathered, config: ConvertConfig
) -> None:
    settings = config.convert
    filled = [one for one in gathered.picks if len(one)]
    what = kind.name if len(written.files) == 1 else f"{len(written.files)} files, each {kind.name}"
    picked = _count(len(filled), "micrograph")
    terminal.head(f"{_count(sum(map(len, filled)), 'pick')} on {picked} written to {settings.out}, {what}")
    terminal.say(f"  coordinates  {kind.convention}")
    scale = settings.out_coordinate_scale
    if not kind.fractions:
        terminal.say(f"  scale        {'1: they are full size' if scale == 1 else f'full size divided by {scale:g}'}")
    terminal.say(f"  y axis       {TURNED if settings.out_flip_y else 'as it is'}")


def _say_lost(terminal: Terminal, written: Written, table: PickTable) -> None:
    lost = list(written.lost)
    if table.dropped:
        more = f" and {len(table.dropped) - 6} more" if len(table.dropped) > 6 else ""
        lost.append(f"the other columns: {', '.join(table.dropped[:6])}{more}")
    for what in lost:
        terminal.say(f"  lost         {what}")
    for note in written.notes:
        terminal.say(f"  note         {note}")


def _say_ids(terminal: Terminal, gathered: Gathered) -> None:
    from pickery.formats.images import bare_name, without_id

    names = [bare_name(one.micrograph) for one in gathered.picks]
    if any(without_id(name) != name for name in names):
        terminal.say(
            "  note         CryoSPARC's numbers stay before the micrographs' names; convert.micrographs=FOLDER names"
            " them as their files are"
        )


def _warn(terminal: Terminal, gathered: Gathered) -> None:
    if gathered.unmatched:
        terminal.warn(
            f"{_listed(gathered.unmatched)} {'is' if len(gathered.unmatched) == 1 else 'are'} not among"
            f" convert.micrographs: {_count(sum(gathered.unmatched.values()), 'pick')} left out"
        )
    if outside := gathered.outside():
        terminal.warn(
            f"{_count(sum(outside.values()), 'pick')} outside the image (on {_listed(outside)}), taken all the same:"
            " convert.coordinate_scale or convert.flip_y may be wrong"
        )


def _names(kinds: Sequence[FileKind]) -> str:
    return " and ".join(kind.name for kind in kinds)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(counts: Mapping[str, int]) -> str:
    names = list(counts)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
