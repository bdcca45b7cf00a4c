"""The rules across the settings of a training: what cannot go together, what has no effect, what is advised against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

from pickery.config import rules_engine
from pickery.config.catalogue import settings
from pickery.config.schema import PreprocessConfig, Settings, SimulateConfig, TrainConfig, command_of
from pickery.config.schema.base import as_word
from pickery.config.schema.data import OF_FILES

MICROGRAPHS = "give the micrographs, such as data.micrographs=FOLDER."
_EXPECTED = (
    "it is the average number of particles actually present in one micrograph, labelled or not. Count them in two or "
    "three micrographs and write data.expected_particles=NUMBER."
)


def errors(config: TrainConfig, *, expected_may_lack: bool = False) -> Iterator[str]:
    """Say what cannot go together, each time naming the settings and a way out."""
    yield from _data(config)
    if config.data.expected_particles is None and not expected_may_lack:
        yield f"data.expected_particles is missing: {_EXPECTED}"
    yield from _held_out(config)
    yield from needs_held_out(config)
    yield from _network(config)
    yield from _minibatch(config)
    yield from _device(config)
    yield from rules_engine.errors(config, held_out=holds_out(config))
    yield from simulation(config)


def network(config: TrainConfig) -> str:
    """Give the network, as far as settings alone say: resnet8 for ``auto``, unless a diameter chooses another."""
    return "resnet8" if config.model.architecture == "auto" else config.model.architecture


def is_resnet(config: TrainConfig) -> bool:
    """Whether the network is one of the residual ones."""
    return network(config).startswith("resnet")


def holds_out(config: TrainConfig) -> bool:
    """Whether any micrographs are held out."""
    data = config.data
    return data.test_micrographs is not None or data.folds is not None or data.test_fraction > 0


# ---- what cannot go together


def _data(config: TrainConfig) -> Iterator[str]:
    data = config.data
    if data.source == "files":
        if data.micrographs is None:
            yield f"data.micrographs is missing: {MICROGRAPHS}"
        if data.picks is None:
            yield "data.picks is missing: give the labelled particle centres, such as data.picks=picks.star."
    else:
        for name in OF_FILES:
            value = getattr(data, name)
            if value != _default(config, f"data.{name}"):
                yield (
                    f"data.{name}={as_word(value)} cannot be used with data=simulated: write data=files to use your "
                    f"own data, or leave data.{name} out."
                )
    if data.expected_particles == "auto" and data.particle_diameter is None:
        yield (
            "data.expected_particles=auto needs data.particle_diameter: particles are counted a diameter apart. Give "
            "it in Å, such as data.particle_diameter=150."
        )


def _held_out(config: TrainConfig) -> Iterator[str]:
    data = config.data
    if data.test_micrographs is not None and data.test_picks is None and data.source == "files":
        yield "data.test_micrographs needs data.test_picks: give the picks of the held-out micrographs."
    if data.test_picks is not None and data.test_micrographs is None and data.source == "files":
        yield "data.test_picks needs data.test_micrographs: give the micrographs that they were picked on."
    if data.fold is not None and data.folds is None:
        yield f"data.fold={data.fold} needs data.folds: write into how many folds to split, such as data.folds=5."
    if data.folds is not None and data.fold is None:
        yield (
            f"data.folds={data.folds} needs data.fold: write which fold to hold out, from data.fold=0 to "
            f"data.fold={data.folds - 1}."
        )
    if data.folds is not None and data.fold is not None and data.fold >= data.folds:
        yield (
            f"data.fold={data.fold} does not exist with data.folds={data.folds}: the folds are 0 to {data.folds - 1}."
        )
    if data.folds is not None and data.test_micrographs is not None:
        yield (f"data.folds={data.folds} and data.test_micrographs both say what to hold out: leave one of them out.")


def needs_held_out(config: TrainConfig) -> Iterator[str]:
    """Say that the best epoch is chosen on held-out micrographs, where there are none."""
    monitor = config.evaluation.monitor
    if not holds_out(config) and monitor.startswith(("auprc", "pick_")):
        yield (
            f"evaluation.monitor={monitor} is measured on held-out micrographs, and data.test_fraction=0 holds none "
            "out: write data.test_fraction=0.2, or evaluation.monitor=precision."
        )


def _network(config: TrainConfig) -> Iterator[str]:
    model, autoencoder = config.model, config.loss.autoencoder
    name = network(config)
    if is_resnet(config):
        if model.pooling == "average":
            yield (
                f"model.pooling=average cannot be used with model={name}: write model.pooling=max or "
                "model.pooling=none, or a conv network, such as model=conv31."
            )
        if autoencoder != "auto" and autoencoder > 0:
            which = "model=auto, which may take a resnet" if model.architecture == "auto" else f"model={name}"
            yield (
                f"loss.autoencoder={autoencoder:g} cannot be used with {which}: write loss.autoencoder=0, or a "
                "conv network, such as model=conv63."
            )
        return
    if model.pooling == "max":
        yield (
            f"model.pooling=max cannot be used with model={name}: write model.pooling=average or model.pooling=none, "
            "or a resnet, such as model=resnet8."
        )
    if model.dropout > 0:
        yield (
            f"model.dropout={model.dropout:g} cannot be used with model={name}: write model.dropout=0, or a resnet, "
            "such as model=resnet8."
        )


def _minibatch(config: TrainConfig) -> Iterator[str]:
    sampler = config.sampler
    positives = max(1, round(sampler.balance * sampler.minibatch_size))
    labelled = positives if config.data.negatives is None else 2 * positives
    if sampler.minibatch_size <= labelled:
        images = sampler.name
        one = "patch" if images == "patches" else "crop"
        beside = "" if labelled == positives else f", with as many negative {images} (data.negatives) as positive ones"
        yield (
            f"sampler.balance={sampler.balance:g} of sampler.minibatch_size={sampler.minibatch_size} leaves no "
            f"unlabeled {one}{beside}: write a smaller sampler.balance, such as 0.0625, or a larger "
            "sampler.minibatch_size."
        )
    devices, size = config.trainer.devices, sampler.minibatch_size
    if size % devices:
        fewer = max(number for number in range(1, devices) if size % number == 0)
        yield (
            f"sampler.minibatch_size={size} cannot be shared out equally to trainer.devices={devices}: write "
            f"sampler.minibatch_size={-(-size // devices) * devices}, or trainer.devices={fewer}."
        )


def _device(config: TrainConfig) -> Iterator[str]:
    if config.trainer.precision == "16-mixed" and config.trainer.accelerator == "cpu":
        yield (
            "trainer.precision=16-mixed needs a GPU, and trainer.accelerator=cpu asks for none: write "
            "trainer.precision=bf16-mixed or trainer.precision=32, or trainer.accelerator=gpu."
        )


def simulation(config: TrainConfig | SimulateConfig) -> Iterator[str]:
    """Say what simulated data cannot have together."""
    lowest, highest = config.simulation.defocus_lowest_micrometre, config.simulation.defocus_highest_micrometre
    if lowest > highest:
        yield (
            f"simulation.defocus_lowest_micrometre={lowest:g} is above "
            f"simulation.defocus_highest_micrometre={highest:g}: exchange them."
        )


# ---- what has no effect


def without_effect(config: TrainConfig | PreprocessConfig) -> dict[str, str]:
    """Give the settings that do nothing beside the others, whatever their value, each with the reason."""
    found = {} if isinstance(config, PreprocessConfig) else dict(_without_effect(config))
    if config.preprocess.method == "affine":
        why = "with preprocess.method=affine, which fits no mixture"
        found |= dict.fromkeys(("preprocess.iterations", "preprocess.pixel_sampling"), why)
    return found


def unused(config: Settings, reasons: Mapping[str, str]) -> Iterator[str]:
    """Warn of those settings that were changed although they do nothing."""
    for key, why in reasons.items():
        value = reduce(getattr, key.split("."), config)
        if value != _default(config, key):
            yield f"{key}={as_word(value)} has no effect {why}."


def _without_effect(config: TrainConfig) -> Iterator[tuple[str, str]]:
    loss, optimizer, data, tracking = config.loss, config.optimizer, config.data, config.tracking
    if loss.objective in ("pn", "pu"):
        yield "loss.slack", f"with loss={loss.objective}, which has no expectation term"
    if config.sampler.name == "patches":
        yield "sampler.outputs", "with sampler=patches, which have one score each"
    if data.negatives is None:
        yield "loss.negative_weight", "without data.negatives"
    if loss.autoencoder == 0 or (loss.autoencoder == "auto" and is_resnet(config)):
        given = "loss.autoencoder=0" if loss.autoencoder == 0 else f"model={network(config)}"
        yield "loss.decoder_unit_scaling", f"with {given}, which has no decoder"
    if config.model.pretrained is not None:
        yield "model.prior_bias", "with model.pretrained, which brings its own bias"
    if optimizer.name != "adamw":
        yield "optimizer.weight_decay", f"with optimizer={optimizer.name}: adamw only"
    if optimizer.name != "sgd":
        yield "optimizer.momentum", f"with optimizer={optimizer.name}: sgd only"
    if data.test_micrographs is not None:
        yield "data.test_fraction", "with data.test_micrographs, which are what is held out"
    elif data.folds is not None:
        yield "data.test_fraction", "with data.fold, which is what is held out"
    elif not holds_out(config):
        yield "evaluation.stride", "with data.test_fraction=0: nothing is held out to be judged"
    if data.source == "files":
        yield from dict.fromkeys(in_group(config, "simulation"), "with data=files").items()
    else:
        yield "data.unpicked", "with data=simulated: each of its micrographs has picks"
        yield "preprocess.skip_bad", "with data=simulated: none of its micrographs is bad"
    yield from rules_engine.without_effect(config)
    is_open = config.preprocess.downsample is None or data.radius is None or config.model.architecture == "auto"
    counts = data.expected_particles == "auto"
    if (radius := config.evaluation.extraction_radius) is not None and not is_open and not counts:
        yield "data.particle_diameter", f"with evaluation.extraction_radius={radius} and all else that it would set"
    if not tracking.enabled:
        names = [key for key in in_group(config, "tracking") if key != "tracking.enabled"]
        yield from dict.fromkeys(names, "with tracking=off").items()
    elif tracking.uri is not None:
        yield "tracking.root", f"with tracking.uri={tracking.uri}"


# ---- what the field advises against


def advice(config: TrainConfig) -> Iterator[tuple[str, str]]:
    """Give the settings whose values the field advises against, each with a sentence that says so."""
    if config.loss.l2 >= 1:
        yield "loss.l2", f"loss.l2={config.loss.l2:g} is strong: below 1 is recommended."
    if config.model.dropout >= 0.5:
        yield "model.dropout", f"model.dropout={config.model.dropout:g} is strong: below 0.5 is recommended."
    if not holds_out(config):
        yield (
            "data.test_fraction",
            "data.test_fraction=0 holds no micrographs out, so figures of the training data choose the best epoch: "
            "data.test_fraction=0.2 is recommended.",
        )
    if config.optimizer.name == "adamw" and config.optimizer.weight_decay == 0:
        yield (
            "optimizer.weight_decay",
            "optimizer.weight_decay=0 makes adamw plain adam: optimizer=adamw sets it to 0.01.",
        )


def in_group(config: Settings, group: str) -> list[str]:
    """Give the names of a group's settings."""
    return [f"{group}.{name}" for name in type(getattr(config, group)).model_fields]


def _default(config: Settings, key: str) -> Any:
    return settings(command_of(config))[key].default
