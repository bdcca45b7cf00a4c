"""The data of all trainings of a cross-validation, and what any of them would refuse, known before the first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pickery.config.cross_validation import training_config
from pickery.config.schema import CrossValidateConfig, TrainConfig
from pickery.config.schema.data import OF_FILES
from pickery.cross_validation.grid import FINAL, Grid, Point
from pickery.errors import InputError
from pickery.simulation.data_set import DataSet
from pickery.training.division import TrainingData, divide
from pickery.training.fit import check
from pickery.training.inputs import Collected, collect
from pickery.training.listener import Listener
from pickery.training.sizes import as_written, in_settings


class Shelf:
    """The data of all trainings: what several of them share is found and prepared once."""

    def __init__(self, simulated: DataSet | None, *, looked: bool = False) -> None:
        self._simulated, self._looked = simulated, looked
        self._collected: dict[str, Collected] = {}

    def data(self, config: TrainConfig, listener: Listener) -> TrainingData:
        """Give the data of one training."""
        settings = config.model_dump(mode="json")
        of_files = {name: value for name, value in settings["data"].items() if name in OF_FILES}
        # what they are prepared with may follow from the diameter; the estimate of the particles does in any case
        sizes = [settings["data"]["particle_diameter"], settings["data"]["expected_particles"] == "auto"]
        key = json.dumps([of_files, settings["preprocess"], settings["seed"], sizes])
        if key not in self._collected:
            self._collected[key] = collect(config, listener, simulated=self._simulated, looked=self._looked)
        return divide(config, self._collected[key], listener)


def check_all(
    config: CrossValidateConfig, grid: Grid, shelf: Shelf, listener: Listener
) -> tuple[str, CrossValidateConfig]:
    """Refuse what any training would refuse, before the first.

    Returns
    -------
    fingerprint : str
        Of all their data.
    settled : CrossValidateConfig
        The settings, with nothing left open.
    """
    digest = hashlib.blake2b(digest_size=16)
    settled = config
    following: dict[int, dict[str, Any]] = {}
    # the final training, of whichever value, has the ordinary split
    for point in (*grid.points(), Point(0, FINAL, 0)):
        training = training_config(config, grid, point, None)
        try:
            data = shelf.data(training, listener)
            digest.update(data.fingerprint.encode())
            check(training, data)
            settled = data.settled(config)
            following[point.value] = dict(data.chosen)
        except InputError as error:
            text = str(error).replace("data.folds", "cross_validation.folds")
            raise InputError(f"{grid.name(point)}: {text}" if point.fold != FINAL else text) from error
    _say_differing(grid, following, listener)
    return digest.hexdigest(), settled


def _say_differing(grid: Grid, following: Mapping[int, Mapping[str, Any]], listener: Listener) -> None:
    """Warn of settings that were left open, and follow each value in another way: values differ by more than asked."""
    names = dict.fromkeys(name for chosen in following.values() for name in chosen)
    differing = [n for n in names if len({repr(chosen.get(n)) for chosen in following.values()}) > 1]
    if not differing:
        return
    each = "; ".join(
        f"{in_settings({name: chosen[name] for name in differing if name in chosen})} for {grid.label(value)}"
        for value, chosen in following.items()
    )
    listener.warn(
        f"what is left open follows each value: {each}. Give {' and '.join(map(as_written, differing))} to have the "
        "values differ by nothing else"
    )
