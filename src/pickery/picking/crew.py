"""Who picks: this process, or several that share nothing but a folder, each with its cores or a GPU of its own."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pickery.errors import InputError, PickeryWarning
from pickery.memory import is_full, keep_freed_memory
from pickery.model import Picker
from pickery.model.weights import LoadedWeights
from pickery.orphans import end_with_parent, starting
from pickery.picking.candidates import CandidateFolder, Candidates
from pickery.picking.model import build_network
from pickery.picking.work import Task, pick_micrograph
from pickery.sharing import gpu_of, usable_cores

Outcome = Candidates | str
Answer = tuple[int, Outcome | BaseException, list[str]]
"""Of a micrograph's number: what came of it, and what should be known besides."""

_LOWER = "lower picking.workers or picking.tile, or raise picking.downsample"
ENDING_S = 5.0


@dataclass(frozen=True)
class Means:
    """What a picking is computed with.

    Attributes
    ----------
    device
        ``cpu`` or ``cuda``.
    workers
        Processes.
    threads
        Compute threads of all of them; None as torch chooses.
    """

    device: torch.device
    workers: int
    threads: int | None


def run_tasks(
    tasks: Sequence[Task], weights: LoadedWeights, means: Means, folder: CandidateFolder
) -> Iterator[tuple[int, Outcome]]:
    """Take the candidate picks of micrographs.

    Yields
    ------
    int
        A task's number, in the order in which they are done.
    Candidates or str
        Or why the micrograph cannot be used.

    Raises
    ------
    InputError
        If the scores are no numbers, memory runs out or a worker dies.
    OSError
        If candidates cannot be kept.
    """
    workers = min(means.workers, len(tasks))
    if workers > 1:
        with _Crew(tasks, weights, means, workers, folder) as crew:
            yield from crew.outcomes()
    elif tasks:
        keep_freed_memory()
        if means.threads is not None:
            torch.set_num_threads(means.threads)
        network = build_network(weights).to(means.device)
        for task in tasks:
            yield task.number, pick_micrograph(network, task, means.device)


class _Crew:
    """Worker processes, from beginning to end of a ``with``; each is given one micrograph after another."""

    def __init__(
        self, tasks: Sequence[Task], weights: LoadedWeights, means: Means, workers: int, folder: CandidateFolder
    ) -> None:
        self._waiting = list(reversed(tasks))
        self._weights, self._means, self._workers, self._folder = weights, means, workers, folder
        self._processes: dict[Connection, SpawnProcess] = {}
        self._busy: set[Connection] = set()

    def __enter__(self) -> _Crew:
        count = torch.cuda.device_count() if self._means.device.type == "cuda" else 0
        threads = max(1, (self._means.threads or usable_cores()) // self._workers)
        # as arrays: tensors would travel through shared memory, of which containers have little
        state = {name: tensor.numpy() for name, tensor in self._weights.state_dict.items()}
        # never forked: this process may have threads and a GPU open
        context = multiprocessing.get_context("spawn")
        try:
            for number in range(self._workers):
                here, there = context.Pipe()
                arguments = (there, self._weights.architecture, state, self._means.device.type, threads)
                process = context.Process(target=_work, args=arguments, daemon=True)
                gpu = gpu_of(number, os.environ.get("CUDA_VISIBLE_DEVICES"), count)
                environment = {"OMP_NUM_THREADS": str(threads)}
                if gpu is not None:
                    environment["CUDA_VISIBLE_DEVICES"] = gpu
                with starting(), _environment(environment):
                    process.start()
                    there.close()
                    self._processes[here] = process
        except OSError as error:
            self._end()
            if error.errno in (errno.EAGAIN, errno.ENOMEM):  # no further process can be started
                raise InputError(f"No {self._workers} processes can be started on this machine: {_LOWER}.") from None
            raise
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def outcomes(self) -> Iterator[tuple[int, Outcome]]:
        """Give the outcomes as they come."""
        for connection in self._processes:
            self._give(connection)
        while self._busy:
            for ready in wait(list(self._busy)):
                assert isinstance(ready, Connection)
                number, outcome, told = self._answer(ready)
                for text in told:
                    warnings.warn(text, PickeryWarning, stacklevel=2)
                if isinstance(outcome, BaseException):
                    raise outcome
                self._give(ready)
                yield number, outcome

    def _give(self, connection: Connection) -> None:
        self._busy.discard(connection)
        if self._waiting:
            self._busy.add(connection)
            try:
                connection.send(self._waiting.pop())
            except OSError:
                pass  # it died: its end of the connection says so

    def _answer(self, connection: Connection) -> Answer:
        try:
            answer: Answer = connection.recv()
        except (EOFError, OSError):
            process = self._processes[connection]
            process.join(ENDING_S)
            status = process.exitcode or 0
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            why = ", most likely for want of memory" if status == -signal.SIGKILL else ""
            raise InputError(
                f"One of the {self._workers} processes that pick {how}{why}: {_LOWER}. The same command goes on where "
                "it stopped."
            ) from None
        return answer

    def _end(self) -> None:
        """End the workers, whatever they are at: what they write is there whole or not at all."""
        for connection, process in self._processes.items():
            connection.close()
            process.terminate()
        for process in self._processes.values():
            process.join(ENDING_S)
            if process.is_alive():
                process.kill()
                process.join()
        self._folder.remove_leftovers(process.pid for process in self._processes.values() if process.pid is not None)


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Change the environment while a process starts, which takes it over."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(
    connection: Connection,
    architecture: dict[str, Any],
    state: dict[str, NDArray[Any]],
    device_type: str,
    threads: int,
) -> None:
    """Pick one micrograph after another, until there are no more or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    keep_freed_memory()
    torch.set_num_threads(threads)
    device = torch.device(device_type)
    tensors = {name: torch.from_numpy(np.asarray(values)) for name, values in state.items()}
    network = build_network(LoadedWeights(architecture, tensors, "")).to(device)
    while True:
        try:
            task: Task = connection.recv()
        except EOFError:
            return
        with _warnings_kept() as told:
            outcome = _outcome(network, task, device)
        connection.send((task.number, outcome, told))


@contextmanager
def _warnings_kept() -> Iterator[list[str]]:
    """Keep Pickery's warnings for whoever shows them."""
    kept: list[str] = []
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        if issubclass(category, PickeryWarning):
            kept.append(str(message))
        else:
            shown(message, category, *rest, **named)

    with warnings.catch_warnings():
        warnings.simplefilter("always", PickeryWarning)
        warnings.showwarning = show
        yield kept


def _outcome(network: Picker, task: Task, device: torch.device) -> Outcome | BaseException:
    try:
        return pick_micrograph(network, task, device)
    except torch.OutOfMemoryError:
        return InputError(f"The GPU's memory ran out on {task.micrograph}: {_LOWER}.")
    except (InputError, OSError) as error:
        return error
    except Exception as error:
        if is_full(error):
            return InputError(f"Memory ran out on {task.micrograph}: {_LOWER}.")
        # whatever it is, its traceback would be lost on the way
        return RuntimeError(f"in a worker process:\n{traceback.format_exc()}")
