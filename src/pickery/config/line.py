"""The command line on its way to Hydra: file names as people write them, and `data=files` where files are given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pickery.config import catalogue, explain
from pickery.config.errors import ConfigError
from pickery.config.schema.base import takes_text

_PLAIN = re.compile(r"[\w/\-+.$%*@?|: ]*", re.ASCII)
_OWN_SYNTAX = ("'", '"', "[", "{", "${")
_FILES = ("data.micrographs", "data.picks")


def for_hydra(command: str, overrides: Sequence[str]) -> list[str]:
    """Make a command line ready for Hydra.

    File names and other text that Hydra's grammar cannot read (accents, brackets, ``~/``) are quoted. ``data=files``
    is put first where micrographs or picks are given, on the line or by an experiment, and neither the line nor the
    experiment chooses ``data`` itself.

    Parameters
    ----------
    command
        One of `SCHEMAS`.
    overrides
        The words after the command, without flags.

    Returns
    -------
    list of str
        The words for Hydra.

    Raises
    ------
    ConfigError
        When a word names no setting, or takes one away (``~key``), so that its default would step in unseen.
    """
    removed = [word for word in overrides if word.startswith("~") and not word.startswith("~hydra")]
    problems = [f"{word}: a setting cannot be taken away, only changed." for word in removed]
    problems += [explain.unknown(command, key) for key in explain.absent(command, overrides)]
    if problems:
        raise ConfigError(problems)
    line = [_readable(command, word) for word in overrides]
    if "data" in catalogue.choosable(command) and _needs_files(line):
        line.insert(0, "data=files")
    return line


def _readable(command: str, word: str) -> str:
    key, equals, value = word.partition("=")
    field = catalogue.settings(command).get(key.lstrip("+"))
    if not equals or field is None or not takes_text(field):
        return word
    if value.startswith("~/"):
        value = str(Path(value).expanduser())
    if value.startswith(_OWN_SYNTAX) or (_PLAIN.fullmatch(value) and value == value.strip()):
        return f"{key}={value}"
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        OverridesParser.create().parse_override(f"{key}={value}")
    except HydraException:
        return f"{key}={quoted(value)}"
    return f"{key}={value}"


def quoted(value: str) -> str:
    """Quote text for Hydra, whatever it holds."""
    quote = '"' if "'" in value and '"' not in value else "'"
    # only backslashes before a quote are special
    escaped = re.sub(rf"(\\*){quote}", lambda found: found[1] * 2 + "\\" + quote, value)
    tail = "\\" * (len(escaped) - len(escaped.rstrip("\\")))
    return quote + escaped + tail + quote


def _needs_files(line: Sequence[str]) -> bool:
    given = dict(word.lstrip("+").partition("=")[::2] for word in line)
    if "data" in given:
        return False
    if given.get("data.source") == "files":
        return True
    folders = [catalogue.conf_folder(), *_search_path(given.get("hydra.searchpath", ""))]
    experiments = list(_experiments(given.get("experiment", ""), folders))
    if any(_chooses_data(experiment) for experiment in experiments):
        return False
    files: list[object] = [given.get(key) for key in _FILES]
    files += [(experiment.get("data") or {}).get(key.split(".")[1]) for experiment in experiments for key in _FILES]
    return any(value not in (None, "null", "") for value in files)


def _search_path(text: str) -> list[Path]:
    return [Path(folder) for folder in re.findall(r"file://([^,'\"\]]+)", text)]


def _experiments(names: str, folders: Sequence[Path], depth: int = 0) -> Iterator[dict[str, Any]]:
    """Read the named experiments, and those that they are made of; what is absent is left for Hydra to report."""
    import yaml

    for name in re.findall(r"[^\[\],\s'\"]+", names if depth < 9 else ""):  # one may name itself
        for folder in folders:
            path = folder / "experiment" / f"{name}.yaml"
            if not path.is_file():
                continue
            try:
                experiment = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (yaml.YAMLError, UnicodeDecodeError):
                break
            if isinstance(experiment, dict):
                yield experiment
                parts = [entry for entry in experiment.get("defaults") or [] if isinstance(entry, str)]
                yield from _experiments(",".join(part for part in parts if part != "_self_"), folders, depth + 1)
            break


def _chooses_data(experiment: dict[str, Any]) -> bool:
    entries = [entry for entry in experiment.get("defaults") or [] if isinstance(entry, dict)]
    return any(key.split()[-1].strip("/") == "data" for entry in entries for key in entry)
