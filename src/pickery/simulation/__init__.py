"""Simulated micrographs with known particles: the data set that comes with the program.

Physics from the specimen to the electrons (projections of an asymmetric particle, contrast transfer, ice, carbon,
crystals, shot noise), so that what trains on it trains on real micrographs too. Knows nothing of models or settings
files. `write_data_set` and `cached_data_set` are the doors; `simulate_micrograph` gives one in memory.
"""

from pickery.simulation.data_set import DataSet, cached_data_set, write_data_set
from pickery.simulation.micrographs import SimulatedMicrograph, simulate_micrograph
from pickery.simulation.settings import SIMULATION_VERSION, SimulationSettings

__all__ = [
    "SIMULATION_VERSION",
    "DataSet",
    "SimulatedMicrograph",
    "SimulationSettings",
    "cached_data_set",
    "simulate_micrograph",
    "write_data_set",
]
