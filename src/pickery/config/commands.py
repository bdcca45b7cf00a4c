"""The commands, each in a line. Imports nothing."""

from collections.abc import Mapping
from typing import Final

COMMANDS: Final[Mapping[str, str]] = {
    "train": "train a picker on micrographs and picks; on simulated ones if none are given",
    "cross-validate": "compare values of a setting on folds of the micrographs, then train with the best",
    "preprocess": "downsample and normalise micrographs, for later trainings to find",
    "simulate": "write simulated micrographs with their picks and true particles",
    "ui": "show this project's runs in a web browser",
}


def python_name(command: str) -> str:
    """Give the name of a command's module in `pickery.commands`, and of its file of values in `conf/`."""
    return command.replace("-", "_")
