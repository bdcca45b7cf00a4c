"""Worker processes: started all or none, deaf to Ctrl-C, gone with whoever started them."""

import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection

import pytest

from pickery.orphans import starting

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no signal masks")


def blocked() -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))


def tell(connection: Connection) -> None:
    connection.send(blocked())


@pytest.mark.parametrize("how", ["spawn", "forkserver"])
def test_a_worker_is_deaf_to_ctrl_c_alone_and_who_started_it_is_not(how: str) -> None:
    context = multiprocessing.get_context(how)
    here, there = context.Pipe()
    process = context.Process(target=tell, args=(there,))  # type: ignore[attr-defined]
    before = blocked()
    with starting():
        process.start()
    assert blocked() == before
    assert here.recv() - before == {signal.SIGINT}
    process.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_waits_until_all_are_started(number: int) -> None:
    class Asked(Exception):
        pass

    def ask(number: int, frame: object) -> None:
        raise Asked

    started = []

    def start() -> None:
        with starting():
            for worker in range(3):
                if worker == 1:
                    os.kill(os.getpid(), number)
                started.append(worker)

    before = signal.signal(number, ask)
    try:
        with pytest.raises(Asked):
            start()
    finally:
        signal.signal(number, before)
    assert started == [0, 1, 2]
