"""File names go to Hydra as people write them."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from pickery.config.line import for_hydra, quoted
from pickery.config.load import load


@given(
    st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1).filter(
        lambda t: "${" not in t
    )
)
@settings(max_examples=300, deadline=None)
def test_quoted_text_comes_back_as_it_was(text: str) -> None:
    assert OverridesParser.create().parse_override(f"key={quoted(text)}").value() == text


@pytest.mark.parametrize(
    "name",
    [
        "/données/été",
        "/data/session (2)/mics",
        "/data/a=b",
        "/data/x[0-9].mrc",
        "/data/#1",
        "/data/it's here",
        "/data/a b/c",
        "/data/20240131_*/mic_??.mrc",
        "relative/folder",
        "C:\\data\\mics",
    ],
)
def test_a_file_name_needs_no_quotes(name: str) -> None:
    config = load("train", [f"data.micrographs={name}", "data.picks=p.star", "data.expected_particles=3"])
    assert config.data.micrographs == name
    assert config.data.source == "files"


def test_the_home_folder_may_be_written_as_a_tilde() -> None:
    assert for_hydra("train", ["run_dir=~/runs/a"]) == [f"run_dir={Path.home()}/runs/a"]


@pytest.mark.parametrize("word", ["data.micrographs=[a,b]", "data.micrographs='a b'", "run_dir=runs/${seed}", "seed=3"])
def test_what_hydra_reads_already_is_left_alone(word: str) -> None:
    assert word in for_hydra("train", [word])
