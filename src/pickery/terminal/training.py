"""What a person sees of a run: one progress display in a terminal, plain lines in a pipe, and all lines in log.txt."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO, cast

from pickery.terminal.stream import LastingStream
from pickery.training.listener import RunLog, epoch_line, epoch_title

if TYPE_CHECKING:
    from rich.progress import Progress

    from pickery.training.history import Epoch


class Terminal:
    """Tells of a run (a `pickery.training.listener.Listener`).

    Parameters
    ----------
    stream
        Where lines go; a terminal gets a progress display and colours.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich.console import Console
        from rich.progress import TaskID

        heard = LastingStream(stream or sys.stdout, self._unheard)
        self._console = Console(file=cast(TextIO, heard), highlight=False, soft_wrap=True)
        self._plain = not self._console.is_terminal
        self._console.soft_wrap = self._plain  # a pipe gets whole lines, a terminal breaks them between words
        self._log = RunLog()
        self._progress: Progress | None = None
        self._counted = False
        self._task = TaskID(0)
        self._began = time.monotonic()
        self._first_epoch: int | None = None
        self._table_shown = False
        self._prepared_told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.rest()
        self._log.close()

    def _unheard(self) -> None:
        self.log("nobody reads what is said here any more; it goes on, and this file has all of it")

    def keep_log(self, path: Path) -> None:
        """Keep all lines, those said so far included, at the end of this file."""
        self._log.keep(path)

    def log(self, text: str) -> None:
        """Write lines to the log alone."""
        self._log.write(text)

    def say(self, text: str) -> None:
        """Say a plain line."""
        self._console.print(text, markup=False)
        self.log(text)

    def head(self, text: str) -> None:
        """Say a line that begins something."""
        self._console.print(text, markup=False, style="bold")
        self.log(text)

    def warn(self, text: str) -> None:
        """Say what the user should know."""
        self._console.print(f"warning: {text}", markup=False, style="yellow")
        self.log(f"warning: {text}")

    def preparing(self, done: int, total: int) -> None:
        """Show how many micrographs are prepared."""
        if self._plain:
            if done == total or done * 10 // total > self._prepared_told * 10 // total:
                self.say(f"prepared {done} of {total} micrographs")
                self._prepared_told = done
            return
        self._bar("preparing micrographs", done, total)
        if done == total:
            self.rest()
            self.log(f"prepared {total} micrographs")

    def simulating(self, done: int, total: int) -> None:
        """Show how many micrographs are simulated."""
        if not self._plain:
            self._bar("simulating micrographs", done, total)
        if done == total:
            self.rest()
            self.say(f"simulated {total} micrographs")

    def working(self, text: str) -> None:
        """Show what the program is busy with."""
        if self._plain:
            self.log(text)
        else:
            self._bar(text, None, None)

    def training(self, epoch: int, epochs: int, done: int, total: int, evaluating: bool) -> None:
        """Show how far an epoch is."""
        if self._first_epoch is None:
            self._first_epoch, self._began = epoch, time.monotonic()
        if self._plain:
            return
        part = 1.0 if evaluating else done / total
        ahead, behind = epochs - epoch + 1 - part, epoch - self._first_epoch + part
        left = (time.monotonic() - self._began) * ahead / behind if behind > 0.02 else None
        words = f"epoch {epoch} of {epochs}, {'evaluating' if evaluating else 'training'}"
        self._bar(words, done, total, left)

    def epoch(self, epoch: Epoch, epochs: int, monitor: str, is_best: bool) -> None:
        """Say an epoch's figures."""
        if not self._table_shown:
            self.say(epoch_title(epoch, monitor))
            self._table_shown = True
        line = epoch_line(epoch, epochs, monitor, is_best)
        self.log(line)
        self._console.print(line, markup=False, style="bold" if is_best else None)

    def _bar(self, words: str, done: int | None, total: int | None, left: float | None = None) -> None:
        counted = total is not None
        if self._progress is None or self._counted != counted:
            self.rest()
            self._counted = counted
            self._progress = self._new_display()
            self._task = self._progress.add_task(words, total=total, left="")
            self._progress.start()
        words_left = "" if left is None else f"{duration(left)} left"
        self._progress.update(self._task, description=words, completed=done or 0, total=total, left=words_left)

    def _new_display(self) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

        columns: list[Any] = [SpinnerColumn(), TextColumn("{task.description}")]
        if self._counted:
            columns += [BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[left]}")]
        return Progress(*columns, console=self._console, transient=True, refresh_per_second=5)

    def rest(self) -> None:
        """Take the progress display away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def duration(seconds: float) -> str:
    """Write a duration as a person says it: 40 s, 3 min, 2 h 05 min."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
