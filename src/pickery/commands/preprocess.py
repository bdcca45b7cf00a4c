"""`pickery preprocess`: the prepared set alone."""

from __future__ import annotations

from pickery.config.schema import PreprocessConfig
from pickery.terminal import Terminal


def run(config: PreprocessConfig) -> None:
    """Prepare micrographs, and say where they are."""
    from pickery.training.inputs import mrc_root, prepare_alone

    with Terminal() as terminal:
        result = prepare_alone(config, terminal)
        terminal.rest()
        for name, reason in result.skipped.items():
            terminal.warn(f"left out {name}: {reason}")
        rows, columns = result.set.shapes[0]
        terminal.say(
            f"{len(result.set)} micrographs prepared ({result.reused} of them already were), the first one "
            f"{columns} x {rows} pixels"
        )
        terminal.say(f"  set        {result.set.directory}")
        if config.preprocess.write_mrc:
            terminal.say(f"  MRC files  {mrc_root(config.preprocess) / result.set.directory.name}")
