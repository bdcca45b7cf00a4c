"""What commands, groups, options and settings there are, and which of them a mistyped name may have meant."""

from __future__ import annotations

import difflib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pickery.config.commands import python_name
from pickery.config.schema import SCHEMAS, Settings
from pickery.config.schema.base import as_word, is_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

_ALSO_CALLED: Mapping[str, str] = {
    # other programs' names for our settings
    "batch_size": "sampler.minibatch_size",
    "minibatch_balance": "sampler.balance",
    "lr": "optimizer.learning_rate",
    "num_epochs": "trainer.epochs",
    "device": "trainer.accelerator",
    "num_particles": "data.expected_particles",
    "expected_number_of_particles": "data.expected_particles",
    "train_images": "data.micrographs",
    "train_targets": "data.picks",
    "particles": "data.picks",
    "test_images": "data.test_micrographs",
    "test_targets": "data.test_picks",
    "train_test_split": "data.test_fraction",
    "k_fold": "data.folds",
    "kfold": "data.folds",
    "n_folds": "data.folds",
    "num_folds": "data.folds",
    "cross_validation_seed": "seed",
    "downsampling": "preprocess.downsample",
    "down_scale": "preprocess.downsample",
    "scale": "preprocess.downsample",
    "sample": "preprocess.pixel_sampling",
    "niters": "preprocess.iterations",
    "affine": "preprocess.method",
    "bn": "model.batch_norm",
    "ngf": "loss.decoder_unit_scaling",
    "output": "simulation.out",
    "save_prefix": "run_dir",
}

_OF_CROSS_VALIDATION: Mapping[str, str] = {
    # the same, and our own names elsewhere, where folds are compared
    **dict.fromkeys(("k_fold", "kfold", "n_folds", "num_folds", "fold", "folds", "cv"), "cross_validation.folds"),
    "start": "cross_validation.initial",
    "step": "cross_validation.increment",
    "steps": "cross_validation.times",
    "n_jobs": "cross_validation.workers",
}

_NOT_VARIED: Mapping[str, str] = {
    # names of settings, or of groups with their dot; what each does completes a sentence
    "cross_validation.": "belongs to the cross-validation itself",
    "tracking.": "changes no result",
    "simulation.": "belongs to the data",
    "seed": "decides the folds",
    "data.test_fraction": "says what is held out, as cross_validation.folds does",
    "data.folds": "says what is held out, as cross_validation.folds does",
    "data.fold": "says what is held out, as cross_validation.folds does",
    "data.pixel_size": "is a fact about the micrographs",
    "evaluation.stride": "is part of the measure by which values are compared",
    "evaluation.match_radius": "is part of the measure by which values are compared",
    "preprocess.workers": "changes no result, only speed",
    "sampler.workers": "changes no result, only speed",
    "trainer.devices": "changes no result, only speed",
    "trainer.threads": "changes no result, only speed",
}

NO_NUMBER = "is no number"

_NAMES_ITS_OPTION = ("source", "architecture", "objective", "name", "enabled")


def groups(command: str) -> dict[str, type[Settings]]:
    """Give a command's groups of settings."""
    found = {}
    for name, field in SCHEMAS[command].model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            found[name] = field.annotation
    return found


@cache
def settings(command: str) -> Mapping[str, FieldInfo]:
    """Give all settings of a command by their dotted names, those without a group last."""
    dotted, single = {}, {}
    inside = groups(command)
    for name, field in SCHEMAS[command].model_fields.items():
        if name in inside:
            dotted.update({f"{name}.{key}": value for key, value in inside[name].model_fields.items()})
        else:
            single[name] = field
    return MappingProxyType(dotted | single)


def conf_folder() -> Path:
    """Find the folder of values that Hydra composes."""
    return Path(str(files("pickery.conf")))


def options(group: str) -> list[str]:
    """Give the names that can be chosen for a group, such as ``resnet8`` for ``model``; numbers in order of size."""
    names = [path.stem for path in (conf_folder() / group).glob("*.yaml")]
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])


@cache
def choosable(command: str) -> Mapping[str, str | None]:
    """Give the groups of a command that have options to choose from, each with the one chosen by default."""
    default = dict(_default_options(python_name(command)))
    return MappingProxyType({group: default[group] for group in default if options(group) != ["default"]})


def _default_options(name: str) -> Iterator[tuple[str, str | None]]:
    """Read a file of values for its groups and those of the files that it includes."""
    import yaml

    for entry in yaml.safe_load((conf_folder() / f"{name}.yaml").read_text(encoding="utf-8")).get("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            yield from _default_options(entry)
        elif isinstance(entry, dict):
            yield from ((group, option) for group, option in entry.items() if not group.startswith("override "))


@cache
def variable(command: str) -> Mapping[str, FieldInfo]:
    """Give the settings of a command that a cross-validation can vary: numbers that change a training's result."""
    return MappingProxyType({key: field for key, field in settings(command).items() if not why_not_varied(key, field)})


def why_not_varied(key: str, field: FieldInfo) -> str:
    """Say why a setting cannot be varied, to complete a sentence that begins with its name; empty if it can."""
    for name, reason in _NOT_VARIED.items():
        if key == name or (name.endswith(".") and key.startswith(name)):
            return reason
    return "" if is_number(field) else NO_NUMBER


def names_its_option(name: str) -> bool:
    """Whether a setting, given without its group, only says which of the group's options was chosen."""
    return name in _NAMES_ITS_OPTION


def comment(group: str, option: str) -> str:
    """Give what the file of an option says of itself: its first paragraph that is no command line."""
    lines = (conf_folder() / group / f"{option}.yaml").read_text(encoding="utf-8").splitlines()
    said = [line.lstrip("# ") for line in lines if line.startswith("#") and "@package" not in line]
    return " ".join(line for line in said if line and not line.startswith("pickery "))


def brings(command: str, group: str, option: str) -> dict[str, str]:
    """Give the settings that an option sets to something else than their defaults, as words of the command line."""
    import yaml

    values = yaml.safe_load((conf_folder() / group / f"{option}.yaml").read_text(encoding="utf-8"))
    nested = values if isinstance(values.get(group), dict) else {group: values}
    found = {}
    for name, inner in nested.items():
        for key, value in inner.items():
            field = settings(command).get(f"{name}.{key}")
            same = (tuple(value) if isinstance(value, list) else value) == (None if field is None else field.default)
            if field is not None and not same and not names_its_option(key):
                word = as_word(value)
                found[f"{name}.{key}"] = word[2:-1] if word.startswith("${") else word
    return found


def last_part(key: str) -> str:
    """Give a name without its group, as settings are spelled."""
    return key.replace("/", ".").replace("-", "_").strip(".").lower().split(".")[-1]


def called(command: str, name: str) -> list[str]:
    """Find the settings of a command that are meant by a name: with its group, without it, or another program's."""
    known = settings(command)
    if name in known:
        return [name]
    if "." in name:
        return []
    last = last_part(name)
    other = _ALSO_CALLED.get(last)
    return [key for key in known if key == other or key.split(".")[-1] == last]


def nearest(command: str, key: str) -> list[str]:
    """Find the settings of a command that a name may have meant, the likeliest first; empty if none is alike."""
    known = settings(command)
    last = last_part(key)
    if last in _OF_CROSS_VALIDATION and _OF_CROSS_VALIDATION[last] in known:
        return [_OF_CROSS_VALIDATION[last]]
    meant = [_ALSO_CALLED[last]] if _ALSO_CALLED.get(last) in known else []
    meant += [name for name in known if name.split(".")[-1] == last]
    if not meant:
        meant += difflib.get_close_matches(key, known, n=2, cutoff=0.75)
        by_last: dict[str, list[str]] = {}
        for name in known:
            by_last.setdefault(name.split(".")[-1], []).append(name)
        for close in difflib.get_close_matches(last, by_last, n=2, cutoff=0.75):
            meant += by_last[close]
    return list(dict.fromkeys(meant))[:3]
