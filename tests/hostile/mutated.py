"""Gives readers files changed at random, and says how many they read, refused, or broke over.

usage: python -m tests.hostile.mutated [--inputs N] [--seed N] READER…

A process of its own, so that its memory can be bounded and a crash ends nothing else. What hypothesis chooses is the
same each time for the same seed. The last input is kept as a file until it has been read, for whoever looks for the one
that ended the process.
"""

import argparse
import faulthandler
import json
import resource
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pickery.errors import InputError
from tests.hostile.readers import READERS, Reader

SECONDS = 20
"""For one input, before the process is ended; a reader that starts a program needs about one."""

MEMORY_BYTES = 1 << 30
"""For one input, above what the process holds before; inputs have some thousands of bytes."""

LARGEST_INPUT = 1 << 17

NUMBERS = ("0", "-1", "1e308", "-1e39", "nan", "inf", "1e-320", "0x10", "1_0", "9" * 25, "9" * 5000, "2147483648", "²")
WORDS = (
    b"\0",
    b"\n",
    b"\r",
    b"\t",
    b'"',
    b"'",
    b"#",
    b"..",
    b"/",
    b"../../x",
    b"[" * 3000,
    b"{",
    b"\xff\xfe",
    b"\xed\xa0\x80",
)
KINDS = ("bit", "byte", "integer", "number", "word", "cut", "remove", "repeat", "line", "splice")
INTEGERS = (0, 1, -1, 2, 7, 127, 255, 2**15, 2**16 - 1, 2**20, 2**30, 2**31 - 1, -(2**31), 2**32 - 1)


@dataclass
class Count:
    """What came of the inputs."""

    tried: int = 0
    read: int = 0
    refused: int = 0
    slowest_s: float = 0.0


@st.composite
def changes(draw: st.DrawFn, others: Sequence[bytes]) -> list[tuple[str, float, float, object]]:
    """Choose some changes: a kind, where and how far (as parts of the file), and what with."""
    chosen = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(KINDS))
        value: object = None
        match kind:
            case "bit":
                value = draw(st.integers(0, 7))
            case "byte":
                value = draw(st.integers(0, 255))
            case "integer":
                value = struct.pack(draw(st.sampled_from("<>")) + "q", draw(st.sampled_from(INTEGERS)))
            case "number":
                value = draw(st.sampled_from(NUMBERS)).encode()
            case "word":
                value = draw(st.sampled_from(WORDS) | st.binary(max_size=8))
            case "repeat":
                value = draw(st.sampled_from((2, 3, 100)))
            case "splice":
                value = draw(st.sampled_from(others))
        part = st.integers(0, 10_000)
        chosen.append((kind, draw(part) / 10_000, draw(part) / 10_000, value))
    return chosen


def changed(data: bytes, chosen: Sequence[tuple[str, float, float, object]]) -> bytes:
    """Make the changes, one after another."""
    for kind, where, how_far, value in chosen:
        at = round(where * len(data))
        end = at + round(how_far**3 * (len(data) - at))  # short stretches more often
        match kind, value:
            case ("bit", int(bit)) if at < len(data):
                data = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            case ("byte", int(byte)):
                data = data[:at] + bytes([byte]) + data[at + 1 :]
            case ("integer", bytes(eight)):
                at -= at % 4  # where headers have their numbers
                four = eight[:4] if eight[4:] in (b"\0" * 4, b"\xff" * 4) else eight[4:]
                data = data[:at] + (four if how_far < 0.5 else eight) + data[at + (4 if how_far < 0.5 else 8) :]
            case ("number", bytes(text)):
                data = _instead_of_a_number(data, at, text)
            case ("word", bytes(word)):
                data = data[:at] + word + data[at:]
            case ("cut", _):
                data = data[:at]
            case ("remove", _):
                data = data[:at] + data[end:]
            case ("repeat", int(times)):
                data = data[:at] + data[at:end] * times + data[end:]
            case ("line", _):
                lines = data.splitlines(keepends=True)
                if lines:
                    lines.insert(round(how_far * len(lines)), lines[min(int(where * len(lines)), len(lines) - 1)])
                data = b"".join(lines)
            case ("splice", bytes(other)):
                data = data[:at] + other[round(how_far * len(other)) :]
    return data[:LARGEST_INPUT]


def _instead_of_a_number(data: bytes, at: int, text: bytes) -> bytes:
    """Put a text in the place of the next number in another."""
    digits = b"0123456789.-+e"
    while at < len(data) and data[at] not in digits:
        at += 1
    end = at
    while end < len(data) and data[end] in digits:
        end += 1
    return data[:at] + text + data[end:]


def is_read(reader: Reader, path: Path, data: bytes) -> bool:
    """Give a reader a file, and say whether it was read; anything but a result or an InputError is raised."""
    path.write_bytes(data)
    try:
        reader(path)
    except InputError as error:
        check(error, path)
        return False
    return True


def try_one(reader: Reader, path: Path, data: bytes, count: Count) -> None:
    """Give a reader a file; the process ends if that takes too long."""
    count.tried += 1
    began = time.monotonic()
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    try:
        if is_read(reader, path, data):
            count.read += 1
        else:
            count.refused += 1
    finally:
        faulthandler.cancel_dump_traceback_later()
        count.slowest_s = max(count.slowest_s, time.monotonic() - began)


def check(error: InputError, path: Path) -> None:
    """Check that a refusal names the file or its folder, and is none for want of memory."""
    assert path.parent.name in str(error) or path.name in str(error), f"does not name the file: {error}"
    causes: list[BaseException | None] = [error]
    while (cause := causes[-1]) is not None and cause not in causes[:-1]:
        assert not isinstance(cause, MemoryError), "more memory than allowed was asked for"
        causes.append(cause.__cause__ or cause.__context__)


def bound_memory(more: int) -> None:
    """Let this process have so many bytes of memory more than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def try_many(reader: Reader, path: Path, inputs: int, number: int) -> Count:
    """Give a reader many changed files of its corpus."""
    corpus = [file.read_bytes() for file in reader.corpus()]
    count = Count()

    @seed(number)
    @settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(corpus), changes(corpus), st.booleans())
    def run(data: bytes, chosen: list[tuple[str, float, float, object]], inside: bool) -> None:
        change: Callable[[bytes], bytes] = lambda data: changed(data, chosen)  # noqa: E731
        if inside and reader.inside is not None:
            try:
                data = reader.inside(data, change)
            except Exception:  # a kept file may be no archive any more
                data = change(data)
        else:
            data = change(data)
        try_one(reader, path, data, count)

    run()
    return count


def main() -> None:
    """Try all readers named, and print a line of JSON for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("readers", nargs="+", choices=READERS)
    arguments = parser.parse_args()
    faulthandler.enable()
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        chosen = [(READERS[name], READERS[name].place(Path(folder) / name)) for name in arguments.readers]
        for reader, path in chosen:  # whatever is imported late is there before memory is bounded
            for file in reader.corpus():
                try_one(reader, path, file.read_bytes(), Count())
        bound_memory(MEMORY_BYTES)
        for reader, path in chosen:
            print(f"{reader.name}: ", end="", flush=True)
            try:
                count = try_many(reader, path, arguments.inputs or reader.inputs, arguments.seed)
            except BaseException:
                kept = Path(tempfile.gettempdir()) / f"broke-{reader.name}"
                kept.write_bytes(path.read_bytes())
                print(f"broke over {kept}", flush=True)
                raise
            print(json.dumps(vars(count)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
