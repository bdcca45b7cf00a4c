"""Lightning's door to the data: minibatches by step, cut where the pixels are; held-out micrographs one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pickery.data.patches import cut, cut_side, rotate
from pickery.data.regions import LabelledRegions, label_map, marked_by
from pickery.data.sampler import RegionSampler

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


def shared_tensor(flat: NDArray[np.float32]) -> Tensor:
    """Wrap a read-only memory map as a tensor without copying it."""
    if not flat.flags.writeable:
        # torch warns of arrays that it could write to; a copy-on-write map of the same file shares the same pages
        flat = np.memmap(_map_file(flat), dtype=np.float32, mode="c", shape=flat.shape)
    return torch.from_numpy(flat)


def _map_file(flat: NDArray[np.float32]) -> str:
    """Name the file that a whole-file memory map maps."""
    assert isinstance(flat, np.memmap), "only memory-mapped prepared sets are read-only"
    assert flat.filename is not None
    assert flat.offset == 0, "a prepared set's map begins at the file's beginning"
    return str(flat.filename)


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
    """

    def __init__(self, sampler: RegionSampler, flat: NDArray[np.float32], side: int, *, cut_here: bool) -> None:
        self.sampler = sampler
        self.flat = flat if cut_here else None
        self.side = side

    def __getstate__(self) -> dict[str, Any]:
        """Send a loader process the mapped file's name, not its pixels."""
        state = self.__dict__.copy()
        if isinstance(self.flat, np.memmap):
            state["flat"] = _map_file(self.flat)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the file again in a loader process."""
        self.__dict__.update(state)
        if isinstance(state["flat"], str):
            self.flat = np.memmap(state["flat"], dtype=np.float32, mode="r")

    def __getitem__(self, step: int) -> MinibatchTensors:
        """Draw the minibatch of a global step."""
        cuts = self.sampler.draw(step)
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in vars(cuts).items()}
        if self.sampler.outputs == 1:  # the centre of a patch is a pixel
            del tensors["below"], tensors["beside"]
        if self.flat is not None:
            tensors["squares"] = cut_squares(shared_tensor(self.flat), tensors, self.side)
        return tensors


def cut_squares(flat: Tensor, tensors: MinibatchTensors, side: int) -> Tensor:
    """Cut what a minibatch of images of this side is interpolated from."""
    start, rows, columns, y, x = (tensors[name] for name in ("start", "rows", "columns", "y", "x"))
    return cut(flat, start, rows, columns, y, x, cut_side(side, between="below" in tensors))


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
    ) -> None:
        super().__init__()
        self.train, self.test = train, test
        self.region_sampler = sampler
        self.epoch_size = epoch_size
        self.side = side
        self.workers = workers
        self.resident = resident
        self._flat_on_device: Tensor | None = None

    def train_dataloader(self) -> DataLoader[MinibatchTensors]:
        """Load one epoch's minibatches in the order of their steps."""
        return DataLoader(
            MinibatchDataset(self.region_sampler, self.train.flat, self.side, cut_here=not self.resident),
            batch_size=None,
            sampler=StepSampler(self.epoch_size, self._reached),
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            multiprocessing_context="forkserver" if self.workers > 0 else None,
        )

    def _reached(self) -> int:
        step = 0 if self.trainer is None else self.trainer.global_step
        assert step % self.epoch_size == 0, "epochs are whole"
        return step

    def val_dataloader(self) -> DataLoader[dict[str, Any]] | Sequence[Any]:
        """Load the held-out micrographs."""
        if self.test is None or len(self.test) == 0:
            return []
        return DataLoader(HeldOutDataset(self.test), batch_size=None)

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
            squares = cut_squares(self._resident_flat(batch["start"].device), batch, self.side)
        where = {name: batch[name] for name in ("below", "beside") if name in batch}
        images = rotate(squares, batch["angle"], batch["mirror"], self.side, **where)
        return {"images": images, "labels": batch["label"].flatten()}

    def _resident_flat(self, device: torch.device) -> Tensor:
        if self._flat_on_device is None:
            # on the CPU the mapped file itself serves: its pages are shared with every process that trains on it
            self._flat_on_device = shared_tensor(self.train.flat).to(device)
        return self._flat_on_device
