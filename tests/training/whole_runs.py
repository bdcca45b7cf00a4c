"""A whole training as the command has it, for the tests of its laws."""

from pathlib import Path

from pickery.commands.train import train
from pickery.config.load import load
from pickery.terminal import Terminal


def run(words: list[str]) -> Path:
    """Train as these settings say; gives the run's folder."""
    with Terminal() as terminal:
        return train(load("train", words), terminal).resolve()
