"""Settings to change, composed once."""

from collections.abc import Mapping
from typing import Any

import pytest

from pickery.config.load import load, resolved

OWN_DATA = ("data.micrographs=micrographs", "data.picks=picks.star", "data.expected_particles=400")


@pytest.fixture(scope="session")
def simulated_values() -> Mapping[str, Any]:
    return resolved(load("train"))


@pytest.fixture(scope="session")
def own_values() -> Mapping[str, Any]:
    return resolved(load("train", OWN_DATA))
