"""What the runs of every engine share: the network they begin with, and what they tell of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pickery.config.load import flat
from pickery.config.schema import TrainConfig
from pickery.errors import InputError
from pickery.loss.prior import ObjectiveChoice
from pickery.model import Picker, build_model
from pickery.model.weights import LoadedWeights
from pickery.tracking import Tracker
from pickery.training.division import TrainingData
from pickery.training.finish import Finished
from pickery.training.history import Epoch
from pickery.training.listener import Listener


@dataclass(frozen=True)
class FitResult:
    """What a training gave.

    Attributes
    ----------
    folder
        The run's folder; its ``model.ckpt`` is the best epoch's model.
    best
        The best epoch's figures.
    epochs
        All epochs.
    objective
        The objective asked for and the one used.
    finished
        The best epoch over all regions and at pick level; None for a training that was stopped before its last epoch.
    """

    folder: Path
    best: Epoch
    epochs: tuple[Epoch, ...]
    objective: ObjectiveChoice
    finished: Finished | None


def first_model(config: TrainConfig, weights: LoadedWeights | None, listener: Listener) -> Picker:
    """Build the network, with the weights given or random ones.

    Raises
    ------
    InputError
        When the weights are of another architecture.
    """
    settings = config.model
    wanted: dict[str, Any] = {
        "architecture": settings.architecture,
        "units": settings.units,
        "dropout": settings.dropout,
        "batch_norm": settings.batch_norm,
        "pooling": settings.pooling,
        "unit_scaling": settings.unit_scaling,
    }
    model = build_model(**wanted, seed=config.seed)
    if weights is not None:
        listener.say(f"weights to start from: {weights.description}")
        # dropout has no weights
        other = {k: v for k, v in weights.architecture.items() if k != "dropout" and wanted[k] != v}
        if other:
            words = [f"model={v}" if k == "architecture" else f"model.{k}={str(v).lower()}" for k, v in other.items()]
            raise InputError(f"model.pretrained={settings.pretrained} holds other weights: it needs {' '.join(words)}")
        model.load_state_dict(weights.state_dict)
    # torch's stubs know this of tensors only
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def introduce(
    config: TrainConfig, data: TrainingData, choice: ObjectiveChoice, tracker: Tracker, provenance: Mapping[str, Any]
) -> None:
    """Tell the tracked run what it is: settings, versions, data."""
    tracker.parameters(flat(config))
    tracker.tags(
        {
            "mlflow.source.name": "pickery train",
            "mlflow.source.type": "LOCAL",
            "engine": config.engine.name,
            "objective_asked": choice.asked,
            "objective_used": choice.used,
            "data_fingerprint": data.fingerprint,
            "epochs": str(config.trainer.epochs),
            "device": str(provenance["device"]),
            "threads": str(provenance["threads"]),
            "pi": f"{choice.pi:.6g}",
            "observed": f"{choice.observed:.6g}",
        }
        | {f"version.{name}": number for name, number in provenance["versions"].items()}
        | ({"training_negatives": str(data.negative_count(data.train))} if data.negatives else {})
        | ({"masked_fraction": f"{data.masked_fraction((*data.train, *data.test)):.6g}"} if data.masked else {})
    )
    for side, names in (("training", data.train), ("test", data.test)):
        if names:
            tracker.data_set(
                f"{side} micrographs",
                digest=data.fingerprint,
                source=str(data.prepared.directory),
                context=side,
                profile={"micrographs": len(names), "picks": data.picks(names)},
            )


def track_epoch(tracker: Tracker, epoch: Epoch) -> None:
    """Record an epoch's figures in the tracked run."""
    figures = {f"train/{name}": value for name, value in epoch.train.items()}
    figures |= {f"test/{name}": value for name, value in (epoch.test or {}).items()}
    tracker.metrics(figures | {"learning_rate": epoch.learning_rate}, step=epoch.number)
