from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pickery.errors import InputError
from pickery.preprocess import pool


def test_dying_worker_is_told_with_a_word_on_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "run_task", os._exit)
    tasks: dict[int, Any] = {0: 1, 1: 1}
    with pytest.raises(InputError, match=r"One of the 2 processes.*died.*memory.*preprocess\.workers"):
        list(pool.run_tasks(tasks, workers=2, pixels=pool.POOL_PAYS_FROM_PIXELS))


def test_want_of_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_task(task: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(pool, "run_task", run_task)
    tasks: dict[int, Any] = {0: None}
    with pytest.raises(InputError, match=r"Memory ran out.*preprocess\.workers"):
        list(pool.run_tasks(tasks, workers=4, pixels=0))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks the kernel whether processes live")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from pickery.preprocess import pool\n"
        "if __name__ == '__main__':\n"
        "    pool.run_task = time.sleep\n"
        "    outcomes = pool.run_tasks({0: 0, 1: 600, 2: 600}, workers=2, pixels=pool.POOL_PAYS_FROM_PIXELS)\n"
        "    next(outcomes)\n"
        "    import multiprocessing\n"
        "    print(*[process.pid for process in multiprocessing.active_children()], flush=True)\n"
        "    next(outcomes)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        workers = [int(word) for word in process.stdout.readline().split()]
        assert len(workers) == 2
        assert all(lives(worker) for worker in workers)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(lives(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(lives(worker) for worker in workers)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_preparing_imports_no_torch() -> None:
    script = (
        "import sys, pickery.preprocess.prepare, pickery.formats.micrographs, scipy.fft\n"
        "print([name for name in ('torch', 'lightning', 'hydra', 'mlflow', 'optuna') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"
