"""Every rule across settings: what is refused, with both settings and a way out, and what is warned of."""

import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest

from pickery.config.errors import ConfigError
from pickery.config.load import load, validate
from pickery.errors import PickeryWarning

RESNETS = ("resnet8", "resnet16")
CONVS = ("conv31", "conv63", "conv127")


def with_values(values: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    copy = deepcopy(dict(values))
    for key, value in changes.items():
        *group, name = key.split(".")
        (copy[group[0]] if group else copy)[name] = value
    return copy


def warned(command: str, values: Mapping[str, Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        validate(command, values)
    assert all(warning.category is PickeryWarning for warning in caught)
    return [str(warning.message) for warning in caught]


FORBIDDEN: list[tuple[dict[str, object], list[str]]] = [
    *[
        (
            {"model.architecture": name, "model.pooling": "average"},
            ["model.pooling=average", f"model={name}", "model.pooling=max", "model=conv31"],
        )
        for name in RESNETS
    ],
    *[
        (
            {"model.architecture": name, "loss.autoencoder": 0.1},
            ["loss.autoencoder=0.1", f"model={name}", "loss.autoencoder=0", "model=conv63"],
        )
        for name in RESNETS
    ],
    ({"loss.autoencoder": 0.1}, ["loss.autoencoder=0.1", "model=auto, which may take a resnet", "model=conv63"]),
    *[
        (
            {"model.architecture": name, "model.pooling": "max"},
            ["model.pooling=max", f"model={name}", "model.pooling=average", "model=resnet8"],
        )
        for name in CONVS
    ],
    *[
        (
            {"model.architecture": name, "model.dropout": 0.1},
            ["model.dropout=0.1", f"model={name}", "model.dropout=0", "model=resnet8"],
        )
        for name in CONVS
    ],
    ({"data.fold": 1}, ["data.fold=1", "data.folds=5"]),
    ({"data.folds": 3}, ["data.folds=3", "data.fold=0", "data.fold=2"]),
    ({"data.folds": 3, "data.fold": 3}, ["data.fold=3", "data.folds=3", "0 to 2"]),
    (
        {"data.folds": 3, "data.fold": 0, "data.test_micrographs": "a", "data.test_picks": "b"},
        ["data.folds=3", "data.test_micrographs"],
    ),
    ({"data.test_micrographs": "a"}, ["data.test_micrographs", "data.test_picks"]),
    ({"data.test_picks": "a"}, ["data.test_picks", "data.test_micrographs"]),
    ({"data.micrographs": None}, ["data.micrographs is missing", "data.micrographs=FOLDER"]),
    ({"data.picks": None}, ["data.picks is missing", "data.picks=picks.star"]),
    (
        {"data.expected_particles": None},
        ["data.expected_particles is missing", "actually present in one micrograph", "labelled or not", "NUMBER"],
    ),
    (
        {"sampler.minibatch_size": 4, "sampler.balance": 0.9},
        ["sampler.balance=0.9", "sampler.minibatch_size=4", "unlabeled"],
    ),
    ({"sampler.minibatch_size": 2, "sampler.balance": 0.99}, ["sampler.balance=0.99", "sampler.minibatch_size=2"]),
    (
        {"sampler.minibatch_size": 8, "sampler.balance": 0.5, "data.negatives": "wrong.star"},
        ["sampler.balance=0.5", "sampler.minibatch_size=8", "data.negatives", "unlabeled"],
    ),
    (
        {"trainer.devices": 5},
        ["sampler.minibatch_size=96", "trainer.devices=5", "sampler.minibatch_size=100", "trainer.devices=4"],
    ),
    (
        {"trainer.devices": 2, "sampler.minibatch_size": 17},
        ["sampler.minibatch_size=17", "trainer.devices=2", "sampler.minibatch_size=18", "trainer.devices=1"],
    ),
    (
        {"trainer.precision": "16-mixed", "trainer.accelerator": "cpu"},
        ["trainer.precision=16-mixed", "trainer.accelerator=cpu", "bf16-mixed", "trainer.accelerator=gpu"],
    ),
    *[
        (
            {"evaluation.monitor": monitor, "data.test_fraction": 0},
            [f"evaluation.monitor={monitor}", "data.test_fraction=0.2", "evaluation.monitor=precision"],
        )
        for monitor in ("auprc", "pick_f1", "pick_average_precision")
    ],
    (
        {"simulation.defocus_lowest_micrometre": 3, "simulation.defocus_highest_micrometre": 2},
        ["simulation.defocus_lowest_micrometre=3", "simulation.defocus_highest_micrometre=2"],
    ),
]


@pytest.mark.parametrize(("changes", "words"), FORBIDDEN)
def test_what_cannot_go_together_is_refused_naming_both_and_a_way_out(
    changes: dict[str, object], words: list[str], own_values: Mapping[str, Any]
) -> None:
    with pytest.raises(ConfigError) as error:
        validate("train", with_values(own_values, changes))
    assert len(error.value.problems) == 1
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("micrographs", "folder"),
        ("picks", ("a.star", "b.star")),
        ("test_micrographs", "folder"),
        ("test_picks", "folder"),
        ("negatives", "wrong.star"),
        ("masks", "folder"),
        ("flip_y", True),
        ("coordinate_scale", 2),
        ("pixel_size", 1.2),
    ],
)
def test_simulated_data_refuse_what_describes_files(
    key: str, value: object, simulated_values: Mapping[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=rf"data\.{key}=.*cannot be used with data=simulated: write data=files"):
        validate("train", with_values(simulated_values, {f"data.{key}": value}))


def test_simulated_defocus_must_rise_in_simulate_too() -> None:
    with pytest.raises(ConfigError, match="defocus_lowest"):
        load("simulate", ["simulation.out=x", "simulation.defocus_lowest_micrometre=9"])


@pytest.mark.parametrize(
    "changes",
    [
        {"model.architecture": "resnet8", "loss.autoencoder": "auto"},
        {"model.architecture": "resnet16", "model.pooling": "max", "model.dropout": 0.2},
        {"model.architecture": "conv127", "model.pooling": "average", "loss.autoencoder": 0.5},
        {"data.folds": 5, "data.fold": 4},
        {"data.test_micrographs": "a", "data.test_picks": "b"},
        {"sampler.minibatch_size": 2, "sampler.balance": 0.01},
        {"data.negatives": "wrong.star", "loss.negative_weight": 2, "sampler.minibatch_size": 8},
        {"data.masks": ("carbon.csv", "folder")},
        {"trainer.precision": "16-mixed"},
        {"trainer.precision": "bf16-mixed", "trainer.accelerator": "cpu"},
        {"optimizer.name": "adamw", "optimizer.weight_decay": 0.1},
        {"optimizer.name": "sgd", "optimizer.momentum": 0.5},
        {"loss.objective": "ge_kl", "loss.slack": 5},
        {"loss.objective": "pn"},
        {"tracking.enabled": False},
        {"data.particle_diameter": 120, "data.pixel_size": 1.1},
    ],
)
def test_what_goes_together_is_taken_without_a_word(changes: dict[str, object], own_values: Mapping[str, Any]) -> None:
    assert warned("train", with_values(own_values, changes)) == []


@pytest.mark.parametrize("command", ["train", "ui"])
def test_the_defaults_are_taken_without_a_word(command: str) -> None:
    load(command)  # a warning is an error here


WITHOUT_EFFECT: list[tuple[dict[str, object], list[str]]] = [
    ({"loss.objective": "pn", "loss.slack": 3}, ["loss.slack=3", "loss=pn"]),
    ({"loss.objective": "pu", "loss.slack": 0}, ["loss.slack=0", "loss=pu"]),
    ({"loss.negative_weight": 2}, ["loss.negative_weight=2", "data.negatives"]),
    ({"loss.decoder_unit_scaling": 16}, ["loss.decoder_unit_scaling=16", "loss.autoencoder=0"]),
    (
        {"loss.decoder_unit_scaling": 16, "loss.autoencoder": "auto"},
        ["loss.decoder_unit_scaling=16", "model=resnet8"],
    ),
    ({"model.pretrained": "x.ckpt", "model.prior_bias": False}, ["model.prior_bias=false", "model.pretrained"]),
    ({"optimizer.weight_decay": 0.1}, ["optimizer.weight_decay=0.1", "optimizer=adam", "adamw"]),
    ({"optimizer.name": "sgd", "optimizer.weight_decay": 0.1}, ["optimizer.weight_decay=0.1", "optimizer=sgd"]),
    ({"optimizer.momentum": 0.5}, ["optimizer.momentum=0.5", "sgd"]),
    (
        {"data.test_micrographs": "a", "data.test_picks": "b", "data.test_fraction": 0.3},
        ["data.test_fraction=0.3", "data.test_micrographs"],
    ),
    ({"data.folds": 3, "data.fold": 1, "data.test_fraction": 0.3}, ["data.test_fraction=0.3", "data.fold"]),
    ({"simulation.micrographs": 3}, ["simulation.micrographs=3", "data=files"]),
    ({"simulation.seed": 3}, ["simulation.seed=3", "data=files"]),
    (
        {
            "data.particle_diameter": 120,
            "evaluation.extraction_radius": 9,
            "data.radius": 2,
            "preprocess.downsample": 4,
            "model.architecture": "conv31",
        },
        ["data.particle_diameter=120", "evaluation.extraction_radius=9"],
    ),
    ({"tracking.enabled": False, "tracking.root": "elsewhere"}, ["tracking.root=elsewhere", "tracking=off"]),
    ({"tracking.enabled": False, "tracking.experiment": "other"}, ["tracking.experiment=other", "tracking=off"]),
    ({"tracking.enabled": False, "tracking.run_name": "a"}, ["tracking.run_name=a", "tracking=off"]),
    ({"tracking.enabled": False, "tracking.uri": "http://a"}, ["tracking.uri=http://a", "tracking=off"]),
    ({"tracking.enabled": False, "tracking.system_metrics": True}, ["tracking.system_metrics=true", "tracking=off"]),
    ({"tracking.uri": "http://a", "tracking.root": "elsewhere"}, ["tracking.root=elsewhere", "tracking.uri=http://a"]),
    ({"preprocess.method": "affine", "preprocess.iterations": 50}, ["preprocess.iterations=50", "method=affine"]),
    ({"preprocess.method": "affine", "preprocess.pixel_sampling": 5}, ["preprocess.pixel_sampling=5", "affine"]),
]


@pytest.mark.parametrize(("changes", "words"), WITHOUT_EFFECT)
def test_a_setting_without_effect_is_warned_of(
    changes: dict[str, object], words: list[str], own_values: Mapping[str, Any]
) -> None:
    (message,) = warned("train", with_values(own_values, changes))
    assert "has no effect" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("changes", "word"), [({"data.unpicked": "drop"}, "data.unpicked"), ({"preprocess.skip_bad": True}, "skip_bad")]
)
def test_simulated_data_warn_of_what_needs_files(
    changes: dict[str, object], word: str, simulated_values: Mapping[str, Any]
) -> None:
    (message,) = warned("train", with_values(simulated_values, changes))
    assert "has no effect with data=simulated" in message
    assert word in message


def test_nothing_held_out_is_warned_of_together_with_what_it_leaves_without_effect(
    own_values: Mapping[str, Any],
) -> None:
    messages = warned("train", with_values(own_values, {"data.test_fraction": 0, "evaluation.stride": 2}))
    assert [message.partition("=")[0] for message in messages] == ["evaluation.stride", "data.test_fraction"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss.l2": 1}, ["loss.l2=1", "below 1"]),
        ({"model.dropout": 0.5}, ["model.dropout=0.5", "below 0.5"]),
        ({"data.test_fraction": 0}, ["data.test_fraction=0", "data.test_fraction=0.2"]),
        ({"optimizer.name": "adamw"}, ["optimizer.weight_decay=0", "optimizer=adamw"]),
    ],
)
def test_what_the_field_advises_against_is_warned_of_and_done(
    changes: dict[str, object], words: list[str], own_values: Mapping[str, Any]
) -> None:
    (message,) = warned("train", with_values(own_values, changes))
    for word in words:
        assert word in message


def test_other_commands_warn_of_settings_without_effect() -> None:
    preprocess: dict[str, Any] = load("preprocess", ["data.micrographs=a"]).model_dump()
    assert (
        "preprocess.iterations=5"
        in warned("preprocess", with_values(preprocess, {"preprocess.method": "affine", "preprocess.iterations": 5}))[0]
    )
    assert "seed=3 has no effect" in warned("preprocess", with_values(preprocess, {"seed": 3}))[0]
    assert warned("preprocess", with_values(preprocess, {"seed": 3, "preprocess.pixel_sampling": 10})) == []
    ui: dict[str, Any] = load("ui").model_dump()
    assert "ui.host=0.0.0.0" in warned("ui", with_values(ui, {"ui.host": "0.0.0.0"}))[0]
    assert (
        "ui.port=5001 has no effect"
        in warned("ui", with_values(ui, {"ui.port": 5001, "tracking.uri": "https://runs.example.org"}))[0]
    )


def test_other_commands_need_what_they_cannot_do_without() -> None:
    with pytest.raises(ConfigError, match=r"data\.micrographs is missing"):
        load("preprocess")
    with pytest.raises(ConfigError, match=r"simulation\.out is missing"):
        load("simulate")
