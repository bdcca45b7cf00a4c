"""`pickery cross-validate`: find a setting's best value over folds, then train with it."""

from __future__ import annotations

from pickery.commands.train import how_to_compare, how_to_pick, how_to_read
from pickery.config import rules
from pickery.config.schema import CrossValidateConfig
from pickery.terminal.cross_validation import CrossValidationTerminal
from pickery.termination import terminable
from pickery.training.listener import warnings_to


def run(config: CrossValidateConfig) -> None:
    """Cross-validate as the settings say, and tell of it.

    Raises
    ------
    InputError
        When something given cannot be used, or no value could be trained.
    """
    with CrossValidationTerminal() as terminal, warnings_to(terminal), terminable():
        for text in rules.warnings(config):
            terminal.log(f"warning: {text}")  # the terminal has had it before the run had a log
        terminal.working("starting")
        from pickery.cross_validation.run import cross_validate

        done = cross_validate(config, terminal)
        if not config.cross_validation.worker:
            terminal.say(how_to_read(done.path))
            terminal.say(how_to_pick(done.path))
        if done.summary["tracked_run"] is not None and not config.cross_validation.worker:
            terminal.say(how_to_compare(config))
