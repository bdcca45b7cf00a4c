"""Says in the words of the command line what Hydra and pydantic found wrong with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pickery.config import catalogue
from pickery.config.errors import ConfigError
from pickery.config.schema import SCHEMAS
from pickery.config.schema.base import as_word, choices, kind, limits, takes_list, takes_text

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_QUOTING = "A value that holds one of , = [ ] ( ) {{ }} # or such needs quotes inside quotes: '{key}=\"…\"'."


def unknown(command: str, key: str) -> str:
    """Say that there is no such setting, and which may have been meant."""
    known = catalogue.settings(command)
    if key in known:
        # the name is right, so the mistake is in how it was added to
        return f"{key} is a setting already: write {key}=VALUE, without a + in front."
    if key in catalogue.groups(command):
        return f"{key} is a group of settings, such as {_example(command, key)}."
    parent = key.rpartition(".")[0]
    if parent in known:
        return f"{key} is not a setting: {parent} takes a single value."
    if key.startswith("hydra"):
        return f"{key} is not a setting of Hydra's: pickery {command} --cfg hydra shows those."
    text = f"{key} is not a setting of pickery {command}."
    if others := [other for other in SCHEMAS if key in catalogue.settings(other)]:
        return f"{text} It is one of pickery {others[0]}."
    if meant := catalogue.nearest(command, key):
        return f"{text} Did you mean {' or '.join(meant)}?"
    return f"{text} pickery {command} --help lists them all."


def absent(command: str, overrides: Sequence[str]) -> list[str]:
    """Find every name on a line that is no setting of the command: Hydra would report only the first."""
    known = {*catalogue.settings(command), *catalogue.choosable(command), *catalogue.groups(command)}
    keys = [word.partition("=")[0].lstrip("+") for word in overrides if "=" in word]
    plain = [key for key in keys if re.fullmatch(r"\w[\w./]*", key) and not key.startswith("hydra")]
    return [key for key in plain if ".." not in key and key not in known]


def unknown_option(command: str, group: str, option: str, available: Sequence[str] | None = None) -> str:
    """Say that a group has no such option, and which it has."""
    if group == "hydra/launcher":
        return _no_launcher(option, sorted(available or ()))
    if group not in catalogue.choosable(command):
        return f"{group}={option} chooses nothing: {unknown(command, group)}"
    available = [*catalogue.options(group), *(name for name in available or () if name not in catalogue.options(group))]
    close = difflib.get_close_matches(option, available, n=1)
    question = f" Did you mean {group}={close[0]}?" if close else ""
    return f"{group}={option}: there is no such {group}; there are {', '.join(available)}.{question}"


_LAUNCHERS = ("joblib", "submitit_local", "submitit_slurm")


def _no_launcher(option: str, available: Sequence[str]) -> str:
    if option in _LAUNCHERS:
        return f"hydra/launcher={option} is not installed: pip install 'pickery[launchers]' brings it."
    there = dict.fromkeys([*available, *_LAUNCHERS])
    return f"hydra/launcher={option}: there is no such launcher; there are {', '.join(there)}."


def from_pydantic(command: str, error: ValidationError, values: Mapping[str, Any]) -> ConfigError:
    """Turn a failed validation into sentences, one for each setting."""
    problems: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        key, field = _locate(command, detail["loc"])
        if key not in problems:
            problems[key] = _problem(command, key, field, detail, values)
    return ConfigError(list(problems.values()))


def not_usable(key: str, field: FieldInfo, value: object, *, only_range: bool) -> str:
    """Say what a setting takes and what it was given."""
    words = limits(field) if only_range and limits(field) else kind(field)
    got = "nothing" if value == "" else as_word(value)
    text = f"{key}={as_word(value)}: must be {words} (got {got})."
    named = [str(choice) for choice in choices(field) if isinstance(choice, str)]
    if isinstance(value, str) and (close := difflib.get_close_matches(value.lower(), named, n=1)):
        text += f" Did you mean {key}={close[0]}?"
    elif takes_text(field) and isinstance(value, (bool, float)):
        text += f" To have it read as text, quote it: '{key}=\"{as_word(value)}\"'."
    elif field.description:
        text += f" {first_sentence(field.description)}"
    return text


def first_sentence(text: str) -> str:
    """Give a description's first sentence."""
    return re.split(r"(?<=\.)\s", text, maxsplit=1)[0]


def from_hydra(command: str, error: Exception, overrides: Sequence[str]) -> ConfigError:
    """Turn what Hydra could not read or put together into sentences."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    text = str(error).partition("\nSee http")[0].strip()
    match error:
        case OverrideParseException(override=word):
            return ConfigError([_unreadable(command, str(word))])
        case MissingConfigException(missing_cfg_file=str(missing), options=available) if "/" in missing:
            group, _, option = missing.rpartition("/")
            return ConfigError([unknown_option(command, group, option, available)])
    if found := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", text):
        return ConfigError([_several_values(command, found[1])])
    if found := re.match(r"Could not (?:override|append to config|delete)[^']*'([^']+)'", text):
        return ConfigError([unknown(command, found[1].partition("@")[0])])
    if "does not support sweep type" in text:
        return ConfigError(["interval(…) holds no end of values: write a,b,c or range(start,stop,step) instead."])
    if found := re.match(r"Multiple values for (\w+)\.", text):
        return ConfigError([f"{found[1]} is chosen more than once: write {found[1]}=NAME once, without a + in front."])
    if isinstance(error, OmegaConfBaseException):
        where = f"{error.full_key}: " if error.full_key else ""
        return ConfigError([f"{where}{_sentence(text.partition(chr(10))[0])}"])
    cause = f": {error.__cause__}".partition("\n")[0] if error.__cause__ else ""
    if not text or text.startswith("Config group override must be") or "''" in text:
        return ConfigError([_not_an_option(command, overrides)])
    return ConfigError([_sentence(" ".join(text.split()) + cause)])


def _example(command: str, group: str) -> str:
    from pydantic_core import PydanticUndefined

    for key, field in catalogue.settings(command).items():
        if key.startswith(f"{group}.") and field.default not in (None, PydanticUndefined):
            return f"{key}={as_word(field.default)}"
    return f"{group}.NAME=VALUE"


def _locate(command: str, location: Sequence[int | str]) -> tuple[str, FieldInfo | None]:
    """Find the setting that an error of pydantic is about: its name, and what is known of it."""
    names = [str(part) for part in location]
    known = catalogue.settings(command)
    for length in (1, 2):
        if (key := ".".join(names[:length])) in known:
            return key, known[key]
    return ".".join(names), None


def _problem(command: str, key: str, field: FieldInfo | None, detail: ErrorDetails, values: Mapping[str, Any]) -> str:
    if field is None:
        if detail["type"] == "missing":
            return f"The group {key} is missing."
        if key in catalogue.groups(command):
            return f"{key}={as_word(detail['input'])}: {key} is a group of settings, such as {_example(command, key)}."
        return unknown(command, key)
    value: Any = values
    for part in key.split("."):
        value = value[part]
    beyond = detail["type"].startswith(("greater_than", "less_than"))
    return not_usable(key, field, value, only_range=beyond)


def _unreadable(command: str, word: str) -> str:
    key, equals, value = word.partition("=")
    key = key.strip().lstrip("+~")
    if equals and re.fullmatch(r"[+~]*[\w./@]+", word.partition("=")[0]) and ".." not in key:
        if value.startswith("="):
            return f"{word} cannot be read: write {key}=VALUE with a single =."
        return f"{word} cannot be read. {_QUOTING.format(key=key)}"
    if equals:
        meant = re.sub(r"[\s.]*\.[\s.]*", ".", key).strip(" .")
        return f"{word} cannot be read: write group.key=value without spaces, such as {meant}={value.strip()}."
    return without_value(command, word)


def without_value(command: str, word: str) -> str:
    """Say what to do with a word that is no ``group.key=value``."""
    key = word.strip("-+~")
    if key in catalogue.choosable(command):
        return f"{word} lacks a value: {', '.join(f'{key}={option}' for option in catalogue.options(key))}."
    if key in catalogue.settings(command):
        return f"{word} lacks a value: {key}=VALUE, which must be {kind(catalogue.settings(command)[key])}."
    if key in catalogue.groups(command):
        return unknown(command, key)
    if word == "=" or not key:
        return f"{word} stands alone: write group.key=value without spaces around the =."
    meant = catalogue.nearest(command, key)
    question = f" Did you mean {meant[0]}=…?" if meant else ""
    return f"{word} is not understood: settings are written group.key=value, such as trainer.epochs=20.{question}"


def _not_an_option(command: str, overrides: Sequence[str]) -> str:
    """Find the word that Hydra took for the choice of a group, without being one."""
    for word in overrides:
        if (key := word.partition("=")[0].lstrip("+~")) in catalogue.groups(command):
            return f"{word} chooses nothing: {unknown(command, key)}"
    return "A setting lacks its name: write group.key=value, such as trainer.epochs=20."


def _several_values(command: str, word: str) -> str:
    key, _, value = word.partition("=")
    field = catalogue.settings(command).get(key)
    each = "add --multirun to run with each"
    if field is not None and takes_list(field):
        return f"{word} gives several values: write '{key}=[{value}]' for a list, or {each}."
    return f"{word} gives several values: {each}, or give a single one."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
