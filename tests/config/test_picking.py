"""The rules of `pickery pick`: what it lacks, and which settings do nothing beside others."""

import warnings

import pytest

from pickery.config.errors import ConfigError
from pickery.config.load import load

GIVEN = {"picking.model": "model.ckpt", "data.micrographs": "folder", "picking.out": "picks.star"}


def words(**more):
    given = GIVEN | {name.replace("__", "."): value for name, value in more.items()}
    return [f"{name}={value}" for name, value in given.items()]


def warned(**more):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load("pick", words(**more))
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("missing", list(GIVEN))
def test_what_is_required_is_asked_for(missing):
    with pytest.raises(ConfigError, match=f"{missing} is missing"):
        load("pick", [word for word in words() if not word.startswith(missing)])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"tracking__root": "elsewhere"}, "tracking.root=elsewhere has no effect"),
        ({"tracking__uri": "http://there"}, "tracking.uri=http://there has no effect"),
        (
            {"picking__model": "models:/a@b", "tracking__uri": "http://there", "tracking__root": "elsewhere"},
            "tracking.root=elsewhere has no effect",
        ),
        ({"picking__box_size": "100"}, "picking.box_size=100 has no effect"),
        (
            {"picking__extraction_radius": "5", "data__particle_diameter": "120"},
            "data.particle_diameter=120 has no effect",
        ),
    ],
)
def test_settings_without_effect_are_warned_of(more, says):
    (text,) = warned(**more)
    assert says in text


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"picking__model": "runs:/0", "tracking__root": "elsewhere"},
        {"picking__model": "0" * 32, "tracking__uri": "http://there"},
        {"picking__out": "folder", "picking__format": "box", "picking__box_size": "100"},
        {"picking__out": "picks.cbox", "picking__extraction_radius": "5", "data__particle_diameter": "120"},
        {"picking__pictures": "all"},
        {"picking__pictures": "3"},
    ],
)
def test_settings_with_effect_are_not(more):
    assert warned(**more) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pictures", "-1"),
        ("pictures", "some"),
        ("threshold", "best"),
        ("format", "mrc"),
        ("workers", "0"),
        ("tile", "3"),
    ],
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"picking.{name}={value}"):
        load("pick", words(**{f"picking__{name}": value}))
