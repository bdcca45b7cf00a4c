"""Reads files in a process of its own, which may crash, hang or run out of memory instead.

usage: python -m tests.hostile.alone BYTES SECONDS READER=FILE… : reads each with at most so much memory above what the
process holds before, and in at most so many seconds, and prints what came of it.
"""

import faulthandler
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pickery.errors import InputError
from tests.hostile.mutated import bound_memory, check, is_read
from tests.hostile.readers import READERS


@dataclass(frozen=True)
class Outcome:
    """What came of one file: what was said of it, "" where it was read, and how long that took."""

    said: str
    seconds: float


def outcomes(files: Iterable[tuple[str, Path]], *, memory_bytes: int, seconds: float = 20) -> dict[Path, Outcome]:
    """Read files by their readers' names, each in so much memory and time.

    A reader that crashes or hangs, takes more, or raises anything but InputError fails the test.
    """
    given = [f"{reader}={path}" for reader, path in files]
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.alone", str(memory_bytes), str(seconds), *given],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"exit status {done.returncode} after {done.stdout[-500:]}\n{done.stderr[-3000:]}"
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(given)
    return {Path(path): Outcome(said, took) for path, said, took in lines}


def main() -> None:
    """Read the files named, and print a line of JSON for each."""
    memory_bytes, seconds = int(sys.argv[1]), float(sys.argv[2])
    files = [(READERS[name], Path(path)) for name, _, path in (word.partition("=") for word in sys.argv[3:])]
    faulthandler.enable()
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        for reader in {reader.name: reader for reader, _ in files}.values():  # whatever is imported late
            path = reader.place(Path(folder) / reader.name)
            for file in reader.corpus():
                is_read(reader, path, file.read_bytes())
    bound_memory(memory_bytes)
    for reader, path in files:
        began = time.monotonic()
        faulthandler.dump_traceback_later(seconds, exit=True)
        said = ""
        try:
            reader(path)
        except InputError as error:
            check(error, path)
            said = str(error)
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps([str(path), said, time.monotonic() - began]), flush=True)


if __name__ == "__main__":
    main()
