"""Which picks count, on which micrographs, and what is said of the rest."""

from pathlib import Path

import numpy as np
import pytest

from pickery.config.schema import ScoreGroup
from pickery.errors import InputError
from pickery.formats.micrographs import write_mrc
from pickery.scoring.sides import gather, radius_px


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(path, rows):
    columns = ("image_name", "x_coord", "y_coord", "score")[: len(rows[0]) if rows else None]
    lines = ["\t".join(columns)]
    Path(path).write_text("\n".join([*lines, *("\t".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


def star(path, rows):
    head = "data_\n\nloop_\n_rlnMicrographName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\n"
    Path(path).write_text(head + "\n".join(" ".join(map(str, row)) for row in rows) + "\n", encoding="utf-8")
    return path


def micrograph(name, rows=40, columns=60, pixel_size=1.5):
    pixels = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
    write_mrc(Path(name), pixels, pixel_size_angstrom=pixel_size)


def gathered(**settings):
    return gather(ScoreGroup(**({"radius": 3.0} | settings)))


TRUTH = [("a", 10, 10), ("a", 30, 30), ("b", 20, 20)]


def test_a_path_a_file_name_and_a_bare_name_are_one_micrograph():
    truth = star("truth.star", [("J12/imported/a.mrc", 10, 10), ("J12/imported/b.mrc", 20, 20)])
    for names in (("a", "b"), ("a.mrc", "b.mrc"), ("/data/other/a.mrc", "/data/other/b.tif")):
        sides = gathered(picks=table("picks.txt", [(names[0], 10, 11, 1), (names[1], 20, 20, 2)]), truth=truth)
        assert sides.names == ("a", "b")
        assert [sides.picks[name].tolist() for name in sides.names] == [[[10, 11]], [[20, 20]]]
        assert sides.remarks == ()


def test_names_that_folders_tell_apart_stay_apart():
    truth = star("truth.star", [("sq1/mic.mrc", 1, 1), ("sq2/mic.mrc", 2, 2)])
    sides = gathered(picks=star("picks.star", [("sq2/mic.mrc", 2, 2)]), truth=truth)
    assert sides.names == ("sq1/mic", "sq2/mic")
    assert [len(sides.picks[name]) for name in sides.names] == [0, 1]
    with pytest.raises(InputError, match=r"score\.picks names mic, which fits both"):
        gathered(picks=table("picks.txt", [("mic", 2, 2, 1)]), truth=truth)


def test_picks_where_the_truth_names_no_micrograph_are_left_out_and_said():
    picks = table("picks.txt", [("a", 10, 10, 1), ("c", 1, 1, 2), ("c", 2, 2, 1)])
    sides = gathered(picks=picks, truth=table("truth.txt", TRUTH))
    assert sides.names == ("a", "b")
    assert "score.picks has 2 picks on 1 micrograph (c) that score.truth does not name: left out" in sides.remarks[0]
    assert "1 micrograph of 2 has no picks (b): its 1 true particle counts as missed" in sides.remarks[1]


def test_all_micrographs_that_are_given_count():
    for name in "abc":
        micrograph(f"{name}.mrc")
    rows = [("a", 10, 10, 1), ("c", 1, 1, 2), ("d", 1, 1, 2)]
    sides = gathered(picks=table("p.txt", rows), truth=table("t.txt", TRUTH), micrographs="[abc].mrc")
    assert sides.names == ("a", "b", "c")
    assert len(sides.picks["c"]) == 1
    assert sides.pixel_size_angstrom == pytest.approx(1.5)
    text = " | ".join(sides.remarks)
    assert "score.picks has 1 pick on 1 micrograph (d) not among score.micrographs: left out" in text
    assert "1 micrograph has no true particle (c): the 1 pick there counts as extra" in text


def test_what_lies_outside_or_twice_at_one_place_is_left_out_and_said():
    micrograph("a.mrc")
    picks = table("p.txt", [("a", 10, 10, 1), ("a", 10, 10, 0.5), ("a", 70, 10, 2)])
    truth = table("t.txt", TRUTH[:2])
    sides = gathered(picks=picks, truth=truth, micrographs="a.mrc")
    assert sides.picks["a"].tolist() == [[10, 10]]
    assert sides.scores["a"].tolist() == [1]
    assert sides.remarks[0] == "1 of score.picks (a) lies outside the image: left out"
    assert sides.remarks[1] == "1 of score.picks (a) lies exactly on another one: each place counts once"


def test_coordinates_are_scaled_and_turned_about_on_either_side():
    micrograph("a.mrc", rows=40)
    picks = table("p.txt", [("a", 5, 5, 1), ("a", 9, 9, 0)])
    truth = table("t.txt", [("a", 10, 29)])
    sides = gathered(picks=picks, truth=truth, micrographs="a.mrc", coordinate_scale=2.0, truth_flip_y=True)
    assert sides.picks["a"].tolist() == [[10, 10], [18, 18]]
    assert sides.truth["a"].tolist() == [[10, 10]]


def test_to_turn_rows_about_their_number_must_be_known():
    picks, truth = table("p.txt", [("a", 5, 5, 1)]), table("t.txt", TRUTH)
    with pytest.raises(InputError, match=r"score\.flip_y=true needs to know the size of a,.*score\.micrographs"):
        gathered(picks=picks, truth=truth, flip_y=True)


@pytest.mark.parametrize(
    ("picks", "truth", "said"),
    [
        ([("x1", 1, 1, 1)], TRUTH, r"score\.picks=p\.txt names 1 micrographs, none of them among the 2 given"),
        ([("a", 1, 1, 1)], [], r"score\.truth=t\.txt holds no picks"),
    ],
)
def test_nothing_to_compare_is_said_plainly(picks, truth, said):
    with pytest.raises(InputError, match=said):
        gathered(picks=table("p.txt", picks), truth=table("t.txt", truth))


def test_picks_without_any_row_find_nothing_and_are_no_mistake():
    sides = gathered(picks=table("p.txt", []), truth=table("t.txt", TRUTH))
    assert sides.names == ("a", "b")
    assert all(len(points) == 0 for points in sides.picks.values())
    assert not any("scores" in remark for remark in sides.remarks)


def test_a_file_that_is_missing_or_empty_is_said_plainly():
    truth = table("t.txt", TRUTH)
    with pytest.raises(InputError, match=r"score\.picks=none\.txt does not exist"):
        gathered(picks="none.txt", truth=truth)
    Path("empty.txt").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"empty\.txt is empty"):
        gathered(picks="empty.txt", truth=truth)


def test_all_picks_outside_is_an_error_that_names_the_scale():
    micrograph("a.mrc")
    with pytest.raises(InputError, match=r"all its 1 picks outside.*score\.coordinate_scale=1 or score\.flip_y=false"):
        gathered(picks=table("p.txt", [("a", 400, 5, 1)]), truth=table("t.txt", TRUTH), micrographs="a.mrc")


def test_scores_are_those_of_all_picks_or_of_none():
    truth = table("t.txt", TRUTH)
    with pytest.raises(InputError, match=r"has 2 picks, 1 of them without a score"):
        gathered(picks=table("p.txt", [("a", 1, 1, 1), ("b", 1, 1, "")]), truth=truth)
    without = gathered(picks=table("p.txt", [("a", 1, 1), ("b", 1, 1)]), truth=truth)
    assert not without.ranked
    assert "the picks have no scores" in without.remarks[-1]
    alike = gathered(picks=table("p.txt", [("a", 1, 1, -999), ("b", 1, 1, -999)]), truth=truth)
    assert not alike.ranked
    assert "all have the same score" in alike.remarks[-1]


def test_the_radius_follows_from_the_diameter_where_the_pixel_size_is_known():
    group = ScoreGroup(particle_diameter=90.0)
    assert radius_px(group, 1.5) == pytest.approx(30)
    assert radius_px(ScoreGroup(radius=7.0, particle_diameter=90.0), None) == 7
    with pytest.raises(InputError, match=r"score\.particle_diameter=90 is in Å, and no file says the pixel size"):
        radius_px(group, None)


def test_pixel_sizes_that_differ_are_said():
    micrograph("a.mrc", pixel_size=1.5)
    micrograph("b.mrc", pixel_size=1.0)
    sides = gathered(picks=table("p.txt", [("a", 1, 1, 1)]), truth=table("t.txt", TRUTH), micrographs="[ab].mrc")
    assert "pixels of 1 to 1.5 Å" in sides.remarks[0]
    told = gathered(picks="p.txt", truth="t.txt", micrographs="[ab].mrc", pixel_size=2.0)
    assert told.pixel_size_angstrom == 2.0
    assert not any("pixels of" in text for text in told.remarks)
