"""Gives one reader files that atheris makes of its corpus, those kept that reach new lines of code.

usage: python -m tests.hostile.fuzz READER [libFuzzer's options and folders]; `scripts/fuzz` gives those.
"""

import sys
import tempfile
from pathlib import Path

import atheris

from tests.hostile.readers import READERS

INSTRUMENTED = ["pickery", "tests.hostile.readers", "tifffile", "mrcfile", "cryosparc", "PIL", "pickletools", "zipfile"]


def main() -> None:
    """Fuzz until the time is up or something breaks, which libFuzzer then keeps as a file."""
    reader = READERS[sys.argv.pop(1)]
    path = reader.place(Path(tempfile.mkdtemp(prefix=f"fuzz-{reader.name}-")))
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.hostile.mutated import is_read

        for file in reader.corpus():  # whatever is imported late
            is_read(reader, path, file.read_bytes())

    def try_input(data: bytes) -> None:
        is_read(reader, path, data)

    atheris.Setup(sys.argv, try_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
