"""What is found: facts in lines, and faults with the settings that mend them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["fault", "advice"]


@dataclass(frozen=True)
class Finding:
    """Something to mend or to think about.

    Attributes
    ----------
    level
        ``fault``: a training on this is in vain, or does not start. ``advice``: it could be better.
    about
        ``micrographs``, ``picks``, ``names``, ``placement``, ``sizes``, ``particles`` or ``cost``.
    text
        In a sentence, without what mends it.
    settings
        What mends it, as words of the command line.
    """

    level: Level
    about: str
    text: str
    settings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.text}{': give ' if self.settings else ''}{shlex.join(self.settings)}"


@dataclass
class Report:
    """All that is found, in the order in which it is looked at.

    Attributes
    ----------
    lines
        (heading, sentence), for the terminal.
    facts
        The same as numbers, by section, for ``doctor.json``.
    findings
        Faults and advice.
    """

    lines: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def say(self, heading: str, *sentences: str) -> None:
        """Add lines under a heading."""
        self.lines += [(heading if index == 0 else "", text) for index, text in enumerate(sentences)]

    def fault(self, about: str, text: str, *settings: str) -> None:
        """Add a fault, unless the same has been said in looking at something else."""
        if all(finding.text != text for finding in self.findings):
            self.findings.append(Finding("fault", about, text, settings))

    def advise(self, about: str, text: str, *settings: str) -> None:
        """Add advice."""
        self.findings.append(Finding("advice", about, text, settings))

    @property
    def faults(self) -> list[Finding]:
        """The faults among the findings."""
        return [finding for finding in self.findings if finding.level == "fault"]

    def has_fault(self, about: str) -> bool:
        """Whether there is a fault about something."""
        return any(finding.about == about for finding in self.faults)
