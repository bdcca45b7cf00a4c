"""The help pages say every setting, fit a terminal of 80 columns, and their examples work."""

import shlex

import pytest

from pickery.config import catalogue
from pickery.config.commands import COMMANDS
from pickery.config.errors import ConfigError
from pickery.config.flags import split
from pickery.config.help import _EXAMPLES, command_help, overview
from pickery.config.load import check_sweep
from pickery.config.positions import named
from pickery.config.schema import SCHEMAS
from pickery.config.schema.base import as_word


def test_every_command_has_settings_and_a_line_in_the_overview() -> None:
    assert list(COMMANDS) == list(SCHEMAS)
    for command, meaning in COMMANDS.items():
        assert command in overview()
        assert " ".join(meaning.split()[:3]) in overview(width=200)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("width", [80, 100])
def test_help_says_every_setting_within_the_width(command: str, width: int) -> None:
    page = command_help(command, width=width, styled=False)
    for key, field in catalogue.settings(command).items():
        assert f"  {key}={as_word(field.default)}" in page
    for line in [*page.splitlines(), *overview(width=width, styled=False).splitlines()]:
        assert len(line) <= width
        assert line == line.rstrip()


def test_help_of_train_says_every_option_with_its_meaning() -> None:
    page = " ".join(command_help("train", width=100, styled=False).split())
    for group in catalogue.choosable("train"):
        for option in catalogue.options(group):
            assert f"{group}={option} " in page
            assert catalogue.comment(group, option) in page
    assert "sampler.epoch_size=50, trainer.epochs=6, optimizer.learning_rate=0.001. (default)" in page


def test_help_may_be_confined_to_groups_and_settings() -> None:
    page = command_help("train", ["evaluation", "data.radius"], styled=False)
    keys = [line.split("=")[0].strip() for line in page.splitlines() if line.startswith("  ") and line[2] != " "]
    inside = [key for key in catalogue.settings("train") if key.startswith("evaluation.")]
    assert sorted(keys) == sorted(["data.radius", *inside])
    with pytest.raises(ConfigError, match=r"Did you mean sampler\.balance"):
        command_help("train", ["sampler.balanse"])


def test_letters_are_bold_only_where_asked_for() -> None:
    assert "\033[1m" in command_help("train", styled=True)
    assert "\033" not in command_help("train", styled=False)


@pytest.mark.parametrize(
    ("command", "line"), [(command, line) for command, examples in _EXAMPLES.items() for line, _ in examples]
)
def test_every_example_is_a_line_that_works(command: str, line: str) -> None:
    program, name, *words = shlex.split(line)
    assert (program, name) == ("pickery", command)
    _, overrides = split(command, words)
    assert check_sweep(command, named(command, overrides))
