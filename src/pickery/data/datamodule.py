"""Lightning's door to the data: minibatches by step, cut where the pixels are; held-out micrographs one by one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pickery.data.patches import rotate
from pickery.data.pixels import Pixels, cut_squares
from pickery.data.regions import LabelledRegions, label_map, marked_by
from pickery.data.sampler import RegionSampler
from pickery.orphans import end_with_parent, starting

MinibatchTensors = dict[str, Tensor]


@dataclass(frozen=True)
class LabelledMicrographs:
    """Prepared micrographs of one side of the split, with their picks.

    Attributes
    ----------
    names
        The micrographs' names.
    flat : float32, shape (pixels,)
        The prepared set's flat image, read-only; holds these micrographs and maybe others.
    starts : int64, shape (n,)
        Where each micrograph begins in ``flat``.
    shapes : int64, shape (n, 2)
        ``(rows, columns)``.
    points
        Each micrograph's picks, ``(x, y)`` in pixels of the downsampled micrograph.
    radius
        Disc radius of a positive region, and of a negative one.
    negatives
        Each micrograph's points known to hold no particle, likewise; empty where none are known.
    masked
        Each micrograph's masked regions, as `pickery.data.regions.runs_of` writes them; empty without masks.
    """

    names: tuple[str, ...]
    flat: NDArray[np.float32]
    starts: NDArray[np.int64]
    shapes: NDArray[np.int64]
    points: tuple[NDArray[np.float64], ...]
    radius: int
    negatives: tuple[NDArray[np.float64], ...] = ()
    masked: tuple[NDArray[np.int64], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def regions(self) -> LabelledRegions:
        """Label the regions of these micrographs."""
        return LabelledRegions.label(
            self.starts, self.shapes, self.points, self.radius, negatives=self.negatives, masked=self.masked
        )

    @property
    def region_count(self) -> int:
        """Number of regions that are not masked."""
        return int(self.shapes.prod(axis=1).sum()) - sum(int(np.diff(runs).sum()) for runs in self.masked)

    def image(self, index: int) -> NDArray[np.float32]:
        """View one micrograph, ``[y, x]``."""
        rows, columns = (int(side) for side in self.shapes[index])
        start = int(self.starts[index])
        return self.flat[start : start + rows * columns].reshape(rows, columns)

    def labels(self, index: int) -> NDArray[np.bool_]:
        """Mark the positive regions of one micrograph, ``[y, x]``."""
        labels = label_map(self.points[index], self._shape(index), self.radius)
        mask = self.mask(index)
        return labels if mask is None else labels & ~mask

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """Mark the masked regions of one micrograph, ``[y, x]``; None where there are none."""
        if not self.masked or not len(self.masked[index]):
            return None
        return marked_by(self.masked[index], self._shape(index))

    def _shape(self, index: int) -> tuple[int, int]:
        rows, columns = (int(side) for side in self.shapes[index])
        return rows, columns


class StepSampler(Sampler[int]):
    """Yields the global steps of an epoch, from the step that the training has reached.

    Parameters
    ----------
    epoch_size
        Minibatches in an epoch.
    reached
        Gives the global step reached: a resumed training goes on from its own, not from 0.
    """

    def __init__(self, epoch_size: int, reached: Callable[[], int]) -> None:
        self.epoch_size = epoch_size
        self.reached = reached

    def __iter__(self) -> Iterator[int]:
        first = self.reached()
        return iter(range(first, first + self.epoch_size))

    def __len__(self) -> int:
        return self.epoch_size


class MinibatchDataset(Dataset[MinibatchTensors]):
    """A minibatch for each global step: what to cut, and, when the micrographs stay on disk, the squares themselves.

    Parameters
    ----------
    sampler
        Draws the minibatches.
    flat
        All pixels.
    side
        Of the images.
    cut_here
        Whether to cut.
    share
        Which images of each minibatch to give.
    """

    def __init__(
        self,
        sampler: RegionSampler,
        flat: NDArray[np.float32],
        side: int,
        *,
        cut_here: bool,
        share: slice = slice(None),
    ) -> None:
        self.sampler = sampler
        self.share = share
        self.pixels = Pixels(flat) if cut_here else None
        self.side = side

    def __getitem__(self, step: int) -> MinibatchTensors:
        """Draw the minibatch of a global step."""
        cuts = self.sampler.draw(step)
        shares = {name: np.ascontiguousarray(array[self.share]) for name, array in vars(cuts).items()}
        tensors = {name: torch.from_numpy(array) for name, array in shares.items()}
        if self.sampler.outputs == 1:  # the centre of a patch is a pixel
            del tensors["below"], tensors["beside"]
        if self.pixels is not None:
            tensors["squares"] = self.pixels.squares(tensors, self.side)
        return tensors


def begin_loader(worker: int) -> None:
    """Begin a loader process: it ends with the training, and says nothing of a training that left."""
    # torch's own watch is on the server that forked the process, which a killed training leaves behind with it
    end_with_parent()
    say_nothing_of_a_reader_that_left()


def say_nothing_of_a_reader_that_left() -> None:
    """Keep a loader process from printing a traceback when the training ends while a minibatch is handed over.

    The thread that hands a tensor's file descriptor over meets a closed socket then and calls `sys.excepthook`.
    Errors of the drawing itself do not come this way: the loader carries them to the training.
    """

    def tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not issubclass(kind, ConnectionError | EOFError):
            sys.__excepthook__(kind, error, traceback)

    sys.excepthook = tell


class HeldOutDataset(Dataset[dict[str, Any]]):
    """Held-out micrographs, one by one, with their labels."""

    def __init__(self, micrographs: LabelledMicrographs) -> None:
        self.micrographs = micrographs

    def __len__(self) -> int:
        return len(self.micrographs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give one micrograph's index, image and labels."""
        image = np.array(self.micrographs.image(index))
        labels = self.micrographs.labels(index)
        return {"index": index, "image": torch.from_numpy(image), "labels": torch.from_numpy(labels)}


class _MinibatchLoader(DataLoader[MinibatchTensors]):
    """Starts all of its processes before it lets a request to end through: one half started would be nobody's."""

    def __iter__(self) -> Any:
        if not self.num_workers:
            return super().__iter__()
        with starting():
            return super().__iter__()


class PickerDataModule(pl.LightningDataModule):
    """Minibatches for training, whole micrographs for evaluation.

    Parameters
    ----------
    train
        The training micrographs.
    test
        The held-out micrographs, if any.
    sampler
        Draws the minibatches.
    epoch_size
        Minibatches in an epoch.
    side
        Of the images of a minibatch: the model's receptive field for patches, more for crops.
    workers
        Loader processes that draw minibatches ahead; 0 draws them in this process. The minibatches are the same.
    resident
        Hold all micrographs on the training device and cut there; otherwise they stay memory-mapped and only the
        squares cut out of them travel. The images are the same.
    rank, ranks
        Where several processes train together, which of how many this one is. Every ``ranks``-th image of a minibatch
        is its own, from number ``rank`` on, so that each has its share of the positive ones, which come first; and so
        with the held-out micrographs.
    """

    def __init__(
        self,
        *,
        train: LabelledMicrographs,
        test: LabelledMicrographs | None,
        sampler: RegionSampler,
        epoch_size: int,
        side: int,
        workers: int = 0,
        resident: bool = True,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True  # of held-out micrographs
        self.rank, self.ranks = rank, ranks
        self.train, self.test = train, test
        self.region_sampler = sampler
        self.epoch_size = epoch_size
        self.side = side
        self.workers = workers
        self.resident = resident
        self._pixels = Pixels(train.flat)
        self._flat_on_device: Tensor | None = None

    def train_dataloader(self) -> DataLoader[MinibatchTensors]:
        """Load one epoch's minibatches in the order of their steps."""
        return _MinibatchLoader(
            MinibatchDataset(
                self.region_sampler,
                self.train.flat,
                self.side,
                cut_here=not self.resident,
                share=slice(self.rank, None, self.ranks),
            ),
            batch_size=None,
            sampler=StepSampler(self.epoch_size, self._reached),
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            multiprocessing_context="forkserver" if self.workers > 0 else None,
            worker_init_fn=begin_loader,
        )

    def _reached(self) -> int:
        step = 0 if self.trainer is None else self.trainer.global_step
        assert step % self.epoch_size == 0, "epochs are whole"
        return step

    def val_dataloader(self) -> DataLoader[dict[str, Any]] | Sequence[Any]:
        """Load the held-out micrographs; where several processes train together, those of this one, if any."""
        if self.test is None or len(self.test) == 0:
            return []
        own = range(self.rank, len(self.test), self.ranks)
        return DataLoader(HeldOutDataset(self.test), batch_size=None, sampler=own)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Bring the tensors of a batch to the device."""
        return {
            name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
            for name, value in batch.items()
        }

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Cut, rotate and mirror a training minibatch on the device."""
        if "angle" not in batch:
            return batch
        squares = batch.get("squares")
        if squares is None:
            squares = self._resident_squares(batch)
        where = {name: batch[name] for name in ("below", "beside") if name in batch}
        images = rotate(squares, batch["angle"], batch["mirror"], self.side, **where)
        return {"images": images, "labels": batch["label"].flatten()}

    def _resident_squares(self, batch: MinibatchTensors) -> Tensor:
        device = batch["start"].device
        if device.type == "cpu":
            # the mapped file itself serves: its pages are shared with every process that trains on it
            return self._pixels.squares(batch, self.side)
        if self._flat_on_device is None:
            self._flat_on_device = self._pixels.tensor.to(device)
        return cut_squares(self._flat_on_device, batch, self.side)
