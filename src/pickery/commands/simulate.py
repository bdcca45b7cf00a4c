"""`pickery simulate`: micrographs with known particles, to a folder."""

from __future__ import annotations

import shlex
from pathlib import Path

from pickery.config.schema import SimulateConfig
from pickery.terminal import Terminal


def run(config: SimulateConfig) -> None:
    """Simulate a data set, and say what to do with it."""
    from pickery.simulation.data_set import write_data_set
    from pickery.simulation.settings import SimulationSettings

    with Terminal() as terminal:
        assert config.simulation.out is not None
        settings = SimulationSettings(**config.simulation.model_dump(exclude={"out"}))
        made = write_data_set(Path(config.simulation.out), settings, progress=terminal.simulating)
        terminal.rest()
        terminal.head(f"{settings.micrographs} micrographs in {made.micrographs}")
        terminal.say(f"  picks      {made.picks} (a part of the particles)")
        terminal.say(f"  truth      {made.truth} (all of them)")
        given = [f"data.micrographs={made.micrographs}", f"data.picks={made.picks}"]
        terminal.say(
            f"to train:    pickery train {shlex.join(given)} "
            f"data.expected_particles={settings.expected_particles:g} preprocess.downsample=4"
        )
