"""Weights to and from files: Pickery's model files, Topaz's models, Topaz's pretrained detectors.

No file can run code here: all are read through `restricted_pickle`. Pickery's own load with torch's `weights_only` too.
"""

import importlib.metadata
import importlib.util
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pickery.atomic import atomic_path
from pickery.errors import InputError
from pickery.model.picker import Picker, build_model
from pickery.model.recognise import recognise
from pickery.model.restricted_pickle import StandIn, read_torch_file

MODEL_FORMAT = "pickery-model"
MODEL_VERSION = 1


@dataclass(frozen=True)
class LoadedWeights:
    """Weights from a file.

    Attributes
    ----------
    architecture
        Keyword arguments of `build_model` that make the network for them.
    state_dict
        The weights, for that network's `load_state_dict`.
    description
        What was found, in words.
    about
        What else a model file of Pickery says: ``preprocess``, ``picking``, ``metrics``, ``provenance``; empty for
        other files.
    """

    architecture: dict[str, Any]
    state_dict: dict[str, Tensor]
    description: str
    about: dict[str, Any] = field(default_factory=dict)


def load_weights(source: str, *, setting: str = "model.pretrained") -> LoadedWeights:
    """Read a network's weights.

    Parameters
    ----------
    source
        A model file of Pickery (`model.ckpt`); a Topaz `.sav`, whether a state dict or a whole module; or the name of
        one of Topaz's pretrained detectors ("resnet8_u32"; "resnet8" is the widest of its kind, as in Topaz), which are
        read from an installed topaz-em.
    setting
        The setting that named the source, for messages.

    Raises
    ------
    InputError
        If there is no such file or name, the file asks to run code, or it holds something else.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return _from_file(path)
    if path.is_dir() or path.suffix or len(path.parts) > 1:
        raise InputError(f"{setting}={source}: there is no such file; check the path.")
    return _from_file(_pretrained_file(source, setting))


def _from_file(path: Path) -> LoadedWeights:
    content = read_torch_file(path)
    try:
        return _understood(content, path)
    except (InputError, Warning):
        raise
    except Exception as error:  # what a file says of itself may be anything
        raise InputError(
            f"{path} is damaged, what it holds is no model ({type(error).__name__}: {str(error)[:200]}): copy it again."
        ) from None


def _understood(content: Any, path: Path) -> LoadedWeights:
    if isinstance(content, dict) and content.get("format") == MODEL_FORMAT:
        content = _checked_version(content, path)
        settings, state = content["architecture"], content["state_dict"]
        about = {name: dict(content.get(name) or {}) for name in ("preprocess", "picking", "metrics", "provenance")}
        return LoadedWeights(settings, state, _describe(settings, state, "Pickery model", path), about)
    if isinstance(content, StandIn):
        state, kinds, dropout = _flatten(content, path)
        found = recognise(state, layer_kinds=kinds, dropout=dropout, source=str(path))
        kind = "Topaz module"
    elif isinstance(content, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        found = recognise(content, source=str(path))
        kind = "Topaz state dict"
    else:
        raise InputError(f"{path} holds neither a Pickery model, nor a Topaz model, nor a state dict.")
    return LoadedWeights(
        found.settings, found.state_dict, _describe(found.settings, found.state_dict, kind, path, found.remarks)
    )


def _flatten(module: StandIn, path: Path) -> tuple[dict[str, Tensor], list[str], float]:
    """Return a module's state dict, the classes of its feature layers, and its dropout rate."""
    state: dict[str, Tensor] = {}
    seen: set[int] = set()

    def walk(node: StandIn, prefix: str) -> None:
        if id(node) in seen:  # modules in one another would be walked without end
            raise ValueError("a module that stands in two places")
        seen.add(id(node))
        for kind in ("_parameters", "_buffers"):
            for name, tensor in node.state.get(kind, {}).items():
                if isinstance(tensor, Tensor):
                    state[prefix + name] = tensor
        for name, child in node.state.get("_modules", {}).items():
            if isinstance(child, StandIn):
                walk(child, f"{prefix}{name}.")

    try:
        walk(module, "")
        features = module.state["_modules"]["features"].state["_modules"]["features"].state["_modules"].values()
        kinds = [layer.class_name.rpartition(".")[2] for layer in features]
        rates = {layer.state["p"] for layer in features if layer.class_name.endswith(".Dropout")}
        return state, kinds, float(max(rates, default=0.0))
    except (KeyError, AttributeError, TypeError, ValueError, RecursionError):
        raise InputError(f"{path} holds a {module.class_name}, which is not a Topaz particle picker.") from None


def _describe(
    settings: Mapping[str, Any], state: Mapping[str, Tensor], kind: str, path: Path, remarks: tuple[str, ...] = ()
) -> str:
    parameters = sum(
        tensor.numel()
        for name, tensor in state.items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )
    parts = [settings["architecture"], f"{settings['units']} units"]
    if settings["unit_scaling"] != 2:
        parts.append(f"unit scaling {settings['unit_scaling']}")
    parts.append("batch normalisation" if settings["batch_norm"] else "no batch normalisation")
    if settings["pooling"] != "none":
        parts.append(f"{settings['pooling']} pooling")
    if settings["dropout"]:
        parts.append(f"dropout {settings['dropout']:g}")
    size = f"{parameters / 1e6:.1f} M" if parameters >= 1e6 else f"{parameters / 1e3:.0f} k"
    return ", ".join([*parts, f"{size} parameters", kind, *remarks, str(path)])


def _pretrained_file(name: str, setting: str) -> Path:
    """Find one of the detectors that topaz-em brings, without importing or running anything of it."""
    folder = _pretrained_folder()
    if folder is None:
        raise InputError(
            f"{setting}={name} is not a file, and Topaz's pretrained detectors are not installed: `pip install "
            f"--no-deps topaz-em` brings them (only its data files are read)."
        )
    files = {path.stem: path for path in sorted(folder.glob("*.sav"))}
    kin = [key for key in files if key.startswith(f"{name}_u") and key[len(name) + 2 :].isdigit()]
    if name not in files and kin:
        name = max(kin, key=lambda key: int(key.rpartition("_u")[2]))
    if name not in files:
        raise InputError(f"{setting}={name} is neither a file nor one of Topaz's detectors ({', '.join(files)}).")
    return files[name]


def _pretrained_folder() -> Path | None:
    roots: list[Path] = []
    try:
        roots.append(Path(str(importlib.metadata.distribution("topaz-em").locate_file("topaz"))))
    except importlib.metadata.PackageNotFoundError:
        pass
    spec = importlib.util.find_spec("topaz")  # of a top-level package: finds without importing
    if spec is not None:
        roots += map(Path, spec.submodule_search_locations or [])
    folders = (root / "pretrained" / "detector" for root in roots)
    return next((folder for folder in folders if folder.is_dir()), None)


def save_model(
    path: Path,
    model: Picker,
    *,
    preprocess: Mapping[str, Any],
    picking: Mapping[str, Any],
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> None:
    """Write a model file; one that stands at the path is replaced as a whole or not at all.

    Parameters
    ----------
    path
        The file; its folder exists.
    model
        The network.
    preprocess
        Preprocessing settings that its images had.
    picking
        What picking with it needs (extraction_radius, threshold, …).
    metrics
        Its scores.
    provenance
        Where it comes from. All four hold plain values (numbers, strings, None, lists, dicts).
    """
    content = {
        "format": MODEL_FORMAT,
        "version": MODEL_VERSION,
        "architecture": dict(model.settings),
        "state_dict": {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()},
        "preprocess": dict(preprocess),
        "picking": dict(picking),
        "metrics": dict(metrics),
        "provenance": dict(provenance),
    }
    written = io.BytesIO()  # on a full disk torch's own writer does not raise OSError
    torch.save(content, written)
    with atomic_path(path) as temporary:
        temporary.write_bytes(written.getbuffer())


def load_model_file(path: Path) -> dict[str, Any]:
    """Read a model file: the arguments of `save_model` by name, with `architecture` and `state_dict` for the model.

    Raises
    ------
    InputError
        If the file is missing, broken, of another kind, or written by a later version.
    """
    return _checked_version(read_torch_file(path), path)


def load_model(path: Path) -> tuple[Picker, dict[str, Any]]:
    """Read a model file and build its network, in evaluation mode; also return the file's content."""
    content = load_model_file(path)
    model = build_model(**content["architecture"])
    model.load_state_dict(content["state_dict"])
    return model.eval(), content


def _checked_version(content: Any, path: Path) -> dict[str, Any]:
    if not isinstance(content, dict) or content.get("format") != MODEL_FORMAT:
        raise InputError(f"{path} is not a model file of Pickery.")
    version = content.get("version", 0)
    if isinstance(version, int) and version > MODEL_VERSION:
        raise InputError(
            f"{path} was written by a later version of Pickery (file version {version}, known here: up to "
            f"{MODEL_VERSION}): update Pickery."
        )
    if not isinstance(version, int) or not _is_whole(content):
        raise InputError(f"{path} is damaged, its weights are not those of its architecture: copy it again.")
    return content


def _is_whole(content: Mapping[str, Any]) -> bool:
    try:
        with torch.device("meta"):  # shapes only
            blank = build_model(**content["architecture"], seed=None).state_dict()
        held = {name: tensor.shape for name, tensor in content["state_dict"].items()}
    except Exception:  # its settings may be anything
        return False
    return held == {name: tensor.shape for name, tensor in blank.items()}
