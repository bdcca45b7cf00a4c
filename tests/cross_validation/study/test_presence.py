import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from pickery.cross_validation.study import presence
from pickery.cross_validation.study.locks import machine
from pickery.cross_validation.study.presence import SILENT_S, Presence, is_alive, present

STAY = """
import os, sys, time
from pathlib import Path
from pickery.cross_validation.study.presence import Presence
with Presence(Path(sys.argv[1])) as here:
    here.tell(training="learning_rate=0.0001, fold 0")
    if os.fork() == 0:  # as loaders of data are
        os.close(1)
        time.sleep(2)
        os._exit(0)
    print(here.name, flush=True)
    time.sleep(600)
"""


def elsewhere(folder: Path, name: str = "gpu7-4711-a1b2c3", *, silent_s: float, text: str | None = None) -> Path:
    """Leave the files of a worker on another machine, touched some seconds ago."""
    workers = folder / "workers"
    workers.mkdir(exist_ok=True)
    record = workers / f"{name}.json"
    written = {"name": name, "host": "gpu7", "pid": 4711, "machine": "gpu7 another boot", "progress": {"epoch": 2}}
    record.write_text(json.dumps(written) if text is None else text)
    (workers / f"{name}.lock").touch()
    now = record.stat().st_mtime
    os.utime(record, (now - silent_s, now - silent_s))
    return record


def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(1000):
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_a_worker_is_alive_as_long_as_its_block_lasts_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Presence(tmp_path) as here:
        assert is_alive(tmp_path, here.name)
        assert [(one.name, one.pid) for one in present(tmp_path)] == [(here.name, os.getpid())]
    assert not is_alive(tmp_path, here.name)
    assert present(tmp_path) == []
    assert list((tmp_path / "workers").iterdir()) == []


def test_a_worker_that_fails_leaves_nothing_behind_either(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Presence(tmp_path):
        raise RuntimeError
    assert list((tmp_path / "workers").iterdir()) == []


def test_names_are_plain_and_never_the_same(tmp_path: Path) -> None:
    names = {Presence(tmp_path).name for _ in range(20)}
    assert len(names) == 20
    assert all(f"-{os.getpid()}-" in name and name.replace("-", "").replace("_", "").isascii() for name in names)


def test_what_a_worker_tells_is_seen_by_others(tmp_path: Path) -> None:
    with Presence(tmp_path) as here:
        here.tell(training="radius=2, fold 0", epoch=1)
        here.tell(epoch=2)
        assert eventually(lambda: present(tmp_path)[0].progress == {"training": "radius=2, fold 0", "epoch": 2})


def test_a_killed_worker_is_dead_at_once_though_its_children_live_and_whoever_finds_it_removes_its_files(
    tmp_path: Path,
) -> None:
    process = subprocess.Popen([sys.executable, "-c", STAY, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert is_alive(tmp_path, name)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not is_alive(tmp_path, name)
    assert list((tmp_path / "workers").iterdir()) == []
    assert not is_alive(tmp_path, name)


def test_the_lock_of_a_worker_that_was_killed_as_it_appeared_is_removed_and_that_of_one_that_lives_is_not(
    tmp_path: Path,
) -> None:
    workers = tmp_path / "workers"
    workers.mkdir()
    (workers / "here-1-a.lock").touch()
    with FileLock(workers / "here-2-b.lock"):
        assert present(tmp_path) == []
        assert [path.name for path in workers.iterdir()] == ["here-2-b.lock"]
        assert is_alive(tmp_path, "here-2-b")


def test_a_worker_of_another_machine_is_alive_until_it_was_silent_for_too_long(tmp_path: Path) -> None:
    record = elsewhere(tmp_path, silent_s=SILENT_S - 5)
    assert is_alive(tmp_path, record.stem)
    assert [one.host for one in present(tmp_path)] == ["gpu7"]
    record = elsewhere(tmp_path, silent_s=SILENT_S + 5)
    assert present(tmp_path) == []
    assert list((tmp_path / "workers").iterdir()) == []


def test_a_worker_of_another_machine_that_holds_its_lock_is_alive_however_silent(tmp_path: Path) -> None:
    record = elsewhere(tmp_path, silent_s=10 * SILENT_S)
    with FileLock(record.with_suffix(".lock")):
        assert is_alive(tmp_path, record.stem)
    assert not is_alive(tmp_path, record.stem)


def test_a_worker_whose_record_is_of_the_future_grows_old_from_now_on(tmp_path: Path) -> None:
    record = elsewhere(tmp_path, silent_s=-864000)
    assert is_alive(tmp_path, record.stem)
    assert abs(record.stat().st_mtime - time.time()) < 60


@pytest.mark.parametrize("spoil", ["[1,2", "", None], ids=["no JSON", "empty", "a folder"])
def test_a_worker_whose_record_cannot_be_read_is_dead_when_that_is_old(tmp_path: Path, spoil: str | None) -> None:
    record = elsewhere(tmp_path, silent_s=0)
    if spoil is None:
        record.unlink()
        record.mkdir()
    else:
        record.write_text(spoil)
    assert is_alive(tmp_path, record.stem)
    long_ago = time.time() - SILENT_S - 5
    os.utime(record, (long_ago, long_ago))
    assert not is_alive(tmp_path, record.stem)
    assert present(tmp_path) == []


def test_the_file_systems_time_is_told_and_nothing_stays_with_nameless_files_or_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = presence._now(tmp_path)
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    second = presence._now(tmp_path)
    assert first is not None
    assert second is not None
    assert first <= second
    assert list(tmp_path.iterdir()) == []


def test_no_wall_clock_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert is_alive(tmp_path, elsewhere(tmp_path, silent_s=SILENT_S - 5).stem)
    assert not is_alive(tmp_path, elsewhere(tmp_path, silent_s=SILENT_S + 5).stem)


def test_without_locks_the_files_age_decides_on_the_same_machine_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "_taken", lambda path: (None, False))
    text = json.dumps({"machine": machine(), "pid": 1})
    assert is_alive(tmp_path, elsewhere(tmp_path, silent_s=SILENT_S - 5, text=text).stem)
    assert not is_alive(tmp_path, elsewhere(tmp_path, silent_s=SILENT_S + 5, text=text).stem)
    with Presence(tmp_path) as here:
        assert is_alive(tmp_path, here.name)


@pytest.mark.parametrize("text", ["", "{", "[]", "\0\0\0", '{"pid": "x", "progress": 3}'])
def test_a_damaged_record_is_judged_by_its_age(text: str, tmp_path: Path) -> None:
    record = elsewhere(tmp_path, silent_s=0, text=text)
    assert [one.name for one in present(tmp_path)] == [record.stem]
    assert not is_alive(tmp_path, elsewhere(tmp_path, silent_s=SILENT_S + 5, text=text).stem)


def test_in_doubt_a_worker_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = elsewhere(tmp_path, silent_s=SILENT_S + 5)
    monkeypatch.setattr(presence, "_now", lambda workers: None)  # a full disk
    assert is_alive(tmp_path, record.stem)


def test_one_that_was_never_there_is_not_alive(tmp_path: Path) -> None:
    assert not is_alive(tmp_path, "gpu7-4711-a1b2c3")
    assert present(tmp_path) == []


def test_the_heartbeat_outlives_a_full_disk_and_tells_later_what_it_could_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def full(path: Path, text: str) -> None:
        refused.append(path)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(presence, "PAUSE_S", 0.01)
    with Presence(tmp_path) as here:
        record = tmp_path / "workers" / f"{here.name}.json"
        with monkeypatch.context() as patch:
            patch.setattr(presence, "write_text", full)
            here.tell(epoch=3)
            assert eventually(lambda: len(refused) > 1)
            os.utime(record, (0, 0))
            assert eventually(lambda: record.stat().st_mtime > 0)
        assert eventually(lambda: present(tmp_path)[0].progress == {"epoch": 3})


def test_a_worker_that_was_taken_for_dead_while_it_slept_appears_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "HEARTBEAT_S", 0.01)
    monkeypatch.setattr(presence, "PAUSE_S", 0.01)
    with Presence(tmp_path) as here:
        for path in (tmp_path / "workers").iterdir():
            path.unlink()
        assert eventually(lambda: is_alive(tmp_path, here.name))
    assert list((tmp_path / "workers").iterdir()) == []


def test_progress_that_json_does_not_know_is_written_as_text(tmp_path: Path) -> None:
    with Presence(tmp_path) as here:
        here.tell(folder=tmp_path)
        assert eventually(lambda: present(tmp_path)[0].progress == {"folder": str(tmp_path)})
