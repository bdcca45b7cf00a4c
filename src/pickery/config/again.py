"""The command line that gives settings again: the fewest words that do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pickery.config import catalogue
from pickery.config.line import for_hydra, quoted
from pickery.config.load import compose, hydra_errors
from pickery.config.schema.base import as_word, takes_text

_YAMLS_OWN = ("null", "true", "false", "yes", "no", "on", "off", "nan", "inf", ".nan", ".inf")


def words(command: str, settings: Mapping[str, Any]) -> list[str]:
    """Give the words after ``pickery COMMAND`` that have these settings as their result.

    Parameters
    ----------
    command
        One of `SCHEMAS`.
    settings
        As ``config.yaml`` holds them: groups to names to values.

    Returns
    -------
    list of str
        Options first (``model=conv31``), then single settings, in the schema's order. Settings that Pickery did not
        know when they were written are left to their defaults.
    """
    chosen = list(_options(command, settings))
    line = for_hydra(command, chosen)
    with hydra_errors(command, line):
        composed = compose(command, line)
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(plain, dict)
    # where files are given the line takes data=files by itself
    given = (settings.get("data") or {}).get("micrographs") is not None
    found = [word for word in chosen if not (given and word == "data=files")]
    for key, field in catalogue.settings(command).items():
        if key == "from_run":
            continue  # all that it gave is here
        *group, name = key.split(".")
        values, defaults = (settings.get(group[0]) or {}, plain[group[0]]) if group else (settings, plain)
        if name not in values or _same(values[name], defaults.get(name)) or catalogue.names_its_option(name):
            continue
        value = values[name]
        found.append(f"{key}={_word(value) if takes_text(field) else as_word(value)}")
    return found


def _options(command: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Give the options that were chosen, where they are not the default ones."""
    import yaml

    for group, default in catalogue.choosable(command).items():
        if group not in catalogue.groups(command):
            continue  # such as experiment, whose changes are settings like any other
        key = next((name for name in settings.get(group) or {} if catalogue.names_its_option(name)), None)
        if key is None:
            continue
        for option in catalogue.options(group):
            path = catalogue.conf_folder() / group / f"{option}.yaml"
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
            own = values[group] if isinstance(values.get(group), dict) else values
            if own.get(key) == settings[group][key] and option != default:
                yield f"{group}={option}"


def _same(value: object, other: object) -> bool:
    """Compare as YAML does: 1 and 1.0 are one number, and a tuple is a list."""
    if isinstance(value, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(value) == len(other) and all(map(_same, value, other))
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _word(value: object) -> str:
    """Write a value of a setting that takes text so that it is read back as the same text."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_word(item) for item in value)}]"
    if not isinstance(value, str):
        return as_word(value)
    # what begins like a name and is none of YAML's own words needs no quotes
    plain = re.fullmatch(r"[A-Za-z/_.][\w/.-]*", value, re.ASCII) and value.lower() not in _YAMLS_OWN
    return value if plain else quoted(value)
