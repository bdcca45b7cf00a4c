"""What a training takes: a few of its minibatches, measured in a process of their own, and what follows from them."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pickery.config.schema import TrainConfig
from pickery.errors import InputError
from pickery.formats.micrographs import read_micrograph
from pickery.orphans import end_with_parent, starting

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

WARM, TIMED = 2, 3
"""Minibatches before the clock starts, and those that it times."""
SCORED_SIDE = 512
"""Regions of a side of the made-up micrograph whose scoring is timed, if a micrograph has as many."""


@dataclass(frozen=True)
class Cost:
    """What was measured.

    Attributes
    ----------
    device
        Where.
    step_s
        Seconds of a minibatch.
    held_out_s, final_s
        Seconds of scoring a micrograph, as at each epoch's end and as at the end of the training.
    prepare_s
        Seconds of preparing a micrograph.
    memory_bytes
        Most memory that the process took; on a GPU, of the GPU.
    """

    device: str
    step_s: float
    held_out_s: float
    final_s: float
    prepare_s: float
    memory_bytes: int

    def total_s(self, config: TrainConfig, *, train: int, test: int, prepared: bool = False) -> float:
        """Give the seconds of a whole training on so many micrographs."""
        steps = config.trainer.epochs * config.sampler.epoch_size * self.step_s
        judged = config.trainer.epochs * test * self.held_out_s + max(1, test) * self.final_s
        return steps + judged + (0.0 if prepared else (train + test) * self.prepare_s)


def measure(config: TrainConfig, micrograph: Path, prepared: tuple[int, int]) -> Cost:
    """Measure in a new process, whose memory is its own.

    Parameters
    ----------
    config
        All settings, settled.
    micrograph
        One of them, to prepare.
    prepared
        Its (rows, columns) once prepared.

    Raises
    ------
    InputError
        When the system ends that process; and what goes wrong in it.
    """
    from multiprocessing import get_context

    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(sender, config, micrograph, prepared), daemon=True)
    try:
        with starting():
            process.start()
        sender.close()
        found = receiver.recv()
    except EOFError:
        raise InputError("the system ended what measured a few minibatches, for want of memory most likely") from None
    finally:
        if process.pid is not None:
            process.kill()
            process.join()
    if isinstance(found, Exception):
        raise found
    assert isinstance(found, Cost)
    return found


def _tell(sender: Connection, config: TrainConfig, micrograph: Path, prepared: tuple[int, int]) -> None:
    """Measure, and send what was found or went wrong."""
    end_with_parent()
    try:
        sender.send(_measure(config, micrograph, prepared))
    except Exception as error:
        sender.send(error)


def _measure(config: TrainConfig, micrograph: Path, prepared: tuple[int, int]) -> Cost:
    import torch

    from pickery.evaluation.score_map import score_map
    from pickery.memory import keep_freed_memory
    from pickery.model import build_model
    from pickery.preprocess.work import prepare_image
    from pickery.training import fit  # noqa: F401  what a training imports takes memory as well
    from pickery.training.choices import preprocess_settings, training_device
    from pickery.training.images import image_side

    keep_freed_memory()
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    image = read_micrograph(micrograph)
    begin = time.perf_counter()
    prepare_image(image, {**preprocess_settings(config), "seed": config.seed}, micrograph.name)
    prepare_s = time.perf_counter() - begin
    device = training_device(config)
    model = build_model(
        config.model.architecture,
        units=config.model.units,
        dropout=config.model.dropout,
        batch_norm=config.model.batch_norm,
        pooling=config.model.pooling,
        unit_scaling=config.model.unit_scaling,
        seed=config.seed,
    ).to(device)
    step_s = _step_seconds(config, model, image_side(config, model), device)
    rows, columns = (min(SCORED_SIDE, side) for side in prepared)
    noise = torch.randn((rows, columns), generator=torch.Generator().manual_seed(config.seed))
    part = prepared[0] * prepared[1] / (rows * columns)
    scored = []
    for stride in (config.evaluation.stride, 1):
        begin = time.perf_counter()
        score_map(model, noise, stride=stride, device=device)
        scored.append((time.perf_counter() - begin) * part)
    held_out_s, final_s = scored
    if device.type == "cuda":
        return Cost(
            torch.cuda.get_device_name(device), step_s, held_out_s, final_s, prepare_s, torch.cuda.max_memory_reserved()
        )
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    threads = torch.get_num_threads()
    return Cost(f"{threads} CPU thread{'s' if threads > 1 else ''}", step_s, held_out_s, final_s, prepare_s, peak)


def _step_seconds(config: TrainConfig, model: Any, side: int, device: Any) -> float:
    """Time a minibatch of noise, forward, backward and the optimizer's step."""
    import statistics

    import torch

    from pickery.loss import build_objective
    from pickery.training.optimizers import build_optimizer

    generator = torch.Generator().manual_seed(config.seed)
    size = config.sampler.minibatch_size // config.trainer.devices
    images = torch.randn((size, 1, side, side), generator=generator).to(device)
    model.to(memory_format=torch.channels_last).train()
    images = images.contiguous(memory_format=torch.channels_last)
    objective = build_objective(config.loss.objective, pi=0.05)
    optimizer = build_optimizer(config.optimizer.name, model.parameters(), learning_rate=1e-6)
    seconds = []
    for _ in range(WARM + TIMED):
        begin = time.perf_counter()
        scores = model(images).flatten()
        labels = (torch.arange(len(scores), device=device) % 4 == 0).float()
        optimizer.zero_grad()
        objective(scores, labels).total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begin)
    model.eval()
    return statistics.median(seconds[WARM:])
