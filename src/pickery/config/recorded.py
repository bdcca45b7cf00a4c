"""Reads the settings that a run recorded in its config.yaml, which may have been changed or be another's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LARGEST_BYTES = 1 << 20
MOST_VALUES = 100_000
"""A few lines of YAML may name one another so that they stand for more than memory holds."""


def read_settings(path: Path) -> dict[str, Any]:
    """Read all settings of a run: groups to names to values.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It holds no settings; the message says why.
    """
    import yaml

    if path.stat().st_size > LARGEST_BYTES:
        raise ValueError(f"it has more than {LARGEST_BYTES >> 20} MiB")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    except OSError:
        raise
    except Exception as error:  # a time or a number that is none fails in any way there is
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ValueError("it holds no settings")
    _check(found)
    return found


def _check(found: object) -> None:
    """Check that whoever goes through all values comes to an end, and meets nothing but values."""
    waiting, met = [found], 0
    while waiting:
        value = waiting.pop()
        met += 1
        if isinstance(value, str) and "${" in value:  # all that a run asked of its surroundings was answered
            raise ValueError("it asks for something outside it with ${…}")
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, (list, tuple, set)):
            waiting += value
        if met + len(waiting) > MOST_VALUES:
            raise ValueError(f"it stands for more than {MOST_VALUES} values")
