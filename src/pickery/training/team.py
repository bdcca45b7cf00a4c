"""Processes that train one model together: who is who, what they tell each other, and where they meet.

Knows torch's process groups; neither Lightning, nor settings, nor how a process is started.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor

# torch documents these and forgets to export them
from torch.distributed import FileStore, PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from pickery.errors import InputError

PATIENCE = timedelta(hours=1)
"""How long a process waits for another that says nothing: far longer than any slow disk or tracker takes."""
LOOK_AGAIN_S = 0.05
_PIECE = 1 << 20


@dataclass(frozen=True)
class Team:
    """The processes that train one model together, as one of them sees them; by default it is alone.

    Attributes
    ----------
    rank
        Which of them this one is, from 0; 0 leads: it alone writes, tracks and tells.
    size
        How many they are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes, tracks and tells."""
        return self.rank == 0

    @property
    def name(self) -> str:
        """Name this process, counted from 1."""
        return f"process {self.rank + 1} of {self.size}"

    def together(self, own: Tensor) -> Tensor:
        """Give everybody's tensor, one behind the other along a new first axis; all of one shape, no gradients."""
        own = own.detach().contiguous()
        if self.size == 1:
            return own[None]
        parts = [torch.empty_like(own) for _ in range(self.size)]
        distributed.all_gather(parts, own)
        return torch.stack(parts)

    def exchange(self, own: Any) -> list[Any]:
        """Give what each process gave, in the order of their ranks."""
        if self.size == 1:
            return [own]
        everybody: list[Any] = [None] * self.size
        distributed.all_gather_object(everybody, own)
        return everybody


@dataclass(frozen=True)
class Started:
    """How something else, such as torchrun, started this process beside others.

    Attributes
    ----------
    team
        Who this process is.
    local_rank, local_size
        Which of how many on this machine.
    address, port
        Where the processes meet.
    """

    team: Team
    local_rank: int
    local_size: int
    address: str
    port: int


def started_beside_others(environment: Mapping[str, str]) -> Started | None:
    """Read from the environment, as torchrun sets it, whether this process is one of several; None if it is alone.

    Raises
    ------
    InputError
        When the environment contradicts itself.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    if environment.get("WORLD_SIZE", "1") == "1" or "RANK" not in environment:
        return None
    beside = f"RANK={environment['RANK']} and WORLD_SIZE={environment['WORLD_SIZE']} say that several processes train"
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise InputError(
            f"{beside} one model, and {missing[0]} is missing in the environment: start them with torchrun, which sets "
            "all that is needed, or unset RANK"
        )
    try:
        rank, size, local_rank, port = (
            int(environment[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")
        )
        local_size = int(environment.get("LOCAL_WORLD_SIZE", local_rank + 1))
        sound = 0 <= rank < size and 0 <= local_rank < local_size <= size
    except ValueError:
        sound = False
    if not sound:
        found = ", ".join(f"{name}={environment[name]}" for name in (*names, "LOCAL_WORLD_SIZE") if name in environment)
        raise InputError(f"{beside} one model, but {found} do not go together: start them with torchrun")
    return Started(Team(rank, size), local_rank, local_size, environment["MASTER_ADDR"], port)


class Meeting:
    """Where the processes of a team meet: a store that all of them reach.

    The leader leaves a task there; the others take it, or leave the reason why they could not do it.

    Parameters
    ----------
    store
        Of torch.
    team
        Who this process is.
    local_size
        How many of the processes are on this machine.
    """

    def __init__(self, store: Store, team: Team, *, local_size: int) -> None:
        self._store, self.team, self.local_size = store, team, local_size
        self._given = False

    # ---- the leader

    def give(self, task: bytes) -> None:
        """Leave the task for the others."""
        self._given = True
        pieces = range(0, len(task), _PIECE)
        for number, start in enumerate(pieces):
            self._store.set(f"task/{number}", task[start : start + _PIECE])  # type: ignore[arg-type]
        self._store.set("word", str(len(pieces)))

    def call_off(self, why: str) -> None:
        """Tell the others that there is nothing to do, ``over`` or ``failed``, if they have not been given a task."""
        if self._given:
            return
        self._store.set("word", why)
        with suppress(RuntimeError):
            until = time.monotonic() + 10
            heard = [f"heard/{rank}" for rank in range(1, self.team.size)]
            while not self._store.check(heard) and time.monotonic() < until:
                time.sleep(LOOK_AGAIN_S)

    def failure(self) -> str | None:
        """Give the reason that the first of the others left, if any did."""
        with suppress(RuntimeError):
            if self._store.check(["failed"]):
                return str(self._store.get("failed").decode())
        return None

    # ---- the others

    def task(self) -> bytes | str:
        """Wait for the task, or for the word that there is none."""
        while not self._store.check(["word"]):
            time.sleep(LOOK_AGAIN_S)
        word = self._store.get("word").decode()
        self._store.set(f"heard/{self.team.rank}", "1")
        if not word.isdigit():
            return str(word)
        return b"".join(self._store.get(f"task/{number}") for number in range(int(word)))

    def fail(self, why: str) -> None:
        """Leave the reason why this process could not do it; the first one stays."""
        with suppress(RuntimeError):
            self._store.compare_set("failed", "", f"{self.team.name}: {why}")

    # ---- all

    @contextmanager
    def joined(self, device: torch.device, still: Callable[[], None]) -> Iterator[None]:
        """Wait for everybody, then be one process group until the end of the ``with``.

        Parameters
        ----------
        device
            On which this process trains.
        still
            Called again and again while waiting; raises when there is nobody to wait for any more.
        """
        self._store.set(f"ready/{self.team.rank}", "1")
        everybody = [f"ready/{rank}" for rank in range(self.team.size)]
        while not self._store.check(everybody):
            still()
            time.sleep(LOOK_AGAIN_S)
        store = PrefixStore("group", self._store)
        backend = backend_of(device)
        distributed.init_process_group(
            backend,
            store=store,
            rank=self.team.rank,
            world_size=self.team.size,
            timeout=PATIENCE,
            device_id=device if backend == "nccl" else None,
        )
        try:
            yield
        except BaseException:
            abort()
            raise
        distributed.destroy_process_group()


def meeting_at(file: Path, team: Team) -> Meeting:
    """Meet in a file, all on one machine."""
    return Meeting(FileStore(str(file), team.size), team, local_size=team.size)


def meeting_of(started: Started, number: int) -> Meeting:
    """Meet where the environment says, for so manieth training of these processes."""
    try:
        store = _shared_store(started.address, started.port, started.team.leads)
    except RuntimeError as error:  # torch's network errors are some
        raise InputError(
            f"{started.team.name} finds no place to meet the others at MASTER_ADDR={started.address} "
            f"MASTER_PORT={started.port} ({str(error).splitlines()[0]}): another port, or another address, may do"
        ) from error
    again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return Meeting(PrefixStore(f"pickery/{again}/{number}", store), started.team, local_size=started.local_size)


@cache
def _shared_store(address: str, port: int, leads: bool) -> Store:
    # torchrun has a store of its own at this address, and says so
    hosts = leads and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    return TCPStore(address, port, is_master=hosts, timeout=PATIENCE, wait_for_workers=False)


def backend_of(device: torch.device) -> str:
    """Choose by what processes talk to each other."""
    return "nccl" if device.type == "cuda" and distributed.is_nccl_available() else "gloo"


def abort() -> None:
    """Leave the process group without regard for the others, who may be dead."""
    if not distributed.is_initialized():
        return
    if distributed.get_backend() == "nccl":
        # what it has under way would be waited for
        distributed.distributed_c10d._abort_process_group()
    else:
        distributed.destroy_process_group()


def lost(error: BaseException) -> bool:
    """Whether an error says that the connection to other processes of a team was lost."""
    if isinstance(error, distributed.DistError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in words for sign in ("gloo", "nccl", "closed by peer"))
