"""`pickery pick`: a trained model and micrographs in, files of picks out."""

from __future__ import annotations

from pickery.config import rules
from pickery.config.schema import PickConfig
from pickery.terminal.picking import PickingTerminal
from pickery.termination import terminable
from pickery.training.listener import warnings_to


def run(config: PickConfig) -> None:
    """Pick as the settings say, and tell of it.

    Raises
    ------
    InputError
        When something given cannot be used.
    """
    with PickingTerminal() as terminal, warnings_to(terminal), terminable():
        for text in rules.warnings(config):
            terminal.log(f"warning: {text}")  # the terminal has had it before there was a log
        terminal.working("starting")
        from pickery.picking.run import pick

        pick(config, terminal)
