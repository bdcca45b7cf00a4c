"""How this process's memory is kept for what it computes next: any room may use it, and it knows none of them."""

from __future__ import annotations

import ctypes
import sys

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
