"""How a picker is trained and judged: minibatches, network, objective, optimizer, device, best epoch."""

from typing import Annotated, Literal

from pydantic import Field

from pickery.config.schema.base import File, Settings, Slack, Stride


class SamplerGroup(Settings):
    """Minibatches of patches or crops."""

    name: Literal["patches", "crops"] = Field(
        "crops",
        description="Chosen by sampler=crops (several scores each, which share most of the work) or sampler=patches "
        "(one score each, as Topaz).",
    )
    minibatch_size: int = Field(96, ge=2, description="Crops or patches in a minibatch.")
    balance: float = Field(
        0.25,
        gt=0,
        lt=1,
        description="Share of each minibatch that is drawn for positive regions; at least one always is.",
    )
    outputs: int = Field(2, ge=1, le=64, description="Scores along each side of a crop; crops only.")
    epoch_size: int = Field(1000, ge=1, description="Minibatches in an epoch.")
    workers: int = Field(
        0, ge=0, description="Loader processes; the run is the same whatever their number. 0: none beside training."
    )
    resident: Literal["auto"] | bool = Field(
        "auto", description="Whether the prepared micrographs stay in the device's memory; auto: when they fit."
    )


class ModelGroup(Settings):
    """The network."""

    architecture: Literal["auto", "resnet8", "resnet16", "conv31", "conv63", "conv127"] = Field(
        "auto",
        description="Chosen by model=NAME. auto: resnet8, or by data.particle_diameter conv31 for particles that are "
        "at most half of its patch wide, and conv127 for those that are too wide for resnet8's.",
    )
    units: int = Field(32, ge=1, description="Channels of the first layer.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Probability of dropping a unit; below 0.5 recommended. resnets only."
    )
    batch_norm: bool = Field(True, description="Whether layers are batch-normalised.")
    pooling: Literal["none", "max", "average"] = Field(
        "none", description="Pooling between layers: max for resnets only, average for convs only."
    )
    unit_scaling: int = Field(2, ge=1, description="Factor by which channels grow wherever they do.")
    prior_bias: bool = Field(
        True,
        description="Whether a model with random weights begins by expecting the fraction pi of positive regions, "
        "which saves it some hundred minibatches; false: by expecting half, as Topaz does.",
    )
    pretrained: File | None = Field(
        None,
        description="Weights to start from: a Pickery model.ckpt, a Topaz .sav, or the name of a model of an "
        "installed Topaz (resnet8_u32). null: random.",
    )


class LossGroup(Settings):
    """The objective."""

    objective: Literal["pn", "pu", "ge_kl", "ge_binomial"] = Field(
        "ge_binomial", description="Chosen by loss=NAME. ge_binomial is recommended."
    )
    slack: Slack = Field(
        -1.0, description="Weight of the expectation term (ge objectives). -1: 10 for ge_kl, 1 for ge_binomial."
    )
    negative_weight: float = Field(
        1.0,
        ge=0,
        description="Weight of the known negative regions (data.negatives) against that of the positive ones.",
    )
    l2: float = Field(0.0, ge=0, description="Weight of the L2 penalty on the weights; below 1 recommended.")
    autoencoder: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        0.0,
        description="Weight of the reconstruction error (convs only). auto: 10/N for N up to 250 picks, else 0; 0 "
        "for resnets.",
    )
    decoder_unit_scaling: int = Field(
        32, ge=1, description="Width of the decoder that loss.autoencoder adds (Topaz: ngf)."
    )


class OptimizerGroup(Settings):
    """The optimizer."""

    name: Literal["adam", "adamw", "sgd"] = Field("adam", description="Chosen by optimizer=NAME.")
    learning_rate: float = Field(0.0002, gt=0, description="Step size at its highest.")
    schedule: Literal["constant", "cosine", "one_cycle"] = Field(
        "constant",
        description="How the learning rate changes over the run: not at all, falling along a cosine, or rising and "
        "then falling (one_cycle). The last two depend on trainer.epochs, so that more epochs make a new run.",
    )
    weight_decay: float = Field(
        0.0, ge=0, description="Decoupled weight decay of adamw; optimizer=adamw sets it to 0.01."
    )
    momentum: float = Field(0.0, ge=0, lt=1, description="Momentum of sgd; optimizer=sgd sets it to 0.9.")


class TrainerGroup(Settings):
    """The training loop and its device."""

    epochs: int = Field(
        10, ge=1, description="Epochs of sampler.epoch_size minibatches. A larger number continues a finished run."
    )
    accelerator: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="Where to compute; auto: on a GPU if there is one."
    )
    devices: int = Field(
        1,
        ge=1,
        description="GPUs, or on the CPU processes, of this machine that train one model together; each takes its "
        "share of every minibatch.",
    )
    precision: Literal[32, "16-mixed", "bf16-mixed"] = Field(
        32, description="Bits of the network's arithmetic. 16-mixed needs a GPU."
    )
    compile: bool = Field(
        False,
        description="Whether torch.compile is used: up to a minute at the start, then steps that are a tenth faster; "
        "pays from some four thousand minibatches.",
    )
    threads: int | None = Field(
        None, ge=1, description="Compute threads on the CPU, on which sums depend; recorded. null: as torch chooses."
    )


class EngineGroup(Settings):
    """Who trains: Pickery itself, or the original program."""

    name: Literal["native", "topaz"] = Field(
        "native",
        description="Chosen by engine=native or engine=topaz. topaz has the original program train on what is prepared "
        "here, and judges the best epoch as a native run's. Topaz has no seed for its minibatches.",
    )
    executable: File | None = Field(
        None,
        description="The topaz program, for engine=topaz: its path, or its name where the shell finds it.",
    )


class EvaluationGroup(Settings):
    """How epochs are judged, and what counts as a pick."""

    monitor: Literal[
        "precision", "adjusted_precision", "tpr", "fpr", "auprc", "loss", "pick_average_precision", "pick_f1"
    ] = Field(
        "precision",
        description="Held-out figure that chooses the best epoch: the highest, or the lowest fpr and loss.",
    )
    stride: Stride = Field(
        4, description="Each epoch is judged on every n-th region of each axis; the best one on all."
    )
    extraction_radius: int | None = Field(
        None,
        ge=1,
        description="Distance within which only the best pick stays, regions. null: half of "
        "data.particle_diameter, or 4 times data.radius without it.",
    )
    match_radius: float | None = Field(
        None,
        gt=0,
        description="Distance within which a pick finds a labelled particle, regions. null: the extraction radius.",
    )
    score_threshold: float = Field(-6.0, description="Lowest score (logit) that counts as a candidate pick.")
