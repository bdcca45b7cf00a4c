"""The making of one prepared set: what is there is copied, what is not is prepared, what is bad is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING

from pickery.building import put_in_place
from pickery.errors import InputError
from pickery.preprocess.contents import content_hashes
from pickery.preprocess.index import IMAGES_FILE, VALUE_BYTES, Entry, Index, Settings, is_whole, write_index
from pickery.preprocess.pool import run_tasks
from pickery.preprocess.store import find_prepared, fingerprint
from pickery.preprocess.work import Normalisation, Task, prepared_shape, write_values

if TYPE_CHECKING:
    from pickery.formats.micrographs import MicrographFile, MicrographHeader

Shape = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A set that is wanted: micrographs with the hashes of their files, and how to prepare them."""

    files: Sequence[MicrographFile]
    contents: Sequence[str]
    settings: Settings
    workers: int
    skip_bad: bool
    progress: Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Built:
    """A set in its place, why micrographs (by position) are not in it, and how many of it had been prepared before."""

    directory: Path
    bad: dict[int, str]
    reused: int


def build(wanted: Wanted, store: Path, folder: Path) -> Built:
    """Prepare a set in an empty folder and put it in its place in the store.

    Micrographs that turn out bad are left out; if not all are to be kept without them, the set is there nevertheless,
    so that what was done is not done again. Only headers that show a micrograph to be bad stop it before the work.

    Raises
    ------
    InputError
        If the free space will not do, memory runs out or a worker dies.
    OSError
        If the set cannot be written.
    """
    total = len(wanted.files)
    there = find_prepared(store, wanted.settings, set(wanted.contents))
    headers, bad = _look_at([i for i, content in enumerate(wanted.contents) if content not in there], wanted)
    if len(bad) == total or (bad and not wanted.skip_bad):
        return Built(folder, bad, 0)

    shapes: dict[int, Shape] = {}
    for position, content in enumerate(wanted.contents):
        if content in there:
            shapes[position] = there[content].entry.shape
        elif position in headers:
            shapes[position] = headers[position][1]
    starts = dict(zip(shapes, _starts(shapes.values()), strict=True))
    images = folder / IMAGES_FILE
    _make_room(images, sum(rows * columns for rows, columns in shapes.values()), store)

    tasks = {
        i: Task(wanted.files[i].path, wanted.contents[i], shape, images, starts[i], wanted.settings)
        for i, (_, shape) in headers.items()
    }
    entries: dict[int, Entry] = {}
    done = total - len(tasks)
    wanted.progress(done, total)
    pixels = sum(header.shape[0] * header.shape[1] for header, _ in headers.values())
    for i, outcome in run_tasks(tasks, workers=wanted.workers, pixels=pixels):
        if isinstance(outcome, Normalisation):
            entries[i] = _entry(wanted.files[i], wanted.contents[i], headers[i][0], shapes[i], outcome)
        else:
            bad[i] = outcome
        done += 1
        wanted.progress(done, total)

    bad |= dict.fromkeys(_changed(list(entries), wanted, store), _CHANGED)
    kept = [i for i in shapes if i not in bad]
    if not kept:
        return Built(folder, bad, 0)
    target = store / fingerprint([wanted.contents[i] for i in kept], wanted.settings)
    if is_whole(target):  # those that can be used have been prepared before, as a set
        return Built(target, bad, len(kept))
    copied = [i for i in kept if i not in entries]
    for i in copied:
        source = there[wanted.contents[i]]
        write_values(images, starts[i], source.set.image(source.position))
        entries[i] = replace(source.entry, name=wanted.files[i].name, path=str(wanted.files[i].path))
    _close_gaps(images, [starts[i] for i in kept], [shapes[i] for i in kept])
    write_index(folder, Index(wanted.settings, tuple(entries[i] for i in kept)))
    put_in_place(folder, target, is_whole=is_whole)
    return Built(target, bad, len(copied))


_CHANGED = "changed while it was being prepared: when it is as it is to be, give the same command again."


def _changed(positions: Sequence[int], wanted: Wanted, store: Path) -> list[int]:
    """Give those whose files are not any more what they were when the set was named after them.

    Pixels read in between would lie under the name of others, for every later run.
    """
    paths = [wanted.files[i].path for i in positions]
    now = content_hashes(paths, store, threads=max(2, wanted.workers))  # no file that is as it was is read again
    return [
        i
        for i, content in zip(positions, now, strict=True)
        if isinstance(content, str) and content != wanted.contents[i]
    ]


def _look_at(
    positions: Sequence[int], wanted: Wanted
) -> tuple[dict[int, tuple[MicrographHeader, Shape]], dict[int, str]]:
    """Read headers: for each position the header and the shape it will have, or why it cannot be used."""
    from pickery.formats.micrographs import read_header

    def look(position: int) -> tuple[MicrographHeader, Shape] | str:
        try:
            header = read_header(wanted.files[position].path)
            return header, prepared_shape(header.shape, float(wanted.settings["downsample"]))
        except (InputError, OSError) as error:
            return str(error)

    with ThreadPoolExecutor(max(1, wanted.workers)) as pool:
        seen = dict(zip(positions, pool.map(look, positions), strict=True))
    return (
        {position: header for position, header in seen.items() if not isinstance(header, str)},
        {position: reason for position, reason in seen.items() if isinstance(reason, str)},
    )


def _entry(file: MicrographFile, content: str, header: MicrographHeader, shape: Shape, done: Normalisation) -> Entry:
    return Entry(
        content=content,
        name=file.name,
        path=str(file.path),
        shape=shape,
        full_shape=header.shape,
        pixel_size_angstrom=header.pixel_size_angstrom,
        mean=done.mean,
        std=done.std,
        weight=done.weight,
        extreme=done.extreme,
    )


def _starts(shapes: Iterable[Shape]) -> list[int]:
    """Where images begin that lie one after the other, in values."""
    return [0, *accumulate(rows * columns for rows, columns in shapes)][:-1]


def _make_room(images: Path, values: int, store: Path) -> None:
    free = disk_usage(images.parent).free
    if free < values * VALUE_BYTES:
        raise InputError(
            f"The prepared micrographs need {_in_words(values * VALUE_BYTES)} and {store} has {_in_words(free)} free: "
            "make room there, or choose another folder with preprocess.store=FOLDER."
        )
    with images.open("wb") as file:
        file.truncate(values * VALUE_BYTES)


def _in_words(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _close_gaps(images: Path, starts: Sequence[int], shapes: Sequence[Shape]) -> None:
    """Move images up to where they begin without those that were left out."""
    with images.open("rb+") as file:
        for old, new, (rows, columns) in zip(starts, _starts(shapes), shapes, strict=True):
            if old != new:
                file.seek(old * VALUE_BYTES)
                pixels = file.read(rows * columns * VALUE_BYTES)
                file.seek(new * VALUE_BYTES)
                file.write(pixels)
        file.truncate(sum(rows * columns for rows, columns in shapes) * VALUE_BYTES)
