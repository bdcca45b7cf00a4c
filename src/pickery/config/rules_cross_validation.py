"""The rules of a cross-validation: every value can be trained with, and the values can be told apart and compared."""

from __future__ import annotations

from collections.abc import Iterator

from pickery.config import rules_training
from pickery.config.cross_validation import assembled, grid_of, parameters, without_cross_validation
from pickery.config.errors import ConfigError
from pickery.config.rules_training import holds_out, unused, without_effect
from pickery.config.schema import CrossValidateConfig, TrainConfig
from pickery.config.schema.base import as_word
from pickery.cross_validation.grid import FINAL, Grid, Point
from pickery.evaluation.names import ADJUSTED_PRECISION, FPR, LOSS, PRECISION, TPR

_CALIBRATED = (PRECISION, ADJUSTED_PRECISION, TPR, FPR, LOSS)
"""Figures of the probabilities, which follow the number of particles that a model is told to expect."""
_AT_PICK_LEVEL = ("evaluation.extraction_radius", "evaluation.score_threshold", "data.particle_diameter")
_MONITOR_PICKS = "evaluation.monitor=pick_average_precision"


def errors(config: CrossValidateConfig) -> Iterator[str]:
    """Say what cannot go together, and which value is the first that cannot be trained with."""
    data = config.data
    if data.folds is not None or data.fold is not None:
        name, value = ("folds", data.folds) if data.folds is not None else ("fold", data.fold)
        yield (
            f"data.{name}={value} cannot be used here, where each fold is held out in turn: leave it out, and write "
            f"cross_validation.folds={data.folds or 'NUMBER'}."
        )
        config = config.model_copy(update={"data": data.model_copy(update={"folds": None, "fold": None})})
    yield from _held_out(config)
    yield from _work(config)
    try:
        grid = grid_of(config)
    except ConfigError as error:
        yield from error.problems
        yield from _of_all_trainings(config)
        return
    yield from _pruning(config, grid)
    bad = list(_bad_value(config, grid))
    yield from bad or _alike(config, grid)


def warnings(config: CrossValidateConfig) -> Iterator[str]:
    """Say once, not for every value, what has no effect and what the field advises against."""
    grid, ordinary = grid_of(config), without_cross_validation(config)
    finals = _trainings(config, grid, FINAL)
    trainings = [*_trainings(config, grid, 0), *finals]
    idle = without_effect(finals[0])
    for training in trainings:
        also = without_effect(training)
        idle = {key: why for key, why in idle.items() if key in also}
    yield from unused(ordinary, idle)
    if not holds_out(ordinary):
        yield (
            "data.test_fraction=0 holds no micrographs out of the final training, so figures of its training data "
            "choose its best epoch: data.test_fraction=0.2 is recommended."
        )
    said = {"data.test_fraction"}
    for key, text in (advice for training in trainings for advice in rules_training.advice(training)):
        if key not in said:
            said.add(key)
            yield text
    yield from unused(config, dict(_own_without_effect(config, grid)))
    if len(grid.values) == 1:
        left = "which tells only how much the folds differ" if grid.folds > 1 else "as pickery train would"
        yield f"{_named(grid, 0)} is the only value: it is trained and compared with nothing, {left}."
    for axis in grid.axes:
        here = [training for training in finals if axis.parameter in without_effect(training)]
        if here:
            why = without_effect(here[0])[axis.parameter]
            yield f"{axis.parameter} has no effect {why}: some of the values are the same training."
        yield from _not_comparable(config, axis.parameter)


# ---- what cannot go together


def _held_out(config: CrossValidateConfig) -> Iterator[str]:
    if holds_out(without_cross_validation(config)):
        return
    monitor = config.evaluation.monitor
    if config.cross_validation.folds == 1:
        yield (
            "cross_validation.folds=1 judges values on the ordinary split, and data.test_fraction=0 holds no "
            "micrographs out: write data.test_fraction=0.2, or cross_validation.folds=2."
        )
    elif list(rules_training.needs_held_out(without_cross_validation(config))):
        yield (
            f"evaluation.monitor={monitor} is measured on held-out micrographs, and data.test_fraction=0 leaves none "
            "to the final training: write data.test_fraction=0.2, or evaluation.monitor=precision."
        )


def _work(config: CrossValidateConfig) -> Iterator[str]:
    settings = config.cross_validation
    if (devices := config.trainer.devices) > 1:
        yield (
            f"trainer.devices={devices} cannot be used in a cross-validation, whose trainings run beside each other: "
            f"write cross_validation.workers={devices}, and leave trainer.devices out."
        )
    if settings.workers > 1 and settings.worker is not None:
        yield (
            f"cross_validation.workers={settings.workers} starts several processes here, and "
            f"cross_validation.worker={settings.worker} is one that was started beside others: leave one of them out."
        )
    if settings.storage is not None and "://" not in settings.storage:
        yield (
            f"cross_validation.storage={settings.storage} is no address of a database: write one such as "
            "postgresql://host/name, or leave it out for a file in the cross-validation's folder."
        )


def _pruning(config: CrossValidateConfig, grid: Grid) -> Iterator[str]:
    if config.cross_validation.pruning == "none":
        return
    if any(axis.parameter == "trainer.epochs" for axis in grid.axes):
        yield (
            "cross_validation.pruning=halving decides how many epochs each value is trained for, so that "
            "cross_validation.parameter=trainer.epochs cannot: write cross_validation.pruning=none."
        )


def _bad_value(config: CrossValidateConfig, grid: Grid) -> Iterator[str]:
    """Say what is wrong whatever the value, then what is wrong with the first value that cannot be used."""
    alone: dict[int, list[str]] = {}
    together: dict[int, list[str]] = {}
    for value in range(len(grid.values)):
        try:
            training = assembled(config, grid, Point(0, FINAL, value))
        except ConfigError as error:
            alone[value] = list(error.problems)
        else:
            together[value] = list(_problems(training))
    if not together:
        together[-1] = list(_of_all_trainings(config))
    always = [text for text in next(iter(together.values())) if all(text in others for others in together.values())]
    always = [text for text in always if not any(f"{axis.parameter}=" in text for axis in grid.axes)]
    yield from always
    for value in range(len(grid.values)):
        if own := [text for text in alone.get(value) or together[value] if text not in always]:
            for text in own:
                named = any(text.startswith(f"{axis.parameter}=") for axis in grid.axes)
                said = text if named else f"{_named(grid, value)}: {text}"
                yield f"cross_validation: the {_ordinal(value + 1)} value, {said}"
            return


def _problems(training: TrainConfig) -> Iterator[str]:
    # whether micrographs are held out is another question here, answered by `_held_out`
    aside = list(rules_training.needs_held_out(training))
    yield from (text for text in rules_training.errors(training) if text not in aside)


def _of_all_trainings(config: CrossValidateConfig) -> Iterator[str]:
    """Say what is wrong beside the values, where these are not known."""
    try:
        missing = tuple(f"{name} is missing" for name in parameters(config))
    except ConfigError:
        missing = ()
    yield from (text for text in _problems(without_cross_validation(config)) if not text.startswith(missing))


def _alike(config: CrossValidateConfig, grid: Grid) -> Iterator[str]:
    """Refuse to vary what makes no difference."""
    for axis in grid.axes:
        reasons = [without_effect(training).get(axis.parameter) for training in _trainings(config, grid, FINAL)]
        if all(reasons):
            yield f"cross_validation.parameter={axis.parameter} has no effect {reasons[0]}. Vary another setting."
        elif axis.parameter in _AT_PICK_LEVEL and not config.evaluation.monitor.startswith("pick_"):
            yield (
                f"evaluation.monitor={config.evaluation.monitor} does not depend on {axis.parameter}, so that its "
                f"values cannot be told apart: write {_MONITOR_PICKS}."
            )


# ---- what has no effect, and what cannot be compared


def _own_without_effect(config: CrossValidateConfig, grid: Grid) -> Iterator[tuple[str, str]]:
    if config.cross_validation.values is not None:
        for name in ("initial", "increment", "times"):
            yield f"cross_validation.{name}", "with cross_validation.values, which are the values themselves"
    elif len(grid.values) == 1:
        yield "cross_validation.increment", "with cross_validation.times=1"
    if len(grid.values) <= 2:
        yield "cross_validation.pruning", "with fewer than three values: it always keeps two"
    elif config.trainer.epochs == 1:
        yield "cross_validation.pruning", "with trainer.epochs=1, which cannot be halved"


def _not_comparable(config: CrossValidateConfig, parameter: str) -> Iterator[str]:
    monitor = config.evaluation.monitor
    at_picks = monitor.startswith("pick_")
    between = f"evaluation.monitor={monitor} cannot be compared between values of {parameter}"
    mend = _to_keep_the_distance(config, parameter)
    if parameter == "data.coordinate_scale":
        yield f"{between}, which moves the held-out picks themselves."
    elif parameter == "data.expected_particles" and monitor in _CALIBRATED:
        yield f"{between}: a model finds more where it expects more. Write {_MONITOR_PICKS}."
    elif parameter in ("data.radius", "preprocess.downsample") and not at_picks:
        yield (
            f"{between}: for each, other regions are positive. Write {_MONITOR_PICKS}{f', and {mend}' if mend else ''}."
        )
    elif at_picks and mend:
        yield (
            f"{between}: the distance within which a pick finds a labelled particle changes with them. "
            f"{mend[0].upper()}{mend[1:]}."
        )


def _to_keep_the_distance(config: CrossValidateConfig, parameter: str) -> str:
    """Say how to have picks matched within the same distance for all values; empty where they are."""
    diameter, evaluation = config.data.particle_diameter, config.evaluation
    match parameter:
        case "data.radius":
            follows = evaluation.match_radius is None and evaluation.extraction_radius is None and diameter is None
            return "set evaluation.extraction_radius, in regions, or data.particle_diameter, in Å" if follows else ""
        case "evaluation.extraction_radius" | "data.particle_diameter" if evaluation.match_radius is None:
            return "set evaluation.match_radius, in regions"
        case "preprocess.downsample":
            # whatever is given in regions is another distance for each
            names = [name for name in ("extraction_radius", "match_radius") if getattr(evaluation, name) is not None]
            leave = [f"leave {' and '.join(f'evaluation.{name}' for name in names)} out"] if names else []
            return " and ".join([*leave, *(["set data.particle_diameter, in Å"] if diameter is None else [])])
    return ""


# ---- the trainings


def _trainings(config: CrossValidateConfig, grid: Grid, fold: int) -> list[TrainConfig]:
    """Put together the settings of every value on a fold."""
    return [assembled(config, grid, Point(0, fold, value)) for value in range(len(grid.values))]


def _named(grid: Grid, value: int) -> str:
    """Name a value as the command line would set it."""
    numbers = zip(grid.axes, grid.values[value], strict=True)
    return " ".join(f"{axis.parameter}={as_word(number)}" for axis, number in numbers)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
