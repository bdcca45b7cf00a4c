"""The settings of a cross-validation: what is varied, over which values, and what each training is given."""

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from pickery.config import catalogue
from pickery.config.cross_validation import grid_of, parameters, training_config, unchanged, without_cross_validation
from pickery.config.errors import ConfigError
from pickery.config.load import check_sweep, flat, load, resolved, validate
from pickery.config.schema import CrossValidateConfig, TrainConfig
from pickery.cross_validation.grid import FINAL, Point
from pickery.decimals import Number
from pickery.errors import PickeryWarning

OWN_DATA = ("data.micrographs=micrographs", "data.picks=picks.star", "data.expected_particles=400")
CHOICES = {"model": "architecture", "loss": "objective", "optimizer": "name", "data": "source"}
OWN_GROUP = tuple(catalogue.groups("cross-validate")["cross_validation"].model_fields)


@cache
def composed(own: bool) -> dict[str, Any]:
    return resolved(load("cross-validate", OWN_DATA if own else ()))


def checked(line: str = "", *, own: bool = False, warn: bool = False) -> CrossValidateConfig:
    """Check settings without composing them each time; the group's own are written without its name."""
    changed = []
    for word in line.split():
        key, _, value = word.partition("=")
        key = f"cross_validation.{key}" if key in OWN_GROUP else f"{key}.{CHOICES[key]}" if key in CHOICES else key
        changed.append(f"{key}={value}")
    values = OmegaConf.merge(composed(own), OmegaConf.from_dotlist(changed))
    config: CrossValidateConfig = validate("cross-validate", values, warn=warn)  # type: ignore[arg-type]
    return config


def warned(line: str, *, own: bool = False) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checked(line, own=own, warn=True)
    assert all(warning.category is PickeryWarning for warning in caught)
    return [str(warning.message) for warning in caught]


# ---- the parameter


def varied(parameter: str) -> CrossValidateConfig:
    config = checked()
    group = config.cross_validation.model_copy(update={"parameter": parameter})
    return config.model_copy(update={"cross_validation": group})


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("learning_rate", "optimizer.learning_rate"),
        ("optimizer.learning_rate", "optimizer.learning_rate"),
        ("learning-rate", "optimizer.learning_rate"),
        ("lr", "optimizer.learning_rate"),
        ("num_particles", "data.expected_particles"),
        ("batch_size", "sampler.minibatch_size"),
        ("ngf", "loss.decoder_unit_scaling"),
        ("epochs", "trainer.epochs"),
        ("slack", "loss.slack"),
    ],
)
def test_a_parameter_is_found_by_its_name_with_or_without_group_and_by_other_programs_names(
    given: str, key: str
) -> None:
    assert parameters(varied(given)) == (key,)


def test_every_number_that_changes_the_result_can_be_varied_and_nothing_else() -> None:
    assert set(catalogue.variable("cross-validate")) == {
        *(f"data.{name}" for name in ("expected_particles", "radius", "picks_per_micrograph")),
        *(f"data.{name}" for name in ("coordinate_scale", "particle_diameter")),
        *(f"preprocess.{name}" for name in ("downsample", "pixel_sampling", "iterations")),
        *(f"sampler.{name}" for name in ("minibatch_size", "balance", "epoch_size", "outputs")),
        *(f"model.{name}" for name in ("units", "dropout", "unit_scaling")),
        *(f"loss.{name}" for name in ("slack", "negative_weight", "l2", "autoencoder", "decoder_unit_scaling")),
        *(f"optimizer.{name}" for name in ("learning_rate", "weight_decay", "momentum")),
        *(f"evaluation.{name}" for name in ("extraction_radius", "score_threshold")),
        "trainer.epochs",
    }


def test_any_other_setting_is_refused_with_the_reason_and_what_can_be_varied() -> None:
    variable = catalogue.variable("cross-validate")
    for key in catalogue.settings("cross-validate"):
        if key in variable:
            continue
        with pytest.raises(ConfigError) as error:
            parameters(varied(key))
        (problem,) = error.value.problems
        assert problem.startswith(f"cross_validation.parameter={key} cannot be varied: {key} ")
        listed = problem.partition("Those that can be varied: ")[2]
        for group, name in (each.split(".") for each in variable):
            assert f"{group}." in listed
            assert name in listed


# ---- the values


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("", ((0.0001,), (0.0002,), (0.0003,))),
        ("initial=0.1 increment=0.2", ((0.1,), (0.3,), (0.5,))),
        ("values=[0.001,1e-4]", ((0.001,), (0.0001,))),
        ("parameter=epoch_size initial=10 increment=5 times=2", ((10,), (15,))),
        ("parameter=epoch_size values=[10.0,20]", ((10,), (20,))),
        ("parameter=l2 values=[0,1e-3]", ((0.0,), (0.001,))),
        ("parameter=autoencoder model=conv31 values=[0,1]", ((0.0,), (1.0,))),
        (
            "parameter=[learning_rate,units] initial=[0.0001,16] increment=[0.0001,16] times=[3,2]",
            ((0.0001, 16), (0.0001, 32), (0.0002, 16), (0.0002, 32), (0.0003, 16), (0.0003, 32)),
        ),
        (
            "parameter=[units,lr] initial=[8,0.1] increment=[8,-0.05] times=2",
            ((8, 0.1), (8, 0.05), (16, 0.1), (16, 0.05)),
        ),
        ("parameter=[units,l2] values=[[8,16],[0]]", ((8, 0.0), (16, 0.0))),
    ],
)
def test_values_are_those_of_the_line_in_the_kind_of_their_setting(
    line: str, values: tuple[tuple[Number, ...], ...]
) -> None:
    grid = grid_of(checked(line))
    assert grid.values == values
    assert [[type(number) for number in value] for value in grid.values] == [
        [type(number) for number in value] for value in values
    ]


def test_what_is_unchanged_is_what_a_training_would_have() -> None:
    for line, expected in (
        ("", (0.001,)),  # as data=simulated brings it
        ("optimizer.learning_rate=0.5", (0.5,)),
        ("parameter=[lr,picks_per_micrograph] values=[[0.1,0.2],[3,4]]", (0.001, None)),
        ("parameter=autoencoder values=[0,0.1] model=conv31 loss.autoencoder=auto", (None,)),
    ):
        config = checked(line)
        assert unchanged(config, grid_of(config)) == expected


# ---- the trainings


def test_a_training_on_a_fold_differs_from_an_ordinary_one_by_value_fold_and_folder() -> None:
    config = checked("folds=3", own=True)
    grid, ordinary = grid_of(config), load("train", OWN_DATA)
    training = training_config(config, grid, Point(0, 2, 2), Path("runs") / "a")
    assert type(training) is TrainConfig
    differs = {key: value for key, value in flat(training).items() if value != flat(ordinary)[key]}
    assert differs == {"optimizer.learning_rate": 0.0003, "data.folds": 3, "data.fold": 2, "run_dir": "runs/a"}


def test_the_final_training_keeps_the_ordinary_split_and_so_does_a_single_fold() -> None:
    line = "data.test_fraction=0.4 values=[0.5,0.6] run_dir=elsewhere"
    for folds, fold in (("folds=2", FINAL), ("folds=1", FINAL), ("folds=1", 0)):
        config = checked(f"{line} {folds}", own=True)
        training = training_config(config, grid_of(config), Point(0, fold, 0), "b")
        line_of_training = [*OWN_DATA, "data.test_fraction=0.4", "optimizer.learning_rate=0.5", "run_dir=b"]
        assert training == load("train", line_of_training)


def test_test_data_given_apart_serve_the_final_training_only() -> None:
    config = checked("data.test_micrographs=t data.test_picks=t.star", own=True)
    grid = grid_of(config)
    fold, final = (training_config(config, grid, Point(0, fold, 0), None).data for fold in (0, FINAL))
    assert (fold.test_micrographs, fold.test_picks, fold.folds) == (None, None, 2)
    assert (final.test_micrographs, final.test_picks, final.folds) == ("t", "t.star", None)


def test_both_parameters_are_set() -> None:
    config = checked("parameter=[learning_rate,units] values=[[0.1,0.2],[8,16]]")
    training = training_config(config, grid_of(config), Point(0, 0, 2), None)
    assert (training.optimizer.learning_rate, training.model.units) == (0.2, 8)


def test_without_cross_validation_it_is_a_training() -> None:
    assert without_cross_validation(checked("run_dir=a folds=3", own=True)) == load("train", OWN_DATA)


def test_a_value_may_be_what_the_settings_lack() -> None:
    line = "data.expected_particles=null parameter=expected_particles values=[300,400] evaluation.monitor=auprc"
    config = checked(line, own=True)
    assert unchanged(config, grid_of(config)) == (None,)
    assert training_config(config, grid_of(config), Point(0, 0, 1), None).data.expected_particles == 400


# ---- what is refused

FORBIDDEN: list[tuple[str, list[str]]] = [
    # the parameter
    ("parameter=lerning_rate", ["there is no such setting", "Did you mean optimizer.learning_rate?"]),
    ("parameter=model.learning_rate", ["there is no such setting", "Did you mean optimizer.learning_rate?"]),
    ("parameter=nonsense", ["there is no such setting", "Those that can be varied: data.expected_particles, radius,"]),
    ("parameter=workers", ["cross_validation.workers", "preprocess.workers", "sampler.workers", "only speed"]),
    ("parameter=model.pooling", ["is no number", "pickery train --multirun model.pooling=none,max"]),
    ("parameter=architecture", ["is no number", "pickery train --multirun model=resnet8,resnet16"]),
    ("parameter=seed", ["seed decides the folds", "Those that can be varied"]),
    ("parameter=[lr,learning_rate]", ["parameter=[lr,learning_rate] names optimizer.learning_rate twice"]),
    ("parameter=[lr,nonsense]", ["parameter=nonsense: there is no such setting"]),
    ("parameter=[lr]", ["must be the name of a setting or a list of two", "got [lr]"]),
    # the values
    ("initial=-0.0001", ["cross_validation: the 1st value, optimizer.learning_rate=-0.0001: must be above 0"]),
    ("initial=0.0002 increment=-0.0001", ["cross_validation: the 3rd value, optimizer.learning_rate=0: must be above"]),
    ("parameter=radius initial=2 increment=0.5", ["the 2nd value, data.radius=2.5: must be a whole number"]),
    ("parameter=dropout initial=0.5 increment=0.05 times=12", ["the 11th value, model.dropout=1: must be", "below 1"]),
    (
        "parameter=[lr,units] values=[[0.1,0.2],[8,0]]",
        ["cross_validation: the 2nd value, model.units=0: must be at least 1"],
    ),
    (
        "parameter=balance values=[0.1,0.99] sampler.minibatch_size=2",
        ["the 2nd value, sampler.balance=0.99 of sampler.minibatch_size=2", "unlabeled"],
    ),
    (
        "parameter=dropout values=[0,0.1] model=conv31",
        ["the 2nd value, model.dropout=0.1 cannot be used with model=conv31"],
    ),
    (
        "parameter=[minibatch_size,lr] values=[[4,16],[0.1,0.2]] sampler.balance=0.9",
        ["the 1st value, sampler.minibatch_size=4 optimizer.learning_rate=0.1: sampler.balance=0.9 of"],
    ),
    ("parameter=coordinate_scale values=[1,2]", ["the 2nd value, data.coordinate_scale=2", "data=simulated"]),
    ("initial=1e308 increment=1e308 times=2", ["the 2nd value, optimizer.learning_rate=inf: must be", "got inf"]),
    ("increment=0", ["cross_validation.increment=0", "equal values of optimizer.learning_rate"]),
    ("initial=1e16 increment=0.1", ["cross_validation.increment=0.1", "equal values"]),
    ("values=[0.1,0.2,0.10]", ["cross_validation.values", "optimizer.learning_rate=0.1 twice"]),
    ("parameter=radius values=[2,2.0]", ["data.radius=2 twice"]),
    ("times=0", ["cross_validation.times=0: must be a whole number of at least 1", "got 0"]),
    ("times=1001", ["cross_validation.times=1001 asks for 1001 values", "1000 at most"]),
    ("times=1000000000", ["1000 at most"]),
    ("parameter=[lr,units] initial=[1,1] increment=[1,1] times=50", ["cross_validation.times=50", "2500 values"]),
    ("initial=[1,2]", ["cross_validation.initial=[1,2] gives two numbers", "parameter=learning_rate is one setting"]),
    ("times=[2,3]", ["cross_validation.times=[2,3] gives two numbers"]),
    ("parameter=[lr,units] initial=[1,2]", ["cross_validation.increment=0.0001 gives one number", "[a,b]"]),
    ("values=[[1,2],[3,4]]", ["gives two lists", "parameter=learning_rate is one setting", "[a,b,…]"]),
    ("parameter=[lr,units] values=[1,2]", ["gives one list", "are two settings", "[[a,b,…],[c,d,…]]"]),
    ("values=[]", ["cross_validation.values=[]: must be", "a list of numbers [a,b]"]),
    ("values=[0.1,high]", ["cross_validation.values=[0.1,high]: must be"]),
    ("values=[true,0.1]", ["cross_validation.values=[true,0.1]: must be"]),
    # the folds
    ("folds=0", ["cross_validation.folds=0: must be at least 1"]),
    ("data.folds=3 data.fold=0", ["data.folds=3 cannot be used here", "cross_validation.folds=3"]),
    ("data.fold=1", ["data.fold=1 cannot be used here", "cross_validation.folds=NUMBER"]),
    ("trainer.devices=2", ["trainer.devices=2 cannot be used in a cross-validation", "cross_validation.workers=2"]),
    ("folds=1 data.test_fraction=0", ["cross_validation.folds=1", "data.test_fraction=0", "data.test_fraction=0.2"]),
    (
        "folds=1 data.test_fraction=0 evaluation.monitor=auprc",
        ["cross_validation.folds=1", "data.test_fraction=0", "data.test_fraction=0.2"],
    ),
    *[
        (
            f"data.test_fraction=0 evaluation.monitor={monitor}",
            [f"evaluation.monitor={monitor}", "final training", "data.test_fraction=0.2", "monitor=precision"],
        )
        for monitor in ("auprc", "pick_f1")
    ],
    # what would make no difference
    (
        "parameter=slack initial=1 increment=1 loss=pn",
        ["cross_validation.parameter=loss.slack has no effect with loss=pn"],
    ),
    ("parameter=negative_weight values=[1,2]", ["loss.negative_weight has no effect without data.negatives"]),
    ("parameter=momentum values=[0,0.9]", ["optimizer.momentum has no effect with optimizer=adam"]),
    ("parameter=decoder_unit_scaling values=[16,32]", ["no effect with loss.autoencoder=0"]),
    ("parameter=iterations values=[50,100] preprocess.method=affine", ["no effect with preprocess.method=affine"]),
    (
        "parameter=extraction_radius values=[4,8]",
        ["evaluation.monitor=precision does not depend on evaluation.extraction_radius", "pick_average_precision"],
    ),
    ("parameter=score_threshold values=[-6,-3]", ["does not depend on evaluation.score_threshold"]),
    # the work
    ("pruning=halving parameter=epochs values=[1,2,3]", ["pruning=halving", "parameter=trainer.epochs"]),
    ("workers=2 worker=0", ["cross_validation.workers=2", "cross_validation.worker=0", "leave one of them out"]),
    ("worker=-1", ["cross_validation.worker=-1: must be at least 0"]),
    ("workers=0", ["cross_validation.workers=0: must be at least 1"]),
    ("pruning=median", ["one of none, halving"]),
    ("storage=study.db", ["cross_validation.storage=study.db is no address", "postgresql://host/name"]),
    # what is refused of any training
    ("model=conv31 model.pooling=max", ["model.pooling=max cannot be used with model=conv31"]),
    ("data.test_micrographs=a data=files data.micrographs=b data.picks=c data.expected_particles=2", ["test_picks"]),
    ("trainer.precision=16-mixed trainer.accelerator=cpu", ["trainer.precision=16-mixed"]),
]


@pytest.mark.parametrize(("line", "said"), FORBIDDEN, ids=[line for line, _ in FORBIDDEN])
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(line: str, said: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        checked(line)
    (problem,) = error.value.problems
    for word in said:
        assert word in problem
    assert problem.endswith((".", "?"))
    assert "\n" not in problem


LACKING = "data.picks=null data.expected_particles=null"


def test_what_is_wrong_whatever_the_value_is_said_once_and_beside_the_first_bad_value() -> None:
    with pytest.raises(ConfigError) as error:
        checked(f"{LACKING} parameter=expected_particles values=[300,-1,-2]", own=True)
    missing, bad = error.value.problems
    assert missing.startswith("data.picks is missing")
    assert bad.startswith("cross_validation: the 2nd value, data.expected_particles=-1: must be above 0")


def test_what_is_wrong_beside_the_values_is_said_too_when_these_cannot_be_known() -> None:
    with pytest.raises(ConfigError) as error:
        checked(f"{LACKING} parameter=nonsense data.fold=1 workers=2 worker=1", own=True)
    starts = [problem.split()[0] for problem in error.value.problems]
    assert starts == [
        "data.fold=1",
        "cross_validation.workers=2",
        "cross_validation.parameter=nonsense:",
        "data.picks",
        "data.expected_particles",
    ]
    with pytest.raises(ConfigError) as error:
        checked(f"{LACKING} parameter=expected_particles values=[2,2]", own=True)
    assert [problem.split()[0] for problem in error.value.problems] == ["cross_validation.values", "data.picks"]


# ---- what is warned of

QUIET = [
    "",
    "folds=5 times=4",
    "folds=1",
    "data.test_fraction=0.4",
    "data.test_micrographs=a data.test_picks=b",
    "parameter=epochs initial=2 increment=2",
    "parameter=l2 values=[0,0.01]",
    "parameter=slack loss=ge_kl initial=1 increment=1",
    "parameter=momentum values=[0,0.9] optimizer=sgd",
    "parameter=autoencoder values=[0,0.1] model=conv31 loss.decoder_unit_scaling=16",
    "pruning=halving times=4",
    "parameter=picks_per_micrograph values=[10,20]",
    "parameter=radius values=[2,3] evaluation.monitor=pick_f1 evaluation.extraction_radius=9",
    "parameter=radius values=[2,3] evaluation.monitor=pick_f1 evaluation.match_radius=9",
    "parameter=radius values=[2,3] evaluation.monitor=pick_f1 data.particle_diameter=120",
    "parameter=downsample values=[4,8] evaluation.monitor=pick_average_precision data.particle_diameter=120",
    "parameter=extraction_radius values=[4,8] evaluation.monitor=pick_f1 evaluation.match_radius=5",
    "parameter=score_threshold values=[-6,0] evaluation.monitor=pick_f1",
    "parameter=expected_particles values=[300,400] evaluation.monitor=auprc",
    "parameter=expected_particles values=[300,400] evaluation.monitor=pick_average_precision",
    "storage=postgresql://localhost/pickery worker=3 retry=true",
]


@pytest.mark.parametrize("line", QUIET)
def test_what_can_be_compared_is_taken_without_a_word(line: str) -> None:
    assert warned(line, own=True) == []


def test_the_defaults_are_taken_without_a_word() -> None:
    assert warned("") == []


WARNED: list[tuple[str, list[str]]] = [
    ("values=[0.1,0.2] initial=1", ["cross_validation.initial=1 has no effect", "cross_validation.values"]),
    ("values=[0.1,0.2] increment=1", ["cross_validation.increment=1 has no effect", "cross_validation.values"]),
    ("values=[0.1,0.2] times=2", ["cross_validation.times=2 has no effect", "cross_validation.values"]),
    ("times=1", ["optimizer.learning_rate=0.0001 is the only value", "how much the folds differ"]),
    ("times=1 folds=1", ["optimizer.learning_rate=0.0001 is the only value", "as pickery train would"]),
    ("pruning=halving times=2", ["cross_validation.pruning=halving has no effect", "fewer than three"]),
    ("pruning=halving trainer.epochs=1", ["cross_validation.pruning=halving has no effect", "trainer.epochs=1"]),
    ("data.test_fraction=0", ["data.test_fraction=0", "final training", "data.test_fraction=0.2"]),
    (
        "data.test_micrographs=a data.test_picks=b data.test_fraction=0.3",
        ["data.test_fraction=0.3 has no effect", "data.test_micrographs"],
    ),
    ("data.test_fraction=0 evaluation.stride=2", ["data.test_fraction=0", "final training"]),
    ("loss.l2=2", ["loss.l2=2 is strong"]),
    ("parameter=l2 values=[0,1,2,3]", ["loss.l2=1 is strong"]),
    ("loss=pn loss.slack=3", ["loss.slack=3 has no effect with loss=pn"]),
    (
        "parameter=[autoencoder,decoder_unit_scaling] values=[[0,0.1],[16,32]] model=conv31",
        ["loss.decoder_unit_scaling has no effect with loss.autoencoder=0", "the same training"],
    ),
    *[
        (
            f"parameter=expected_particles values=[300,400] evaluation.monitor={monitor}",
            [f"evaluation.monitor={monitor} cannot be compared between values of data.expected_particles"],
        )
        for monitor in ("precision", "adjusted_precision", "tpr", "fpr", "loss")
    ],
    *[
        (
            f"parameter=radius values=[2,3] evaluation.monitor={monitor}",
            [
                f"evaluation.monitor={monitor} cannot be compared between values of data.radius",
                "evaluation.monitor=pick_average_precision",
                "evaluation.extraction_radius",
                "data.particle_diameter",
            ],
        )
        for monitor in ("precision", "auprc", "loss")
    ],
    (
        "parameter=radius values=[2,3] evaluation.monitor=pick_f1",
        ["evaluation.monitor=pick_f1 cannot be compared", "Set evaluation.extraction_radius", "particle_diameter"],
    ),
    (
        "parameter=downsample values=[4,8]",
        ["evaluation.monitor=precision cannot be compared", "pick_average_precision, and set data.particle_diameter"],
    ),
    (
        "parameter=downsample values=[4,8] evaluation.monitor=pick_f1 evaluation.match_radius=3 "
        "evaluation.extraction_radius=4",
        ["Leave evaluation.extraction_radius and evaluation.match_radius out and set data.particle_diameter"],
    ),
    (
        "parameter=downsample values=[4,8] evaluation.monitor=pick_f1 evaluation.match_radius=3 "
        "data.particle_diameter=120",
        ["Leave evaluation.match_radius out."],
    ),
    (
        "parameter=extraction_radius values=[4,8] evaluation.monitor=pick_f1",
        ["cannot be compared between values of evaluation.extraction_radius", "Set evaluation.match_radius"],
    ),
    (
        "parameter=particle_diameter values=[100,120] evaluation.monitor=pick_f1",
        ["cannot be compared between values of data.particle_diameter", "Set evaluation.match_radius"],
    ),
    ("parameter=coordinate_scale values=[1,2]", ["data.coordinate_scale", "moves the held-out picks"]),
]


@pytest.mark.parametrize(("line", "said"), WARNED, ids=[line for line, _ in WARNED])
def test_what_has_no_effect_or_cannot_be_compared_is_warned_of_once(line: str, said: list[str]) -> None:
    (message,) = warned(line, own=True)
    for word in said:
        assert word in message
    assert message.endswith(".")


def test_each_of_two_parameters_is_warned_of() -> None:
    messages = warned("parameter=[radius,downsample] values=[[2,3],[4,8]]", own=True)
    assert ["data.radius" in messages[0], "preprocess.downsample" in messages[1], len(messages)] == [True, True, 2]


# ---- several at a time


def test_workers_started_by_a_sweep_may_share_a_folder_and_nobody_else() -> None:
    line = [*OWN_DATA, "run_dir=here", "cross_validation.worker=0,1"]
    with pytest.warns(PickeryWarning, match="one after the other"):
        assert len(check_sweep("cross-validate", line)) == 2
    with pytest.raises(ConfigError, match="jobs 1 and 2"):
        check_sweep("cross-validate", [*OWN_DATA, "run_dir=here", "cross_validation.folds=2,3"])
    with pytest.raises(ConfigError, match="jobs 1 and 2"):
        check_sweep("cross-validate", [*OWN_DATA, "run_dir=here", "cross_validation.folds=2,2"])


def test_a_sweep_over_cross_validations_is_checked_value_by_value() -> None:
    with pytest.raises(ConfigError, match=r"job 2 of 2, cross_validation.increment=-0.0001: .* the 2nd value"):
        check_sweep("cross-validate", ["cross_validation.increment=0.0001,-0.0001"])
