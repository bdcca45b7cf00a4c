"""The page of all settings, ``docs/settings.md``, written from the schema: `python -m pickery.config.settings_page`.

Beside each setting stands what CryoSPARC's Topaz jobs, RELION's auto-picking and Topaz itself call the same thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pickery.config import catalogue
from pickery.config.commands import COMMANDS
from pickery.config.schema.base import as_word, kind


@dataclass(frozen=True)
class Names:
    """What other programs call a setting; empty where they have none."""

    cryosparc: str = ""
    relion: str = ""
    topaz: str = ""


OTHER_NAMES: Mapping[str, Names] = {
    "data.micrographs": Names("input Micrographs", "Input micrographs for autopick", "--train-images"),
    "data.picks": Names("input Particle Picks", "Input picked coordinates for training", "--train-targets"),
    "data.expected_particles": Names(
        "Expected Number of Particles", "Nr of particles per micrograph", "-n, --num-particles"
    ),
    "data.radius": Names("", "from the particle diameter", "-r, --radius"),
    "data.test_fraction": Names("Train-Test Split", "", "topaz train_test_split"),
    "data.test_micrographs": Names("", "", "--test-images"),
    "data.test_picks": Names("", "", "--test-targets"),
    "data.folds": Names("", "", "-k, --k-fold"),
    "data.fold": Names("", "", "--fold"),
    "data.particle_diameter": Names("", "Particle diameter (A)", ""),
    "data.pixel_size": Names("", "Pixel size in micrographs (A)", ""),
    "data.flip_y": Names("", "", "topaz convert --invert-y"),
    "data.coordinate_scale": Names("", "", "topaz convert --up-scale"),
    "preprocess.downsample": Names("Downsampling Factor", "from the particle diameter", "preprocess -s, --scale"),
    "preprocess.method": Names("", "", "preprocess --affine"),
    "preprocess.pixel_sampling": Names("Pixel Sampling Factor", "", "preprocess --pixel-sampling"),
    "preprocess.iterations": Names("Number of Iterations", "", "preprocess --niters"),
    "preprocess.workers": Names("Number of Parallel Threads", "", "preprocess --num-workers"),
    "sampler.minibatch_size": Names("Minibatch Size", "", "--minibatch-size"),
    "sampler.balance": Names("Minibatch Balance", "", "--minibatch-balance"),
    "sampler.epoch_size": Names("Epoch Size", "", "--epoch-size"),
    "sampler.workers": Names("", "", "--num-workers"),
    "model.architecture": Names("Model Architecture", "", "-m, --model"),
    "model.units": Names("Number of Units in Base Layer", "", "--units"),
    "model.dropout": Names("Dropout Rate", "", "--dropout"),
    "model.batch_norm": Names("Use Batch Normalization", "", "--bn"),
    "model.pooling": Names("Pooling Method", "", "--pooling"),
    "model.unit_scaling": Names("Unit Scaling", "", "--unit-scaling"),
    "model.pretrained": Names("Use Pretrained Initialization", "", "--pretrained, --no-pretrained"),
    "loss.objective": Names("Loss Function", "", "--method"),
    "loss.slack": Names("Slack", "", "--slack"),
    "loss.l2": Names("Regularization Parameter", "", "--l2"),
    "loss.autoencoder": Names("Autoencoder Weight", "", "--autoencoder"),
    "loss.decoder_unit_scaling": Names("Encoder Network Unit Scaling", "", "--ngf"),
    "optimizer.learning_rate": Names("Learning Rate", "", "--learning-rate"),
    "trainer.epochs": Names("Number of Epochs", "", "--num-epochs"),
    "trainer.accelerator": Names("Use GPU", "Use GPU acceleration", "-d, --device"),
    "trainer.threads": Names("", "", "-j, --num-threads"),
    "engine.executable": Names("Path to Topaz Executable", "Topaz executable", ""),
    "evaluation.extraction_radius": Names("", "from the particle diameter", "extract -r, --radius"),
    "evaluation.match_radius": Names("", "", "extract -a, --assignment-radius"),
    "evaluation.score_threshold": Names("", "", "extract -t, --threshold"),
    "seed": Names("", "", "--cross-validation-seed (of the folds only)"),
    "run_dir": Names("", "", "--save-prefix"),
    "cross_validation.parameter": Names("Parameter to Optimize", "", ""),
    "cross_validation.initial": Names("Initial Value to Optimize", "", ""),
    "cross_validation.increment": Names("Value to Increment Parameter by", "", ""),
    "cross_validation.times": Names("Number of Times to Increment Parameter", "", ""),
    "cross_validation.folds": Names("Number of Cross Validation Folds", "", "-k, --k-fold"),
    "picking.model": Names("input Topaz Model", "Trained topaz model", "extract -m, --model"),
    "picking.threshold": Names("Score Threshold", "", "extract -t, --threshold"),
}

_HEAD = """# Settings

Every setting of every command, written from the program itself (`python -m pickery.config.settings_page`), with what
CryoSPARC's *Topaz Train* and *Topaz Cross Validation* jobs, RELION's auto-picking with Topaz, and Topaz call the same.
A group's settings are given as `group.setting=value` on the command line; `pickery COMMAND --help` has the same words.
"""


def page() -> str:
    """Give the page."""
    return "\n".join([_HEAD, *_sections()]) + "\n"


def _sections() -> Iterator[str]:
    told: set[str] = set()
    for command in ("train", *(name for name in COMMANDS if name != "train")):
        for group, fields in _by_group(command).items():
            new = [key for key in fields if key not in told]
            if not new:
                continue
            told |= set(new)
            users = [name for name in COMMANDS if set(new) & set(catalogue.settings(name))]
            yield f"## {group or 'On top'}\n"
            yield f"Of `pickery {'`, `pickery '.join(users)}`."
            if group in catalogue.choosable(command):
                options = catalogue.options(group)
                yield f"Options: {', '.join(f'`{group}={option}`' for option in options)}."
            yield ""
            yield "| setting | default | takes | meaning | CryoSPARC | RELION | Topaz |"
            yield "|---|---|---|---|---|---|---|"
            yield from (_row(command, key) for key in new)
            yield ""


def _by_group(command: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in catalogue.settings(command):
        group, _, _ = key.rpartition(".")
        found.setdefault(group, []).append(key)
    return found


def _row(command: str, key: str) -> str:
    field = catalogue.settings(command)[key]
    names = OTHER_NAMES.get(key, Names())
    default = as_word(field.default)
    cells = [
        f"`{key}`",
        f"`{default}`",
        kind(field),
        str(field.description),
        names.cryosparc,
        names.relion,
        f"`{names.topaz}`" if names.topaz else "",
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    print(page(), end="")
