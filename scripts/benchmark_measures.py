"""What both sides of the benchmark share: sizes, data, seconds, and the peak memory of a program."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DOWNSAMPLE, RADIUS, EXPECTED, MINIBATCH, EXTRACTION_RADIUS = 4, 3, 170, 256, 12
TESTED = 4
"""Micrographs held out, scored and picked."""


@dataclass(frozen=True)
class Data:
    """Micrographs and picks that both programs get."""

    files: tuple[Path, ...]
    picks: Path


def timed(action: Callable[[], object]) -> float:
    """Give the seconds that an action takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


# a process's peak begins at that of whoever started it, so a small one stands between
LAUNCHER = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
if done.returncode:
    sys.exit(done.stderr[-2000:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def child_memory(command: list[str], cwd: Path | None = None) -> float:
    """Run a command and give the peak resident memory, in MB, of its largest process."""
    launched = [sys.executable, "-c", LAUNCHER, *command]
    done = subprocess.run(launched, cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"benchmark: {' '.join(command[:4])} failed:\n{done.stderr}")
    return int(done.stdout) / 1024
