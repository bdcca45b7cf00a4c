from pathlib import Path

from pickery.config import catalogue
from pickery.config.commands import COMMANDS
from pickery.config.settings_page import OTHER_NAMES, page

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_of_settings_is_what_the_schema_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m pickery.config.settings_page > docs/settings.md"


def test_every_setting_is_on_the_page_once() -> None:
    text = page()
    for command in COMMANDS:
        for key in catalogue.settings(command):
            assert text.count(f"| `{key}` |") >= 1, key


def test_other_programs_names_are_of_settings_that_there_are() -> None:
    known = {key for command in COMMANDS for key in catalogue.settings(command)}
    assert set(OTHER_NAMES) <= known
