"""The commands, each in a line. Imports nothing."""

from collections.abc import Mapping
from typing import Final

COMMANDS: Final[Mapping[str, str]] = {
    "train": "train a picker on micrographs and picks; on simulated ones if none are given",
    "cross-validate": "compare values of a setting on folds of the micrographs, then train with the best",
    "doctor": "look whether micrographs, picks and settings go together, before training",
    "pick": "find particles in micrographs with a trained model",
    "score": "compare picks with the true particles: precision, recall, the best threshold",
    "convert": "turn picks from one program's format into another's, and models to and from Topaz",
    "preprocess": "downsample and normalise micrographs, for later trainings to find",
    "simulate": "write simulated micrographs with their picks and true particles",
    "report": "explain a finished run on one page",
    "ui": "show this project's runs in a web browser",
}

NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "convert": {"IN": "convert.source", "OUT": "convert.out"},
    "report": {"RUN": "report.run"},
}
"""Of each command that takes names of files without a setting's name before them: what they are called, and which
settings they stand for."""


def python_name(command: str) -> str:
    """Give the name of a command's module in `pickery.commands`, and of its file of values in `conf/`."""
    return command.replace("-", "_")
