"""Every setting has a default, a meaning and a range, and the values in conf/ are those defaults."""

import dataclasses
import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, get_args

import pytest
import yaml
from annotated_types import Ge, Gt, Le, Lt

from pickery.config import catalogue
from pickery.config.errors import ConfigError
from pickery.config.load import flat, load, validate
from pickery.config.schema import SCHEMAS, SimulationGroup
from pickery.config.schema.base import _members, _range, as_word, choices, kind

OWN_DATA = ["data.micrographs=micrographs", "data.picks=picks.star", "data.expected_particles=400"]
ALL = [(command, key) for command in SCHEMAS for key in catalogue.settings(command)]
BROUGHT = {
    ("data", "simulated"): {
        "data.expected_particles": "simulation.particles_per_micrograph",
        "preprocess.downsample": "4",
        "sampler.epoch_size": "50",
        "trainer.epochs": "6",
        "optimizer.learning_rate": "0.001",
    },
    ("optimizer", "adamw"): {"optimizer.weight_decay": "0.01"},
    ("optimizer", "sgd"): {"optimizer.momentum": "0.9"},
    ("sampler", "patches"): {"sampler.minibatch_size": "256", "sampler.balance": "0.0625"},
    ("engine", "topaz"): {"engine.executable": "topaz"},
}
CHOICE_OF = {
    "data": "source",
    "engine": "name",
    "model": "architecture",
    "loss": "objective",
    "optimizer": "name",
    "sampler": "name",
    "tracking": "enabled",
}
GROUPS = sorted(path.name for path in catalogue.conf_folder().iterdir() if path.is_dir() and path.name[0] not in "_.")
OPTIONS = [(group, option) for group in GROUPS if group != "experiment" for option in catalogue.options(group)]


def test_conf_has_a_folder_for_every_group_of_a_training_and_a_cross_validation() -> None:
    assert set(GROUPS) == {*catalogue.groups("cross-validate"), "experiment", "picking"}
    assert set(catalogue.groups("cross-validate")) == {*catalogue.groups("train"), "cross_validation"}


def test_a_cross_validation_composes_as_a_training_does_beside_its_own_group() -> None:
    for line in ([], OWN_DATA, ["optimizer=sgd", "tracking=off"], [*OWN_DATA, "experiment=few_labels"]):
        own, ordinary = flat(load("cross-validate", line)), flat(load("train", line))
        assert {key: value for key, value in own.items() if not key.startswith("cross_validation.")} == ordinary
    assert catalogue.choosable("cross-validate") == catalogue.choosable("train")
    for group in catalogue.choosable("train"):
        for option in catalogue.options(group) if group != "experiment" else ():
            assert catalogue.brings("cross-validate", group, option) == catalogue.brings("train", group, option)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_equals_the_defaults_but_for_what_it_is_for(group: str, option: str) -> None:
    values = yaml.safe_load((catalogue.conf_folder() / group / f"{option}.yaml").read_text(encoding="utf-8"))
    values = values[group] if option == "simulated" else values
    values.pop("defaults", None)  # another group's option that this one takes with it
    schema = catalogue.groups("pick" if group == "picking" else "cross-validate")[group]
    brought = {
        key.split(".")[1]: word for key, word in BROUGHT.get((group, option), {}).items() if key.startswith(group)
    }
    assert list(values) == list(schema.model_fields) or set(values) == set(schema.model_fields)
    for name, field in schema.model_fields.items():
        if name == CHOICE_OF.get(group):
            assert values[name] == {"mlflow": True, "off": False}.get(option, option)
        elif name in brought:
            assert brought[name] in as_word(values[name])
        else:
            value = tuple(values[name]) if isinstance(values[name], list) else values[name]
            assert value == field.default
            assert type(value) is type(field.default)
    assert catalogue.brings("train", group, option) == BROUGHT.get((group, option), {})
    assert catalogue.comment(group, option).endswith(".")


@pytest.mark.parametrize("command", [command for command in SCHEMAS if command != "train"])
def test_composed_values_of_a_command_equal_the_defaults(command: str) -> None:
    required = {
        "preprocess": ["data.micrographs=folder"],
        "simulate": ["simulation.out=folder"],
        "cross-validate": OWN_DATA,
        "pick": ["picking.model=model.ckpt", "data.micrographs=folder", "picking.out=picks.star"],
        "score": ["score.picks=picks.star", "score.truth=truth.star", "score.radius=20"],
        "convert": ["convert.source=picks.txt", "convert.out=picks.star"],
        "doctor": OWN_DATA,
        "report": ["report.run=runs/mine"],
    }.get(command, [])
    for key, value in flat(load(command, required)).items():
        if not any(word.startswith(key) for word in required):
            assert (tuple(value) if isinstance(value, list) else value) == catalogue.settings(command)[key].default


def test_simulated_data_bring_their_own_expected_particles_and_small_sizes(simulated_values: Mapping[str, Any]) -> None:
    simulated = flat(validate("train", simulated_values))
    defaults = {key: field.default for key, field in catalogue.settings("train").items()}
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in simulated.items()}
    changed = {key: value for key, value in plain.items() if value != defaults[key]}
    assert changed == {
        "data.source": "simulated",
        "data.expected_particles": SimulationGroup().particles_per_micrograph,
        "preprocess.downsample": 4,
        "sampler.epoch_size": 50,
        "trainer.epochs": 6,
        "optimizer.learning_rate": 0.001,
    }


def test_expected_particles_follow_the_simulated_ones() -> None:
    config = load("train", ["simulation.particles_per_micrograph=55", "trainer.epochs=2"])
    assert config.data.expected_particles == 55
    assert config.trainer.epochs == 2, "the command line wins over what data=simulated brings"


def test_simulation_settings_are_those_of_the_simulation() -> None:
    from pickery.simulation.settings import SimulationSettings

    theirs = {field.name: field.default for field in dataclasses.fields(SimulationSettings)}
    assert SimulationGroup().model_dump() == theirs
    assert SimulationSettings().expected_particles == SimulationGroup().particles_per_micrograph


@pytest.mark.parametrize(
    ("key", "module", "constant"),
    [
        ("evaluation.monitor", "pickery.evaluation.names", "MONITORS"),
        ("model.architecture", "pickery.model", "ARCHITECTURES"),
        ("loss.objective", "pickery.loss", "OBJECTIVES"),
    ],
)
def test_choices_are_those_of_the_rooms_that_use_them(key: str, module: str, constant: str) -> None:
    room = pytest.importorskip(module)
    assert set(choices(catalogue.settings("train")[key])) - {"auto"} == set(getattr(room, constant))


@pytest.mark.parametrize(("command", "key"), ALL)
def test_every_setting_says_what_it_means_and_takes(command: str, key: str) -> None:
    field = catalogue.settings(command)[key]
    assert field.description
    assert field.description.endswith(".")
    assert kind(field)
    assert field.default_factory is None


def values_beyond(key: str) -> list[tuple[object, str]]:
    """Values just outside of each limit of a number, with the limit in words."""
    found: list[tuple[object, str]] = []
    for annotation, extras in _members(catalogue.settings("train")[key]):
        if annotation not in (int, float):
            continue
        step = 1 if annotation is int else 1e-9
        for extra in (limit for each in extras for limit in getattr(each, "metadata", [each])):
            match extra:
                case Ge(ge=limit):
                    found.append((limit - step, f"at least {limit}"))
                case Gt(gt=limit):
                    found.append((limit, f"above {limit}"))
                case Le(le=limit):
                    found.append((limit + step, f"at most {limit}"))
                case Lt(lt=limit):
                    found.append((limit, f"below {limit}"))
        assert _range(extras) or key in ("loss.slack", "evaluation.score_threshold"), "numbers have ranges"
    return found


@pytest.mark.parametrize("key", [key for key in catalogue.settings("train") if values_beyond(key)])
def test_a_number_beyond_its_range_is_an_error_that_says_the_range(
    key: str, simulated_values: Mapping[str, Any]
) -> None:
    for value, words in values_beyond(key):
        with pytest.raises(ConfigError) as error:
            validate("train", changed(simulated_values, key, value))
        assert error.value.problems[0].startswith(f"{key}={as_word(value)}: must be ")
        assert words in error.value.problems[0]


WRONG: dict[type, list[object]] = {
    bool: ["yes", 1, 0, None],
    int: ["3", 2.5, math.nan, True, "abc", [1]],
    float: ["0.5", math.inf, -math.inf, math.nan, True, {"a": 1}],
    str: [True, 1.5, "", ["a", 2.5], {"a": 1}],
}


@pytest.mark.parametrize("key", list(catalogue.settings("train")))
def test_a_value_of_another_type_is_an_error(key: str, simulated_values: Mapping[str, Any]) -> None:
    kinds = {annotation for annotation, _ in _members(catalogue.settings("train")[key])}
    wrong = [value for kind_ in kinds & WRONG.keys() for value in WRONG[kind_]]
    if type(None) in kinds:
        wrong = [value for value in wrong if value is not None]
    else:
        wrong.append(None)
    if not kinds & WRONG.keys():
        wrong += ["nonsense", 17.5, True]
    if kinds & {int, float}:
        # a text that happens to be a choice beside the number is right
        wrong = [value for value in wrong if value not in choices(catalogue.settings("train")[key])]
    if bool in kinds:
        wrong = [value for value in wrong if value not in ("auto",)]
    for value in wrong:
        with pytest.raises(ConfigError, match=key):
            validate("train", changed(simulated_values, key, value))


def test_a_whole_number_serves_as_a_number_and_a_number_as_a_name(own_values: Mapping[str, Any]) -> None:
    assert validate("train", changed(own_values, "preprocess.downsample", 8)).preprocess.downsample == 8.0
    assert validate("train", changed(own_values, "tracking.run_name", 7)).tracking.run_name == "7"
    assert validate("train", changed(own_values, "data.micrographs", 20240131)).data.micrographs == "20240131"


def test_settings_cannot_be_changed_in_place(own_values: Mapping[str, Any]) -> None:
    from pydantic import ValidationError

    config = validate("train", own_values)
    with pytest.raises(ValidationError, match="frozen"):
        config.trainer.epochs = 3


def test_every_monitor_choice_is_a_literal() -> None:
    assert len(get_args(catalogue.settings("train")["evaluation.monitor"].annotation)) == 8


def changed(values: Mapping[str, Any], key: str, value: object) -> dict[str, Any]:
    copy = deepcopy(dict(values))
    *group, name = key.split(".")
    (copy[group[0]] if group else copy)[name] = value
    return copy
