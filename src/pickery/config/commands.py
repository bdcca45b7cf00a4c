"""The commands, each in a line. Imports nothing."""

from collections.abc import Mapping
from typing import Final

COMMANDS: Final[Mapping[str, str]] = {
    "train": "train a picker on micrographs and picks; on simulated ones if none are given",
    "preprocess": "downsample and normalise micrographs, for later trainings to find",
    "simulate": "write simulated micrographs with their picks and true particles",
    "ui": "show this project's runs in a web browser",
}
