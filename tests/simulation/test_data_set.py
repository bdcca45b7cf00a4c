import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from pickery.errors import InputError
from pickery.formats.micrographs import read_header, read_micrograph
from pickery.formats.picks import read_picks
from pickery.simulation import SimulationSettings, cached_data_set, data_set, simulate_micrograph, write_data_set

TINY = SimulationSettings(micrographs=3, rows=200, columns=240, particles_per_micrograph=3.0)


def test_files_hold_the_simulated_micrographs(tmp_path: Path) -> None:
    written = write_data_set(tmp_path / "set", TINY)
    assert written.folder == tmp_path / "set"
    names = [path.stem for path in sorted(written.micrographs.iterdir())]
    assert names == ["simulated_0001", "simulated_0002", "simulated_0003"]
    for index, name in enumerate(names):
        path = written.micrographs / f"{name}.mrc"
        np.testing.assert_array_equal(read_micrograph(path), simulate_micrograph(TINY, index).image)
        assert read_header(path).pixel_size_angstrom == pytest.approx(2.0)


def test_truth_holds_every_particle_and_picks_those_handed_out(tmp_path: Path) -> None:
    written = write_data_set(tmp_path / "set", TINY)
    truth, picks = read_picks(str(written.truth)), read_picks(str(written.picks))
    simulated = [simulate_micrograph(TINY, index) for index in range(3)]
    for table, points in [(truth, [m.points for m in simulated]), (picks, [m.picks for m in simulated])]:
        for micrograph, of_one in zip(simulated, points, strict=True):
            rows = np.array(table.micrograph) == micrograph.name
            np.testing.assert_allclose(np.stack([table.x[rows], table.y[rows]], axis=1), of_one, atol=0.006)
    record = json.loads(written.record.read_text())
    assert record["particles"] == len(truth.x)
    assert record["picks"] == len(picks.x)
    assert record["settings"] == dataclasses.asdict(TINY)
    assert [m["name"] for m in record["micrographs"]] == [m.name for m in simulated]
    assert record["micrographs"][1]["defocus_u_angstrom"] == pytest.approx(
        simulated[1].optics.defocus_u_angstrom, abs=0.1
    )


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_data_set(tmp_path / "set", TINY, lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_complete_folder_of_the_same_settings_is_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_data_set(tmp_path / "set", TINY)
    monkeypatch.setattr(data_set, "simulate_micrograph", None)
    assert write_data_set(tmp_path / "set", TINY).settings == TINY


def test_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert write_data_set(tmp_path / "set", TINY).truth.is_file()


def test_folder_with_other_content_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(
        InputError, match=r"simulation.out: .* no simulated data set \(thesis.tex\): give another folder"
    ):
        write_data_set(tmp_path, TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_folder_of_other_settings_is_refused_with_the_first_difference(tmp_path: Path) -> None:
    write_data_set(tmp_path / "set", TINY)
    with pytest.raises(InputError, match=r"simulation.seed=0, not 7"):
        write_data_set(tmp_path / "set", dataclasses.replace(TINY, seed=7))


def test_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("")
    with pytest.raises(InputError, match=r"simulation.out: .* is a file"):
        write_data_set(tmp_path / "set", TINY)


def test_missing_micrograph_is_named(tmp_path: Path) -> None:
    written = write_data_set(tmp_path / "set", TINY)
    (written.micrographs / "simulated_0002.mrc").unlink()
    with pytest.raises(InputError, match=r"without micrographs.simulated_0002.mrc"):
        write_data_set(tmp_path / "set", TINY)


def test_interrupted_simulation_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_data_set(tmp_path / "set", TINY, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_made_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"simulation.out: .* cannot be written"):
        write_data_set(tmp_path / "file" / "set", TINY)


def test_slower_of_two_processes_takes_what_the_other_wrote(tmp_path: Path) -> None:
    def overtake(done: int, of: int) -> None:
        if done == 1:
            write_data_set(tmp_path / "set", TINY)

    assert write_data_set(tmp_path / "set", TINY, overtake).truth.is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_two_that_simulate_into_one_store_leave_each_other_alone(tmp_path: Path) -> None:
    other = dataclasses.replace(TINY, seed=1)

    def beside(done: int, of: int) -> None:
        if done == 2:
            cached_data_set(tmp_path / "store", other)

    first = cached_data_set(tmp_path / "store", TINY, beside)
    assert all(path.is_file() for path in first.files)
    held = sorted(path.name for path in (tmp_path / "store").iterdir())
    assert held == sorted([".locks", first.folder.name, f"simulated-{other.key}"])


def test_what_a_killed_simulation_left_in_the_store_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / f".simulated-{TINY.key}.{'0f' * 16}"
    (left / "micrographs").mkdir(parents=True)
    first = cached_data_set(tmp_path, TINY)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".locks", first.folder.name]


def test_cache_is_keyed_by_every_setting(tmp_path: Path) -> None:
    first = cached_data_set(tmp_path / "store", TINY)
    assert first.folder == tmp_path / "store" / f"simulated-{TINY.key}"
    other = cached_data_set(tmp_path / "store", dataclasses.replace(TINY, dose=20.0))
    assert other.folder != first.folder
    keys = set()
    for field in dataclasses.fields(TINY):
        value = getattr(TINY, field.name)
        keys.add(dataclasses.replace(TINY, **{field.name: type(value)(value * 1.05) + (field.type is int)}).key)
    assert len(keys) == len(dataclasses.fields(TINY))


def test_whole_number_is_the_same_setting_as_its_float() -> None:
    assert dataclasses.replace(TINY, dose=40).key == dataclasses.replace(TINY, dose=40.0).key
