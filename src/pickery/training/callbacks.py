"""What happens while Lightning trains: epochs recorded, the best model and the last checkpoint kept, progress told."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from pickery.atomic import atomic_path
from pickery.errors import InputError, RunFolderError
from pickery.model.restricted_pickle import read_torch_file
from pickery.training.history import Epoch, best_epoch, write_metrics
from pickery.training.module import PickerModule
from pickery.training.team import Team

LOOK_EVERY = 50
"""Minibatches between two looks whether the figures are still numbers: each waits for the device."""


class EpochRecorder(pl.Callback):
    """Records every epoch, beside the run and in the checkpoint, and keeps the best model.

    At each epoch's end, in this order, so that a kill at any moment loses at most the present epoch: the model file
    if the epoch is the best so far, ``last.ckpt``, ``metrics.csv``, and then whoever listens.

    Parameters
    ----------
    folder
        The run's folder.
    monitor
        The metric that chooses the best epoch.
    save_best
        Writes the model file for an epoch.
    on_epoch
        Told of each recorded epoch and whether it is the best so far.
    team
        The processes that train together. Only the one that leads writes and tells; the others take part in what all of
        them must do together.
    """

    def __init__(
        self,
        folder: Path,
        *,
        monitor: str,
        save_best: Callable[[Epoch], None],
        on_epoch: Callable[[Epoch, bool], None],
        team: Team | None = None,
    ) -> None:
        self.folder = folder
        self.monitor = monitor
        self.epochs: list[Epoch] = []
        self.resumed_epochs = 0
        self._save_best, self._on_epoch = save_best, on_epoch
        self._team = team or Team()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse to train from different checkpoints."""
        for rank, step in enumerate(self._team.exchange(trainer.global_step)):
            if step != trainer.global_step:
                raise InputError(
                    f"process {rank + 1} of {self._team.size} finds another last.ckpt in {self.folder} than "
                    f"{self._team.name}: put the run's folder (run_dir) where all machines see the same one"
                )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look now and then whether the figures are still numbers."""
        assert isinstance(pl_module, PickerModule)
        if (batch_idx + 1) % LOOK_EVERY == 0:
            self._refuse_divergence(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the held-out figures and record the epoch."""
        assert isinstance(pl_module, PickerModule)
        self._refuse_divergence(trainer, pl_module)
        # an epoch counts once everybody has done it: what a process that died leaves to the others may be nonsense
        self._team.exchange(trainer.current_epoch)
        train, held_out = pl_module.figures.pop(), pl_module.held_out
        # here and not after the validation, which a process does without if there are fewer micrographs than processes
        test = None if held_out is None else held_out.result(self._team.exchange)
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        epoch = Epoch(trainer.current_epoch + 1, trainer.global_step, rate, train, test)
        self._refuse_nonsense(trainer, epoch)
        self.epochs.append(epoch)
        if not self._team.leads:
            trainer.save_checkpoint(self.folder / "last.ckpt")  # the leader alone writes, but waits for all
            return
        is_best = best_epoch(self.epochs, self.monitor) is epoch
        if is_best:
            self._save_best(epoch)
        save_checkpoint(trainer, self.folder / "last.ckpt")
        write_metrics(self.folder / "metrics.csv", self.epochs)
        self._on_epoch(epoch, is_best)

    def _refuse_divergence(self, trainer: pl.Trainer, module: PickerModule) -> None:
        found = module.broken.found()
        if found is None:
            return
        name, step = found
        lower = _slower(trainer)
        match name:
            case "scores" if step == 0:
                why = "the network's first scores are not numbers, so its weights or the prepared images are not"
                lower = "check model.pretrained, if it is given, or have the images prepared again"
            case "scores":
                why = "the network's scores are no longer numbers, as the steps before made its weights too large"
            case "l2":
                why, lower = "the L2 term is too large for a number", f"lower loss.l2={module.l2:g}"
            case "autoencoder":
                why = "the reconstruction term is no longer a number"
                lower = f"lower loss.autoencoder={module.autoencoder_weight:g}, or {lower}"
            case _:
                term = "sum" if name == "objective" else f"{name} term"
                why = f"the objective's {term} is no longer a number, while the scores still are (pi {module.pi:.4g})"
        if str(trainer.precision).startswith("16"):
            lower += f", or leave out trainer.precision={trainer.precision}, whose numbers end at 65,504"
        raise InputError(
            f"the training diverged at step {step + 1:,} (epoch {trainer.current_epoch + 1}): {why}: {lower}"
            f"{self._kept()}"
        )

    def _refuse_nonsense(self, trainer: pl.Trainer, epoch: Epoch) -> None:
        broken = [name for name, value in epoch.train.items() if not abs(value) < float("inf")]
        if broken:  # and yet the objective was a number at each step
            raise InputError(
                f"the training diverged in epoch {epoch.number}: its {broken[0]} is not a number, as the scores of all "
                f"regions of a minibatch are so low that none has any probability: {_slower(trainer)}{self._kept()}"
            )

    def _kept(self) -> str:
        best = best_epoch(self.epochs, self.monitor)
        return "" if best is None else f". The best epoch before, {best.number}, is kept as model.ckpt"

    def state_dict(self) -> dict[str, Any]:
        """Put the epochs into the checkpoint."""
        return {"epochs": [epoch.plain() for epoch in self.epochs]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the epochs from the checkpoint, which alone says which are done."""
        self.epochs = [Epoch.from_plain(plain) for plain in state_dict["epochs"]]
        self.resumed_epochs = len(self.epochs)
        if self._team.leads:
            write_metrics(self.folder / "metrics.csv", self.epochs)


def _slower(trainer: pl.Trainer) -> str:
    rate = float(trainer.optimizers[0].param_groups[0]["lr"])
    return f"lower optimizer.learning_rate={rate:g}, to a tenth for a beginning"


class DirectCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints where they belong: Lightning's own go through the system's folder for temporary files.

    That folder may be full, or on a slower disk, and then the complaint is about the wrong one.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint; raises OSError on a full disk, which torch's own writer does not."""
        written = io.BytesIO()
        torch.save(checkpoint, written)
        Path(path).write_bytes(written.getbuffer())


def save_checkpoint(trainer: pl.Trainer, path: Path) -> None:
    """Save a Lightning checkpoint, whole or not at all."""
    with atomic_path(path) as temporary:
        trainer.save_checkpoint(temporary)


def find_checkpoint(path: Path) -> tuple[Path | None, int]:
    """Give the checkpoint to resume from, and how many epochs it has done; None and 0 where there is none.

    Raises
    ------
    RunFolderError
        When it is damaged.
    """
    if not path.exists():
        return None, 0
    done = 0
    try:
        content = read_torch_file(path)
        done = len(content["callbacks"][EpochRecorder.__name__]["epochs"])
        whole = {"state_dict", "optimizer_states", "loops", "callbacks"} <= content.keys()
    except Exception:  # a broken file fails in any way there is
        whole = False
    if not whole:
        raise RunFolderError(f"{path} is damaged: remove it, and the same command trains this run again from its start")
    return path, done


class ProgressTeller(pl.Callback):
    """Tells how far the training is, after each minibatch and each held-out micrograph.

    Parameters
    ----------
    tell
        ``tell(epoch, done, total, evaluating)``: the epoch's number from 1, and minibatches or held-out micrographs
        done of how many.
    """

    def __init__(self, tell: Callable[[int, int, int, bool], None]) -> None:
        self._tell = tell

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell of a minibatch."""
        self._tell(trainer.current_epoch + 1, batch_idx + 1, int(trainer.num_training_batches), False)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Tell of a held-out micrograph."""
        total = trainer.num_val_batches
        self._tell(trainer.current_epoch + 1, batch_idx + 1, int(total[0] if isinstance(total, list) else total), True)
