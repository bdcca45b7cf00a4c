"""What follows from the particle's diameter, and from weights to begin from, where settings leave it open."""

from pathlib import Path

import pytest

from pickery.config.load import load
from pickery.errors import InputError
from pickery.model import build_model
from pickery.model.weights import save_model
from pickery.training.sizes import architecture_for, downsample_for, provisional, radius_for, say_chosen, settle

OWN = ["data.micrographs=m", "data.picks=p.txt", "data.expected_particles=100"]


@pytest.mark.parametrize(
    ("diameter", "pixel_size", "downsample", "radius"),
    # by RELION's rules: max(4, round(2D / (71 Å))), then round(D / (8 Å scale)); Å is the pixel size
    [(100, 1.5, 4, 2), (180, 1.0, 5, 4), (300, 0.66, 13, 4), (60, 1.2, 4, 2), (20, 2.0, 4, 1)],
)
def test_sizes_follow_relions_rules(diameter: float, pixel_size: float, downsample: float, radius: int) -> None:
    assert downsample_for(diameter, pixel_size) == downsample
    assert radius_for(diameter, pixel_size, downsample) == radius


@pytest.mark.parametrize(
    ("across", "network"),
    [(10, "conv31"), (15, "conv31"), (16, "resnet8"), (35, "resnet8"), (46, "resnet8"), (60, "conv127")],
)
def test_the_network_sees_about_two_particles(across: float, network: str) -> None:
    assert architecture_for(across * 4.0, 1.0, 4.0) == network


def test_a_diameter_fills_only_what_is_left_open() -> None:
    found = settle(load("train", [*OWN, "data.particle_diameter=100"]), 1.5)
    assert found.chosen == {"preprocess.downsample": 4.0, "data.radius": 2, "model.architecture": "resnet8"}
    config = found.config
    assert (config.preprocess.factor, config.data.disc_radius, config.model.architecture) == (4.0, 2, "resnet8")
    assert say_chosen(config, 1.5, found.chosen) == [
        "for particles of 100 Å at 1.5 Å a pixel: preprocess.downsample=4 data.radius=2 model=resnet8"
    ]
    given = ["preprocess.downsample=8", "model=conv63"]
    found = settle(load("train", [*OWN, *given, "data.particle_diameter=100"]), 1.5)
    assert found.chosen == {"data.radius": 1}
    assert (found.config.preprocess.factor, found.config.model.architecture) == (8.0, "conv63")


def test_what_only_a_resnet_has_keeps_it_one() -> None:
    found = settle(load("train", [*OWN, "data.particle_diameter=40", "model.dropout=0.1"]), 1.5)
    assert found.config.model.architecture == "resnet8"
    assert settle(load("train", [*OWN, "data.particle_diameter=40"]), 1.5).config.model.architecture == "conv31"


def test_without_a_diameter_topazs_own_values_stand() -> None:
    found = settle(load("train", OWN), None)
    assert found.chosen == {}
    assert found.config == provisional(load("train", OWN))
    assert found.config.preprocess.factor == 16
    assert found.config.data.disc_radius == 3
    assert found.config.model.architecture == "resnet8"


def test_a_diameter_needs_the_pixel_size_only_where_something_is_open() -> None:
    with pytest.raises(InputError, match=r"nothing says the pixel size.*set data\.pixel_size"):
        settle(load("train", [*OWN, "data.particle_diameter=100"]), None)
    given = ["data.particle_diameter=100", "preprocess.downsample=4", "data.radius=3", "model=resnet8"]
    assert settle(load("train", [*OWN, *given]), None).chosen == {}


def test_the_network_of_the_weights_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    save_model(
        path,
        build_model("conv63", units=6, batch_norm=False, pooling="average"),
        preprocess={},
        picking={},
        metrics={},
        provenance={},
    )
    found = settle(load("train", [*OWN, f"model.pretrained={path}", "data.particle_diameter=100"]), 1.5)
    model = found.config.model
    assert (model.architecture, model.units, model.batch_norm, model.pooling) == ("conv63", 6, False, "average")
    first, second = say_chosen(found.config, 1.5, found.chosen)
    assert first.startswith(f"as the weights of model.pretrained={path} need: model=conv63 model.units=6")
    assert second.endswith("preprocess.downsample=4 data.radius=2")
