import os
from pathlib import Path

import pytest

from pickery.atomic import atomic_path, remove_unfinished, write_text


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")  # cannot be encoded
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_others_may_read_what_was_written_as_far_as_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_trouble_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.txt"
    with pytest.raises(FileNotFoundError) as caught:
        write_text(path, "text")
    assert caught.value.filename == str(path)


def test_what_the_dead_left_half_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = ["metrics.csv", ".metrics.csv", ".metrics.csv.part", ".notes.1234.part", "report.html"]
    for name in kept:
        (tmp_path / name).touch()
    with atomic_path(tmp_path / "report.html") as report, atomic_path(tmp_path / "metrics.csv") as table:
        report.touch()
        table.touch()
        remove_unfinished(tmp_path, [".csv"])
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, report.name])
        table.touch()


def test_nothing_is_removed_from_a_folder_that_is_not_there(tmp_path: Path) -> None:
    remove_unfinished(tmp_path / "none", [".csv"])
    assert not (tmp_path / "none").exists()
