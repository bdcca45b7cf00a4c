"""Where a run says what it does, which may go away before the run has ended."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

GONE = (errno.EPIPE, errno.EIO)
"""What writing gives where a pipe's reader has ended, or the terminal was closed."""


class LastingStream:
    """A stream whose reader may go away: from then on nothing is written, and nothing fails.

    Parameters
    ----------
    stream
        Where lines go.
    on_gone
        Told once, when nobody reads them any more.
    """

    def __init__(self, stream: TextIO, on_gone: Callable[[], None]) -> None:
        self._stream, self._on_gone = stream, on_gone
        self._gone = False

    def write(self, text: str) -> int:
        """Write, signs that the stream cannot take as their numbers."""
        encoding = self._stream.encoding
        if encoding is not None:
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        self._do(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Let all that was written go out."""
        self._do(self._stream.flush)

    def _do(self, action: Callable[[], Any]) -> None:
        if self._gone:
            return
        try:
            action()
        except OSError as error:
            if error.errno not in GONE:
                raise
            self._gone = True
            # what it still holds must not fail once more when Python ends
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._on_gone()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
