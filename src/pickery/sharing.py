"""One machine's cores and GPUs, shared by several processes: any room may use it, and it knows none of them."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_of(worker: int, visible: str | None, count: int) -> str | None:
    """Choose a worker's GPU: they are dealt out in turn.

    Parameters
    ----------
    worker
        The worker's number, from 0.
    visible
        ``CUDA_VISIBLE_DEVICES`` as it is; None if unset.
    count
        Number of GPUs that torch finds.

    Returns
    -------
    str or None
        What to set ``CUDA_VISIBLE_DEVICES`` to; None where there is nothing to choose.
    """
    devices = [name.strip() for name in visible.split(",") if name.strip()] if visible else None
    if count < 1:
        return None
    names = devices[:count] if devices else [str(number) for number in range(count)]
    return names[worker % len(names)]
