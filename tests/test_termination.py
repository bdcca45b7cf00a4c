"""Requests to end: what is under way ends in order, whoever asked."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pickery.termination import Terminated, terminable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")


@contextmanager
def handler(number: int, handle: Callable[..., None]) -> Iterator[None]:
    before = signal.signal(number, handle)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_a_launchers_own_way_to_end_is_taken_after_all_is_in_order() -> None:
    order: list[str] = []

    def requeue(number: int, frame: object) -> None:
        order.append("queued again")
        raise SystemExit(7)

    def work() -> None:
        with terminable():
            try:
                os.kill(os.getpid(), signal.SIGUSR2)
                time.sleep(5)
            finally:
                order.append("in order")

    with handler(signal.SIGUSR2, requeue):
        with pytest.raises(SystemExit) as ended:
            work()
        assert signal.getsignal(signal.SIGUSR2) is requeue
    assert ended.value.code == 7
    assert order == ["in order", "queued again"]


def test_sigterm_ends_in_order_and_signals_that_nobody_handles_stay_so() -> None:
    def work() -> None:
        with terminable():
            assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    with pytest.raises(Terminated):
        work()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
