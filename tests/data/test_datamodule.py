"""Loader processes: what they print, and what they keep to themselves."""

import sys
import threading
from multiprocessing import resource_sharer  # type: ignore[attr-defined]

import pytest

from pickery.data.datamodule import say_nothing_of_a_reader_that_left


@pytest.mark.skipif(sys.platform == "win32", reason="no file descriptors are handed over")
@pytest.mark.parametrize(
    ("error", "said"), [(BrokenPipeError(32, "Broken pipe"), ""), (MemoryError("no room"), "no room")]
)
def test_a_reader_that_left_is_not_spoken_of(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # is put back after
    say_nothing_of_a_reader_that_left()
    closed = threading.Event()

    def send(connection: object, process: int) -> None:
        raise error

    identifier = resource_sharer._resource_sharer.register(send, closed.set)
    with resource_sharer._resource_sharer.get_connection(identifier):
        assert closed.wait(10)
    resource_sharer.stop(timeout=10)
    printed = capsys.readouterr().err
    assert said in printed
    assert (printed == "") == (said == "")
