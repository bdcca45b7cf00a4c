"""An earlier run as the beginning of another command's settings: ``from_run``, by the run's folder or its address."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pickery.config import again, catalogue
from pickery.config.errors import ConfigError
from pickery.config.line import for_hydra
from pickery.config.load import compose, hydra_errors, resolved
from pickery.config.recorded import read_settings
from pickery.config.schema import TrainConfig
from pickery.config.schema.base import is_files, takes_list
from pickery.errors import InputError
from pickery.tracking import fetch_record, is_tracked
from pickery.training.record import RECORD

SETTINGS = "config.yaml"
OWN = (
    *("run_dir", "from_run", "tracking.root", "tracking.uri"),
    *("engine.executable", "preprocess.store", "preprocess.write_mrc", "cross_validation.storage"),
)
"""Settings that are never an earlier run's.

Where the new one goes, and where the earlier one was looked for; and what an earlier run that came from elsewhere must
not decide: which program is run, and where files are written.
"""


@dataclass(frozen=True)
class Earlier:
    """What a run recorded of itself.

    Attributes
    ----------
    settings
        All of them: groups to names to values.
    fingerprint
        Of its data; None for a run that did not come to know it.
    versions
        Of the packages that count, by name; empty where they are not recorded.
    began_in
        The folder from which its relative paths count; None where that is not recorded.
    """

    settings: Mapping[str, Any]
    fingerprint: str | None
    versions: Mapping[str, str]
    began_in: Path | None


def expanded(command: str, words: Sequence[str]) -> list[str]:
    """Put the settings of the run that ``from_run`` names before the other words, which change them.

    Parameters
    ----------
    command
        One of `SCHEMAS`.
    words
        Those after the command, without flags.

    Returns
    -------
    list of str
        The same words where none of them is ``from_run``.

    Raises
    ------
    ConfigError, InputError
        When there is no such run, or what it recorded cannot be used.
    """
    given = {word.lstrip("+").partition("=")[0]: word.partition("=")[2] for word in words}
    if "from_run" not in given or "from_run" not in catalogue.settings(command):
        return list(words)
    line = for_hydra(command, words)
    with hydra_errors(command, line):
        composed = compose(command, line)
    source = composed.get("from_run")
    if source is None:
        return list(words)
    root, uri = str(composed.tracking.root), composed.tracking.uri
    found = read_earlier(str(source), root=Path(root), uri=None if uri is None else str(uri))
    if "cross_validation" in found.settings and command != "cross-validate":
        final = _inner(_json(Path(source).expanduser() / "summary.json"), "final").get("folder")
        if not isinstance(final, str) or Path(final).name != final or final in ("", ".."):  # they lie within it
            raise InputError(
                f"from_run={source} is a cross-validation, of many trainings: name one of them, such as its final one"
            )
        found = read_earlier(str(Path(source).expanduser() / final), root=Path(root), uri=None)
    settings = _from_here(command, found)
    try:
        before = again.words(command, settings)
    except ConfigError as error:
        raise InputError(f"from_run={source} has settings that this version does not know: {error}") from error
    anew = "data" in given  # another kind of data: nothing of the earlier one's is meant
    kept = []
    for word in before:
        key = word.partition("=")[0]
        if key not in given and key not in OWN and not (anew and key.startswith("data.")):
            kept.append(word)
    return [*kept, *words]


def read_earlier(source: str, *, root: Path, uri: str | None) -> Earlier:
    """Read what a run recorded.

    Parameters
    ----------
    source
        The run's folder, or its address (``runs:/ID``, or the ID alone).
    root
        Folder of the local database of runs; used when ``uri`` is None.
    uri
        A tracking server instead.

    Raises
    ------
    InputError
        There is no such run, or its record is damaged.
    """
    if is_tracked(source) and not Path(source).is_dir():
        with tempfile.TemporaryDirectory() as folder:
            record = fetch_record(source, SETTINGS, root=root, uri=uri, into=Path(folder), setting="from_run")
            settings = _settings(record.path, source)
        tags = record.tags
        began_in = tags.get("began_in")
        return Earlier(
            settings,
            tags.get("data_fingerprint"),
            {name.removeprefix("version."): tags[name] for name in tags if name.startswith("version.")},
            None if began_in is None else Path(began_in),
        )
    folder_of = Path(source).expanduser()
    if not folder_of.is_dir():
        raise InputError(f"from_run={source} is neither a run's folder nor the address of a tracked run (pickery ui)")
    if not (folder_of / SETTINGS).exists():
        raise InputError(f"from_run={source} holds no run (there is no {SETTINGS}): give the folder of a training")
    record_of = _json(folder_of / RECORD)
    provenance = _inner(_inner(_json(folder_of / "summary.json"), "provenance"), "versions")
    decides = _inner(record_of, "decides")
    began = record_of.get("began_in")
    return Earlier(
        _settings(folder_of / SETTINGS, source),
        decides.get("data"),
        {str(name): str(number) for name, number in provenance.items()},
        None if began is None else Path(str(began)),
    )


def differences(config: TrainConfig, fingerprint: str, versions: Mapping[str, str]) -> list[str]:
    """Say what is not as it was in the run that the settings were taken from, beside the settings.

    Parameters
    ----------
    config
        All settings; those of no earlier run give nothing.
    fingerprint
        Of the data.
    versions
        Of the packages that count.
    """
    if config.from_run is None:
        return []
    found = read_earlier(config.from_run, root=Path(config.tracking.root), uri=config.tracking.uri)
    said = []
    before, now = _from_here("train", found), resolved(config)
    as_before = all(_counted(before, group) == _counted(now, group) for group in ("data", "preprocess", "simulation"))
    as_before = as_before and before.get("seed") == now["seed"]
    if as_before and found.fingerprint not in (None, fingerprint):
        said.append(
            f"the files are named as in from_run={config.from_run}, but micrographs, picks, masks or negatives are not "
            "what they were: figures cannot be compared"
        )
    other = {name: number for name, number in found.versions.items() if versions.get(name, number) != number}
    if other:
        listed = ", ".join(f"{name} {number} (now {versions[name]})" for name, number in other.items())
        said.append(f"from_run={config.from_run} was made with {listed}: figures may differ in the last digits")
    return said


def _counted(settings: Mapping[str, Any], group: str) -> dict[str, Any]:
    return {name: value for name, value in _inner(settings, group).items() if f"{group}.{name}" not in OWN}


def _from_here(command: str, found: Earlier) -> dict[str, Any]:
    """Give the settings with relative names of files as they are to be written here."""
    settings = {group: dict(value) if isinstance(value, dict) else value for group, value in found.settings.items()}
    base = found.began_in
    if base is None or base == Path.cwd():
        return settings
    for key, field in catalogue.settings(command).items():
        group, _, name = key.partition(".")
        if not name or not is_files(field) or key in OWN or group not in settings:
            continue
        value = settings[group].get(name)
        if takes_list(field) and isinstance(value, list):
            settings[group][name] = [_absolute(base, one) for one in value]
        elif isinstance(value, str):
            settings[group][name] = _absolute(base, value)
    return settings


def _absolute(base: Path, name: str) -> str:
    path = Path(name).expanduser()
    # what is no file there, such as the address of tracked weights or a program's name, stays as it is
    there = base / path
    pattern = any(sign in name for sign in "*?[")
    return str(there) if not path.is_absolute() and (pattern or there.exists()) else name


def _settings(path: Path, source: str) -> dict[str, Any]:
    try:
        found = read_settings(path)
    except (OSError, ValueError) as error:
        raise InputError(f"from_run={source}: its {SETTINGS} is damaged ({' '.join(str(error).split())})") from error
    if not isinstance(found.get("data"), dict):
        raise InputError(f"from_run={source}: its {SETTINGS} holds no settings of a training")
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _inner(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Give the names and values under a name, none where it holds something else."""
    inner = found.get(name)
    return inner if isinstance(inner, dict) else {}
