"""From the command line, through Hydra, to settings that are known to be usable."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from pydantic import ValidationError

from pickery.config import catalogue, explain, rules
from pickery.config.commands import python_name
from pickery.config.errors import ConfigError
from pickery.config.line import for_hydra
from pickery.config.schema import (
    SCHEMAS,
    Config,
    ConvertConfig,
    CrossValidateConfig,
    DoctorConfig,
    PickConfig,
    PreprocessConfig,
    ReportConfig,
    ScoreConfig,
    Settings,
    SimulateConfig,
    TrainConfig,
    UiConfig,
    command_of,
)
from pickery.errors import PickeryWarning

if TYPE_CHECKING:
    from omegaconf import DictConfig

_Any = TypeVar("_Any", bound=Settings)


@overload
def load(command: Literal["train"], overrides: Sequence[str] = ()) -> TrainConfig: ...
@overload
def load(command: Literal["cross-validate"], overrides: Sequence[str] = ()) -> CrossValidateConfig: ...
@overload
def load(command: Literal["doctor"], overrides: Sequence[str] = ()) -> DoctorConfig: ...
@overload
def load(command: Literal["pick"], overrides: Sequence[str] = ()) -> PickConfig: ...
@overload
def load(command: Literal["score"], overrides: Sequence[str] = ()) -> ScoreConfig: ...
@overload
def load(command: Literal["convert"], overrides: Sequence[str] = ()) -> ConvertConfig: ...
@overload
def load(command: Literal["preprocess"], overrides: Sequence[str] = ()) -> PreprocessConfig: ...
@overload
def load(command: Literal["simulate"], overrides: Sequence[str] = ()) -> SimulateConfig: ...
@overload
def load(command: Literal["report"], overrides: Sequence[str] = ()) -> ReportConfig: ...
@overload
def load(command: Literal["ui"], overrides: Sequence[str] = ()) -> UiConfig: ...
@overload
def load(command: str, overrides: Sequence[str] = ()) -> Config: ...
def load(command: str, overrides: Sequence[str] = ()) -> Config:
    """Compose and check the settings of a command.

    Parameters
    ----------
    command
        One of `SCHEMAS`.
    overrides
        Words as on the command line: ``group=option`` and ``group.key=value``.

    Returns
    -------
    Config
        Frozen settings, every one valid, alone and with the others.

    Raises
    ------
    ConfigError
        When a setting is unknown, of the wrong type, out of its range, or at odds with another.

    Warns
    -----
    PickeryWarning
        For a setting without effect, and against what the field advises.
    """
    line = for_hydra(command, overrides)
    with hydra_errors(command, line):
        composed = compose(command, line)
    config: Config = validate(command, composed)
    return config


def compose(command: str, line: Sequence[str]) -> DictConfig:
    """Let Hydra compose the settings of a command, its own under ``hydra``; `line` is as `for_hydra` gives it."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module

    with initialize_config_module("pickery.conf", version_base="1.3"):
        return hydra_compose(python_name(command), overrides=list(line), return_hydra_config=True)


@contextmanager
def hydra_errors(command: str, line: Sequence[str]) -> Iterator[None]:
    """Turn whatever Hydra cannot read or put together into a `ConfigError`."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        from hydra.errors import HydraException
        from omegaconf.errors import OmegaConfBaseException
        from yaml import YAMLError

        if isinstance(error, (HydraException, OmegaConfBaseException, ValueError)):
            raise explain.from_hydra(command, error, line) from error
        if isinstance(error, YAMLError):
            raise ConfigError([f"A file of settings is no YAML: {' '.join(str(error).split())}."]) from error
        raise


def validate(command: str, composed: DictConfig | Mapping[str, Any], *, warn: bool = True) -> Any:
    """Check composed settings: each alone, then the rules across them.

    Parameters
    ----------
    command
        One of `SCHEMAS`.
    composed
        What Hydra composed, or a plain mapping.
    warn
        Whether to warn of settings without effect, and against what the field advises.

    Returns
    -------
    Config
        An instance of the command's class in `SCHEMAS`.
    """
    return _checked(command, _plain(command, composed), warn=warn)


def with_value(config: _Any, key: str, value: object) -> _Any:
    """Give the same settings with one changed, checked again: `with_values` of one."""
    return with_values(config, {key: value})


def with_values(config: _Any, changes: Mapping[str, object]) -> _Any:
    """Give the same settings with some changed, checked again.

    Parameters
    ----------
    config
        Valid settings.
    changes
        Dotted names, such as ``"optimizer.learning_rate"``, to new values.

    Raises
    ------
    ConfigError
        When there is no such setting, or a value cannot be used with the others.
    """
    command = command_of(config)
    values = config.model_dump()
    for key, value in changes.items():
        if key not in catalogue.settings(command):
            raise ConfigError([explain.unknown(command, key)])
        *group, name = key.split(".")
        (values[group[0]] if group else values)[name] = tuple(value) if isinstance(value, list) else value
    changed: _Any = _checked(command, values, warn=False)
    return changed


def check_sweep(command: str, overrides: Sequence[str]) -> list[dict[str, str]]:
    """Check every combination of a sweep, before the first starts.

    Parameters
    ----------
    command
        One of `SCHEMAS`.
    overrides
        Words as on the command line, with several values where they are swept over.

    Returns
    -------
    list of dict
        For every job, what distinguishes it: swept names to values. A single empty one where nothing is swept.

    Raises
    ------
    ConfigError
        Naming the first combination that cannot be used.
    """
    line = for_hydra(command, overrides)
    with hydra_errors(command, line):
        jobs = _jobs(command, line)
    names = [name for name in jobs[0] if len({job.get(name) for job in jobs}) > 1]
    swept = [{name: job[name] for name in names} for job in jobs]
    folders: dict[str, tuple[int, Any]] = {}
    for number, (job, differs) in enumerate(zip(jobs, swept, strict=True), start=1):
        words = [f"{name}={value}" for name, value in job.items()]
        try:
            with hydra_errors(command, words):
                composed = compose(command, words)
            config = validate(command, composed, warn=False)
        except ConfigError as error:
            label = " ".join(f"{name}={value}" for name, value in differs.items())
            where = f"job {number} of {len(jobs)}, {label}: " if label else ""
            raise ConfigError([where + problem for problem in error.problems]) from None
        run_dir = getattr(config, "run_dir", None)
        if run_dir is not None:
            other, its = folders.setdefault(run_dir, (number, config))
            if other != number and not _share_the_work(config, its):
                shared = f"run_dir={run_dir} would be the folder of jobs {other} and {number}"
                raise ConfigError([f"{shared}: leave run_dir out, and each job gets a folder of its own."])
    launcher = composed.hydra.runtime.choices["hydra/launcher"]
    if launcher == "submitit_slurm" and shutil.which("srun") is None:
        raise ConfigError(
            [f"hydra/launcher={launcher}: there is no srun here. Jobs are submitted on a machine of the cluster."]
        )
    if "cross_validation.worker" in names and launcher == "basic":
        warnings.warn(
            "without a launcher the workers of this sweep come one after the other, and the first does all the work. "
            f"For {len(swept)} at the same time add hydra/launcher=joblib, or give "
            f"cross_validation.workers={len(swept)} in place of --multirun and cross_validation.worker.",
            PickeryWarning,
            stacklevel=2,
        )
    return swept


def _share_the_work(one: Settings, other: Settings) -> bool:
    """Whether two jobs are workers of the same cross-validation, which share its folder."""
    its = flat(other)
    differ = {key for key, value in flat(one).items() if value != its[key]}
    return isinstance(one, CrossValidateConfig) and differ == {"cross_validation.worker"}


def resolved(config: Settings) -> dict[str, Any]:
    """Give all settings as plain nested values, ready for YAML or JSON."""
    plain: dict[str, Any] = config.model_dump(mode="json")
    return plain


def flat(config: Settings) -> dict[str, Any]:
    """Give all settings as dotted names to plain values."""
    found: dict[str, Any] = {}
    for name, value in resolved(config).items():
        if isinstance(value, dict):
            found.update({f"{name}.{key}": inner for key, inner in value.items()})
        else:
            found[name] = value
    return found


def _plain(command: str, composed: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    from omegaconf import DictConfig, OmegaConf

    if not isinstance(composed, DictConfig):
        return {str(key): value for key, value in composed.items() if key != "hydra"}
    with hydra_errors(command, ()):
        names = [str(key) for key in composed if key != "hydra"]
        return {
            name: OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node := composed[name]) else node
            for name in names
        }


def _checked(command: str, values: Mapping[str, Any], *, warn: bool) -> Any:
    try:
        config = SCHEMAS[command].model_validate(_tuples(values))
    except ValidationError as error:
        raise explain.from_pydantic(command, error, values) from None
    if problems := list(rules.errors(config)):
        raise ConfigError(problems)
    if warn:
        for text in rules.warnings(config):
            warnings.warn(text, PickeryWarning, stacklevel=4)
    return config


def _tuples(value: Any) -> Any:
    """Make lists immutable, as the settings are."""
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _jobs(command: str, line: Sequence[str]) -> list[dict[str, str]]:
    """Expand a sweep as Hydra's own sweeper will, into the words of every job: names to values."""
    from hydra import initialize_config_module
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    with initialize_config_module("pickery.conf", version_base="1.3"):
        # the loader knows the groups, over which glob() sweeps
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    parsed = parser.parse_overrides(list(line))
    fixed = [word for word, override in zip(line, parsed, strict=True) if not override.is_sweep_override()]
    params = compose(command, fixed).hydra.sweeper.get("params") or {}
    parsed = parser.parse_overrides([f"{name}={value}" for name, value in params.items()]) + parsed
    own = [override for override in parsed if not override.key_or_group.startswith("hydra")]
    always = [word for word, override in zip(line, parsed[len(params) :], strict=True) if override not in own]
    batches = BasicSweeper.split_arguments(own, max_batch_size=None)
    return [dict(word.partition("=")[::2] for word in [*always, *job]) for batch in batches for job in batch]
