import numpy as np
import pytest

from pickery.evaluation.suppression import suppress
from pickery.picking.candidates import CandidateFolder, Candidates, read_candidates, stamp, write_candidates

SCORES = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)


def found(threshold):
    return Candidates(*suppress(SCORES, 3, threshold), (40, 50), (163, 201))


def test_candidates_survive_the_disk(tmp_path):
    write_candidates(tmp_path / "a.npz", found(-1), floor=-1.0, stamp="s")
    back = read_candidates(tmp_path / "a.npz", floor=0.5, stamp="s")
    np.testing.assert_array_equal(back.points, found(-1).points)
    np.testing.assert_array_equal(back.scores, found(-1).scores)
    assert (back.shape, back.full_shape) == ((40, 50), (163, 201))


@pytest.mark.parametrize(("floor", "what"), [(-1.5, "s"), (-1.0, "other")])
def test_candidates_of_other_files_or_a_higher_floor_do_not_count(tmp_path, floor, what):
    write_candidates(tmp_path / "a.npz", found(-1), floor=-1.0, stamp="s")
    assert read_candidates(tmp_path / "a.npz", floor=floor, stamp=what) is None


@pytest.mark.parametrize("size", [0, 10, 200, -3])
def test_a_file_cut_short_from_outside_does_not_count(tmp_path, size):
    path = tmp_path / "a.npz"
    write_candidates(path, found(-1), floor=-1.0, stamp="s")
    path.write_bytes(path.read_bytes()[:size])
    assert read_candidates(path, floor=0, stamp="s") is None


def test_nothing_there_does_not_count(tmp_path):
    assert read_candidates(tmp_path / "a.npz", floor=0, stamp="s") is None


@pytest.mark.parametrize("threshold", [-0.5, 0.0, 1.7, 99.0])
def test_candidates_above_a_threshold_are_what_suppression_at_it_gives(threshold):
    above, direct = found(-3).above(threshold), found(threshold)
    np.testing.assert_array_equal(above.points, direct.points)
    np.testing.assert_array_equal(above.scores, direct.scores)


def test_full_size_coordinates_follow_the_real_scale_of_each_axis():
    one = Candidates(np.array([[10, 20]]), np.zeros(1, np.float32), (40, 50), (163, 201))
    np.testing.assert_allclose(one.full_size(), [[10 * 201 / 50, 20 * 163 / 40]])


def test_what_decides_has_a_folder_of_its_own(tmp_path):
    first = CandidateFolder(tmp_path, "resnet8", {"model": "a", "extraction_radius": 3})
    other = CandidateFolder(tmp_path, "resnet8", {"model": "a", "extraction_radius": 4})
    assert first.path != other.path
    assert first.path == CandidateFolder(tmp_path, "resnet8", {"extraction_radius": 3, "model": "a"}).path


def test_micrographs_of_one_name_in_two_folders_have_two_files(tmp_path):
    folder = CandidateFolder(tmp_path, "resnet8", {})
    files = [folder.file(name, tmp_path / name) for name in ("a/mic", "b/mic")]
    assert files[0] != files[1]
    assert all(file.parent == folder.path for file in files)


def test_a_changed_file_has_another_stamp(tmp_path):
    path = tmp_path / "mic.mrc"
    path.write_bytes(b"abc")
    before = stamp(path)
    path.write_bytes(b"abcd")
    assert stamp(path) != before


def test_leftovers_of_ended_processes_are_removed_and_no_others(tmp_path):
    folder = CandidateFolder(tmp_path, "resnet8", {})
    folder.make()
    for name in (".mic.npz.12.abcd.part", ".mic.npz.13.abcd.part", "mic.npz"):
        (folder.path / name).touch()
    folder.remove_leftovers([12])
    assert {path.name for path in folder.path.iterdir()} == {".mic.npz.13.abcd.part", "mic.npz", "identity.json"}
