"""`pickery` as a program of its own: the command line, from the first Ctrl-C that may come to the last."""

from __future__ import annotations

import signal
import sys


def program() -> int:
    """Run the command line, and give the status to end with."""
    try:
        from pickery.cli import main
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    status = main()
    # all is done and said; Python would show where in its own end it was interrupted
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return status


if __name__ == "__main__":
    sys.exit(program())
