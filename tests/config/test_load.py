"""From lines to settings: what is chosen, what is refused and in which words, and what is swept over."""

from pathlib import Path

import pytest
import yaml

from pickery.config import catalogue
from pickery.config.errors import ConfigError
from pickery.config.load import check_sweep, flat, load, resolved, with_value
from pickery.config.schema import DataGroup

OWN_DATA = ("data.micrographs=micrographs", "data.picks=picks.star", "data.expected_particles=400")

BAD: list[tuple[str, str, list[str]]] = [
    # names that do not exist
    ("train", "trainer.epoch=3", ["trainer.epoch is not a setting of pickery train", "Did you mean trainer.epochs?"]),
    ("train", "epochs=3", ["epochs is not a setting", "trainer.epochs"]),
    ("train", "lr=1e-3", ["lr is not a setting", "optimizer.learning_rate"]),
    ("train", "num_particles=300", ["data.expected_particles"]),
    ("train", "model.learning_rate=1", ["model.learning_rate is not a setting", "optimizer.learning_rate"]),
    ("train", "nonsense=1", ["nonsense is not a setting", "pickery train --help"]),
    ("train", "data/picks=x", ["data/picks is not a setting", "data.picks"]),
    ("train", "+trainer.epoch=3", ["trainer.epoch is not a setting", "trainer.epochs"]),
    ("train", "model.architecture.x=1", ["model.architecture.x", "single value"]),
    ("train", "simulation.out=x", ["simulation.out is not a setting of pickery train", "one of pickery simulate"]),
    ("preprocess", "data.picks=x", ["data.picks is not a setting of pickery preprocess", "one of pickery train"]),
    ("preprocess", "trainer.epochs=3", ["trainer.epochs", "one of pickery train"]),
    ("ui", "port=8000", ["ui.port"]),
    ("train", "hydra.foo=1", ["hydra.foo is not a setting of Hydra's"]),
    # options that do not exist
    ("train", "model=resnet9", ["no such model", "conv31, conv63, conv127, resnet8, resnet16", "model=resnet8?"]),
    ("train", "loss=ge_binomal", ["no such loss", "Did you mean loss=ge_binomial?"]),
    ("train", "optimizer=lion", ["no such optimizer", "adam, adamw, sgd"]),
    ("train", "experiment=nothing", ["no such experiment", "few_labels"]),
    ("train", "data=mine", ["no such data", "files, simulated"]),
    ("train", "trainer=5", ["trainer=5 chooses nothing", "trainer.epochs=10"]),
    ("train", "trainer=fast", ["trainer=fast chooses nothing", "trainer.epochs=10"]),
    # words that cannot be read
    ("train", "model", ["model lacks a value", "model=resnet8"]),
    ("train", "model.pooling", ["model.pooling lacks a value", "none, max, average"]),
    ("train", "trainer", ["trainer is a group of settings", "trainer.epochs=10"]),
    ("train", "epochs", ["epochs is not understood", "group.key=value", "trainer.epochs"]),
    ("train", "=", ["lacks its name"]),
    ("train", "=3", ["lacks its name"]),
    ("train", "trainer.epochs = 3", ["without spaces", "trainer.epochs=3"]),
    ("train", "trainer..epochs=3", ["trainer..epochs=3 cannot be read", "trainer.epochs=3"]),
    ("train", "trainer.epochs==3", ["trainer.epochs==3 cannot be read", "single ="]),
    ("train", "trainer.epochs='3", ["trainer.epochs='3 cannot be read", "quotes"]),
    ("train", "+model=conv31", ["model is chosen more than once", "model=NAME"]),
    ("train", "~model", ["~model", "cannot be taken away"]),
    ("train", "~trainer.epochs", ["~trainer.epochs", "cannot be taken away"]),
    ("train", "data.picks=${nope}", ["data.picks", "nope"]),
    ("train", "trainer.epochs=1,2", ["gives several values", "--multirun"]),
    ("train", "trainer.epochs=range(1,3)", ["gives several values", "--multirun"]),
    ("train", "data.micrographs=a,b", ["gives several values", "'data.micrographs=[a,b]'", "--multirun"]),
    # values of another type
    ("train", "sampler.minibatch_size=abc", ["sampler.minibatch_size=abc", "a whole number of at least 2", "got abc"]),
    ("train", "trainer.epochs=2.5", ["a whole number of at least 1", "got 2.5"]),
    ("train", "trainer.epochs=", ["trainer.epochs=", "got nothing"]),
    ("train", "trainer.epochs=null", ["a whole number", "got null"]),
    ("train", "trainer.epochs={a:1}", ["trainer.epochs={a:1}", "a whole number"]),
    ("train", "model.batch_norm=yes", ["true or false", "got yes"]),
    ("train", "model.batch_norm=1", ["true or false", "got 1"]),
    ("train", "sampler.resident=maybe", ["auto or true or false", "got maybe"]),
    ("train", "loss.autoencoder=some", ["a number of at least 0 or auto", "got some"]),
    ("train", "model.pooling=null", ["one of none, max, average", "got null"]),
    ("train", "model.pooling=mean", ["one of none, max, average", "got mean"]),
    ("train", "loss.objective=GE_Binomial", ["Did you mean loss.objective=ge_binomial?"]),
    ("train", "tracking.run_name=1.10", ["must be text", "got 1.1", "quote it"]),
    ("train", "data.micrographs=true data.picks=a data.expected_particles=3", ["data.micrographs=true", "quote it"]),
    ("train", "evaluation.stride=true", ["one of 1, 2, 4, 8, 16", "got true"]),
    # values out of range
    ("train", "trainer.epochs=0", ["trainer.epochs=0: must be at least 1 (got 0)."]),
    ("train", "seed=-1", ["seed=-1: must be at least 0"]),
    ("train", "evaluation.stride=3", ["one of 1, 2, 4, 8, 16", "got 3"]),
    ("train", "optimizer.learning_rate=0", ["above 0", "got 0"]),
    ("train", "optimizer.learning_rate=inf", ["a number above 0", "got inf"]),
    ("train", "optimizer.learning_rate=nan", ["a number above 0", "got nan"]),
    ("train", "loss.slack=-2", ["-1 or a number of at least 0", "got -2"]),
    ("train", "data.test_fraction=1", ["at least 0 and below 1", "got 1"]),
    ("train", "trainer.precision=16", ["one of 32, 16-mixed, bf16-mixed", "got 16"]),
    ("ui", "ui.port=99999", ["at most 65535", "got 99999"]),
    # names and lists of a cross-validation
    (
        "cross-validate",
        "k_fold=3",
        ["k_fold is not a setting of pickery cross-validate", "mean cross_validation.folds?"],
    ),
    ("cross-validate", "kfold=3", ["Did you mean cross_validation.folds?"]),
    ("cross-validate", "folds=3", ["Did you mean cross_validation.folds?"]),
    ("cross-validate", "cross_validation.fold=3", ["Did you mean cross_validation.folds?"]),
    ("cross-validate", "cross_validation.paramter=lr", ["Did you mean cross_validation.parameter or"]),
    ("cross-validate", "cross_validation=fast", ["chooses nothing", "cross_validation.parameter=learning_rate"]),
    ("cross-validate", "cross_validation.values=0.1,0.2", ["'cross_validation.values=[0.1,0.2]'", "--multirun"]),
    ("cross-validate", "cross_validation.parameter=lr,radius", ["'cross_validation.parameter=[lr,radius]'"]),
    (
        "cross-validate",
        "cross_validation.increment=-0.0001",
        ["the 2nd value, optimizer.learning_rate=0: must be above"],
    ),
    ("cross-validate", "cross_validation.initial=1e400", ["cross_validation.initial=inf: must be a number"]),
    ("train", "k_fold=3", ["Did you mean data.folds?"]),
    ("train", "cross_validation.folds=2", ["not a setting of pickery train", "one of pickery cross-validate"]),
    # several at once: all are said
    ("train", "epochs=1 lr=2", ["trainer.epochs", "optimizer.learning_rate"]),
    ("train", "trainer.epochs=0 data.radius=-1", ["trainer.epochs=0", "data.radius=-1"]),
    ("train", "data=files", ["data.micrographs is missing", "data.picks is missing", "data.expected_particles is"]),
]


@pytest.mark.parametrize(("command", "line", "words"), BAD)
def test_a_bad_line_is_refused_in_plain_words(command: str, line: str, words: list[str]) -> None:
    overrides = [line] if " = " in line else line.split()
    with pytest.raises(ConfigError) as error:
        load(command, overrides)
    for word in words:
        assert word in str(error.value)
    for problem in error.value.problems:
        assert "\n" not in problem
        assert problem.endswith((".", "?"))
        for jargon in ("Traceback", "pydantic", "in struct", "omegaconf", "OmegaConf", "Could not override"):
            assert jargon not in problem


# ---- where the data come from


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ((), "simulated"),
        (("trainer.epochs=3",), "simulated"),
        (OWN_DATA, "files"),
        ((*OWN_DATA, "data=files"), "files"),
        ((*OWN_DATA, "experiment=few_labels"), "files"),
        (("data.source=files", *OWN_DATA), "files"),
    ],
)
def test_files_are_taken_where_files_are_given(line: tuple[str, ...], source: str) -> None:
    config = load("train", line)
    assert config.data.source == source
    assert (config.trainer.epochs == 10) == (source == "files"), "small sizes come with simulated data only"


def test_missing_picks_are_reported_when_only_micrographs_are_given() -> None:
    with pytest.raises(ConfigError, match=r"data\.picks is missing"):
        load("train", ["data.micrographs=micrographs", "data.expected_particles=3"])


def test_files_with_simulated_data_are_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be used with data=simulated"):
        load("train", [*OWN_DATA[:2], "data=simulated"])


def experiment(folder: Path, name: str, text: str) -> str:
    (folder / "experiment").mkdir(exist_ok=True)
    (folder / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}", encoding="utf-8")
    return f"hydra.searchpath=['file://{folder}']"


MINE = "data: {micrographs: mics, picks: picks.star, expected_particles: 20, radius: 4}\n"


def test_an_experiment_that_names_files_chooses_them(tmp_path: Path) -> None:
    search = experiment(tmp_path, "mine", MINE)
    config = load("train", [search, "experiment=mine"])
    assert (config.data.source, config.data.micrographs, config.data.radius) == ("files", "mics", 4)
    assert config.preprocess.downsample is None


def test_an_experiment_within_an_experiment_chooses_too(tmp_path: Path) -> None:
    experiment(tmp_path, "mine", MINE)
    search = experiment(tmp_path, "outer", "defaults: [mine, _self_]\ntrainer: {epochs: 2}\n")
    config = load("train", [search, "experiment=outer"])
    assert (config.data.source, config.trainer.epochs) == ("files", 2)


def test_what_an_experiment_chooses_is_not_overridden(tmp_path: Path) -> None:
    chosen = "defaults: [{override /data: simulated}]\ndata: {radius: 2}\n"
    search = experiment(tmp_path, "tiny", chosen)
    assert load("train", [search, "experiment=tiny"]).data.source == "simulated"
    with pytest.raises(ConfigError, match="cannot be used with data=simulated"):
        load("train", [search, "experiment=tiny", *OWN_DATA[:2]])


def test_an_experiment_that_is_no_yaml_is_refused_plainly(tmp_path: Path) -> None:
    search = experiment(tmp_path, "broken", "data: {radius: 2\n")
    with pytest.raises(ConfigError, match=r"no YAML: .*broken\.yaml"):
        load("train", [search, "experiment=broken"])


@pytest.mark.parametrize("name", catalogue.options("experiment"))
def test_every_experiment_begins_with_a_line_that_works(name: str) -> None:
    lines = (catalogue.conf_folder() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# @package _global_"
    program, command, *words = lines[1].removeprefix("# ").split()
    assert program == "pickery"
    assert f"experiment={name}" in words
    config = flat(load(command, words))
    plain = flat(load(command, [word for word in words if not word.startswith("experiment=")]))
    assert config != plain


# ---- the settings once they are loaded


def test_with_value_changes_one_setting_and_no_other() -> None:
    config = load("train", OWN_DATA)
    changed = with_value(config, "optimizer.learning_rate", 0.001)
    assert {key for key, value in flat(changed).items() if value != flat(config)[key]} == {"optimizer.learning_rate"}
    assert with_value(changed, "optimizer.learning_rate", config.optimizer.learning_rate) == config
    assert with_value(config, "seed", 7).seed == 7
    assert with_value(config, "data.picks", ["a.star", "b.star"]).data.picks == ("a.star", "b.star")


@pytest.mark.parametrize("key", list(catalogue.settings("train")))
def test_every_setting_survives_being_set_to_what_it_is(key: str) -> None:
    config = load_once()
    assert with_value(config, key, flat(config)[key]) == config


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("optimizer.learning_rat", 1, ["optimizer.learning_rat is not a setting", "optimizer.learning_rate"]),
        ("optimizer", 1, ["optimizer is a group"]),
        ("optimizer.learning_rate", -1, ["optimizer.learning_rate=-1", "above 0"]),
        ("trainer.epochs", 10.5, ["trainer.epochs=10.5", "a whole number"]),
        ("model.pooling", "average", ["model.pooling=average", "model=resnet8"]),
    ],
)
def test_with_value_checks_again(key: str, value: object, words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        with_value(load_once(), key, value)
    for word in words:
        assert word in str(error.value)


def test_resolved_settings_are_plain_and_load_again() -> None:
    config = load("train", [*OWN_DATA[:1], "data.picks=[a.star,b.star]", "data.expected_particles=400", "loss=pu"])
    plain = resolved(config)
    assert yaml.safe_load(yaml.safe_dump(plain)) == plain
    assert plain["data"]["picks"] == ["a.star", "b.star"]
    again = load("train", [f"{key}={literal(value)}" for key, value in flat(config).items()])
    assert again == config
    assert DataGroup.model_validate(config.data) is config.data


def literal(value: object) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    return str(value).replace("None", "null").replace("'", "")


_LOADED = []


def load_once():  # type: ignore[no-untyped-def]
    if not _LOADED:
        _LOADED.append(load("train", OWN_DATA))
    return _LOADED[0]


# ---- sweeps


def test_a_sweep_tells_its_jobs_apart() -> None:
    jobs = check_sweep("train", [*OWN_DATA, "loss=pu,ge_binomial", "optimizer.learning_rate=1e-4,2e-4", "seed=3"])
    assert jobs == [
        {"loss": objective, "optimizer.learning_rate": rate}
        for objective in ("pu", "ge_binomial")
        for rate in ("0.0001", "0.0002")
    ]


def test_a_sweep_reads_ranges_and_globs_as_hydra_does() -> None:
    assert [job["trainer.epochs"] for job in check_sweep("train", ["trainer.epochs=range(1,4)"])] == ["1", "2", "3"]
    assert [job["loss"] for job in check_sweep("train", ["loss=glob(ge_*)"])] == ["ge_binomial", "ge_kl"]
    assert check_sweep("train", []) == [{}]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["trainer.epochs=3,0,-1"], ["job 2 of 3, trainer.epochs=0", "at least 1"]),
        (["model=resnet8,conv31", "model.pooling=max,none"], ["job 3 of 4, model=conv31 model.pooling=max", "average"]),
        (["model=resnet8,resnet9"], ["job 2 of 2, model=resnet9", "no such model"]),
        (["trainer.epochs=1,2", "run_dir=here"], ["run_dir=here", "jobs 1 and 2"]),
        (["optimizer.learning_rate=interval(0,1)"], ["interval", "range"]),
        (["trainer.epoch=1,2"], ["trainer.epoch is not a setting"]),
        (["data.micrographs=a,b", "data.picks=c"], ["job 1 of 2, data.micrographs=a", "data.expected_particles"]),
    ],
)
def test_the_first_bad_combination_is_named_before_any_starts(line: list[str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        check_sweep("train", line)
    for word in words:
        assert word in str(error.value)


def test_folders_that_differ_may_be_given_in_a_sweep() -> None:
    check_sweep("train", ["trainer.epochs=1,2", "run_dir=runs/${trainer.epochs}"])


def test_a_sweep_within_an_experiment_is_checked_too(tmp_path: Path) -> None:
    sweep = "hydra: {mode: MULTIRUN, sweeper: {params: {trainer.epochs: '1,0'}}}\n"
    search = experiment(tmp_path, "sweep", sweep)
    with pytest.raises(ConfigError, match=r"job 2 of 2, trainer\.epochs=0"):
        check_sweep("train", [search, "experiment=sweep"])
