import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import starfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pickery.errors import InputError
from pickery.formats.contract import LARGEST_NUMBER, CryosparcMicrograph
from pickery.formats.conversion import by_micrograph
from pickery.formats.frame import Frame
from pickery.formats.images import bare_name
from pickery.formats.picks import MicrographPicks, read_picks, write_picks
from pickery.formats.written import LOST

SHAPE = (7420, 7676)
# what names are made of, and what readers may stumble over
WORDS = st.text("ab01é_-.#'=,%", min_size=1, max_size=8).filter(lambda name: not name.startswith("."))
COORDINATES = st.floats(0, 7000)
SCORES = st.floats(-50, 50, width=32) | st.just(float("nan"))
SIZES = st.sampled_from([None, 1.5, 0.8312])


@st.composite
def sets_of_picks(draw: st.DrawFn) -> list[MicrographPicks]:
    """Draw one to four micrographs, one of them picked at least; with or without folders, scores, boxes and ids."""
    words = draw(st.lists(WORDS, min_size=1, max_size=4, unique_by=lambda name: name.casefold()))
    folder, ending = draw(st.sampled_from([("", ""), ("", ".mrc"), ("Motion Corr/job2/", ".mrc")]))
    boxed, known, scored = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    picks = []
    for number, word in enumerate(words):
        rows = draw(st.lists(st.tuples(COORDINATES, COORDINATES, SCORES), min_size=number == 0, max_size=4))
        points = np.array([row[:2] for row in rows]).reshape(-1, 2)
        size, name = draw(SIZES), f"{folder}{word}{ending}"
        picks.append(
            MicrographPicks(
                name,
                points,
                np.array([row[2] if scored else np.nan for row in rows]),
                SHAPE,
                size,
                CryosparcMicrograph(2**63 + number, name, SHAPE, size, 7) if known else None,
                np.full((len(rows), 2), (64.0, 32.5)) if boxed else None,
            )
        )
    return picks


def read_back(source: Path) -> list[MicrographPicks]:
    return list(by_micrograph(read_picks(str(source))).picks)


def facets(picks: Sequence[MicrographPicks]) -> dict[str, dict[str, object]]:
    """Give what there is beside positions and names, by micrograph."""
    filled = [one for one in picks if len(one)]
    scored = any(np.isfinite(one.scores).any() for one in filled)
    return {
        "scores": {one.micrograph: (one.scores.astype(np.float32) + 0).tolist() for one in filled if scored},
        "boxes": {one.micrograph: one.box_size_px.tolist() for one in filled if one.box_size_px is not None},
        "ids": {one.micrograph: one.cryosparc for one in filled if one.cryosparc is not None},
        "pixel size": {one.micrograph: one.pixel_size_angstrom for one in filled if one.pixel_size_angstrom},
        "empty": {bare_name(one.micrograph): 0 for one in picks if not len(one)},
    }


@pytest.mark.parametrize(
    ("format", "one_file"),
    [(ending, False) for ending in ("star", "cs", "txt", "tsv", "csv", "box", "json", "cbox")]
    + [(ending, True) for ending in ("star", "cs", "txt", "tsv", "csv")],
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(picks=sets_of_picks())
@pytest.mark.filterwarnings("ignore:.*crYOLO's .cbox files also hold")
def test_every_format_survives_there_and_back_but_for_what_it_says_is_lost(
    format: str, one_file: bool, picks: list[MicrographPicks]
) -> None:
    boxed = any(one.box_size_px is not None for one in picks)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / (f"all.{format}" if one_file else "all")
        needed = 48 if format in ("box", "cbox") and not boxed else None
        written = write_picks(out, picks, format=format, box_size_px=needed)
        assert {path for path in Path(folder).rglob("*") if path.is_file()} == set(written.files)
        again = read_back(out)
    lost = {what for what, words in LOST.items() if words in written.lost}
    assert len(lost) == len(written.lost)
    # names stay, or are those of the files without ending
    there = [replace(one, micrograph=bare_name(one.micrograph)) if "paths" in lost else one for one in picks]
    by_name = {one.micrograph: one for one in again}
    for one in there:
        if len(one):
            np.testing.assert_allclose(by_name[one.micrograph].points, one.points, rtol=0, atol=1e-3)
    before, after = facets(there), facets(again)
    if needed:
        before["boxes"] = {one.micrograph: [[48.0, 48.0]] * len(one) for one in there if len(one)}
    if not before["ids"]:
        after["ids"] = {}  # made up, which is said
        assert bool(written.notes) == (format == "cs") or format == "cbox"
    for what in before:
        assert (what in lost) == bool(before[what] and not after[what]), what
        if what not in lost:
            assert repr(sorted(after[what].items())) == repr(sorted(before[what].items())), what


FLOATS = st.floats(-LARGEST_NUMBER, LARGEST_NUMBER)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(FLOATS, FLOATS, FLOATS | st.just(float("nan"))), min_size=1, max_size=8),
    ending=st.sampled_from([".txt", ".tsv", ".csv", ".CSV"]),
)
def test_tables_are_read_back_to_the_last_bit(rows: list[tuple[float, float, float]], ending: str) -> None:
    points, scores = np.array([row[:2] for row in rows]), np.array([row[2] for row in rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"p{ending}"
        write_picks(path, [MicrographPicks("a", points, scores)])
        table = read_picks(str(path))
    np.testing.assert_array_equal(np.column_stack((table.x, table.y)), points)
    np.testing.assert_array_equal(table.score, scores)


def some(name: str, *points: tuple[float, float], score: float = np.nan, **more: object) -> MicrographPicks:
    xy = np.array(points, np.float64).reshape(-1, 2)
    return MicrographPicks(name, xy, np.full(len(xy), score), **more)  # type: ignore[arg-type]


def test_paths_are_written_as_topaz_names_unless_two_would_be_one(tmp_path: Path) -> None:
    picks = [some("job/a.mrc", (1, 2)), some("sq1/b.mrc", (3, 4)), some("sq2/b.mrc", (5, 6)), some("sq3/c", (7, 8.5))]
    write_picks(tmp_path / "p.txt", picks)
    assert (tmp_path / "p.txt").read_text() == (
        "image_name\tx_coord\ty_coord\na\t1\t2\nsq1/b.mrc\t3\t4\nsq2/b.mrc\t5\t6\nsq3/c\t7\t8.5\n"
    )


def test_files_of_equally_named_micrographs_lie_in_folders_that_tell_them_apart(tmp_path: Path) -> None:
    picks = [some("m/sq1/b.mrc", (3, 4)), some("m/sq2/b.mrc", (5, 6))]
    assert write_picks(tmp_path / "boxes", picks, format="box", box_size_px=2).files == (
        tmp_path / "boxes" / "sq1" / "b.box",
        tmp_path / "boxes" / "sq2" / "b.box",
    )
    assert [one.micrograph for one in read_back(tmp_path / "boxes/*/*.box")] == ["sq1/b", "sq2/b"]


def test_starfile_reads_what_is_written(tmp_path: Path) -> None:
    picks = [
        some("Motion Corr/a.mrc", (1, 2.25), (3, 4), score=-1.5, pixel_size_angstrom=1.5),
        some("b.mrc", (5, 6.125), score=7, pixel_size_angstrom=0.83),
    ]
    written = write_picks(tmp_path / "p.star", picks)
    tables = starfile.read(tmp_path / "p.star")
    assert list(tables) == ["optics", "particles"]
    assert tables["optics"]["rlnMicrographPixelSize"].tolist() == [1.5, 0.83]
    assert tables["optics"]["rlnOpticsGroup"].tolist() == [1, 2]
    assert tables["particles"].to_dict("list") == {
        "rlnCoordinateX": [1.0, 3.0, 5.0],
        "rlnCoordinateY": [2.25, 4.0, 6.125],
        "rlnAutopickFigureOfMerit": [-1.5, -1.5, 7.0],
        "rlnMicrographName": ["Motion Corr/a.mrc"] * 2 + ["b.mrc"],
        "rlnOpticsGroup": [1, 1, 2],
    }
    assert written.lost == ()
    assert "# version 30001" in (tmp_path / "p.star").read_text()


def test_relion_finds_the_coordinates_of_each_micrograph_by_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a project's folder: paths in the list count from it
    picks = [some("MotionCorr/job002/a.mrc", (1, 2), score=0.5), some("MotionCorr/job002/b.mrc")]
    written = write_picks(Path("AutoPick/pickery"), picks, format="star")
    listed = starfile.read("AutoPick/pickery/autopick.star", always_dict=True)
    assert list(listed) == ["coordinate_files"]
    assert listed["coordinate_files"].to_dict("list") == {
        "rlnMicrographName": ["MotionCorr/job002/a.mrc"],
        "rlnMicrographCoordinates": ["AutoPick/pickery/a_autopick.star"],
    }
    # RELION reads the first table of a file, so there must be no other
    coordinates = starfile.read("AutoPick/pickery/a_autopick.star", always_dict=True)
    assert list(coordinates) == [""]
    assert list(coordinates[""].columns) == ["rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"]
    assert [os.fspath(path) for path in written.files] == [
        "AutoPick/pickery/a_autopick.star",
        "AutoPick/pickery/b_autopick.star",
        "AutoPick/pickery/autopick.star",
    ]
    assert [(one.micrograph, len(one)) for one in read_back(tmp_path / "AutoPick" / "pickery")] == [
        ("MotionCorr/job002/a.mrc", 1),
        ("b", 0),
    ]


@pytest.mark.parametrize("format", ["star", "cs", "txt", "box", "json", "cbox"])
def test_scale_and_flip_on_the_way_out_are_undone_by_those_on_the_way_in(tmp_path: Path, format: str) -> None:
    one = some("a", (10, 20), (101.5, 7), shape=(400, 600), pixel_size_angstrom=1.5)
    out = tmp_path / f"a.{format}"
    write_picks(out, [one], coordinate_scale=4, flip_y=True, box_size_px=32)
    table = read_picks(str(out))
    scale = 1 if format == "cs" else 4  # fractions know no scale
    np.testing.assert_allclose(table.x * scale, [10, 101.5], atol=1e-3)
    np.testing.assert_allclose(table.y * scale, [379, 392], atol=1e-3)
    if format in ("box", "cbox"):
        assert table.box_size is not None
        assert table.box_size.tolist() == [[8, 8], [8, 8]]
    if format == "star":
        assert by_micrograph(table).picks[0].pixel_size_angstrom == 6
        assert by_micrograph(table, frame=Frame(4)).picks[0].pixel_size_angstrom == 1.5


def test_eman2_info_keeps_what_else_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a_info.json").write_text('{"ctf": [1, 2], "boxes": [[9, 9, "manual"]]}')
    write_picks(tmp_path, [some("a.mrc", (1, 2.5))], format="json")
    assert (tmp_path / "a_info.json").read_text() == '{"ctf": [1, 2], "boxes": [[1, 2.5, "manual"]]}\n'
    (tmp_path / "a_info.json").write_text("[]")
    with pytest.raises(InputError, match="no info file of EMAN2"):
        write_picks(tmp_path, [some("a.mrc", (1, 2.5))], format="json")


def test_what_cannot_be_written_is_named_with_a_way_out(tmp_path: Path) -> None:
    one, two = some("a", (1, 2)), some("b", (1, 2))
    (tmp_path / "file").touch()
    for out, picks, more, words in [
        ("p.xyz", [one], {}, r"p\.xyz cannot be written: give a file that ends in \.txt"),
        ("p", [one], {}, r"say of which kind the files in this folder"),
        ("p.txt", [one], {"format": "star"}, r"does not end in \.star"),
        ("p.box", [one, two], {}, "picks of 2 micrographs, and an EMAN .box file holds those of one: give a folder"),
        ("p.box", [one], {}, "needs the size of the boxes"),
        ("p.cbox", [one], {}, "needs the size of the boxes"),
        ("p.cs", [one], {}, "needs the size of a, of which its centres are fractions"),
        ("p.txt", [one], {"flip_y": True}, "needs the size of a to turn the y axis"),
        ("file/p.txt", [one], {}, "cannot be written"),
        ("p.star", [some("a 'b\" c", (1, 2))], {}, "cannot hold the name"),
    ]:
        with pytest.raises(InputError, match=words):
            write_picks(tmp_path / out, picks, **more)  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
