from pathlib import Path

import pytest

from pickery.errors import InputError
from pickery.topaz.options import Option, command
from pickery.topaz.program import TopazProgram, find_program
from pickery.topaz.versions import believed_observed, loader_workers, pi_to_give, warnings

OLD = TopazProgram("topaz", "0.2.5a", frozenset({"--train-images"}))
NEW = TopazProgram("topaz", "0.3.20", frozenset({"--train-images", "--patch-size"}))


def test_a_program_says_its_version_and_what_it_can_be_told(topaz):
    program = find_program(str(topaz().path))
    assert (program.version, program.number, program.name) == ("0.2.5a", (0, 2, 5), "topaz 0.2.5a")
    assert {"--pi", "--train-images", "--no-pretrained"} <= program.options
    assert not program.since_0_3


def test_the_version_that_says_that_it_is_an_older_one_is_known_by_its_options(topaz):
    program = find_program(str(topaz(since_0_3=True, version="0.2.5").path))
    assert program.since_0_3
    assert program.name == "topaz 0.3.0"


def test_a_program_is_found_by_its_name(topaz, monkeypatch):
    fake = topaz()
    monkeypatch.setenv("PATH", f"{fake.path.parent}:/usr/bin:/bin")
    assert find_program("topaz").path == str(fake.path)


def test_what_is_no_topaz_is_refused_with_the_reason(topaz, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("")
    for given, reason in [
        (tmp_path / "absent", "there is no such program"),
        (tmp_path, "is a folder"),
        (plain, "is no program"),
        (Path("/bin/echo"), "does not answer as Topaz does"),
        (Path("/bin/false"), "ended with status 1"),
        (topaz(help_fails=True).path, "No module named 'torch'"),
        (topaz(version="none").path, "does not answer as Topaz does"),
    ]:
        with pytest.raises(InputError, match=reason) as error:
            find_program(str(given))
        assert str(error.value).startswith("engine.executable=")


def test_a_word_that_the_program_does_not_know_is_refused_by_its_setting():
    with pytest.raises(InputError, match=r"loss\.l2 cannot be used with topaz 0\.2\.5a.* no --l2"):
        command(OLD, [Option("--train-images", "list", "data.micrographs"), Option("--l2", 0.1, "loss.l2")])
    words = command(OLD, [Option("--train-images", "list", "x"), Option("--new", None, "x", needed=False)])
    assert words == ["topaz", "train", "--train-images", "list"]


def test_a_sound_version_is_given_pi_as_it_is():
    given = {"pi": 0.05, "picks": 15, "radius": 3, "regions": 72000}
    assert pi_to_give(OLD, is_ge=True, objective_pi=0.04, **given) == 0.05
    assert pi_to_give(OLD, is_ge=False, objective_pi=0.05, **given) == 0.05
    assert believed_observed(OLD, picks=15, radius=3, regions=72000) == pytest.approx(435 / 72000)
    assert list(warnings(OLD, workers=2)) == []
    assert loader_workers(OLD, 2) == 2


def test_a_version_that_counts_discs_too_often_is_given_a_pi_that_makes_up_for_it():
    # 3,045 of 72,000 regions is what 0.3.0, 0.3.7 and 0.3.20 report of fifteen picks
    given = {"pi": 0.05, "picks": 15, "radius": 3, "regions": 72000}
    pi = pi_to_give(NEW, is_ge=True, objective_pi=0.05 - 435 / 72000, **given)
    assert pi - 3045 / 72000 == pytest.approx(0.05 - 435 / 72000)
    assert pi_to_give(NEW, is_ge=False, objective_pi=0.05, **given) == 0.05


def test_versions_are_warned_of_by_what_they_get_wrong():
    said = " ".join(warnings(NEW, workers=2))
    for part in ("2r+1 rows", "--k-fold", "same unlabeled regions in every epoch", "sampler.workers=2"):
        assert part in said
    assert loader_workers(NEW, 2) == 0
    between = TopazProgram("topaz", "0.3.7", frozenset({"--patch-size"}))
    assert "every epoch" not in " ".join(warnings(between, workers=0))
    later = TopazProgram("topaz", "0.4.0", frozenset({"--patch-size"}))
    assert [text for text in warnings(later, workers=0) if "has not been tried" in text]
