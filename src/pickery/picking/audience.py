"""Who hears of a picking: what the program says, and whoever shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Audience(Protocol):
    """Hears of a picking."""

    def say(self, text: str) -> None:
        """Hear a plain line."""

    def head(self, text: str) -> None:
        """Hear a line that begins something."""

    def warn(self, text: str) -> None:
        """Hear of something that the user should know."""

    def keep_log(self, path: Path) -> None:
        """Hear of the file in which all lines are to be kept, those said so far included."""

    def picking(self, done: int, total: int, picks: int, left_s: float | None) -> None:
        """Hear how many micrographs are done, how many picks they have so far, and about how much time is left."""

    def working(self, text: str) -> None:
        """Hear what the program is busy with, in a few words."""

    def rest(self) -> None:
        """Hear that nothing is going on for now."""
