"""`pickery convert` of models: to a file for `topaz extract`, or from a file or detector of Topaz to a model.ckpt."""

from __future__ import annotations

import math
import re
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pickery.atomic import atomic_path
from pickery.config.schema import ConvertConfig
from pickery.errors import InputError
from pickery.terminal import Terminal

if TYPE_CHECKING:
    from pickery.model.picker import Picker
    from pickery.model.weights import LoadedWeights

AGREEMENT = 1e-4
"""Scores of the same region here and in Topaz differ by no more."""

_ENDINGS = (".ckpt", ".sav", ".pt", ".pth")
_DETECTOR = re.compile(r"(resnet(8|16)|conv(31|63|127))(_u\d+)?")
_TORCH_FILES = (b"PK\x03\x04", b"\x80\x02")
# how Topaz itself prepares micrographs
_TOPAZ_PREPROCESS = {"method": "gmm", "pixel_sampling": 1, "iterations": 100}
_SETTING = "convert.source"


def is_model(source: str | Sequence[str]) -> bool:
    """Whether what is to be converted is a model: a run's folder, a file of weights, or the name of a detector."""
    if not isinstance(source, str):
        return False
    path = Path(source).expanduser()
    if path.is_dir():
        return (path / "model.ckpt").is_file() or (path / "run.json").is_file()
    if path.name.lower().endswith(_ENDINGS) or source.startswith(("runs:/", "models:/")):
        return True
    if path.is_file():
        with path.open("rb") as file:
            return file.read(4).startswith(_TORCH_FILES)
    return _DETECTOR.fullmatch(source) is not None


def run(config: ConvertConfig, terminal: Terminal) -> None:
    """Convert a model, and say what the new file lacks.

    Raises
    ------
    InputError
        When the source cannot be read, the new file cannot hold a model, or Topaz does not score as is done here.
    """
    settings = config.convert
    assert isinstance(settings.source, str)
    assert settings.out is not None
    out = Path(settings.out).expanduser()
    if not out.name.lower().endswith((".sav", ".ckpt")):
        raise InputError(
            f"{settings.source} is a model and {settings.out} would be none: give a name that ends in .sav (for Topaz) "
            "or .ckpt (for Pickery)."
        )
    terminal.working("reading the model")
    from pickery.model import build_model
    from pickery.model.weights import load_weights

    source = _file_of(settings.source)
    if Path(source).exists() and out.exists() and Path(source).samefile(out):
        raise InputError(f"{settings.source} cannot be converted to itself: give another name to write to.")
    weights = load_weights(source, setting=_SETTING)
    model = build_model(**weights.architecture, seed=None)
    model.load_state_dict(weights.state_dict)
    model.eval()
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".sav":
        _to_topaz(config, weights, model, out, terminal)
    else:
        _to_pickery(config, weights, model, out, terminal)


def _file_of(source: str) -> str:
    """Give the file that a run's folder means; a file or a detector's name is left as it is."""
    path = Path(source).expanduser()
    if path.is_dir():
        if not (path / "model.ckpt").is_file():
            raise InputError(f"{_SETTING}={source} is a run that has no model yet: the same command goes on with it.")
        return str(path / "model.ckpt")
    if path.name == "last.ckpt":
        raise InputError(f"{_SETTING}={source} is what a training goes on from: give the model.ckpt beside it.")
    if source.startswith(("runs:/", "models:/")):
        raise InputError(f"{_SETTING}={source} is a tracked model: give its file, which the run's page offers.")
    return source


# ---- for Topaz


def _to_topaz(config: ConvertConfig, weights: LoadedWeights, model: Picker, out: Path, terminal: Terminal) -> None:
    from pickery.model.topaz_module import save_topaz_module
    from pickery.topaz.score_map import TopazUnavailable, topaz_version

    python, since_0_3 = config.convert.topaz_python, config.convert.topaz_0_3
    checked, unchecked = "", ""
    with tempfile.TemporaryDirectory(prefix="pickery-") as folder:
        made = Path(folder) / "model.sav"
        try:
            if python is not None:
                terminal.working("Topaz reads the model")
                since_0_3 = topaz_version(python) >= "0.3" if since_0_3 is None else since_0_3
            save_topaz_module(made, model, since_0_3=bool(since_0_3))
            checked = "" if python is None else _check(python, made, model)
        except TopazUnavailable as error:
            unchecked = str(error)
            if not made.exists():
                save_topaz_module(made, model, since_0_3=bool(since_0_3))
        with atomic_path(out) as temporary:  # only now: one that Topaz scores otherwise is no result
            temporary.write_bytes(made.read_bytes())
    terminal.rest()
    terminal.head(f"{out}: {weights.description}")
    _say_for_whom(bool(since_0_3), bool(checked), terminal)
    _say_lost(weights, out, terminal)
    if unchecked:
        raise InputError(f"{unchecked} {out} is written, and not checked.")
    terminal.say(checked or "not checked: with convert.topaz_python=PYTHON an installed Topaz reads it and is compared")


def _say_for_whom(since_0_3: bool, checked: bool, terminal: Terminal) -> None:
    from pickery.topaz.score_map import VARIABLE

    if since_0_3:
        terminal.say("for Topaz 0.3.0 and later")
        return
    terminal.say("for Topaz 0.2; convert.topaz_0_3=true makes one for 0.3")
    if not checked:
        terminal.say(f"beside torch 2.6 or later, Topaz 0.2 reads it only with {VARIABLE}=1 in its environment")


def _check(python: str, made: Path, model: Picker) -> str:
    """Have Topaz score an image with the file; give what to say of it.

    Raises
    ------
    InputError
        It cannot, or its scores are others.
    """
    import numpy as np

    from pickery.evaluation.score_map import score_map
    from pickery.topaz.score_map import VARIABLE, topaz_score_map

    side = max(160, model.receptive_field + 33)
    image = np.random.default_rng(0).normal(size=(side, side + 24)).astype(np.float32)
    theirs = topaz_score_map(python, made, image)
    ours = score_map(model, image).numpy()
    same_size = theirs.scores.shape == ours.shape
    largest = float(np.abs(theirs.scores - ours).max()) if same_size else math.inf
    averaged = same_size and model.settings["pooling"] == "average"
    if not largest <= AGREEMENT and not averaged:
        raise InputError(
            f"Topaz {theirs.version} scores a seeded image otherwise than Pickery, by up to {largest:.2g}: nothing is "
            "written. Take a Topaz of another version; 0.2.5 is known to agree."
        )
    text = f"checked: Topaz {theirs.version} reads it, and its scores of a seeded image differ by at most {largest:.1g}"
    if averaged and largest > AGREEMENT:
        text += ", as it pads where it pools averages"
    if theirs.needs_variable:
        text += f"; its torch reads such files only with {VARIABLE}=1 in the environment"
    return text


def _say_lost(weights: LoadedWeights, out: Path, terminal: Terminal) -> None:
    """Say what the file cannot hold, as the command line of Topaz that makes up for it."""
    preprocess, picking = weights.about.get("preprocess", {}), weights.about.get("picking", {})
    factor = preprocess.get("downsample")
    if factor is None:
        terminal.say("what its micrographs are shrunk by, and its score threshold, are not known of this model")
        return
    threshold, radius = picking.get("threshold_best_f1"), picking.get("extraction_radius")
    known = threshold is not None and math.isfinite(threshold)
    terminal.say(
        f"it holds the weights alone, not that micrographs are shrunk by {factor:g} and normalised"
        + (f", nor that F1 is best at score {threshold:.4g}" if known else "")
        + ". With Topaz:"
    )
    # Topaz's own preprocess takes whole factors only, and where one component fits well it normalises otherwise
    settings = [f"data.micrographs=micrographs preprocess.downsample={factor:g} preprocess.write_mrc=true"]
    settings += ["preprocess.method=affine"] if preprocess.get("method") == "affine" else []
    terminal.say(f"  pickery preprocess {' '.join(settings)}    # says where its MRC files are")
    words = ["topaz", "extract", "-m", str(out), "-x", f"{factor:g}", "-o", "picks.txt"]
    words += [] if radius is None else ["-r", str(radius)]
    words += ["-t", repr(float(threshold))] if known else []  # in full: a pick may lie exactly there
    terminal.say(f"  {shlex.join(words)} MRC_FILES/*.mrc")
    terminal.say("(`topaz preprocess` may normalise a little otherwise, which moves all scores)")


# ---- from Topaz


def _to_pickery(config: ConvertConfig, weights: LoadedWeights, model: Picker, out: Path, terminal: Terminal) -> None:
    from pickery import __version__
    from pickery.model.weights import save_model

    settings, about = config.convert, weights.about
    preprocess = dict(about.get("preprocess", {}))
    if preprocess and settings.downsample not in (None, preprocess.get("downsample")):
        raise InputError(
            f"convert.downsample={settings.downsample:g}: {settings.source} knows that its micrographs are shrunk by "
            f"{preprocess['downsample']:g}. Leave it out; pickery pick takes another as picking.downsample."
        )
    if about and (preprocess or settings.downsample is None):
        raise InputError(f"{settings.source} is a model of Pickery already: copy the file, or give a name in .sav.")
    if settings.downsample is not None:
        preprocess = {"downsample": settings.downsample, **_TOPAZ_PREPROCESS}
    save_model(
        out,
        model,
        preprocess=preprocess,
        picking={},
        metrics={},
        provenance={
            "converted_from": str(settings.source),
            "description": weights.description,
            "versions": {"pickery": __version__},
        },
    )
    terminal.rest()
    terminal.head(f"{out}: {weights.description}")
    needed = ["picking.extraction_radius=REGIONS", "picking.threshold=SCORE"]
    if settings.downsample is None:
        lacks = ", nor what its micrographs are shrunk by (convert.downsample would keep that with it)"
        needed = ["picking.downsample=FACTOR", *needed]
    else:
        lacks = f"; that its micrographs are shrunk by {settings.downsample:g} is kept with it"
    terminal.say(f"a model of Topaz knows neither its best score threshold nor an extraction radius{lacks}")
    terminal.say(f"to pick:  pickery pick picking.model={shlex.quote(str(out))} {' '.join(needed)} …")
    terminal.say(f"to train: pickery train model.pretrained={shlex.quote(str(out))} …")
