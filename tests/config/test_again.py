from typing import Any

import pytest

from pickery.config.again import words
from pickery.config.load import flat, load, resolved

OWN = ["data.micrographs=m", "data.picks=p.txt", "data.expected_particles=100"]


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["trainer.epochs=3", "seed=5"],
        [*OWN, "model=conv31", "loss=pu", "optimizer=sgd", "sampler=patches", "tracking=off"],
        [*OWN, "data.offset=[-3.5,2]", "data.ignore_in_names=[_DW,a b]", "run_dir=runs/mine"],
        ["data.micrographs=[a.mrc,b c.mrc]", "data.picks='*.star'", "data.expected_particles=12.5"],
        [*OWN, "experiment=few_labels", "data.flip_y=true", "evaluation.extraction_radius=9"],
        ["data.micrographs=é [1]", "data.picks='p,q.txt'", "data.expected_particles=1"],
    ],
)
def test_the_words_give_the_settings_again(given: list[str]) -> None:
    config = load("train", given)
    again = words("train", resolved(config))
    assert load("train", again) == config
    assert len(again) <= len(flat(config)) / 3


def test_a_cross_validations_words_give_it_again() -> None:
    given = [*OWN, "cross_validation.parameter=[learning_rate,l2]", "cross_validation.values=[[0.1,0.2],[0,0.1]]"]
    config = load("cross-validate", given)
    assert load("cross-validate", words("cross-validate", resolved(config))) == config


def test_what_is_by_default_takes_no_words() -> None:
    assert words("train", resolved(load("train"))) == []
    assert words("train", resolved(load("train", OWN))) == OWN


def test_settings_that_a_run_of_before_did_not_know_are_left_to_their_defaults() -> None:
    old: dict[str, Any] = resolved(load("train", OWN))
    del old["data"]["offset"], old["engine"]
    assert words("train", old) == OWN
