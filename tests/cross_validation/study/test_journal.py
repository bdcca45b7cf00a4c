import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pickery.cross_validation.study import journal
from pickery.cross_validation.study.journal import Journal
from pickery.cross_validation.study.locks import FolderLock, machine
from pickery.errors import InputError


def opened(folder: Path) -> Journal:
    return Journal(folder / "study.journal", FolderLock(folder / ".study.lock"))


def operation(number: int) -> dict[str, object]:
    return {"op_code": 8, "worker_id": "w", "trial_id": number, "user_attr": {"text": "é" * 50}}


def test_what_is_appended_is_read_in_order_by_all(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    first.append_logs([operation(0)])
    second.append_logs([operation(1), operation(2)])
    assert list(first.read_logs(0)) == [operation(0), operation(1), operation(2)]
    first.append_logs([operation(3)])
    assert list(first.read_logs(3)) == [operation(3)]
    assert list(first.read_logs(1)) == [operation(1), operation(2), operation(3)]
    assert list(second.read_logs(0)) == list(first.read_logs(0))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [".study.lock", "study.journal"]


@pytest.mark.parametrize("cut", [1, 40, 150])
def test_a_line_cut_by_a_kill_is_mended_when_opened(cut: int, tmp_path: Path) -> None:
    opened(tmp_path).append_logs([operation(0), operation(1)])
    path = tmp_path / "study.journal"
    path.write_bytes(path.read_bytes()[:-cut])
    again = opened(tmp_path)
    again.append_logs([operation(2)])
    assert list(opened(tmp_path).read_logs(0)) == [operation(0), operation(2)]


def test_a_line_cut_by_a_kill_is_mended_by_those_who_are_at_work(tmp_path: Path) -> None:
    working = opened(tmp_path)
    working.append_logs([operation(0)])
    with (tmp_path / "study.journal").open("ab") as file:
        file.write(b'{"op_code":6,"worker')
    assert list(working.read_logs(0)) == [operation(0)]
    working.append_logs([operation(1)])
    assert list(working.read_logs(0)) == [operation(0), operation(1)]


@pytest.mark.parametrize("garbage", [b"\0" * 30 + b"\n", b'{"op_code":6,"wo{"op_code":8}\n', b"[1]\n", b"\r\n"])
def test_a_last_line_that_says_nothing_is_cut(garbage: bytes, tmp_path: Path) -> None:
    opened(tmp_path).append_logs([operation(0)])
    with (tmp_path / "study.journal").open("ab") as file:
        file.write(garbage)
    assert list(opened(tmp_path).read_logs(0)) == [operation(0)]


def test_damage_in_the_middle_is_named_with_what_to_do(tmp_path: Path) -> None:
    opened(tmp_path).append_logs([operation(0), operation(1), operation(2)])
    path = tmp_path / "study.journal"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:20] + b"\n" + lines[2])
    with pytest.raises(InputError, match=r"study\.journal is damaged \(operation 2\): remove it") as caught:
        opened(tmp_path).read_logs(0)
    assert str(path) in str(caught.value)


def test_a_journal_that_was_replaced_is_told(tmp_path: Path) -> None:
    working = opened(tmp_path)
    working.append_logs([operation(0)])
    assert list(working.read_logs(0)) == [operation(0)]
    (tmp_path / "study.journal").write_bytes(b"")
    with pytest.raises(InputError, match="was replaced"):
        working.read_logs(1)


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Let writing fail in the middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_in_the_middle_of_a_line_leaves_a_whole_journal(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    first, second = opened(tmp_path), opened(tmp_path)
    first.append_logs([operation(0)])
    with files_no_longer_than(path.stat().st_size + 20), pytest.raises(OSError, match="File too large"):
        first.append_logs([operation(1)])
    assert list(second.read_logs(0)) == [operation(0)]
    first.append_logs([operation(2)])
    assert list(second.read_logs(0)) == [operation(0), operation(2)]


def test_the_lock_of_a_dead_process_of_this_machine_keeps_nobody_waiting(tmp_path: Path) -> None:
    lock = tmp_path / "study.journal.lock"
    lock.write_text(f"{machine()} 1 aaaa")
    begun = time.monotonic()
    opened(tmp_path).append_logs([operation(0)])
    assert time.monotonic() - begun < journal.GRACE_S / 2
    assert not lock.exists()


@pytest.mark.parametrize("kind", ["of Pickery", "of Optuna", "empty"])
def test_another_machines_lock_is_waited_for_and_at_last_broken(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "EMPTY_S" if kind == "empty" else "GRACE_S", 0.3)
    lock = tmp_path / "study.journal.lock"
    working = opened(tmp_path)
    if kind == "of Optuna":
        lock.symlink_to("study.journal")
    else:
        lock.write_text("gpu7 another boot 1 aaaa" if kind == "of Pickery" else "")
    begun = time.monotonic()
    working.append_logs([operation(0)])
    assert time.monotonic() - begun >= 0.3
    assert not lock.is_symlink()
    assert not lock.exists()
    assert list(working.read_logs(0)) == [operation(0)]


def test_writing_goes_on_where_files_cannot_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    def no_locks(self: object, **how: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(FileLock, "acquire", no_locks)
    opened(tmp_path).append_logs([operation(0)])
    assert list(opened(tmp_path).read_logs(0)) == [operation(0)]


APPEND = """
import sys
from pathlib import Path
from pickery.cross_validation.study.journal import Journal
from pickery.cross_validation.study.locks import FolderLock
folder, who, locks = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "with"
lock = FolderLock(folder / ".study.lock")
def no_locks(**how):
    raise OSError(38, "Function not implemented")
if not locks:
    lock._lock.acquire = no_locks
journal = Journal(folder / "study.journal", lock)
for number in range(40):
    journal.append_logs([{"op_code": 8, "who": who, "number": number, "text": "x" * 300}])
    list(journal.read_logs(0))
"""


@pytest.mark.parametrize("locks", ["with", "without"])
def test_several_writers_lose_nothing_of_each_other_even_without_file_locks(locks: str, tmp_path: Path) -> None:
    words = [[sys.executable, "-c", APPEND, str(tmp_path), str(who), locks] for who in range(3)]
    writers = [subprocess.Popen(each, env=os.environ) for each in words]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    found = [json.loads(line) for line in (tmp_path / "study.journal").read_bytes().splitlines()]
    for who in range(3):
        assert [one["number"] for one in found if one["who"] == who] == list(range(40))


def test_optuna_reads_and_writes_the_same_file(tmp_path: Path) -> None:
    from optuna import create_study, load_study
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    def theirs() -> JournalStorage:
        return JournalStorage(JournalFileBackend(str(tmp_path / "study.journal")))

    def ours() -> JournalStorage:
        return JournalStorage(opened(tmp_path))  # type: ignore[arg-type]

    create_study(storage=ours(), study_name="one").optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    study = load_study(storage=theirs(), study_name="one")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    trials = load_study(storage=ours(), study_name="one").trials
    assert [trial.value for trial in trials] == [trial.value for trial in study.trials]
    assert len(trials) == 3
