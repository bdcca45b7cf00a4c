from pathlib import Path

import pytest

from pickery.formats.assignment import match_names
from pickery.formats.micrographs import MicrographFile
from pickery.placement.names import nearest, to_ignore

NUMBERS = ("0001", "0002", "0010", "0011", "0100", "0111", "1000")


def files(pattern: str) -> list[MicrographFile]:
    return [MicrographFile(pattern.format(number), Path(f"/m/{pattern.format(number)}.mrc")) for number in NUMBERS]


@pytest.mark.parametrize(
    ("names", "micrographs"),
    [
        ("mic_{}_DW", "mic_{}"),
        ("mic_{}", "mic_{}_DW"),
        ("FoilHole_{}_patch_aligned", "FoilHole_{}_fractions_DW"),
        ("prefix-mic_{}", "mic_{}"),
        ("job12/mic-{}.mrc", "mic_{}"),
        ("a{}", "b{}"),
    ],
)
def test_what_stands_between_names_is_found_and_makes_each_find_its_own(names: str, micrographs: str) -> None:
    own, all_files = [names.format(number) for number in NUMBERS], files(micrographs)
    assert not match_names(own, all_files, "data.picks")
    parts = to_ignore(own, all_files)
    assert parts
    assert match_names(own, all_files, "data.picks", parts) == {name: index for index, name in enumerate(own)}


def test_names_that_have_nothing_to_do_with_each_other_get_no_suggestion() -> None:
    assert to_ignore([f"x{9 - int(number[0])}{number[::-1]}7" for number in NUMBERS], files("mic_{}")) == ()
    assert to_ignore([], files("mic_{}")) == ()
    assert to_ignore(["a"], []) == ()


def test_the_nearest_names_are_shown() -> None:
    assert nearest("job/mic_0010_DW.mrc", files("mic_{}"))[0] == "mic_0010"
    assert nearest("zzz", files("mic_{}")) == []
