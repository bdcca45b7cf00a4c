"""What follows from settings and data together: the objective, the radii, the device, and what cannot be trained."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import torch

from pickery.config.schema import TrainConfig
from pickery.data.datamodule import LabelledMicrographs
from pickery.data.regions import LabelledRegions, disc_size
from pickery.errors import InputError
from pickery.evaluation.names import REGION_METRICS
from pickery.loss.prior import ObjectiveChoice, choose_objective, expected_pi
from pickery.model import Picker
from pickery.model.weights import load_weights
from pickery.sharing import usable_cores
from pickery.training.division import TrainingData
from pickery.training.held_out import PickLevel
from pickery.training.images import check_sizes, image_side

# training minibatches have no such figures
HELD_OUT_ONLY = ("auprc", "pick_average_precision", "pick_f1")


def check_fit(config: TrainConfig, data: TrainingData, model: Picker) -> None:
    """Refuse what cannot be trained, before anything is.

    Raises
    ------
    InputError
        When a patch is larger than a micrograph, or the best epoch cannot be chosen.
    """
    shapes = ((int(rows), int(columns)) for rows, columns in data.prepared.shapes)
    check_sizes(config, zip(data.prepared.names, shapes, strict=True), image_side(config, model))
    if not data.test and config.evaluation.monitor in HELD_OUT_ONLY:
        raise InputError(
            f"evaluation.monitor={config.evaluation.monitor} needs held-out micrographs, and there are none: set "
            f"data.test_fraction, or monitor one of {', '.join(m for m in REGION_METRICS if m not in HELD_OUT_ONLY)}"
        )
    if config.engine.name != "native" or not data.test:
        return  # Topaz judges every region
    stride, test = config.evaluation.stride, data.labelled(data.test)
    if not any(test.labels(i)[::stride, ::stride].any() for i in range(len(test))):
        raise InputError(
            f"evaluation.stride={stride} meets none of the positive regions of the held-out micrographs, so that no "
            "epoch could be judged: lower it, or hold out micrographs with more picks (data.test_fraction)"
        )


def pi_of(data: TrainingData, micrographs: LabelledMicrographs) -> float:
    """Work out pi, the expected fraction of positive regions among those of these micrographs that are not masked."""
    try:
        return expected_pi(data.expected_particles, len(micrographs), disc_size(data.radius), micrographs.region_count)
    except InputError as error:
        if not micrographs.masked:
            raise
        raise InputError(f"{error} Regions in masks (data.masks) are not counted.") from error


def choose(
    config: TrainConfig, data: TrainingData, train: LabelledMicrographs, regions: LabelledRegions
) -> ObjectiveChoice:
    """Choose the objective: the one asked for, or PN where a GE objective has nothing left to expect."""
    return choose_objective(
        config.loss.objective,
        pi=pi_of(data, train),
        observed=regions.observed,
        expected_particles=data.expected_particles,
        mean_picks=data.picks(data.train) / len(data.train),
    )


def about_negatives(data: TrainingData, regions: LabelledRegions) -> Iterator[str]:
    """Say what becomes of known negatives that are not used as such.

    Parameters
    ----------
    data
        The data of the training.
    regions
        Those of the training micrographs.
    """
    given = data.negative_count(list(data.negatives))
    if given and not data.negative_count(data.train):
        yield (
            f"none of the {given} positions of data.negatives is on a training micrograph: they change nothing, as "
            "held-out micrographs are judged by their picks alone"
        )
    if regions.contested:
        yield (
            f"{regions.contested} regions are within data.radius of both a pick and a position of data.negatives: "
            "they count as positive"
        )


def pick_level(config: TrainConfig, data: TrainingData) -> PickLevel:
    """Work out how picks are taken: the stated radii, or those that follow from the diameter or the disc."""
    settings = config.evaluation
    extraction = settings.extraction_radius
    if extraction is None and config.data.particle_diameter is not None:
        if data.pixel_size_angstrom is None:
            raise InputError(
                "data.particle_diameter is in Å, but the micrographs' headers do not give their pixel size: set "
                "data.pixel_size, or evaluation.extraction_radius instead"
            )
        scale = sum(data.prepared.scale(0)) / 2
        extraction = max(1, round(config.data.particle_diameter / (2 * data.pixel_size_angstrom * scale)))
    elif extraction is None:
        # RELION trains on discs of an eighth of the diameter and extracts at a half: four times as much
        extraction = max(1, 4 * data.radius)
    match = float(extraction) if settings.match_radius is None else settings.match_radius
    return PickLevel(extraction, match, settings.score_threshold)


def preprocess_settings(config: TrainConfig) -> dict[str, Any]:
    """Collect the preprocessing settings that travel inside the model file."""
    settings = config.preprocess
    return {
        "downsample": settings.factor,
        "method": settings.method,
        "pixel_sampling": settings.pixel_sampling,
        "iterations": settings.iterations,
    }


def describe(config: TrainConfig, data: TrainingData, choice: ObjectiveChoice, *, devices: int = 1) -> dict[str, Any]:
    """Collect where a model comes from: versions, seed, threads, device and their number, data, objective."""
    device = training_device(config)
    return {
        "versions": package_versions(),
        "seed": config.seed,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "devices": devices,
        "data": data.fingerprint,
        "radius": data.radius,
        "expected_particles": data.expected_particles,
        "pixel_size_angstrom": data.pixel_size_angstrom,
        "objective_asked": choice.asked,
        "objective_used": choice.used,
        "pi": choice.pi,
        "observed": choice.observed,
    }


def package_versions() -> dict[str, str]:
    """Give the versions of what a training's figures may depend on."""
    from importlib.metadata import version

    packages = ("pickery", "torch", "numpy", "scipy", "pytorch-lightning", "hydra-core", "mlflow", "mrcfile")
    return {name: version(name) for name in packages}


def training_device(config: TrainConfig) -> torch.device:
    """Give the device that trains, the first of ``trainer.devices``."""
    wants_gpu, devices = config.trainer.accelerator in ("auto", "gpu"), config.trainer.devices
    if wants_gpu and torch.cuda.is_available():
        if devices > (count := torch.cuda.device_count()):
            raise InputError(
                f"trainer.devices={devices}, but torch finds {count} {'GPU' if count == 1 else 'GPUs'}: use "
                f"trainer.devices={count}"
            )
        return torch.device("cuda", torch.cuda.current_device())
    if config.trainer.accelerator == "gpu":
        raise InputError("trainer.accelerator=gpu, but torch finds no GPU: use trainer.accelerator=cpu or auto")
    if config.trainer.precision == "16-mixed":
        raise InputError(
            "trainer.precision=16-mixed needs a GPU, and torch finds none: use trainer.precision=bf16-mixed or 32"
        )
    if devices > 1 and devices > (cores := usable_cores()):
        raise InputError(
            f"trainer.devices={devices} on the CPU are as many processes, and this one may use {cores} "
            f"{'core' if cores == 1 else 'cores'}: use trainer.devices={cores}"
        )
    return torch.device("cpu")


def own_gpu(local_rank: int) -> torch.device:
    """Choose the GPU of one of several processes on a machine, and have it used where none is named.

    Raises
    ------
    InputError
        When there are fewer GPUs than processes.
    """
    count = torch.cuda.device_count()
    if count > 1 and local_rank >= count:
        raise InputError(
            f"torch finds {count} GPUs for {local_rank + 1} or more processes on this machine: start one process for "
            "each GPU"
        )
    # a process that is shown a single GPU has been given its own
    device = torch.device("cuda", 0 if count == 1 else local_rank)
    torch.cuda.set_device(device)
    return device


def pretrained_hash(config: TrainConfig) -> str | None:
    """Hash the weights that a training begins from; None for random ones."""
    if config.model.pretrained is None:
        return None
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(load_weights(config.model.pretrained).state_dict.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
