import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickery.errors import InputError, PickeryWarning
from pickery.formats.micrographs import MicrographFile
from pickery.formats.picks import MicrographPicks, PickTable, assign_picks, read_picks, write_picks

OPTICS = """
# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographPixelSize #3
opticsGroup1 1 1.500000


# version 30001

"""
COORDINATES = "loop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n"
SCORED = f"{COORDINATES}_rlnAutopickFigureOfMerit #3\n"
NAMED = f"{SCORED}_rlnMicrographName #4\n"
CBOX = "data_cryolo\n\nloop_\n" + "_CoordinateX\n_CoordinateY\n_CoordinateZ\n_Width\n_Height\n_Confidence\n"


def rows(table: PickTable) -> list[tuple[str, float, float, float | None]]:
    score = [None if np.isnan(value) else float(value) for value in table.score]
    return list(zip(table.micrograph, table.x.tolist(), table.y.tolist(), score, strict=True))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.txt", "image_name\tx_coord\ty_coord\tscore\na\t1\t2.5\t-3\nb\t3\t4\t\n"),
        ("p.tsv", "score\timage_name\ty_coord\tx_coord\textra\r\n-3\ta\t2.5\t1\t9\r\n\r\n\tb\t4\t3\t9\r\n"),
        ("p.csv", '\ufeffimage_name,x_coord,y_coord,score\n"a",1,2.5,-3.0\nb,3,4,nan\n'),
        ("p.csv", "image_name;x_coord;y_coord;score\na;1;2.5;-3.0\nb;3;4;\n"),
        ("p.txt", "image_name  x_coord y_coord   score\na 1  2.5 -3 \nb 3 4 nan\n"),
        ("p.coords", "# by hand\n\nimage_name\tx_coord\ty_coord\tscore\na\t1\t2.5\t-3\nb\t3\t4\t\n"),
        ("p.star", f"data_\n\n{NAMED}1 2.5 -3 a\n3.000 4 nan b\n\n"),
        ("p.star", f"{OPTICS}data_particles\n\n{NAMED}1 2.5 -3 'a' # first\n3 4 nan \"b\"\n"),
        ("p.txt", f"{OPTICS}data_particles\n\n{NAMED}1 2.5 -3 a\n3 4 nan b\n".replace("\n", "\r\n")),
    ],
)
def test_every_spelling_of_a_table_gives_the_same_picks(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, newline="")
    table = read_picks(str(tmp_path / name))
    assert rows(table) == [("a", 1, 2.5, -3), ("b", 3, 4, None)]
    assert table.source == str(tmp_path / name)


def test_star_values_outside_a_loop_are_one_row(tmp_path: Path) -> None:
    (tmp_path / "p.star").write_text("data_\n_rlnMicrographName a.mrc\n_rlnCoordinateX 1\n_rlnCoordinateY 2\n")
    assert rows(read_picks(str(tmp_path / "p.star"))) == [("a.mrc", 1, 2, None)]


def test_name_with_blanks_and_apostrophes_survives(tmp_path: Path) -> None:
    (tmp_path / "p.star").write_text(f"data_\n{NAMED}1 2 3 \"it's a.mrc\"\n1 2 3 it's.mrc\n")
    assert read_picks(str(tmp_path / "p.star")).micrograph == ("it's a.mrc", "it's.mrc")


def test_stray_carriage_returns_lose_no_rows(tmp_path: Path) -> None:
    body = "".join(f"{row} 2 3 a\r\r\n" for row in range(50))
    (tmp_path / "p.star").write_text(f"data_\n{NAMED}{body}", newline="")
    assert read_picks(str(tmp_path / "p.star")).x.tolist() == list(range(50))


def test_star_reading_agrees_with_starfile(tmp_path: Path) -> None:
    import starfile

    random = np.random.default_rng(1)
    lines = [f"{x:.6f} {y:.6f} {z:.3f} job/mic_{i // 9}.mrc" for i, (x, y, z) in enumerate(random.normal(size=(99, 3)))]
    path = tmp_path / "p.star"
    path.write_text(f"{OPTICS}data_particles\n\n{NAMED}{chr(10).join(lines)}\n\n")
    theirs = starfile.read(path)["particles"]
    ours = read_picks(str(path))
    np.testing.assert_array_equal(ours.x, theirs["rlnCoordinateX"])
    np.testing.assert_array_equal(ours.y, theirs["rlnCoordinateY"])
    np.testing.assert_array_equal(ours.score, theirs["rlnAutopickFigureOfMerit"])
    assert list(ours.micrograph) == list(theirs["rlnMicrographName"])


def test_box_is_its_centre_in_the_micrograph_of_the_file_name(tmp_path: Path) -> None:
    (tmp_path / "May08_03.05.02.box").write_text("-5\t26\t64\t64\n 3.5 4 10 20 \n\n")
    (tmp_path / "b.mrc.box").write_text("0 0 2 2 0.7\n1 1 2 2 nan\n")
    (tmp_path / "none.box").touch()
    assert rows(read_picks(str(tmp_path))) == [
        ("May08_03.05.02", 27, 58, None),
        ("May08_03.05.02", 8.5, 14, None),
        ("b", 1, 1, 0.7),
        ("b", 2, 2, None),
    ]


def test_fifth_column_of_emans_own_boxes_is_a_mode_and_no_score(tmp_path: Path) -> None:
    (tmp_path / "a.box").write_text("0 0 2 2 -3\n1 1 2 2 0\n")
    (tmp_path / "b.box").write_text("0 0 2 2 -3.0\n")
    assert [score for *_, score in rows(read_picks(str(tmp_path)))] == [None, None, -3.0]


def test_eman2_info_holds_centres(tmp_path: Path) -> None:
    (tmp_path / "May08_03.05.02_info.json").write_text('{"ctf": [], "boxes": [[1, 2.5, "manual"], [3, 4, "x", 0.7]]}')
    assert rows(read_picks(str(tmp_path))) == [("May08_03.05.02", 1, 2.5, None), ("May08_03.05.02", 3, 4, None)]


def test_cbox_is_its_centre_and_says_that_it_holds_more_than_was_picked(tmp_path: Path) -> None:
    (tmp_path / "a.cbox").write_text(
        f"data_global\n\n_cbox_format_version 1.0\n\n{CBOX}1 2 <NA> 4 6 0.5\n3 4 <NA> 2 2 <NA>\n"
    )
    assert rows(read_picks(str(tmp_path / "a.cbox"))) == [("a", 3, 5, 0.5), ("a", 4, 5, None)]
    (tmp_path / "b.cbox").write_text(f"{CBOX}1 2 <NA> 4 6 0.2\n")
    with pytest.warns(PickeryWarning, match=r"boxes below its threshold \(0\.3 unless changed\)") as caught:
        read_picks(f"{tmp_path}/*.cbox")
    assert len(caught) == 1


def test_segments_of_filaments_are_taken_as_particles_with_a_warning(tmp_path: Path) -> None:
    text = f"data_\n{COORDINATES}_rlnMicrographName #3\n_rlnHelicalTubeID #4\n1 2 a.mrc 1\n"
    (tmp_path / "p.star").write_text(text)
    with pytest.warns(PickeryWarning, match="filaments are not supported"):
        assert rows(read_picks(str(tmp_path / "p.star"))) == [("a.mrc", 1, 2, None)]


def test_stated_kind_counts_more_than_the_ending(tmp_path: Path) -> None:
    (tmp_path / "a.box").write_text("0 0 2 2\n")
    (tmp_path / "a.txt").write_text("0 0 2 2\n")
    (tmp_path / "notes.star").write_text("data_\n")
    assert rows(read_picks(str(tmp_path), format="box")) == [("a", 1, 1, None)]
    (tmp_path / "b.boxes").write_text("0 0 2 2\n")
    assert rows(read_picks(str(tmp_path / "b.boxes"), format="box")) == [("b.boxes", 1, 1, None)]


def test_list_beside_the_files_that_it_lists_does_not_mean_them_twice(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}_autopick.star").write_text(f"data_\n{SCORED}1 2 0.5\n")
    (tmp_path / "autopick.star").write_text(
        "data_coordinate_files\nloop_\n_rlnMicrographName\n_rlnMicrographCoordinates\n"
        f"m/a.mrc {tmp_path}/a_autopick.star\n"
    )
    assert sorted(read_picks(str(tmp_path)).micrograph) == ["b", "m/a.mrc"]


@pytest.mark.parametrize("file_name", ["mic_1_autopick.star", "mic_1_manualpick.star", "mic_1.star"])
def test_star_of_one_micrograph_is_named_by_its_file(tmp_path: Path, file_name: str) -> None:
    (tmp_path / file_name).write_text(f"data_\n{SCORED}1 2 0.5\n")
    assert rows(read_picks(str(tmp_path / file_name))) == [("mic_1", 1, 2, 0.5)]


def test_files_of_equally_named_micrographs_keep_the_folders_that_tell_them_apart(tmp_path: Path) -> None:
    for square in ("sq1", "sq2"):
        (tmp_path / square).mkdir()
        (tmp_path / square / "mic.box").write_text("0 0 2 2\n")
    assert read_picks(f"{tmp_path}/*/*.box").micrograph == ("sq1/mic", "sq2/mic")
    assert read_picks([f"{tmp_path}/sq2", f"{tmp_path}/sq1"]).micrograph == ("sq2/mic", "sq1/mic")


def test_autopick_list_is_followed_from_the_project_folder_above_it(tmp_path: Path) -> None:
    job = tmp_path / "AutoPick" / "job005"
    (job / "Movies").mkdir(parents=True)
    (job / "Movies" / "a_autopick.star").write_text(f"data_\n{SCORED}1 2 0.5\n3 4 0.25\n")
    (job / "Movies" / "b_autopick.star").write_text(f"data_\n{SCORED}\n")
    (tmp_path / "imported.box").write_text("0 0 2 2\n")
    (job / "autopick.star").write_text(
        "data_coordinate_files\nloop_\n_rlnMicrographName #1\n_rlnMicrographCoordinates #2\n"
        "MotionCorr/job002/Movies/a.mrc AutoPick/job005/Movies/a_autopick.star\n"
        "MotionCorr/job002/Movies/b.mrc AutoPick/job005/Movies/b_autopick.star\n"
        "MotionCorr/job002/Movies/c.mrc imported.box\n"
    )
    assert rows(read_picks(str(job / "autopick.star"))) == [
        ("MotionCorr/job002/Movies/a.mrc", 1, 2, 0.5),
        ("MotionCorr/job002/Movies/a.mrc", 3, 4, 0.25),
        ("MotionCorr/job002/Movies/c.mrc", 1, 1, None),
    ]
    (job / "Movies" / "b_autopick.star").unlink()
    with pytest.raises(InputError, match=r"autopick\.star lists 1 of 3 files that do not exist"):
        read_picks(str(job / "autopick.star"))


TABLE = "image_name\tx_coord\ty_coord\na\t1\t2\n"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.txt", "", "is empty"),
        ("p.txt", "image_name\tx_coord\ty_coord\n", "holds no picks"),
        ("p.box", "", "holds no picks"),
        ("p.star", "", "it has no tables"),
        ("p.star", f"data_\n{NAMED}", "holds no picks"),
        ("p.csv", "image_name,x,y\na,1,2\n", "has no column x_coord and no y_coord .*image_name, x, y"),
        ("p.star", "data_\nloop_\n_rlnCoordinateX #1\n1\n", "_rlnCoordinateY.*it has _rlnCoordinateX"),
        ("p.txt", f"{TABLE}b\tone\t2\n", r"x_coord in row 2 \(line 3\) is 'one'"),
        ("p.txt", f"{TABLE}\nb\t1\tnan\n", r"y_coord in row 2 \(line 4\) is 'nan'"),
        ("p.txt", f"{TABLE}b\t-inf\t1\n", r"x_coord in row 2 \(line 3\) is '-inf'"),
        ("p.txt", f"{TABLE}b\t\t1\n", r"x_coord in row 2 \(line 3\) is ''"),
        ("p.txt", f"{TABLE}\t1\t1\n", r"image_name in row 2 \(line 3\) is empty"),
        ("p.txt", f"{TABLE}b\t1\n", r"2 values in row 2 \(line 3\) under 3 columns"),
        ("p.txt", f"{TABLE}b\t1\t2\t3\n", r"4 values in row 2 \(line 3\) under 3 columns"),
        ("p.csv", "image_name,x_coord,y_coord,score\na,1,2,high\n", "score in row 1"),
        ("p.csv", "image_name,x_coord,y_coord,score\na,1,2,inf\n", "score in row 1"),
        ("p.csv", 'image_name,x_coord,y_coord\n"a,1,2\n' + "b" * 200_000, "line 3 is no row of a table"),
        ("p.star", f"data_\n{NAMED}1 2 3 a\n1 x 3 a\n", r"rlnCoordinateY in row 2 \(line 8\) is 'x'"),
        ("p.star", f"data_\n{NAMED}1 2 3 a\n1 2\n", r"2 values in row 2 \(line 8\)"),
        ("p.star", f"data_\n{NAMED}1 2 3 a b.mrc\n", r"5 values in row 1 \(line 7\)"),
        ("p.star", "data_\nstray\n", "line 2 belongs to no table"),
        ("p.box", "1 2 3\n", "3 values in row 1"),
        ("p.box", "1 2 3 4\n1 2 3\n", "3 values in row 2"),
        ("p.box", "1 2 3 4\n1 2 3 z\n", r"height in row 2 \(line 2\) is 'z'"),
        ("p.box", "1 2 -3 4\n", "negative size"),
        ("p.box", "1 2 3 4 -1\n1 2 3 4 -2\n", "holds filaments, which are not supported"),
        ("p.cs", "", r"cannot be read as a CryoSPARC \.cs file \(it begins as no \.cs does\)"),
        ("p.json", "{}", r"no list 'boxes': give the NAME_info\.json"),
        ("p.json", "{", r"cannot be read as an EMAN2 \.json file"),
        ("p.json", "[" * 100_000, "lists within lists without end"),
        (
            "p.json",
            '{"boxes": [[1, 2, "manual"], [1, "a"]]}',
            r'box 2 is \[1, "a"\], which does not begin with the numbers',
        ),
        ("p.json", '{"boxes": [[1, true]]}', "box 1 is"),
        ("p.json", '{"boxes": [[1, 1e999]]}', "box 1 is"),
        ("p.json", '{"boxes": [[NaN, 1]]}', "box 1 is"),
        ("p.json", '{"boxes": [[1, ' + "9" * 400 + "]]}", "box 1 is"),
        ("p.json", '{"boxes": []}', "holds no picks"),
        ("p.CBOX", "", "no table with _CoordinateX, _CoordinateY, _Width, _Height: give the .cbox file"),
        ("p.cbox", f"{CBOX}1 2 <NA> 4\n", r"4 values in row 1 \(line 10\)"),
        ("p.cbox", f"{CBOX}1 2 <NA> 4 z 0.5\n", r"Height in row 1 \(line 10\) is 'z'"),
        ("p.cbox", f"{CBOX}1 2 <NA> 4 -4 0.5\n", "negative size"),
        ("p.cbox", f"{CBOX}1 2 17 4 4 0.5\n", "holds boxes in a tomogram, which are not supported"),
        ("p.cbox", f"{CBOX.replace('_CoordinateZ', '_filamentid')}1 2 17 4 4 0.5\n", "holds filaments, which are not"),
        ("p.xml", "<xml>", r"of no known kind: give one that ends in \.txt"),
    ],
)
def test_bad_file_of_picks_is_named_with_the_row_and_a_way_out(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_picks(str(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_bad_source_of_picks_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source, words in {
        "": "is empty",
        f"{tmp_path}/empty": "empty folder",
        f"{tmp_path}/*.star": "matches no file",
        f"{tmp_path}/none.star": "does not exist",
    }.items():
        with pytest.raises(InputError, match=rf"data\.test_picks.*{words}"):
            read_picks(source, setting="data.test_picks")
    with pytest.raises(InputError, match=r"data\.picks is empty"):
        read_picks([])
    (tmp_path / "a.box").touch()
    (tmp_path / "b.star").touch()
    with pytest.raises(InputError, match=r"several kinds of file \(such as a\.box and b\.star\)"):
        read_picks(str(tmp_path))
    (tmp_path / "c.mrc").touch()
    with pytest.raises(InputError, match=r"none of picks, which end in"):
        read_picks(f"{tmp_path}/*.mrc")


def test_list_that_lists_a_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.star").write_text(
        "data_\nloop_\n_rlnMicrographName\n_rlnMicrographCoordinates\nmic.mrc a.star\n",
    )
    with pytest.raises(InputError, match="a list itself"):
        read_picks(str(tmp_path / "a.star"))


@settings(max_examples=200, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.text(alphabet="data_loop\n #rlnCoordinateXY0.9\t,'\"-e\r", max_size=200).map(str.encode),
    ),
    ending=st.sampled_from([".txt", ".csv", ".star", ".box", ".cs", ".json", ".cbox", ""]),
    start=st.sampled_from(
        [
            b"",
            TABLE.encode(),
            f"data_\n{NAMED}".encode(),
            b"1 2 3 4\n",
            b'{"boxes": [[1, 2',
            CBOX.encode(),
            b"\x93NUMPY",
        ]
    ),
)
def test_junk_raises_nothing_but_input_errors(content: bytes, ending: str, start: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"p{ending}"
        path.write_bytes(start + content)
        message = ""
        try:
            table = read_picks(str(path))
        except InputError as error:
            message = str(error)
    if message:
        assert str(path) in message
    else:
        assert np.isfinite(table.x).all()
        assert np.isfinite(table.y).all()


@pytest.mark.parametrize("ending", [".txt", ".star"])
def test_hundred_thousand_picks_are_read_and_assigned_within_seconds(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p{ending}"
    points = np.random.default_rng(0).uniform(0, 3999, (100_000, 2))
    if ending == ".star":
        body = "".join(f"{x:.6f} {y:.6f} 0.5 job/mic_{i // 200}.mrc\n" for i, (x, y) in enumerate(points))
        path.write_text(f"data_particles\n{NAMED}{body}")
    else:
        groups = np.split(points, 500)
        write_picks(path, [MicrographPicks(f"mic_{i}", group, np.zeros(200)) for i, group in enumerate(groups)])
    micrographs = [MicrographFile(f"mic_{index}", Path(f"/project/mic_{index}.mrc")) for index in range(500)]
    start = time.perf_counter()
    assigned = assign_picks(read_picks(str(path)), micrographs, {m.name: (4000, 4000) for m in micrographs})
    assert time.perf_counter() - start < 5  # 0.3 s on one free core; the rest is for busy ones
    assert sum(map(len, assigned.points.values())) == 100_000
