"""The model that picks: found by whatever name it is given, with what its file says of how to pick with it."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pickery.errors import InputError
from pickery.model import Picker, build_model
from pickery.model.weights import LoadedWeights, load_weights
from pickery.tracking import fetch_model, is_tracked

SETTING = "picking.model"


@dataclass(frozen=True, eq=False)
class PickingModel:
    """A model, and what its file says of how to pick with it.

    Attributes
    ----------
    weights
        The network's settings and weights.
    digest
        Hash of those: what decides its scores.
    preprocess
        Preprocessing settings of the micrographs that it learned from; None where the file knows none, as Topaz's do.
    seed
        That of its training, on which sampled pixels depend.
    threshold_best_f1
        The score at which its held-out F1 was best; None where the file knows none.
    extraction_radius
        The one it was judged with, in regions; None where the file knows none.
    pixel_size_angstrom
        Of the full-size micrographs that it learned from; None where the file knows none.
    """

    weights: LoadedWeights
    digest: str
    preprocess: Mapping[str, Any] | None
    seed: int
    threshold_best_f1: float | None
    extraction_radius: int | None
    pixel_size_angstrom: float | None

    @property
    def description(self) -> str:
        """What it is, in words."""
        return self.weights.description

    @property
    def architecture(self) -> str:
        """Name of its architecture."""
        return str(self.weights.architecture["architecture"])


def open_model(source: str, *, root: Path, uri: str | None) -> PickingModel:
    """Find a model and read what is known of it.

    Parameters
    ----------
    source
        A run's or cross-validation's folder, a model file, a tracked run, a registered model, a Topaz ``.sav``, or the
        name of one of Topaz's detectors.
    root, uri
        Where tracked runs and registered models are looked for.

    Raises
    ------
    InputError
        If there is no such model, or it is something else.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return _read(str(_in_folder(path, source)))
    if not path.exists() and is_tracked(source):
        with tempfile.TemporaryDirectory(prefix="pickery-") as folder:
            return _read(str(fetch_model(source, root=root, uri=uri, into=Path(folder), setting=SETTING)), source)
    if path.name == "last.ckpt":
        raise InputError(f"{SETTING}={source} is what a training goes on from: give the model.ckpt beside it")
    return _read(source)


def build_network(weights: LoadedWeights) -> Picker:
    """Build a model's network, ready to score."""
    network = build_model(**weights.architecture, seed=None)
    network.load_state_dict(weights.state_dict)
    network.eval()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs know this of tensors only
    return network


def _in_folder(folder: Path, source: str) -> Path:
    model = folder / "model.ckpt"
    if model.is_file():
        return model
    if (folder / "run.json").exists():
        raise InputError(f"{SETTING}={source} is a run that has no model yet: let it end (the same command goes on)")
    raise InputError(f"{SETTING}={source} is a folder without a model.ckpt: give a run's folder, or the file itself")


def _read(source: str, address: str | None = None) -> PickingModel:
    weights = load_weights(source, setting=SETTING)
    if address is not None:
        weights = LoadedWeights(
            weights.architecture, weights.state_dict, weights.description.replace(source, address), weights.about
        )
    about = weights.about
    picking, provenance = about.get("picking", {}), about.get("provenance", {})
    radius, threshold = picking.get("extraction_radius"), picking.get("threshold_best_f1")
    pixel_size = provenance.get("pixel_size_angstrom")
    try:
        return PickingModel(
            weights=weights,
            digest=_digest(weights.architecture, weights.state_dict),
            preprocess=_preprocess(about.get("preprocess")),
            seed=int(provenance.get("seed", 0)),
            threshold_best_f1=None if threshold is None or not math.isfinite(threshold) else float(threshold),
            extraction_radius=None if radius is None else int(radius),
            pixel_size_angstrom=None if pixel_size is None else float(pixel_size),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{SETTING}={source} is damaged, what it says makes no sense: copy it again") from error


def _preprocess(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Give the preprocessing settings that a model's file says, each of its type."""
    if not found:
        return None
    types = {"downsample": float, "method": str, "pixel_sampling": int, "iterations": int}
    return {**found, **{name: kind(found[name]) for name, kind in types.items()}}


def _digest(architecture: Mapping[str, Any], state: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(repr(sorted(architecture.items())).encode(), digest_size=16)
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
