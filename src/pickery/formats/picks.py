"""The door to picks: read them from any known kind of file, assign them to micrographs, write them."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pickery.errors import InputError, PickeryWarning
from pickery.formats.assignment import AssignedPicks, assign_picks
from pickery.formats.contract import FileKind, ListedPickFile, MicrographPicks, PickTable
from pickery.formats.files import expand, unique_names
from pickery.formats.images import bare_name
from pickery.formats.registry import PICK_ENDINGS, kind_by_ending, kind_of
from pickery.formats.written import Written, files_to_write, write_picks

__all__ = [
    "AssignedPicks",
    "MicrographPicks",
    "PickTable",
    "Written",
    "assign_picks",
    "files_to_write",
    "read_picks",
    "write_picks",
]


def read_picks(
    source: str | Sequence[str],
    *,
    setting: str = "data.picks",
    format: str | None = None,
    may_be_empty: bool = False,
) -> PickTable:
    """Read picks.

    Parameters
    ----------
    source
        A file, a folder of files for one micrograph each, a glob, or several of those. The kind follows from the ending
        and the first lines.
    setting
        Named in messages.
    format
        An ending without its dot, such as ``"star"``: the kind, whatever the files look like.
    may_be_empty
        Whether no pick at all will do.

    Returns
    -------
    PickTable
        In the files' order. Where only a file's name says the micrograph, that name without extension.

    Raises
    ------
    InputError
        Nothing is there, a file is no file of picks or has a row that is no pick, or there is no pick at all
        where there should be.
    """
    sources = [source] if isinstance(source, str) else list(source)
    forced = None if format is None else kind_by_ending(Path(f"_.{format}"))
    files = {path: kind for one in sources for path, kind in _files_of(str(one), setting, forced).items()}
    if not files:
        raise InputError(f"{setting} is empty: give a file of picks, a folder of them or a glob.")
    names = _names_by_file(files, setting)
    read = {path: _read(path, kind, names[path], setting) for path, kind in files.items()}
    # a list that lies beside the files it lists does not mean them twice
    listed = {file.path for result in read.values() if isinstance(result, list) for file in result}
    tables: list[PickTable] = []
    for path, result in read.items():
        if isinstance(result, list):
            tables += _read_listed(result, path, setting)
        elif path not in listed:
            tables.append(result)
    described = sources[0] if len(sources) == 1 else f"[{', '.join(sources)}]"
    if not tables:
        raise InputError(f"{setting}={described} lists no files of picks: give one that does, or the files themselves.")
    table = PickTable.joined(tables, described)
    if not len(table) and not may_be_empty:
        raise InputError(f"{setting}={described} holds no picks: give one that does.")
    for remark in table.remarks:
        warnings.warn(f"{setting}={described}: {remark}", PickeryWarning, stacklevel=2)
    return table


def _files_of(source: str, setting: str, forced: FileKind | None) -> dict[Path, FileKind]:
    paths, chosen = expand(source, setting)
    if chosen:
        return {paths[0]: forced or kind_of(paths[0], setting, PICK_ENDINGS)}
    by_ending = {path: kind for path in paths if (kind := kind_by_ending(path))}
    if forced is not None:
        return {path: forced for path in paths if by_ending.get(path) is forced} or dict.fromkeys(paths, forced)
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
        suffixes = kind.name_suffixes if kind else ()
        file_name = file_name.removesuffix(next(filter(file_name.endswith, suffixes), ""))
        return bare_name(file_name)

    return dict(zip(files, unique_names(list(files), stripped, setting), strict=True))


def _read(path: Path, kind: FileKind, name: str, setting: str) -> PickTable | list[ListedPickFile]:
    if kind.read_picks is None:
        raise InputError(f"{setting}={path} is {kind.name}, which holds no picks.")
    result = kind.read_picks(path, name)
    return replace(result, kinds=(kind,)) if isinstance(result, PickTable) else result


def _read_listed(listed: list[ListedPickFile], list_path: Path, setting: str) -> list[PickTable]:
    tables = []
    for file in listed:
        table = _read(file.path, kind_of(file.path, os.fspath(list_path), PICK_ENDINGS), file.micrograph, setting)
        if not isinstance(table, PickTable):
            raise InputError(f"{list_path} lists {file.path}, which is a list itself: give the files with the picks.")
        tables.append(table)
    return tables
