"""What the runs of every engine share: how they begin, what they tell of themselves, and how they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pickery.config.load import flat
from pickery.config.schema import TrainConfig
from pickery.data.datamodule import LabelledMicrographs
from pickery.data.regions import LabelledRegions
from pickery.errors import InputError
from pickery.loss.prior import ObjectiveChoice
from pickery.memory import keep_freed_memory
from pickery.model import Picker, build_model, set_expected_fraction
from pickery.model.weights import LoadedWeights, load_weights, save_model
from pickery.tracking import Tracker
from pickery.training.choices import (
    check_fit,
    choose,
    pi_of,
    pick_level,
    preprocess_settings,
    training_device,
)
from pickery.training.division import TrainingData
from pickery.training.held_out import PickLevel
from pickery.training.history import Epoch, best_epoch
from pickery.training.listener import Listener

if TYPE_CHECKING:
    from pickery.training.finish import Finished


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


@dataclass(frozen=True)
class Beginning:
    """What a training begins with.

    Attributes
    ----------
    train, test
        The training micrographs; the held-out ones, None without any.
    regions
        Those of the training micrographs, labelled: of thousands of micrographs that takes seconds, so it is done once.
    model
        The network before its first step.
    choice
        The objective and its pi.
    picks
        What counts as a pick and as a hit.
    """

    train: LabelledMicrographs
    test: LabelledMicrographs | None
    regions: LabelledRegions
    model: Picker
    choice: ObjectiveChoice
    picks: PickLevel


def begin(config: TrainConfig, data: TrainingData, listener: Listener) -> Beginning:
    """Build the network and settle the objective.

    Raises
    ------
    InputError
        When the data do not suit the settings: patches larger than a micrograph, pi of 1 or more, nothing to choose
        the best epoch by, weights of another architecture.
    """
    keep_freed_memory()
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    train = data.labelled(data.train)
    test = data.labelled(data.test) if data.test else None
    weights = None if config.model.pretrained is None else load_weights(config.model.pretrained)
    model = first_model(config, weights, listener)
    check_fit(config, data, model)
    regions = train.regions()
    choice = choose(config, data, train, regions)
    if choice.warning:
        listener.warn(choice.warning)
    if weights is None and config.model.prior_bias:
        set_expected_fraction(model, max(choice.pi, choice.observed))
    return Beginning(train, test, regions, model, choice, pick_level(config, data))


def introduce(config: TrainConfig, data: TrainingData, tracker: Tracker, provenance: Mapping[str, Any]) -> None:
    """Tell the tracked run what it is: settings, versions, data."""
    tracker.parameters(flat(config))
    tracker.tags(
        {
            "mlflow.source.name": "pickery train",
            "mlflow.source.type": "LOCAL",
            "engine": config.engine.name,
            "objective_asked": provenance["objective_asked"],
            "objective_used": provenance["objective_used"],
            "data_fingerprint": data.fingerprint,
            "epochs": str(config.trainer.epochs),
            "device": str(provenance["device"]),
            "devices": str(provenance["devices"]),
            "threads": str(provenance["threads"]),
            "pi": f"{provenance['pi']:.6g}",
            "observed": f"{provenance['observed']:.6g}",
        }
        | ({"chosen": "; ".join(data.remarks)} if data.remarks else {})
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


def track_finished(tracker: Tracker, folder: Path, config: TrainConfig, summary: Mapping[str, Any]) -> None:
    """Record a finished run's best figures, plots, tables and model; what the tracked run has of them stays single.

    Parameters
    ----------
    tracker
        Told of them.
    folder
        The run's folder.
    config
        All settings.
    summary
        What ``summary.json`` says.
    """
    best = int(summary["best_epoch"])
    regions = {name: value for name, value in summary["regions"].items() if value is not None}
    figures = regions | {name: value for name, value in summary["picks"].items() if isinstance(value, (int, float))}
    if best not in tracker.steps("best/epoch"):  # whoever told it may have been killed before it was finished
        tracker.metrics({f"best/{name}": value for name, value in figures.items()} | {"best/epoch": best}, step=best)
    tracker.artifacts(sorted((folder / "plots").glob("*.png")), "plots")
    tracker.artifacts([folder / name for name in ("metrics.csv", "micrographs.csv")])
    tracker.model(folder / "model.ckpt", name=config.model.architecture, step=best, metrics=regions)


def save_epoch(
    folder: Path,
    config: TrainConfig,
    model: Picker,
    epoch: Epoch,
    *,
    picks: PickLevel,
    provenance: Mapping[str, Any],
) -> None:
    """Write ``model.ckpt``: the network as it was after an epoch, the best so far."""
    save_model(
        folder / "model.ckpt",
        model,
        preprocess=preprocess_settings(config),
        picking={"extraction_radius": picks.extraction_radius, "match_radius": picks.match_radius},
        metrics={f"test_{name}": value for name, value in (epoch.test or {}).items()} | {"epoch": epoch.number},
        provenance=provenance,
    )


def conclude(
    folder: Path,
    config: TrainConfig,
    data: TrainingData,
    epochs: Sequence[Epoch],
    *,
    picks: PickLevel,
    choice: ObjectiveChoice,
    provenance: Mapping[str, Any],
    tracker: Tracker,
    listener: Listener,
) -> FitResult:
    """Find the best epoch, and, after the last one, judge its model closely and finish the folder.

    Raises
    ------
    InputError
        When no epoch has the monitored figure.
    """
    best = best_epoch(epochs, config.evaluation.monitor)
    if best is None:
        raise InputError(
            f"no epoch has a figure for evaluation.monitor={config.evaluation.monitor} (it is nan throughout): "
            "choose another, or hold out micrographs with more picks"
        )
    if len(epochs) < config.trainer.epochs:
        return FitResult(folder, best, tuple(epochs), choice, None)
    from pickery.training.finish import finish_run  # draws: not in memory while the network trains

    listener.working("scoring all regions")
    finished = finish_run(
        folder,
        config=config,
        data=data,
        epochs=epochs,
        best=best,
        picks=picks,
        pi=pi_of(data, data.labelled(data.test or data.train)),
        choice=choice,
        provenance=provenance,
        tracker=tracker,
        device=training_device(config),
    )
    return FitResult(folder, best, tuple(epochs), choice, finished)
