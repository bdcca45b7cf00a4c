"""Micrographs prepared on several processes, which share nothing but the file they write to."""

from __future__ import annotations

import errno
import multiprocessing
import signal
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

from pickery.errors import InputError
from pickery.orphans import end_with_parent, starting
from pickery.preprocess.work import Normalisation, Task, read_ahead, run_task

POOL_PAYS_FROM_PIXELS = 25_000_000
"""Below this (some 16 micrographs of 1.5 megapixels) one process is done before others have started."""

_LOWER = "lower preprocess.workers, each holds one micrograph at full size"


def run_tasks(tasks: Mapping[int, Task], *, workers: int, pixels: int) -> Iterator[tuple[int, Normalisation | str]]:
    """Prepare micrographs, on as many processes as pay.

    Parameters
    ----------
    tasks : mapping of int to Task
        By any number.
    workers : int
        Most processes; below 2 the work is done in this one.
    pixels : int
        How many pixels all the micrographs have together.

    Yields
    ------
    int
        A task's number, in the order in which they are done.
    Normalisation or str
        What was done, or why the micrograph cannot be used.

    Raises
    ------
    InputError
        If memory runs out or a worker dies.
    OSError
        If the set cannot be written.
    """
    workers = min(workers, len(tasks))
    try:
        if workers < 2 or pixels < POOL_PAYS_FROM_PIXELS:
            following = iter([*tasks.values()][1:])
            for number, task in tasks.items():
                if (next_one := next(following, None)) is not None:
                    read_ahead(next_one.path)
                yield number, run_task(task)
        else:
            yield from _run_on_pool(tasks, workers)
    except MemoryError:
        raise InputError(f"Memory ran out preparing micrographs on {max(1, workers)} processes: {_LOWER}.") from None
    except BrokenProcessPool:
        raise InputError(
            f"One of the {workers} processes that prepare micrographs died, most likely for want of memory: {_LOWER}. "
            f'(A script of your own has to begin its work under `if __name__ == "__main__":`.)'
        ) from None


def _run_on_pool(tasks: Mapping[int, Task], workers: int) -> Iterator[tuple[int, Normalisation | str]]:
    context = _context()
    end, hold = context.Pipe(duplex=False)
    with starting():  # its semaphores start what clears up after them
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(end,))
    try:
        with starting():
            numbers = {pool.submit(run_task, task): number for number, task in tasks.items()}
        for future in as_completed(numbers):
            yield numbers[future], future.result()
    except (BrokenProcessPool, OSError) as error:
        hold.close()  # a pool that one died of forgets whom it was just starting, and waits for him for ever
        match getattr(error, "errno", error):
            case errno.EAGAIN | errno.ENOMEM:  # no further process can be started
                raise MemoryError from None
            case None | errno.EPIPE:  # one was being started that was to share what is closed by now
                raise BrokenProcessPool from None
        raise
    finally:
        # Whatever ends the loop (an error, Ctrl-C), nobody writes to the set after this.
        pool.shutdown(wait=True, cancel_futures=True)
        hold.close()
        end.close()


def _context() -> multiprocessing.context.BaseContext:
    """Choose how processes start: never by forking this one, which may have threads and a GPU open."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # Imported once by the server and not by each worker: scipy.fft takes longer to import than an image to prepare.
    context.set_forkserver_preload(["pickery.preprocess.work", "pickery.formats.micrographs", "scipy.fft"])
    return context


def _begin_worker(end: Connection) -> None:
    """Leave Ctrl-C to the parent, which waits for the image in hand, and end with the parent if that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(end)
