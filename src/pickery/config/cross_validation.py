"""From the settings of a cross-validation to the values that it compares, and to the settings of each training."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import reduce
from itertools import groupby
from math import prod
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pickery.config import catalogue, explain
from pickery.config.errors import ConfigError
from pickery.config.rules_training import errors as training_errors
from pickery.config.schema import CrossValidateConfig, TrainConfig
from pickery.config.schema.base import as_word, choices, is_whole
from pickery.cross_validation.grid import FINAL, Axis, Grid, Point, stepped
from pickery.decimals import Number

COMMAND = "cross-validate"
MOST_VALUES = 1000


def grid_of(config: CrossValidateConfig) -> Grid:
    """Work out the values that are compared, each a number of its setting's kind.

    Parameters
    ----------
    config
        Settings; what they say beside the values need not be valid yet.

    Raises
    ------
    ConfigError
        When a parameter cannot be varied, the numbers do not fit the parameters, or a value is there twice.
    """
    names = parameters(config)
    if problems := list(_misshapen(config, len(names))):
        raise ConfigError(problems)
    known = catalogue.variable(COMMAND)
    lists = _lists(config, len(names))
    axes = tuple(
        Axis(name, tuple(_of_kind(number, whole=is_whole(known[name])) for number in numbers))
        for name, numbers in zip(names, lists, strict=True)
    )
    if problems := [problem for axis in axes for problem in _repeated(config, axis)]:
        raise ConfigError(problems)
    return Grid(axes, config.cross_validation.folds)


def parameters(config: CrossValidateConfig) -> tuple[str, ...]:
    """Give the dotted names of the one or two settings that are varied.

    Raises
    ------
    ConfigError
        When there is no such setting, or it cannot be varied.
    """
    given = config.cross_validation.parameter
    found: list[str] = []
    problems: list[str] = []
    for name in (given,) if isinstance(given, str) else given:
        try:
            found.append(_resolved(name))
        except ConfigError as error:
            problems += error.problems
    if len(found) == 2 and found[0] == found[1]:
        problems.append(
            f"cross_validation.parameter={as_word(given)} names {found[0]} twice: give two settings, or one."
        )
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def unchanged(config: CrossValidateConfig, grid: Grid) -> tuple[Number | None, ...]:
    """Give what the varied settings would be without cross-validation; None for one that is no number then."""
    values = [reduce(getattr, axis.parameter.split("."), config) for axis in grid.axes]
    return tuple(value if isinstance(value, (int, float)) else None for value in values)


def without_cross_validation(config: CrossValidateConfig) -> TrainConfig:
    """Give the settings of a training that nothing is varied for, in a folder of its own."""
    own = {"run_dir": None, "from_run": None}
    return TrainConfig(**{name: getattr(config, name) for name in TrainConfig.model_fields} | own)


def training_config(config: CrossValidateConfig, grid: Grid, point: Point, run_dir: Path | str | None) -> TrainConfig:
    """Give the settings of one training, as `pickery train` would be given them.

    Parameters
    ----------
    config
        Settings of the cross-validation.
    grid
        Its values (`grid_of`).
    point
        The training. One of several folds is held out in place of the test data; the final training, and the only
        fold of one, keep the ordinary split.
    run_dir
        The training's folder.

    Raises
    ------
    ConfigError
        When the value cannot be used with the other settings.
    """
    training = assembled(config, grid, point, run_dir)
    if problems := list(training_errors(training)):
        raise ConfigError(problems)
    return training


def assembled(config: CrossValidateConfig, grid: Grid, point: Point, run_dir: Path | str | None = None) -> TrainConfig:
    """Do as `training_config`, but check each setting alone: not how they go together."""
    values: dict[str, Any] = without_cross_validation(config).model_dump()
    values["run_dir"] = None if run_dir is None else str(run_dir)
    for axis, number in zip(grid.axes, grid.values[point.value], strict=True):
        group, name = axis.parameter.split(".")
        values[group][name] = number
    if point.fold != FINAL and grid.folds > 1:
        values["data"] |= {"folds": grid.folds, "fold": point.fold, "test_micrographs": None, "test_picks": None}
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise explain.from_pydantic("train", error, values) from None


# ---- which settings are meant


def _resolved(name: str) -> str:
    """Find the setting that a name means: with its group, without it, or another program's name for it."""
    known, variable = catalogue.settings(COMMAND), catalogue.variable(COMMAND)
    given = f"cross_validation.parameter={name}"
    called = catalogue.called(COMMAND, name)
    if varied := [key for key in called if key in variable]:
        if len(varied) == 1:
            return varied[0]
        raise ConfigError([f"{given} may be {' or '.join(varied)}: write its group too."])
    if called:
        reasons = [f"{key} {catalogue.why_not_varied(key, known[key])}" for key in called]
        sweep = _sweep_over(called[0]) if len(called) == 1 else ""
        hint = f" pickery train --multirun {sweep} compares those." if sweep else ""
        raise ConfigError([f"{given} cannot be varied: {'; '.join(reasons)}.{hint} {_which()}"])
    meant = [key for key in catalogue.nearest(COMMAND, name) if key in variable]
    if not meant:
        shorts = {key.rpartition(".")[2]: key for key in variable}
        meant = [shorts[close] for close in difflib.get_close_matches(catalogue.last_part(name), shorts, n=2)]
    question = f" Did you mean {' or '.join(meant)}?" if meant else f" {_which()}"
    raise ConfigError([f"{given}: there is no such setting.{question}"])


def _sweep_over(key: str) -> str:
    """Say how to sweep over a choice; empty for a setting that is none."""
    field = catalogue.settings(COMMAND)[key]
    options = [value for value in choices(field) if value not in (None, "auto")]
    if catalogue.why_not_varied(key, field) != catalogue.NO_NUMBER or not options:
        return ""
    group, _, name = key.rpartition(".")
    return f"{group if catalogue.names_its_option(name) else key}={','.join(as_word(value) for value in options[:2])}"


def _which() -> str:
    """List all settings that can be varied, group by group."""
    groups = groupby(catalogue.variable(COMMAND), key=lambda key: key.partition(".")[0])
    listed = [f"{group}.{', '.join(key.partition('.')[2] for key in keys)}" for group, keys in groups]
    return f"Those that can be varied: {'; '.join(listed)}."


# ---- their values


def _misshapen(config: CrossValidateConfig, count: int) -> Iterator[str]:
    settings = config.cross_validation
    parameter = f"cross_validation.parameter={as_word(settings.parameter)}"
    if settings.values is not None:
        lists = isinstance(settings.values[0], tuple)
        given = f"cross_validation.values={as_word(settings.values)}"
        if lists and count == 1:
            yield f"{given} gives two lists, and {parameter} is one setting: write a single list [a,b,…]."
        elif not lists and count == 2:
            yield f"{given} gives one list, and {parameter} are two settings: write two lists, [[a,b,…],[c,d,…]]."
        return
    for name in ("initial", "increment", "times"):
        value = getattr(settings, name)
        given = f"cross_validation.{name}={as_word(value)}"
        if isinstance(value, tuple) and count == 1:
            yield f"{given} gives two numbers, and {parameter} is one setting: write a single number."
        elif not isinstance(value, tuple) and count == 2 and name != "times":
            yield f"{given} gives one number, and {parameter} are two settings: write one for each, [a,b]."


def _lists(config: CrossValidateConfig, count: int) -> list[tuple[Number, ...]]:
    settings = config.cross_validation
    if settings.values is not None:
        lists: Any = settings.values if count == 2 else (settings.values,)
        _not_too_many([len(numbers) for numbers in lists], "cross_validation.values gives")
        return list(lists)
    times = _each(settings.times, count)
    _not_too_many(times, f"cross_validation.times={as_word(settings.times)} asks for")
    steps = zip(_each(settings.initial, count), _each(settings.increment, count), times, strict=True)
    return [stepped(initial, increment, number) for initial, increment, number in steps]


def _each(value: Any, count: int) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,) * count


def _not_too_many(counts: Any, asks: str) -> None:
    if prod(counts) > MOST_VALUES:
        raise ConfigError([f"{asks} {prod(counts)} values: {MOST_VALUES} at most can be compared."])


def _of_kind(number: Number, *, whole: bool) -> Number:
    """Make a number an integer where the setting is whole and so is the number, and a float where it is not."""
    if not whole:
        try:
            return float(number)
        except OverflowError:
            return float("inf") if number > 0 else float("-inf")
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _repeated(config: CrossValidateConfig, axis: Axis) -> Iterator[str]:
    if len(set(axis.values)) == len(axis.values):
        return
    if config.cross_validation.values is None:
        increment = as_word(config.cross_validation.increment)
        yield f"cross_validation.increment={increment} makes equal values of {axis.parameter}: write a larger one."
        return
    again = next(number for i, number in enumerate(axis.values) if number in axis.values[:i])
    yield f"cross_validation.values has {axis.parameter}={as_word(again)} twice: leave one of them out."
