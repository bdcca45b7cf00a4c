"""What becomes of Topaz's lines: epochs recorded as they end, the best one's model taken over, progress told."""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Callable
from pathlib import Path

import torch

from pickery.errors import InputError
from pickery.model.picker import Picker
from pickery.model.weights import load_weights
from pickery.topaz.program import TopazProgram
from pickery.topaz.table import EpochFigures, Row, TableReader, held_out_figures, training_figures
from pickery.training.history import Epoch, best_epoch, write_metrics
from pickery.training.listener import Listener

KEPT = "model.sav"
"""The best epoch's model in a run's folder, as Topaz wrote it."""
LAST_LINES = 40


class Follower:
    """Hears the program, and records what it reports.

    At an epoch's end ``metrics.csv`` is written and whoever listens told; the best epoch's model follows when the
    program has moved on, and surely written it.

    Parameters
    ----------
    folder
        The run's folder.
    prefix
        Where the program leaves its models.
    model
        The network, into which the best epoch's weights are put.
    monitor
        The metric that chooses the best epoch.
    epochs, epoch_size
        Epochs asked for, and minibatches in each.
    learning_rate
        Constant.
    objective, autoencoder_weight
        See `pickery.topaz.table.training_figures`.
    held_out
        How many micrographs are held out, their pi and their labelled fraction; None without any.
    labelled
        The fraction of regions that the program should take for labelled; None where it does not matter.
    save_best
        Writes the model file for an epoch.
    on_epoch
        Told of each epoch, and whether it is the best so far.
    """

    def __init__(
        self,
        *,
        program: TopazProgram,
        folder: Path,
        prefix: Path,
        model: Picker,
        monitor: str,
        epochs: int,
        epoch_size: int,
        learning_rate: float,
        objective: str,
        autoencoder_weight: float,
        held_out: tuple[int, float, float] | None,
        labelled: float | None,
        save_best: Callable[[Epoch], None],
        on_epoch: Callable[[Epoch, bool], None],
        listener: Listener,
    ) -> None:
        self.epochs: list[Epoch] = []
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._program, self._folder, self._prefix, self._model = program, folder, prefix, model
        self._monitor, self._count, self._epoch_size, self._rate = monitor, epochs, epoch_size, learning_rate
        self._objective, self._autoencoder_weight = objective, autoencoder_weight
        self._held_out, self._labelled = held_out, labelled
        self._save_best, self._on_epoch, self._listener = save_best, on_epoch, listener
        self._reader = TableReader()
        self._current: EpochFigures | None = None
        self._kept: int | None = None
        self._told_of_unusable = False

    def output(self, line: str) -> None:
        """Hear a line of the program's output."""
        row = self._reader.read(line)
        if row is not None:
            self._take(row)
        elif not self._reader.is_heading(line):
            self.error(line)

    def error(self, line: str) -> None:
        """Hear a line that is none of the table's."""
        if not line.strip():
            return
        self._listener.log(f"topaz: {line.rstrip()}")
        self.last_lines.append(line.rstrip())
        counted = re.match(r"# \d+\ttrain\t\S+\t(\d+)\t(\d+)", line)
        if counted and self._labelled:
            found = int(counted[1]) / int(counted[2])
            if abs(found - self._labelled) > 0.05 * self._labelled:
                self._listener.warn(
                    f"{self._program.name} takes {found:.4g} of the training regions for labelled, and not "
                    f"{self._labelled:.4g}: its objective expects another fraction of particles than was asked for"
                )

    def end(self, status: int) -> None:
        """Hear that the program has ended.

        Raises
        ------
        InputError
            When it failed, or did not do all that was asked.
        """
        self._keep_best()
        log = f"; all that it said is in {self._folder / 'log.txt'}"
        if status != 0:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise InputError(f"{self._program.name} {how}: {self._why()}{log}")
        if len(self.epochs) < self._count:
            done = (
                f"after epoch {len(self.epochs)} of {self._count}" if self.epochs else "before its first epoch was over"
            )
            raise InputError(f"{self._program.name} ended {done}, without saying why{log}")

    def _take(self, row: Row) -> None:
        if self._current is None or row.epoch != self._current.number:
            self._keep_best()
            self._current = EpochFigures(row.epoch)
        epoch = self._current
        epoch.add(row)
        if row.split == "test":
            self._close(epoch)
            return
        done = min(epoch.minibatches, self._epoch_size)
        self._listener.training(row.epoch, self._count, done, self._epoch_size, False)
        if epoch.minibatches == self._epoch_size:
            if self._held_out is None:
                self._close(epoch)
            else:
                self._listener.training(row.epoch, self._count, 0, self._held_out[0], True)

    def _close(self, figures: EpochFigures) -> None:
        train = training_figures(
            figures.train(), objective=self._objective, autoencoder_weight=self._autoencoder_weight
        )
        test = None
        if self._held_out is not None:
            assert figures.test is not None
            test = held_out_figures(figures.test, pi=self._held_out[1], observed=self._held_out[2])
        epoch = Epoch(figures.number, figures.number * self._epoch_size, self._rate, train, test)
        self._refuse_nonsense(epoch, figures)
        self.epochs.append(epoch)
        write_metrics(self._folder / "metrics.csv", self.epochs)
        self._on_epoch(epoch, best_epoch(self.epochs, self._monitor) is epoch)

    def _refuse_nonsense(self, epoch: Epoch, figures: EpochFigures) -> None:
        shown = [epoch.train["objective"], epoch.train["precision"]]
        shown += [] if epoch.test is None else [epoch.test["loss"], epoch.test["precision"]]
        if any(not abs(value) < float("inf") for value in shown):
            kept = " (the best epoch before is kept)" if self.epochs else ""
            raise InputError(
                f"the training diverged: {self._program.name} reports figures that are not numbers after epoch "
                f"{epoch.number}; try a tenth of optimizer.learning_rate={self._rate:g}, or a larger "
                f"sampler.minibatch_size, since its minibatches may hold no positive patch{kept}"
            )
        if figures.unusable and not self._told_of_unusable:
            self._told_of_unusable = True
            self._listener.warn(
                f"in {figures.unusable} of the {figures.minibatches} minibatches of epoch {epoch.number} "
                f"{self._program.name} drew no positive patch; those count in no mean. A larger "
                "sampler.minibatch_size or sampler.balance avoids it"
            )

    def _keep_best(self) -> None:
        """Take over the best epoch's model, and let go of the others'."""
        best = best_epoch(self.epochs, self._monitor)
        if best is not None and best.number != self._kept:
            written = self._file(best.number)
            if not written.exists():
                raise InputError(f"{self._program.name} left no model of epoch {best.number}: {written} is missing")
            self._put_into_model(written)
            self._save_best(best)
            shutil.copyfile(written, self._folder / KEPT)
            self._kept = best.number
        for epoch in self.epochs:
            self._file(epoch.number).unlink(missing_ok=True)

    def _file(self, epoch: int) -> Path:
        return self._prefix.with_name(f"{self._prefix.name}_epoch{epoch}.sav")

    def _put_into_model(self, written: Path) -> None:
        loaded = load_weights(str(written), setting="engine")
        asked = self._model.settings
        other = {
            name: value for name, value in loaded.architecture.items() if name != "dropout" and asked[name] != value
        }
        if other:
            words = ", ".join(f"{name} {value} in place of {asked[name]}" for name, value in other.items())
            raise InputError(f"{self._program.name} trained another network than was asked for: {words}")
        if not all(bool(torch.isfinite(tensor).all()) for tensor in loaded.state_dict.values()):
            raise InputError(
                f"the training diverged: {self._program.name} left a model whose weights are not all numbers, and said "
                f"nothing of it; try a tenth of optimizer.learning_rate={self._rate:g}"
            )
        self._model.load_state_dict(loaded.state_dict)

    def _why(self) -> str:
        """Give the line that says best why the program failed: what was raised in it last."""
        raised = [line for line in self.last_lines if re.match(r"\w[\w.]*(Error|Exception|Interrupt|Exit)\b", line)]
        said = raised or [line for line in self.last_lines if not line.startswith("#")] or list(self.last_lines)
        return said[-1].strip() if said else "it said nothing"
