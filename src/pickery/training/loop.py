"""Lightning's training loop, set up for minibatches by step and kept quiet."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from pickery.config.schema import TrainConfig
from pickery.data.datamodule import PickerDataModule
from pickery.training.callbacks import DirectCheckpointIO, find_checkpoint
from pickery.training.choices import training_device
from pickery.training.module import PickerModule


def run_loop(
    config: TrainConfig,
    module: PickerModule,
    data: PickerDataModule,
    callbacks: list[pl.Callback],
    folder: Path,
    *,
    epochs: int,
) -> None:
    """Train to so many epochs, from ``last.ckpt`` in the folder if there is one.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, which Lightning turns into an exit.
    """
    precision: Any = "32-true" if config.trainer.precision == 32 else config.trainer.precision
    with _quiet_lightning():
        trainer = pl.Trainer(
            accelerator="gpu" if training_device(config).type == "cuda" else "cpu",
            devices=1,
            precision=precision,
            max_epochs=epochs,
            callbacks=callbacks,
            # in a job of a cluster, too, this is one process on its own, queued again by whoever queued it
            plugins=[DirectCheckpointIO(), LightningEnvironment()],
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
            trainer.fit(module, data, ckpt_path=find_checkpoint(folder / "last.ckpt"))
        except SystemExit as error:
            # Lightning turns Ctrl-C into an exit; the command line wants to know what happened
            raise KeyboardInterrupt from error


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
            # a GPU left aside on purpose by trainer.accelerator=cpu
            warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
            yield
    finally:
        logger.setLevel(level)
        rank_zero.setLevel(rank_level)
