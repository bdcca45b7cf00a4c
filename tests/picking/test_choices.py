"""What a picking takes from its settings, the model and the micrographs, and what it must be told."""

import re

import pytest

from pickery.config.load import load
from pickery.errors import InputError, PickeryWarning
from pickery.picking.choices import choose, differences, preprocess_of
from pickery.picking.model import open_model
from tests.picking.conftest import write_model


@pytest.fixture
def make(tmp_path):
    def build(*words, pixel=2.0, scale=(4.0, 4.0), **about):
        path = tmp_path / "model.ckpt"
        write_model(path, **about)
        model = open_model(str(path), root=tmp_path, uri=None)
        config = load("pick", [f"picking.model={path}", "data.micrographs=x", "picking.out=p.star", *words])
        return config, model, choose(config, model, pixel_size_angstrom=pixel, scale=scale)

    return build


def test_the_models_own_preprocessing_radius_and_threshold_are_taken(make):
    config, model, choices = make(preprocess={"downsample": 3.0})
    assert choices.preprocess == {"downsample": 3.0, "method": "gmm", "iterations": 100, "pixel_sampling": 1}
    assert (choices.extraction_radius, choices.threshold) == (6, 0.05)
    assert not list(differences(config, model, make(preprocess={"downsample": 3.0})[2]))


def test_sampled_pixels_follow_from_the_trainings_seed(make):
    _, _, choices = make(preprocess={"pixel_sampling": 10}, provenance={"seed": 7})
    assert choices.preprocess["seed"] == 7


@pytest.mark.parametrize(
    ("words", "radius"),
    [((), 6), (("data.particle_diameter=160",), 10), (("picking.extraction_radius=5",), 5)],
)
def test_the_radius_is_the_given_one_then_half_the_diameter_then_the_models(make, words, radius):
    assert make(*words)[2].extraction_radius == radius


def test_a_diameter_that_sets_nothing_is_warned_of(make):
    with pytest.warns(PickeryWarning, match=r"data\.particle_diameter=160 has no effect"):
        assert make("data.particle_diameter=160", "picking.extraction_radius=5")[2].extraction_radius == 5


def test_a_diameter_needs_a_pixel_size(make):
    with pytest.raises(InputError, match=re.escape("data.pixel_size")):
        make("data.particle_diameter=160", pixel=None)


@pytest.mark.parametrize("known", [None, float("nan")])
def test_a_model_without_a_best_threshold_needs_one(make, known):
    with pytest.raises(InputError, match=r"picking\.threshold=0 .*picking\.threshold=-6"):
        make(picking={"threshold_best_f1": known})
    assert make("picking.threshold=-2", picking={"threshold_best_f1": known})[2].lowest == -2


def test_candidates_are_kept_down_to_minus_six_or_the_threshold(make):
    assert make()[2].floor == -6
    assert make("picking.threshold=-8")[2].floor == -8


def test_rounding_does_not_lose_the_pick_that_set_the_threshold(make):
    choices = make()[2]
    assert 0.05 - 1e-4 < choices.lowest < 0.05
    assert make("picking.threshold=0.05")[2].lowest == 0.05


def test_a_model_without_a_radius_needs_one(make):
    with pytest.raises(InputError, match=r"data\.particle_diameter .*picking\.extraction_radius"):
        make(picking={"extraction_radius": None})


def test_a_model_without_preprocessing_needs_a_downsampling_factor(make, tmp_path):
    import torch

    from pickery.model import build_model

    path = tmp_path / "topaz.sav"
    torch.save(build_model("conv31", units=4).state_dict(), path)
    model = open_model(str(path), root=tmp_path, uri=None)
    words = [f"picking.model={path}", "data.micrographs=x", "picking.out=p.star"]
    with pytest.raises(InputError, match=r"picking\.downsample"):
        preprocess_of(load("pick", words), model)
    settings = preprocess_of(load("pick", [*words, "picking.downsample=8"]), model)
    assert (settings["downsample"], settings["method"]) == (8, "gmm")


@pytest.mark.parametrize(("pixel", "warned"), [(2.0, False), (2.08, False), (2.2, True), (1.0, True)])
def test_pixels_of_another_size_than_the_models_are_warned_of(make, pixel, warned):
    told = list(differences(*make(pixel=pixel)))
    assert bool(told) == warned
    if pixel == 1.0:
        assert "picking.downsample=8 would match" in told[0]


def test_another_factor_is_warned_of_where_no_pixel_size_is_known(make):
    assert list(differences(*make("picking.downsample=8", pixel=None)))
    assert not list(differences(*make(pixel=None)))


def test_a_factor_that_makes_up_for_the_pixel_size_is_not_warned_of(make):
    assert not list(differences(*make("picking.downsample=8", pixel=1.0)))


@pytest.mark.parametrize(
    ("words", "side"),
    [((), 72), (("data.particle_diameter=160",), 120), (("picking.box_size=99", "picking.format=box"), 99)],
)
def test_boxes_are_the_given_ones_or_half_as_wide_again_as_the_particle(make, words, side):
    assert make(*words)[2].box_size_px == side
