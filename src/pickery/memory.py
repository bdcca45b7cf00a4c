"""A process's memory, kept for what it computes next, and found full: any room may use it, and it knows none."""

from __future__ import annotations

import ctypes
import sys

# as torch words it on a CPU, where it raises nothing of its own kind
_FULL = (
    *("can't allocate memory", "not enough memory", "_ALLOC_FAILED"),
    # of oneDNN, which does not say why; it has checked before whether it can do what is asked at all
    *("could not create a memory object", "could not create a primitive", "could not execute a primitive"),
)
_NOT_FULL = "primitive descriptor"  # that check

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_LARGEST_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Have freed memory used again instead of given back to the system, where the C library is glibc.

    Each step of a training frees and asks again for the same few hundred megabytes. Given back, every page comes anew
    from the system, which fills it with zeros first: a sixth of a step's time. The peak is the same.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, -1)


def is_full(error: BaseException) -> bool:
    """Say whether an error means that memory ran out, a GPU's or the machine's."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error) if isinstance(error, RuntimeError) else ""
    return any(words in said for words in _FULL) and _NOT_FULL not in said
