"""Several workers on one machine: processes that join the study, with its cores or GPUs divided among them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from types import TracebackType
from typing import IO, Self

from pickery.config.load import resolved
from pickery.cross_validation.bench import Bench
from pickery.errors import InputError
from pickery.sharing import gpu_of, usable_cores

LAST_LINES = 12


def threads_each(workers: int, given: int | None, cores: int) -> int:
    """Divide the cores: at least one thread each; a stated ``trainer.threads`` stays."""
    return given if given is not None else max(1, cores // workers)


class Crew:
    """Worker processes, from beginning to end of a ``with``.

    They end with this process whatever ends it: a killed one closes their input, which they take as the word to end.
    """

    def __init__(self, bench: Bench, workers: int, *, gpus: int) -> None:
        self._bench, self._workers, self._gpus = bench, workers, gpus
        self._processes: list[subprocess.Popen[bytes]] = []
        self._said: list[IO[bytes]] = []
        self._files = ExitStack()

    def __enter__(self) -> Self:
        config = self._bench.config
        threads = threads_each(self._workers, config.trainer.threads, usable_cores())
        settings = resolved(config)
        if not self._gpus:
            settings["trainer"]["threads"] = threads
        task = {
            "config": settings,
            "path": str(self._bench.path),
            "pretrained": self._bench.pretrained,
            "parent": self._bench.parent,
        }
        for number in range(self._workers):
            environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
            gpu = gpu_of(number, os.environ.get("CUDA_VISIBLE_DEVICES"), self._gpus)
            if gpu is not None:
                environment["CUDA_VISIBLE_DEVICES"] = gpu
            said = self._files.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pickery.cross_validation.worker"],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C comes here first, and is passed on once
            )
            self._processes.append(process)
            self._said.append(said)
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(task).encode() + b"\n")
                process.stdin.flush()
            except BrokenPipeError:
                pass  # it died at once; `check` says how
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            process.wait()
            if process.stdin is not None:
                try:
                    process.stdin.close()
                except BrokenPipeError:
                    pass
        self._files.close()

    def working(self) -> bool:
        """Whether any of them is at work."""
        return any(process.poll() is None for process in self._processes)

    def deaths(self) -> list[str]:
        """Say how workers came to a bad end, each in a line or more."""
        found = []
        for process, said in zip(self._processes, self._said, strict=True):
            status = process.poll()
            if status in (None, 0):
                continue
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:]
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            found.append("\n".join([f"a worker {how}", *lines]))
        return found

    def check(self) -> None:
        """Raise what went wrong when all of them came to a bad end."""
        deaths = self.deaths()
        if len(deaths) == len(self._processes):
            raise InputError(f"{deaths[0]}\nThe same command goes on where it stopped.")
