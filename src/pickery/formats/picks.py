"""The door to picks: read them from any known kind of file, assign them to micrographs, write them."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pickery.errors import InputError
from pickery.formats.assignment import AssignedPicks, assign_picks
from pickery.formats.contract import FileKind, ListedPickFile, PickTable
from pickery.formats.files import expand, unique_names
from pickery.formats.images import bare_name
from pickery.formats.registry import PICK_ENDINGS, WRITTEN_ENDINGS, kind_by_ending, kind_of

__all__ = ["AssignedPicks", "PickTable", "assign_picks", "read_picks", "write_picks"]


def read_picks(source: str | Sequence[str], *, setting: str = "data.picks") -> PickTable:
    """Read picks.

    Parameters
    ----------
    source
        A file, a folder of files for one micrograph each, a glob, or several of those. The kind follows from the ending
        and the first lines.
    setting
        Named in messages.

    Returns
    -------
    PickTable
        In the files' order. Where only a file's name says the micrograph, that name without extension.

    Raises
    ------
    InputError
        Nothing is there, a file is no file of picks or has a row that is no pick, or there is no pick at all.
    """
    sources = [source] if isinstance(source, str) else list(source)
    files = {path: kind for one in sources for path, kind in _files_of(str(one), setting).items()}
    if not files:
        raise InputError(f"{setting} is empty: give a file of picks, a folder of them or a glob.")
    names = _names_by_file(files, setting)
    tables: list[PickTable] = []
    for path, kind in files.items():
        result = _read(path, kind, names[path], setting)
        tables += [result] if isinstance(result, PickTable) else _read_listed(result, path, setting)
    described = sources[0] if len(sources) == 1 else f"[{', '.join(sources)}]"
    if not any(len(table) for table in tables):
        raise InputError(f"{setting}={described} holds no picks: give one that does.")
    return PickTable(
        micrograph=tuple(name for table in tables for name in table.micrograph),
        x=np.concatenate([table.x for table in tables]),
        y=np.concatenate([table.y for table in tables]),
        score=np.concatenate([table.score for table in tables]),
        source=described,
    )


def write_picks(path: Path, table: PickTable) -> None:
    """Write picks as the kind that the ending says, at once or not at all.

    Raises
    ------
    InputError
        That kind cannot be written, or the file cannot.
    """
    kind = kind_by_ending(path)
    if kind is None or kind.write_picks is None:
        raise InputError(f"{path} cannot be written: give a file that ends in {', '.join(WRITTEN_ENDINGS)}.")
    kind.write_picks(path, table)


def _files_of(source: str, setting: str) -> dict[Path, FileKind]:
    paths, chosen = expand(source, setting)
    if chosen:
        return {paths[0]: kind_of(paths[0], setting, PICK_ENDINGS)}
    by_ending = {path: kind for path in paths if (kind := kind_by_ending(path))}
    if not by_ending:
        raise InputError(
            f"{setting}={source} has {len(paths)} files (such as {paths[0].name}) but none of picks, which end in"
            f" {', '.join(PICK_ENDINGS)}."
        )
    kinds = {kind.name: path for path, kind in by_ending.items()}
    if len(kinds) > 1:
        examples = " and ".join(path.name for path in list(kinds.values())[:2])
        raise InputError(
            f"{setting}={source} has several kinds of file (such as {examples}): give one file, or a glob that takes"
            " one kind, with quotes around it."
        )
    return {path: kind_of(path, setting, PICK_ENDINGS) for path in by_ending}


def _names_by_file(files: dict[Path, FileKind], setting: str) -> dict[Path, str]:
    """Micrographs' names as files of picks are named after them."""

    def stripped(file_name: str) -> str:
        kind = kind_by_ending(Path(file_name))
        for ending in kind.endings if kind else ():
            if file_name.lower().endswith(ending):
                file_name = file_name[: -len(ending)]
        for suffix in kind.name_suffixes if kind else ():
            file_name = file_name.removesuffix(suffix)
        return bare_name(file_name)

    return dict(zip(files, unique_names(list(files), stripped, setting), strict=True))


def _read(path: Path, kind: FileKind, name: str, setting: str) -> PickTable | list[ListedPickFile]:
    if kind.read_picks is None:
        raise InputError(f"{setting}={path} is {kind.name}, which holds no picks.")
    return kind.read_picks(path, name)


def _read_listed(listed: list[ListedPickFile], list_path: Path, setting: str) -> list[PickTable]:
    tables = []
    for file in listed:
        table = _read(file.path, kind_of(file.path, os.fspath(list_path), PICK_ENDINGS), file.micrograph, setting)
        if not isinstance(table, PickTable):
            raise InputError(f"{list_path} lists {file.path}, which is a list itself: give the files with the picks.")
        tables.append(table)
    return tables
