"""The rules of the engines: what the original Topaz cannot be asked for, and what changes nothing there."""

from __future__ import annotations

from collections.abc import Iterator

from pickery.config.schema import CrossValidateConfig, TrainConfig
from pickery.config.schema.base import as_word

NATIVE = "engine=native, which has it"


def errors(config: TrainConfig, *, held_out: bool) -> Iterator[str]:
    """Say which settings no Topaz has, each with a way out; `held_out`: whether any micrographs are."""
    if config.engine.name == "native":
        return
    if config.engine.executable is None:
        yield "engine.executable is missing: give the topaz program, such as engine.executable=/path/to/topaz."
    for key, value, why in _lacking(config):
        yield f"{key}={as_word(value)} cannot be used with engine=topaz: {why}."
    yield from _monitor(config, held_out)


def cross_validation(config: CrossValidateConfig) -> Iterator[str]:
    """Say what a cross-validation cannot ask of Topaz."""
    if config.engine.name == "topaz" and config.cross_validation.pruning == "halving":
        yield (
            "cross_validation.pruning=halving cannot be used with engine=topaz, which cannot stop a training and go on "
            "with it later: write cross_validation.pruning=none."
        )


def without_effect(config: TrainConfig) -> Iterator[tuple[str, str]]:
    """Give the settings that do nothing with the engine, each with the reason."""
    if config.engine.name == "native":
        yield "engine.executable", "with engine=native, which runs no other program"
        return
    yield "evaluation.stride", "with engine=topaz, which judges each epoch on all regions"
    yield "sampler.resident", "with engine=topaz, which holds the micrographs itself"
    if starts_itself(config):
        yield "model.prior_bias", "with engine=topaz and loss.autoencoder, where it begins by expecting half"


def starts_itself(config: TrainConfig) -> bool:
    """Whether Topaz must draw the first weights itself: a file of a network holds no decoder.

    With ``auto`` the picks decide.
    """
    return config.loss.autoencoder not in (0, "auto") and config.model.architecture.startswith("conv")


def _lacking(config: TrainConfig) -> Iterator[tuple[str, object, str]]:
    optimizer, trainer, data, loss = config.optimizer, config.trainer, config.data, config.loss
    if optimizer.name != "adam":
        yield "optimizer", optimizer.name, f"Topaz has adam only. Write optimizer=adam, or {NATIVE}"
    if optimizer.schedule != "constant":
        why = f"Topaz keeps the learning rate constant. Write optimizer.schedule=constant, or {NATIVE}"
        yield "optimizer.schedule", optimizer.schedule, why
    if config.sampler.name != "patches":
        why = f"Topaz trains on patches. Write sampler=patches, or {NATIVE}"
        yield "sampler", config.sampler.name, why
    if trainer.precision != 32:
        yield "trainer.precision", trainer.precision, f"Topaz has 32 bits only. Write trainer.precision=32, or {NATIVE}"
    if trainer.compile:
        yield "trainer.compile", True, f"Topaz does not compile. Write trainer.compile=false, or {NATIVE}"
    if trainer.devices > 1:
        yield "trainer.devices", trainer.devices, f"Topaz trains on one. Write trainer.devices=1, or {NATIVE}"
    for name in ("negatives", "masks"):
        value = getattr(data, name)
        if value is not None:
            yield f"data.{name}", value, f"Topaz takes none. Leave it out, or write {NATIVE}"
    has_decoder = config.model.architecture.startswith("conv")
    if loss.objective == "ge_kl" and loss.autoencoder != 0 and has_decoder:
        why = f"with loss=ge_kl Topaz leaves it out without a word. Write loss.autoencoder=0, another loss, or {NATIVE}"
        yield "loss.autoencoder", loss.autoencoder, why
    if config.model.pretrained is not None and starts_itself(config):
        why = f"with loss.autoencoder Topaz begins with weights of its own. Write loss.autoencoder=0, or {NATIVE}"
        yield "model.pretrained", config.model.pretrained, why


def _monitor(config: TrainConfig, held_out: bool) -> Iterator[str]:
    monitor = config.evaluation.monitor
    if monitor.startswith("pick_"):
        yield (
            f"evaluation.monitor={monitor} cannot be used with engine=topaz, which reports no such figure: write "
            "evaluation.monitor=auprc, precision, adjusted_precision, tpr, fpr or loss."
        )
    elif not held_out and monitor in ("adjusted_precision", "loss"):
        yield (
            f"evaluation.monitor={monitor} cannot be used with engine=topaz and data.test_fraction=0: of its training "
            "data Topaz reports no such figure. Write data.test_fraction=0.2, or evaluation.monitor=precision."
        )
