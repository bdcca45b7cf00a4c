"""Lightning's training loop, set up for minibatches by step and kept quiet."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from pickery.config.schema import TrainConfig
from pickery.data.datamodule import PickerDataModule
from pickery.errors import InputError
from pickery.training.callbacks import DirectCheckpointIO, find_checkpoint
from pickery.training.choices import training_device
from pickery.training.module import PickerModule
from pickery.training.team import Team


def run_loop(
    config: TrainConfig,
    module: PickerModule,
    data: PickerDataModule,
    callbacks: list[pl.Callback],
    folder: Path,
    *,
    epochs: int,
    team: Team,
) -> None:
    """Train to so many epochs, from ``last.ckpt`` in the folder if there is one, which may have more already.

    Each process of a team calls this, with the process group set up.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, which Lightning turns into an exit.
    InputError
        When a process that loads minibatches died.
    """
    precision: Any = "32-true" if config.trainer.precision == 32 else config.trainer.precision
    device = training_device(config)
    checkpoint, done = find_checkpoint(folder / "last.ckpt")
    with _quiet_lightning():
        trainer = pl.Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            **_as_one_of(team, device),
            precision=precision,
            max_epochs=max(epochs, done),
            callbacks=callbacks,
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,  # EpochRecorder keeps the best model and last.ckpt
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0 if data.test is None else None,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as error:
            # Lightning turns Ctrl-C into an exit; the command line wants to know what happened
            raise KeyboardInterrupt from error
        except RuntimeError as error:
            if _was_interrupted(error):  # and Lightning could not clean up what had hardly begun
                raise KeyboardInterrupt from error
            if not str(error).startswith("DataLoader worker"):
                raise
            # its cause says that it is not for the settings' own fault
            raise InputError(
                f"One of the {config.sampler.workers} processes that load minibatches died, most likely for want of "
                "memory: lower sampler.workers. The same command goes on from the last finished epoch."
            ) from ChildProcessError(str(error))


def _was_interrupted(error: BaseException) -> bool:
    """Say whether an error came up while a request to end was answered."""
    context = error.__context__
    return context is not None and (isinstance(context, KeyboardInterrupt) or _was_interrupted(context))


def _as_one_of(team: Team, device: torch.device) -> dict[str, Any]:
    """Give the trainer's options that say with whom it trains."""
    if team.size == 1:
        # in a job of a cluster, too, this is one process on its own, queued again by whoever queued it
        return {"devices": 1, "plugins": [DirectCheckpointIO(), LightningEnvironment()]}
    return {
        # to Lightning each process is a machine with one device: which one was chosen before
        "devices": 1 if device.index is None else [device.index],
        "num_nodes": team.size,
        "strategy": _TeamStrategy(cluster_environment=_TeamEnvironment(team), **_buffers_stay()),
        "plugins": [DirectCheckpointIO()],
    }


def _buffers_stay() -> dict[str, Any]:
    """Have no buffers sent before each step: batch normalisation is synchronised, and they are the same everywhere."""
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    # torch 2.13 deprecates the older name
    return {"forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers": False}


class _TeamEnvironment(LightningEnvironment):
    """Tells Lightning who this process is; how the processes find each other is not its business."""

    def __init__(self, team: Team) -> None:
        super().__init__()
        self._team = team

    @property
    def creates_processes_externally(self) -> bool:
        """Say that Lightning need not start any process."""
        return True

    def world_size(self) -> int:
        """Give the number of processes."""
        return self._team.size

    def global_rank(self) -> int:
        """Give this process's number."""
        return self._team.rank

    def node_rank(self) -> int:
        """Give this process's number: each is a machine of its own."""
        return self._team.rank

    def local_rank(self) -> int:
        """Give 0, as each process is the only one of its machine."""
        return 0

    def teardown(self) -> None:
        """Leave the environment variables alone."""


class _TeamStrategy(DDPStrategy):
    """Lightning's DDP in a process group that is there already."""

    @property
    def world_size(self) -> int:
        """Give 1, so that Lightning leaves to us what happens when a process is asked to end.

        It would else ask before every step whether any was, and answer a SIGTERM by telling all of them, from whatever
        the process was at, which may wait for ever. Here who is asked to end raises, and the team ends with it.
        """
        return 1

    def _configure_launcher(self) -> None:
        # there is nothing to launch, and Lightning's launcher would change the number of threads
        self._launcher = None


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's notes off the terminal; its advice does not apply to loaders of whole minibatches."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    rank_zero = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    rank_level = rank_zero.level
    rank_zero.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # "does not have many workers": minibatches are indices, drawing them takes a fraction of a millisecond
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            # Lightning 2.6 uses a tree function that torch 2.13 is about to rename
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            # strides along axes of one pixel are a matter of taste
            warnings.filterwarnings("ignore", message=".*Grad strides do not match bucket view strides.*")
            # a GPU left aside on purpose by trainer.accelerator=cpu
            warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
            yield
    finally:
        logger.setLevel(level)
        rank_zero.setLevel(rank_level)
