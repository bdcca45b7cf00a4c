"""A worker process of `cross_validation.workers`: joins the study, trains its points, and ends with its parent."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from pickery.errors import InputError
from pickery.termination import terminable

GRACE_S = 30.0
"""How long an orphan may take to hand its training back."""


def main() -> int:
    """Work as the line on standard input says; standard input ends with the parent, and then so does this."""
    # not through sys.stdin, whose lock a thread that waits for more would still hold at the end
    line = b""
    while not line.endswith(b"\n"):
        read = os.read(0, 65536)
        if not read:
            return 1
        line += read
    task = json.loads(line)

    def follow() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_S)
        os._exit(1)  # it hangs, or the exception was lost: its training is taken up again as that of a dead worker

    threading.Thread(target=follow, daemon=True).start()
    try:
        with terminable():
            from pickery.config.load import validate
            from pickery.cross_validation.bench import join
            from pickery.cross_validation.study.presence import Presence
            from pickery.cross_validation.watch import Watch
            from pickery.cross_validation.work import work

            config = validate("cross-validate", task["config"], warn=False)
            bench = join(config, Path(task["path"]), task["pretrained"], task["parent"])
            with Presence(bench.path) as presence:
                work(bench, presence, Watch(bench, None))
    except KeyboardInterrupt:
        return 130
    except (InputError, OSError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
