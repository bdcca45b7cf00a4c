import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryosparc.dataset import CSDAT_FORMAT, Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from pickery.errors import InputError
from pickery.formats.conversion import above, by_micrograph
from pickery.formats.frame import Frame
from pickery.formats.micrographs import find_micrographs, write_mrc
from pickery.formats.picks import MicrographPicks, assign_picks, read_picks, write_picks

A, B = "J3/imported/000000000000000000001_a.mrc", "J3/imported/000000000000000000002_b.mrc"


def particles(**more: Any) -> Dataset[Any]:
    """Give four picks on two micrographs as CryoSPARC's own jobs write them."""
    fields: dict[str, Any] = {
        "uid": np.array([11, 12, 13, 2**64 - 1], np.uint64),
        "location/micrograph_uid": np.array([1, 1, 2, 2], np.uint64),
        "location/exp_group_id": np.array([5, 5, 6, 6], np.uint32),
        "location/micrograph_path": np.array([A, A, B, B], object),
        "location/micrograph_shape": np.array([[400, 800]] * 4, np.uint32),
        "location/micrograph_psize_A": np.array([0.83] * 4, np.float32),
        "location/center_x_frac": np.array([0.25, 0.5, 0.1, 0.9], np.float32),
        "location/center_y_frac": np.array([0.25, 0.5, 0.1, 0.9], np.float32),
        "pick_stats/ncc_score": np.array([0.7, -0.5, 1, 2], np.float32),
        "alignments2D/shift": np.arange(8, dtype=np.float32).reshape(4, 2),
    }
    return Dataset(list((fields | more).items()))


def exposures(**more: Any) -> Dataset[Any]:
    fields: dict[str, Any] = {
        "uid": np.array([1, 2], np.uint64),
        "micrograph_blob/path": np.array([A, B], object),
        "micrograph_blob/shape": np.array([[400, 800]] * 2, np.uint32),
        "micrograph_blob/psize_A": np.array([0.83] * 2, np.float32),
        "mscope_params/exp_group_id": np.array([5, 6], np.uint32),
    }
    return Dataset(list((fields | more).items()))


@pytest.mark.parametrize("format", [1, CSDAT_FORMAT])
def test_row_is_counted_from_the_bottom_in_both_kinds_of_cs(tmp_path: Path, format: int) -> None:
    path = tmp_path / "picks.cs"
    particles().save(path, format=format)
    table = read_picks(str(path))
    assert table.micrograph == (A, A, B, B)
    assert table.x.tolist() == [200, 400, 80, 720]
    assert table.y.tolist() == [300, 200, 360, 40]
    assert table.score.tolist() == [0.7, -0.5, 1, 2]
    known = table.known[B]
    assert (known.shape, known.pixel_size_angstrom) == ((400, 800), 0.83)
    assert known.cryosparc is not None
    assert (known.cryosparc.uid, known.cryosparc.exposure_group) == (2, 6)


def test_picks_that_come_back_keep_their_ids_and_all_fields(tmp_path: Path) -> None:
    particles().save(tmp_path / "picks.cs")
    gathered = above(by_micrograph(read_picks(str(tmp_path / "picks.cs"))), 0.5)
    assert write_picks(tmp_path / "best.cs", gathered.picks).lost == ()
    before, after = Dataset.load(tmp_path / "picks.cs"), Dataset.load(tmp_path / "best.cs")
    assert after == before.mask([True, False, True, True])


def test_picks_of_another_program_get_the_ids_of_the_exposures(tmp_path: Path) -> None:
    exposures().save(tmp_path / "exposures.cs")
    (tmp_path / "p.txt").write_text("image_name\tx_coord\ty_coord\tscore\na\t200\t300\t0.7\nb\t720\t40\t2\n")
    micrographs = find_micrographs(str(tmp_path / "exposures.cs"), absent_too=True)
    gathered = by_micrograph(read_picks(str(tmp_path / "p.txt")), micrographs)
    written = write_picks(tmp_path / "p.cs", gathered.picks)
    assert (written.lost, written.notes) == ((), ())
    ours, theirs = Dataset.load(tmp_path / "p.cs"), particles().mask([True, False, False, True])
    for field in theirs.fields():
        if field not in ("uid", "alignments2D/shift"):
            np.testing.assert_array_equal(ours[field], theirs[field], field)
            assert ours[field].dtype == theirs[field].dtype
    assert len(set(ours["uid"])) == 2
    assert set(ours.fields()) >= {"pick_stats/power", "pick_stats/template_idx", "pick_stats/angle_rad"}
    # the same picks get the same ids
    write_picks(tmp_path / "q.cs", gathered.picks)
    assert (tmp_path / "q.cs").read_bytes() == (tmp_path / "p.cs").read_bytes()


def test_ids_are_made_up_with_a_word_where_there_are_none(tmp_path: Path) -> None:
    one = MicrographPicks("m/é.mrc", np.array([[1.0, 2.0]]), np.array([np.nan]), (400, 800))
    written = write_picks(tmp_path / "p.cs", [one])
    assert "ids of the micrographs are made up" in written.notes[0]
    assert list(Dataset.load(tmp_path / "p.cs")["location/micrograph_path"]) == ["m/é.mrc"]
    assert read_picks(str(tmp_path / "p.cs")).micrograph == ("m/é.mrc",)


def test_micrographs_are_found_by_names_with_and_without_cryosparcs_number(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_mrc(tmp_path / "mics" / f"{name}.mrc", np.eye(400, 800), pixel_size_angstrom=None)
    particles().save(tmp_path / "picks.cs")
    exposures().save(tmp_path / "exposures.cs")
    table = read_picks(str(tmp_path / "picks.cs"))
    bare = find_micrographs(str(tmp_path / "mics"))
    assert {
        name: len(own) for name, own in assign_picks(table, bare, {m.name: (400, 800) for m in bare}).points.items()
    } == {
        "a": 2,
        "b": 2,
    }
    # the list says what they are, the folder where they are
    both = find_micrographs([str(tmp_path / "mics"), str(tmp_path / "exposures.cs")])
    assert [file.path for file in both] == [file.path for file in bare]
    assert [file.listed_as for file in both] == [A, B]
    assert [file.cryosparc.uid for file in both if file.cryosparc] == [1, 2]
    assert both[0].known.pixel_size_angstrom == 0.83
    with pytest.raises(InputError, match=r"lists 2 of 2 files that do not exist.*or give their folder too"):
        find_micrographs(str(tmp_path / "exposures.cs"))
    # another import of the same file is another micrograph
    other = replace(table, micrograph=tuple(name.replace("00001_", "00009_") for name in table.micrograph))
    mics = [replace(file, path=tmp_path / Path(file.listed_as).name) for file in both]
    assert assign_picks(other, mics, {m.name: (400, 800) for m in mics}).unmatched.keys() == {A.replace("1_a", "9_a")}


def test_picks_of_another_size_of_micrograph_are_refused_with_the_scale(tmp_path: Path) -> None:
    particles().save(tmp_path / "picks.cs")
    write_mrc(tmp_path / "a.mrc", np.eye(800, 1600), pixel_size_angstrom=None)
    micrographs = find_micrographs(str(tmp_path / "a.mrc"))
    table = read_picks(str(tmp_path / "picks.cs"))
    words = r"at 800 × 400 pixels, and the micrograph given has 1600 × 800: give {}coordinate_scale=2 if"
    with pytest.raises(InputError, match=words.format(r"data\.")):
        assign_picks(table, micrographs, {"a": (800, 1600)})
    with pytest.raises(InputError, match=words.format(r"convert\.")):
        by_micrograph(table, micrographs)
    assert assign_picks(table, micrographs, {"a": (800, 1600)}, frame=Frame(2)).points["a"].tolist() == [
        [400, 600],
        [800, 400],
    ]


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_picks(str(path))
    return str(caught.value)


def test_broken_and_hostile_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "p.cs"
    np.save(path.with_suffix(".npy"), np.array([{"a": 1}], object), allow_pickle=True)
    path.with_suffix(".npy").rename(path)
    assert "Python objects in dtype" in refused(path)
    rows = particles().to_records(fixed=True)
    np.save(tmp_path / "whole.npy", rows)
    whole = (tmp_path / "whole.npy").read_bytes()
    path.write_bytes(whole[:-10])
    assert "cannot be read as a CryoSPARC .cs file" in refused(path)
    path.write_bytes(whole.replace(b"'shape': (4,)", b"'shape': (999999999,)"))
    assert "cannot be read as a CryoSPARC .cs file" in refused(path)
    path.write_bytes(b"\x93NUMPY\x02\x00" + (1 << 30).to_bytes(4, "little") + b"{")
    assert "its header is too long" in refused(path)
    particles().save(path, format=CSDAT_FORMAT)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert "cannot be read as a CryoSPARC .cs file" in refused(path)
    path.write_bytes(whole[:-40])
    assert "location/micrograph_path is empty in row 3" in refused(path)
    np.save(path.with_suffix(".npy"), np.arange(9))
    path.with_suffix(".npy").rename(path)
    assert str(path) in refused(path)
    exposures().save(path)
    assert "has no picks, lacking location/micrograph_path" in refused(path)
    particles(**{"location/center_x_frac": np.array([0, np.nan, 0, 0], np.float32)}).save(path)
    assert "the centre in row 2 is no finite number" in refused(path)
    particles(**{"location/micrograph_shape": np.array([[400, 0]] * 4, np.uint32)}).save(path)
    assert "no size of an image" in refused(path)
    particles(**{"filament/filament_uid": np.ones(4, np.uint64)}).save(path)
    with pytest.warns(UserWarning, match="filaments are not supported"):
        read_picks(str(path))
    particles().save(path)
    with pytest.raises(InputError, match=r"lists no micrographs.*it has location/…, pick_stats/…"):
        find_micrographs(str(path))


@settings(max_examples=150, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), max_size=5), kept=st.integers(200, 1400))
def test_damage_raises_nothing_but_input_errors(changes: list[tuple[int, int]], kept: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.cs"
        particles().save(path)
        contents = bytearray(path.read_bytes()[:kept])
        for place, value in changes:
            contents[place % len(contents)] = value
        path.write_bytes(contents)
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
