"""Simulated micrographs whose particles are all picked, for the doctor."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from pickery.simulation.data_set import write_data_set
from pickery.simulation.settings import SimulationSettings

SIDE = 512


@dataclass(frozen=True)
class Data:
    micrographs: Path
    picks: Path


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("doctored")
    settings = SimulationSettings(
        micrographs=6, rows=SIDE, columns=SIDE, particles_per_micrograph=12, picked_fraction=1, carbon_probability=0
    )
    made = write_data_set(folder / "data", settings)
    return Data(made.micrographs, made.picks)
