import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from pickery.cli import main
from pickery.config.completion import FILES, complete
from pickery.config.errors import ConfigError
from pickery.config.load import load
from pickery.config.positions import named
from pickery.formats.micrographs import find_micrographs, write_mrc
from pickery.formats.picks import assign_picks, read_picks
from tests.conftest import Command

FORMATS = ("star", "cs", "txt", "tsv", "csv", "box", "json", "cbox")
POINTS = {"a": [(10.0, 20.5), (101.25, 7.0)], "b": [(55.0, 60.0)]}
SHAPES = {"a": (120, 160), "b": (120, 160)}
TABLE = "image_name\tx_coord\ty_coord\tscore\na\t10\t20.5\t0.5\na\t101.25\t7\t0.25\nb\t55\t60\t0.125\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two micrographs, and a table of their three picks, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name, (rows, columns) in SHAPES.items():
        write_mrc(tmp_path / "mics" / f"{name}.mrc", np.eye(rows, columns), pixel_size_angstrom=1.5)
    (tmp_path / "p.txt").write_text(TABLE)
    return tmp_path


def points(source: str, **how: object) -> dict[str, list[tuple[float, float]]]:
    assigned = assign_picks(read_picks(source), find_micrographs("mics"), SHAPES, **how)  # type: ignore[arg-type]
    return {name: [(x, y) for x, y in own.tolist()] for name, own in assigned.points.items()}


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.filterwarnings("ignore:.*crYOLO's .cbox files also hold")
def test_picks_pass_from_every_format_to_every_other(
    project: Path, first: str, second: str, capsys: pytest.CaptureFixture[str]
) -> None:
    boxed = [f"convert.box_size={32}"] if first in ("box", "cbox") else []
    assert main(["convert", "p.txt", "first", f"convert.out_format={first}", "convert.micrographs=mics", *boxed]) == 0
    needs = second in ("box", "cbox") and not boxed
    words = ["convert", "first", "second", f"convert.out_format={second}", *(["convert.box_size=32"] if needs else [])]
    assert main([*words, *(["convert.micrographs=mics"] if second == "cs" else [])]) == 0
    assert points("second") == POINTS
    scores = sorted(score for score in read_picks("second").score.tolist() if score == score)
    assert scores == ([] if "json" in (first, second) else [0.125, 0.25, 0.5])
    said = capsys.readouterr().out
    assert "3 picks on 2 micrographs in first" in said
    assert "3 picks on 2 micrographs written to second" in said
    assert ("lost         the scores" in said) == ("json" in (first, second))


def test_scale_and_flip_are_applied_and_stated(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    how = ["convert.coordinate_scale=2", "convert.flip_y=true", "convert.micrographs=mics", "convert.threshold=0.2"]
    assert main(["convert", "p.txt", "out.csv", *how]) == 0
    assert Path("out.csv").read_text() == "image_name,x_coord,y_coord,score\na,20,78,0.5\na,202.5,105,0.25\n"
    said = capsys.readouterr()
    assert "scale        times 2 for full size" in said.out
    assert "y axis       turned about: row r is row rows - 1 - r" in said.out
    assert "left out     1 pick with scores below 0.2" in said.out
    assert "1 pick outside the image (on mics/a.mrc), taken all the same" in said.out
    back = ["convert.out_coordinate_scale=2", "convert.out_flip_y=true", "convert.micrographs=mics"]
    assert main(["convert", "out.csv", "back.txt", *back]) == 0
    assert Path("back.txt").read_text() == TABLE.replace("b\t55\t60\t0.125\n", "")
    assert "scale        full size divided by 2" in capsys.readouterr().out


def test_mistakes_are_answered_with_a_way_out(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("p.txt", "q.txt")
    for words, status, answer in [
        ([], 2, "two names are needed, what to convert and where to: pickery convert IN OUT"),
        (["p.txt"], 2, "two names are needed"),
        (
            ["p.txt", "q.txt", "r.star"],
            2,
            "3 names are given (p.txt, q.txt, r.star), and pickery convert IN OUT takes 2",
        ),
        (["p.txt", "o.star", "convert.out=x.star"], 2, "convert.out is given twice"),
        (["", "o.star"], 2, "a name is empty"),
        (
            ["p.txt", "o.star", "covert.flip_y=true"],
            2,
            "covert.flip_y is not a setting of pickery convert. Did you mean",
        ),
        (["p.txt", "--out=x"], 2, "--out=x is not an option"),
        (["gone.txt", "o.star"], 1, "convert.source=gone.txt does not exist"),
        (["p.txt", "p.txt"], 1, "convert.out: p.txt is what is to be converted"),
        (["p.txt", "out"], 1, "so it is a folder: give convert.out_format=star"),
        (["p.txt", "out", "convert.out_format=box"], 1, "convert.box_size is missing: an EMAN .box file has the size"),
        (["p.txt", "o.box", "convert.box_size=9"], 1, "would have the picks of 2 micrographs"),
        (["p.txt", "o.cs"], 1, "needs the size of a"),
        (["p.txt", "o.csv", "convert.flip_y=true"], 1, "convert.flip_y=true needs to know the size of a,"),
        (["p.txt", "o.csv", "convert.threshold=9"], 1, "leaves no pick: the scores in p.txt go from 0.125 to 0.5"),
    ]:
        assert main(["convert", *words]) == status, words
        assert answer in capsys.readouterr().err
    assert sorted(os.listdir()) == ["mics", "p.txt", "q.txt"]


def test_what_is_read_is_never_replaced_however_it_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("boxes").mkdir()
    Path("boxes/a.box").write_text("10 10 20 20\n")
    before = Path("p.txt").read_bytes()
    for words in (
        ["boxes/a.box", "boxes", "convert.out_format=box"],
        ["boxes", "boxes", "convert.out_format=box"],
        ["boxes/*.box", "boxes/a.box"],
        ["*.txt", "./p.txt"],
    ):
        assert main(["convert", *words, "convert.out_coordinate_scale=2"]) == 1, words
        assert "is what is to be converted" in capsys.readouterr().err
    assert Path("boxes/a.box").read_text() == "10 10 20 20\n"
    assert Path("p.txt").read_bytes() == before


def test_another_file_that_is_replaced_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for said in (False, True):
        assert main(["convert", "p.txt", "o.star"]) == 0
        assert ("replaced     1 file that was there" in capsys.readouterr().out) == said


def test_settings_without_effect_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, key in [
        (["o.star", "convert.box_size=9"], "convert.box_size=9 has no effect"),
        (["o.csv", "convert.pixel_size=2"], "convert.pixel_size=2 has no effect"),
        (
            ["o.cs", "convert.out_coordinate_scale=2", "convert.micrographs=mics"],
            "convert.out_coordinate_scale=2 has no effect",
        ),
    ]:
        assert main(["convert", "p.txt", *words]) == 0
        assert key in capsys.readouterr().err


@pytest.mark.parametrize("name", ["my picks.txt", "./a=b.txt", "é, {x}.txt", "it's.txt", "(1).txt", "x=y.txt"])
def test_names_of_files_may_hold_anything(project: Path, name: str) -> None:
    shutil.copy("p.txt", name)
    out = name.replace(".txt", ".star") if name != "x=y.txt" else "./x=y.star"
    assert main(["convert", name, out]) == 0
    assert points(out) == POINTS


def test_list_of_sources_is_one_name(project: Path) -> None:
    lines = TABLE.splitlines(keepends=True)
    for name, own in {"a.csv": lines[1:3], "b.csv": lines[3:]}.items():
        Path(name).write_text("".join([lines[0], *own]).replace("\t", ","))
    assert main(["convert", "[a.csv,b.csv]", "o.star"]) == 0
    assert main(["convert", "?.csv", "p.star"]) == 0
    assert points("o.star") == points("p.star") == POINTS


def test_words_stand_for_settings_by_their_place() -> None:
    assert named("convert", ["a", "convert.flip_y=true", "b"]) == [
        "convert.source='a'",
        "convert.out='b'",
        "convert.flip_y=true",
    ]
    assert named("train", ["a"]) == ["a"]
    config = load("convert", named("convert", ["it's a.txt", "b=c/d.star", "./e=f.star"][::2]))
    assert (config.convert.source, config.convert.out) == ("it's a.txt", "./e=f.star")
    with pytest.raises(ConfigError, match="4 names are given"):
        named("convert", ["a.box", "b.box", "c.box", "d.star"])


def test_first_two_words_are_completed_as_files() -> None:
    assert complete(["convert", ""]) == [FILES]
    assert complete(["convert", "a.txt", "b"]) == [FILES]
    assert "convert.flip_y=" in complete(["convert", "a.txt", "b.star", "convert.f"])
    assert complete(["convert", "convert.flip_y="]) == ["convert.flip_y=true", "convert.flip_y=false"]


def test_help_shows_the_names(pickery: Command) -> None:
    assert "pickery convert IN OUT [group=option]" in pickery("convert", "--help").stdout
    done = pickery("convert", "gone.txt", "o.star", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("pickery: convert.source=gone.txt does not exist")
