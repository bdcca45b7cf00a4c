"""The words of a line that stand for a setting by their place: ``pickery convert IN OUT``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from pickery.config import catalogue
from pickery.config.commands import NAMES
from pickery.config.errors import ConfigError
from pickery.config.line import quoted


def named(command: str, words: Sequence[str]) -> list[str]:
    """Put the settings' names before words that stand for them by their place.

    A word with an equals sign is taken for a setting, unless a file of that name is there or a slash stands before the
    sign (``./a=b.star``).

    Parameters
    ----------
    command
        One of `SCHEMAS`.
    words
        Those after the command, without flags.

    Raises
    ------
    ConfigError
        When there are too many such words, one is empty, or its setting is given as well.
    """
    if command not in NAMES:
        return list(words)
    keys = list(NAMES[command].values())
    plain = [word for word in words if _is_name(command, word)]
    settings = [word for word in words if not _is_name(command, word)]
    form = f"pickery {command} {' '.join(NAMES[command])}"
    if len(plain) > len(keys):
        examples = ", ".join((*plain[:3], *(["…"] if len(plain) > 3 else [])))
        raise ConfigError(
            [
                f"{len(plain)} names are given ({examples}), and {form} takes {len(keys)}: several files are one"
                " name, as a folder, a glob in quotes such as '*.box' or a list such as '[a.box,b.box]'; settings are"
                " group.key=value."
            ]
        )
    problems = [
        f"{key} is given twice, as the word {word} and by its name: {form} needs it once."
        for word, key in zip(plain, keys, strict=False)
        if any(other.partition("=")[0].lstrip("+") == key for other in settings)
    ]
    problems += [f"a name is empty: {form} needs names of files." for word in plain if not word.strip()]
    if problems:
        raise ConfigError(problems)
    return [*(f"{key}={_value(word)}" for word, key in zip(plain, keys, strict=False)), *settings]


def _is_name(command: str, word: str) -> bool:
    key, equals, _ = word.partition("=")
    if not equals:
        return not re.match(r"[~+]\w[\w.]*$", word)  # Hydra's words for taking away and adding
    if key.lstrip("+~") in {*catalogue.settings(command), *catalogue.choosable(command)}:
        return False
    return ("/" in key and not key.startswith("hydra/")) or os.path.lexists(word)


def _value(word: str) -> str:
    if word.startswith("[") and word.endswith("]") and not os.path.lexists(word):
        return word  # a list, in Hydra's own words
    return quoted(os.path.expanduser(word))
