"""Files and folders as users give them: what exists, in which order, and how to say in one sentence what is wrong."""

import glob
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pickery.atomic import atomic_path
from pickery.errors import InputError

UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, undecoded bytes, and ends of lines and paragraphs."""


def os_problem(error: OSError) -> str:
    """Say what the operating system refused, as the end of a sentence that begins with the file's name."""
    if isinstance(error, FileNotFoundError):
        return "does not exist: check the path"
    if isinstance(error, PermissionError):
        return "may not be opened: change its permissions or ask its owner"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a file"
    return f"cannot be opened ({error.strerror or error}): check the disk and the path"


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a library raises over a bad file into an InputError that names the file.

    The libraries raise nearly anything over a broken file (struct.error, KeyError, zlib.error, SyntaxError, …), hence
    the wide net. Keep only the library's calls inside.
    """
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(
            f"{path} does not fit into memory ({error}): check the size that it claims to have."
        ) from error
    except OSError as error:
        # libraries raise OSError over contents too, then without an errno
        if error.errno is not None:
            raise InputError(f"{path} {os_problem(error)}.") from error
        raise InputError(_not_readable(path, kind, error)) from error
    except Exception as error:
        raise InputError(_not_readable(path, kind, error)) from error


def _not_readable(path: Path, kind: str, error: Exception) -> str:
    said = " ".join(str(error).split())[:200] or type(error).__name__
    return f"{path} cannot be read as {kind} ({said}): it is damaged or something else, so write or copy it again."


def text_lines(path: Path) -> Iterator[str]:
    """Lines of a text file in UTF-8, without their ends; whatever its line ends and its byte order mark.

    Raises
    ------
    InputError
        The file cannot be opened, or is not text.
    """
    try:
        with path.open(encoding="utf-8-sig") as handle:
            for line in handle:
                if "\0" in line:
                    raise InputError(f"{path} is not a text file: give the table of picks or the list itself.")
                yield line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8: save it as plain text in UTF-8.") from error
    except OSError as error:
        raise InputError(f"{path} {os_problem(error)}.") from error


def head_of(path: Path, size: int = 4000) -> str:
    """Return the first bytes of a file as text, "" where it is not text.

    Raises
    ------
    InputError
        The file cannot be opened.
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(size)
    except OSError as error:
        raise InputError(f"{path} {os_problem(error)}.") from error
    return "" if b"\0" in head else head.decode("utf-8-sig", errors="ignore")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place when the block ends well, and is removed otherwise.

    Raises
    ------
    InputError
        The folder cannot be made or written to, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            yield temporary
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}): give another place.") from error


def natural_key(text: str) -> tuple[list[str | tuple[int, str]], str]:
    """Sort key by which ``mic_2`` comes before ``mic_10``."""
    pieces = re.split(r"([0-9]+)", text)
    return [_size_of(piece) if index % 2 else piece for index, piece in enumerate(pieces)], text


def _size_of(digits: str) -> tuple[int, str]:
    """Give what orders whole numbers by their size; not `int`, which refuses thousands of digits."""
    digits = digits.lstrip("0")
    return len(digits), digits


def expand(source: str, setting: str) -> tuple[list[Path], bool]:
    """Files that a folder, a glob or a path means, absolute, in natural order.

    Returns
    -------
    paths
        Of a folder, what it holds itself, hidden files left out; folders are never among them.
    chosen
        Whether the user named the one file, so that nothing may be left out.

    Raises
    ------
    InputError
        Nothing is there, what is there is no file, or its name cannot be written into tables.
    """
    paths, chosen = _expanded(source, setting)
    check_names(map(str, paths), setting)
    strange = next((path for path in paths if not os.path.isfile(path) and os.path.exists(path)), None)
    if strange is not None:  # opening a pipe would wait for someone to write into it
        raise InputError(f"{setting} has {strange}, which is a pipe or a device, not a file: copy its contents to one.")
    return paths, chosen


def check_names(names: Iterable[str], setting: str) -> None:
    """Check that names of files can stand in a line of a table, in UTF-8.

    Raises
    ------
    InputError
        One has a line end, a tab or another control character in it, or bytes that are no text.
    """
    for name in names:
        if not name.isprintable() and any(unicodedata.category(sign) in UNWRITABLE for sign in name):
            raise InputError(
                f"{setting} has {name!a}, a name with a line end, a tab, another control character or bytes that"
                " are not text in UTF-8, which no table can hold: give the file another name."
            )


def _expanded(source: str, setting: str) -> tuple[list[Path], bool]:
    given = os.path.expanduser(source)
    if not source.strip() or "\0" in source:
        raise InputError(f"{setting} is empty: give a file, a folder or a glob.")
    if os.path.isdir(given):
        try:
            with os.scandir(given) as entries:
                found = [entry.path for entry in entries if not entry.name.startswith(".") and not entry.is_dir()]
        except OSError as error:
            raise InputError(f"{setting}={source} {os_problem(error)}.") from error
        if not found:
            raise InputError(f"{setting}={source} is an empty folder: give the folder that holds the files themselves.")
        return _absolute(found), False
    if _lies_there(given, f"{setting}={source}"):
        return _absolute([given]), True
    if glob.has_magic(given):
        try:
            matches = glob.glob(given, recursive=True)
        except Exception as error:  # a pattern that re refuses
            raise InputError(f"{setting}={source} is not a glob that can be used ({error}).") from error
        found = [match for match in matches if not os.path.isdir(match)]
        if not found:
            if matches:
                raise InputError(f"{setting}={source} matches only folders, such as {matches[0]}: add /* to it.")
            raise InputError(f"{setting}={source} matches no file: check the path and the ending.")
        return _absolute(found), False
    folder = Path(os.path.abspath(given)).parent
    hint = "check the path" if os.path.isdir(folder) else f"there is no folder {folder} either"
    raise InputError(f"{setting}={source} does not exist: {hint}.")


def _lies_there(given: str, described: str) -> bool:
    """Whether a file or a link is there; it may be one that cannot be known."""
    try:
        os.lstat(given)
    except PermissionError as error:
        raise InputError(f"{described} {os_problem(error)}.") from error
    except (OSError, ValueError):  # not there, or a glob that is too long or odd for a file's name
        return False
    return True


def _absolute(paths: Sequence[str]) -> list[Path]:
    # abspath, not resolve: a link keeps its own name, which is the micrograph's
    return [Path(path) for path in sorted({os.path.abspath(path) for path in paths}, key=natural_key)]


def look_for_listed(entries: Sequence[str], list_path: Path, *, ancestors: bool = False) -> dict[str, Path | None]:
    """Absolute paths of the files that a list names, None for one that does not exist.

    Parameters
    ----------
    entries
        As written in the list. A relative one counts from the current folder, else from the list's own.
    ancestors
        Look in the folders above the list too: RELION and CryoSPARC write paths from their project's folder.
    """
    folders = [Path.cwd(), list_path.parent, *(list_path.parent.parents if ancestors else ())]
    found: dict[str, Path | None] = dict.fromkeys(entries)
    for entry in found:
        given = os.path.expanduser(entry)
        candidates = (os.path.abspath(os.path.join(folder, given)) for folder in folders if "\0" not in entry)
        found[entry] = next((Path(path) for path in candidates if os.path.isfile(path)), None)
    return found


def find_listed(entries: Sequence[str], list_path: Path, *, ancestors: bool = False) -> list[Path]:
    """Absolute paths of the files that a list names, as `look_for_listed`.

    Raises
    ------
    InputError
        Some of them do not exist.
    """
    found = look_for_listed(entries, list_path, ancestors=ancestors)
    paths = [path for path in map(found.get, entries) if path is not None]
    if len(paths) < len(entries):
        raise missing_error([entry for entry in entries if found[entry] is None], len(entries), list_path)
    return paths


def missing_error(missing: Sequence[str], count: int, list_path: Path, way_out: str = "") -> InputError:
    """Say that some of the files that a list names do not exist."""
    return InputError(
        f"{list_path} lists {len(missing)} of {count} files that do not exist, the first of them {missing[0]}: correct"
        f" the list, or start in the folder that its paths count from{way_out}."
    )


def unique_names(paths: Sequence[Path], bare_name: Callable[[str], str], setting: str) -> list[str]:
    """Name each file by `bare_name` of its file name, with as many parent folders before it as make it unique.

    Raises
    ------
    InputError
        Two files in one folder have the same name but for their endings.
    """
    names = [bare_name(path.name) for path in paths]
    pending = _clashing(names, range(len(paths)))
    depth = 0
    while pending:
        depth += 1
        for index in pending:
            parents = paths[index].parent.parts[1:]  # [0] is the root
            names[index] = "/".join((*parents[-depth:], bare_name(paths[index].name)))
        clashing = _clashing(names, pending)
        if clashing and all(depth > len(paths[index].parts) for index in clashing):
            first, second = (paths[index] for index in clashing[:2])
            raise InputError(
                f"{setting} has both {first} and {second}, which stand for one micrograph: give only one of them, for"
                f" example by a glob such as '{first.parent}/*{first.name[len(bare_name(first.name)) :]}'."
            )
        pending = clashing
    return names


def _clashing(names: Sequence[str], indices: Sequence[int]) -> list[int]:
    """Those of the indices whose name another of them has, clashing ones side by side."""
    groups: dict[str, list[int]] = {}
    for index in indices:
        groups.setdefault(names[index], []).append(index)
    return [index for group in groups.values() if len(group) > 1 for index in group]
