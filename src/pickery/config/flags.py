"""The flags among the settings: those of Hydra's that are passed on, and what a mistaken one may have meant."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final

from pickery.config import catalogue
from pickery.config.errors import ConfigError
from pickery.config.line import quoted

_SHORT: Final[Mapping[str, str]] = {
    "-m": "--multirun",
    "-c": "--cfg",
    "-p": "--package",
    "-i": "--info",
    "-cd": "--config-dir",
}
_FLAGS: Final[Mapping[str, str]] = {
    "--multirun": "",
    "--cfg": "job|hydra|all",
    "--package": "GROUP",
    "--resolve": "",
    "--info": "[all|config|defaults|defaults-tree|plugins|searchpath]",
    "--config-dir": "FOLDER",
    "--hydra-help": "",
}
"""What each flag takes; in brackets what may be left out."""


def split(command: str, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part a line into flags and overrides, however they are mixed.

    ``--config-dir FOLDER`` becomes an override, as it is one that also works without Hydra's own command line.

    Raises
    ------
    ConfigError
        When there is no such flag, or it lacks its value.
    """
    flags: list[str] = []
    overrides: list[str] = []
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if not word.startswith("-"):
            overrides.append(word)
            continue
        name, equals, value = word.partition("=")
        name = _SHORT.get(name, name)
        if name not in _FLAGS:
            raise ConfigError([_unknown(command, word)])
        takes = _FLAGS[name]
        if equals:
            rest.append(value)
        if not takes:
            flags.append(name)
        elif takes.startswith("["):
            flags += [name, rest.pop()] if rest and rest[-1] in takes[1:-1].split("|") else [name]
        elif not rest:
            raise ConfigError([f"{name} lacks a value: {name} {takes}."])
        elif name == "--config-dir":
            overrides.append(_search_path(rest.pop()))
        else:
            value = rest.pop()
            if "|" in takes and value not in takes.split("|"):
                raise ConfigError([f"{name} {value}: must be one of {', '.join(takes.split('|'))}."])
            flags += [name, value]
    if "--cfg" not in flags and (lonely := [name for name in ("--package", "--resolve") if name in flags]):
        raise ConfigError([f"{lonely[0]} needs --cfg job, which prints the settings."])
    return flags, overrides


def _unknown(command: str, word: str) -> str:
    name, _, value = word.lstrip("-").partition("=")
    text = f"{word} is not an option of pickery {command}"
    meant = [name] if name in catalogue.settings(command) else catalogue.nearest(command, name)
    if meant:
        return f"{text}: settings take no dashes. Did you mean {meant[0]}={value or 'VALUE'}?"
    return f"{text}; pickery {command} --help lists them and all settings."


def _search_path(folder: str) -> str:
    path = os.path.abspath(os.path.expanduser(folder))
    if not os.path.isdir(path):
        raise ConfigError([f"--config-dir {folder}: there is no such folder."])
    return f"hydra.searchpath=[{quoted('file://' + path)}]"
