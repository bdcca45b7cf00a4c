"""Folders that are built whole and once: what the dead leave goes, what others have stays."""

from pathlib import Path

import pytest

from pickery.building import building, put_in_place


def is_whole(folder: Path) -> bool:
    return (folder / "whole").exists()


def build(store: Path, key: str) -> None:
    with building(store, key, is_whole=is_whole) as folder:
        assert folder is not None
        (folder / "whole").touch()
        put_in_place(folder, store / key, is_whole=is_whole)


def names(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir())


def test_what_is_built_is_there_and_is_not_built_again(tmp_path: Path) -> None:
    build(tmp_path, "key")
    with building(tmp_path, "key", is_whole=is_whole) as folder:
        assert folder is None
    assert names(tmp_path) == [".locks", "key"]


def test_what_is_not_put_in_its_place_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), building(tmp_path, "key", is_whole=is_whole):
        raise ValueError("no")
    assert names(tmp_path) == [".locks"]


def test_what_is_damaged_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "half").touch()
    build(tmp_path, "key")
    assert names(tmp_path) == [".locks", "key"]
    assert names(tmp_path / "key") == ["whole"]


@pytest.mark.parametrize("left", ["key", "other", "with.a.dot"])
@pytest.mark.parametrize("ending", ["", ".damaged"])
def test_what_the_dead_left_is_removed(tmp_path: Path, left: str, ending: str) -> None:
    (tmp_path / f".{left}.{'0f' * 16}{ending}").mkdir()
    build(tmp_path, "key")
    assert names(tmp_path) == [".locks", "key"]


def test_what_another_builds_stays(tmp_path: Path) -> None:
    with building(tmp_path, "other", is_whole=is_whole) as folder:
        assert folder is not None
        build(tmp_path, "key")
        assert folder.is_dir()


def test_what_is_not_of_the_store_stays(tmp_path: Path) -> None:
    """The store may be a home directory: it is whatever the user says."""
    kept = [".config.old", ".key.backup", ".local.d", f".{'0f' * 16}"]
    for name in kept:
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").touch()
    build(tmp_path, "key")
    assert names(tmp_path) == sorted([".locks", "key", *kept])
