"""Who hears of a run while it goes: the terminal, a log file, or nobody."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TextIO

from pickery.errors import PickeryWarning
from pickery.training.history import Epoch


class Listener(Protocol):
    """Hears of a run."""

    def say(self, text: str) -> None:
        """Hear a plain line."""

    def head(self, text: str) -> None:
        """Hear a line that begins something."""

    def warn(self, text: str) -> None:
        """Hear of something that the user should know."""

    def log(self, text: str) -> None:
        """Hear lines that only the log keeps."""

    def keep_log(self, path: Path) -> None:
        """Hear of the file in which all lines are to be kept, those said so far included."""

    def preparing(self, done: int, total: int) -> None:
        """Hear how many micrographs are prepared."""

    def simulating(self, done: int, total: int) -> None:
        """Hear how many micrographs are simulated."""

    def training(self, epoch: int, epochs: int, done: int, total: int, evaluating: bool) -> None:
        """Hear how many minibatches, or held-out micrographs, of an epoch are done."""

    def epoch(self, epoch: Epoch, epochs: int, monitor: str, is_best: bool) -> None:
        """Hear of an epoch's figures."""

    def working(self, text: str) -> None:
        """Hear what the program is busy with, in a few words."""

    def rest(self) -> None:
        """Hear that nothing is going on for now."""


class Silence:
    """Hears nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""

    def head(self, text: str) -> None:
        """Do nothing."""

    def warn(self, text: str) -> None:
        """Do nothing."""

    def log(self, text: str) -> None:
        """Do nothing."""

    def keep_log(self, path: Path) -> None:
        """Do nothing."""

    def preparing(self, done: int, total: int) -> None:
        """Do nothing."""

    def simulating(self, done: int, total: int) -> None:
        """Do nothing."""

    def training(self, epoch: int, epochs: int, done: int, total: int, evaluating: bool) -> None:
        """Do nothing."""

    def epoch(self, epoch: Epoch, epochs: int, monitor: str, is_best: bool) -> None:
        """Do nothing."""

    def working(self, text: str) -> None:
        """Do nothing."""

    def rest(self) -> None:
        """Do nothing."""


class RunLog:
    """The lines of a run, each with the time it was said; kept until it is known in which file."""

    def __init__(self) -> None:
        self._file: TextIO | None = None
        self._unwritten: list[str] = []

    def keep(self, path: Path) -> None:
        """Keep all lines, those written so far included, at the end of this file."""
        self.close()
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        self._put("".join(self._unwritten))
        self._unwritten.clear()

    def write(self, text: str) -> None:
        """Write lines."""
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        lines = "".join(f"{stamp} {line}\n" for line in text.splitlines())
        if self._file is None:
            self._unwritten.append(lines)
        else:
            self._put(lines)

    def _put(self, lines: str) -> None:
        assert self._file is not None
        try:
            self._file.write(lines)
            self._file.flush()
        except OSError:
            # a full disk ends the run where it matters, not here
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            with suppress(OSError):  # of the lines that it could not write it would complain once more
                self._file.close()
            self._file = None


def epoch_title(epoch: Epoch, monitor: str) -> str:
    """Head the lines of `epoch_line`."""
    return "epoch      objective  precision:  training  held-out  auprc  " + _extra(epoch, monitor)


def epoch_line(epoch: Epoch, epochs: int, monitor: str, is_best: bool) -> str:
    """Say an epoch's figures in a line."""
    test = epoch.test or {}
    line = (
        f"{epoch.number:>3} of {epochs:<3} {epoch.train['objective']:>10.4g} {epoch.train['precision']:>21.3f}  "
        f"{_figure(test.get('precision')):>8}  {_figure(test.get('auprc')):>5}  "
    )
    if _extra(epoch, monitor):
        line += f"{_figure(epoch.monitored(monitor)):>{len(monitor)}}  "
    return (line + ("best so far" if is_best else "")).rstrip()


def _extra(epoch: Epoch, monitor: str) -> str:
    shown = ("precision", "auprc") if epoch.test is not None else ("precision",)
    return "" if monitor in shown else f"{monitor}  "


def _figure(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"


@contextmanager
def warnings_to(listener: Listener) -> Iterator[None]:
    """Tell a listener of the rooms' warnings."""
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        if issubclass(category, PickeryWarning):
            listener.warn(str(message))
        else:
            shown(message, category, *rest, **named)

    with warnings.catch_warnings():
        warnings.simplefilter("always", PickeryWarning)
        warnings.showwarning = show
        yield
