"""The walls between the rooms: who may import what. Read from the source, so that a late import counts too."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "pickery"
LIGHTNING, HYDRA, MLFLOW, OPTUNA = ("pytorch_lightning", "lightning"), ("hydra", "omegaconf"), ("mlflow",), ("optuna",)
SHELLS = (*LIGHTNING, *HYDRA, *MLFLOW, *OPTUNA)
PURE = ("formats", "preprocess", "placement", "model", "loss", "evaluation", "data", "plots", "simulation")

# what each pure room may import of the others, beside pickery.errors and itself
MAY_IMPORT = {
    "formats": (),
    "preprocess": ("formats",),
    "placement": ("formats",),
    "model": (),
    "loss": ("model",),
    "evaluation": ("model",),
    "data": (),
    "plots": ("evaluation",),
    "simulation": ("formats",),
}


def imports_of(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, at its top or later, type-checking imports aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    aside = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in aside:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide which room is meant"
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def files(room: str) -> list[Path]:
    path = SOURCE / room
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def reached(path: Path, packages: tuple[str, ...]) -> set[str]:
    return {name for name in imports_of(path) if name.split(".")[0] in packages}


def rooms_of(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports_of(path) if name.startswith("pickery.")}


ALL_FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_know_no_shell_and_no_configuration(room: str) -> None:
    for path in files(room):
        if path.name == "datamodule.py":
            assert not reached(path, (*HYDRA, *MLFLOW, *OPTUNA)), path
        else:
            assert not reached(path, SHELLS), path
        any_may = {"errors", "atomic", "building", "decimals", "memory", "orphans", "termination"}
        assert rooms_of(path) <= any_may | {room, *MAY_IMPORT[room]}, path


@pytest.mark.parametrize("room", ["preprocess", "formats", "placement", "simulation", "config"])
def test_rooms_that_start_fast_or_in_many_processes_do_without_torch(room: str) -> None:
    for path in files(room):
        assert not reached(path, ("torch",)), path


def test_configuration_knows_no_other_shell() -> None:
    for path in files("config"):
        assert not reached(path, (*LIGHTNING, *MLFLOW, *OPTUNA, "torch")), path
        allowed = {"errors", "decimals", "config", "evaluation", "simulation", "conf", "cross_validation"}
        assert rooms_of(path) <= allowed, path
        for name in imports_of(path):
            if name.startswith("pickery.cross_validation"):
                assert f"{name}.".startswith("pickery.cross_validation.grid."), f"{path}: only the values, not the work"


def test_only_tracking_imports_mlflow_and_it_knows_no_other_room() -> None:
    for path in ALL_FILES:
        if path.parent == SOURCE / "tracking":
            assert rooms_of(path) <= {"errors", "termination", "tracking"}, path
        else:
            assert not reached(path, MLFLOW), path


def test_what_a_cross_validation_reckons_is_pure() -> None:
    room = SOURCE / "cross_validation"
    for path in (room / "grid.py", *(room / "results").glob("*.py")):
        assert not reached(path, (*SHELLS, "torch")), path
        assert rooms_of(path) <= {"errors", "decimals", "evaluation", "cross_validation"}, path
        assert not any(name.startswith("pickery.cross_validation.study") for name in imports_of(path)), path


def test_only_the_study_imports_optuna_and_it_knows_no_other_shell() -> None:
    for path in ALL_FILES:
        if path.parent == SOURCE / "cross_validation" / "study":
            assert not reached(path, (*LIGHTNING, *HYDRA, *MLFLOW, "torch")), path
            assert rooms_of(path) <= {"errors", "atomic", "cross_validation"}, path
        else:
            assert not reached(path, OPTUNA), path


def test_only_configuration_and_the_command_line_import_hydra() -> None:
    for path in ALL_FILES:
        if path.parent.name not in ("config", "schema") and path.name != "cli.py":
            assert not reached(path, HYDRA), path


def test_lightning_stays_in_the_training_loop() -> None:
    allowed = {SOURCE / "data" / "datamodule.py", *(SOURCE / "training").glob("*.py")}
    for path in ALL_FILES:
        if path not in allowed:
            assert not reached(path, LIGHTNING), path


def test_the_lightning_shells_take_plain_arguments_not_a_configuration() -> None:
    for name in ("module", "callbacks", "held_out", "history", "running", "optimizers", "team", "followers"):
        path = SOURCE / "training" / f"{name}.py"
        assert not rooms_of(path) & {"config", "tracking", "commands", "terminal"}, path


def test_picking_needs_no_training_and_no_shell() -> None:
    for path in files("picking"):
        assert not reached(path, SHELLS), path
        allowed = {"config", "tracking", "formats", "preprocess", "model", "evaluation", "plots"}
        assert rooms_of(path) <= {
            "errors",
            "atomic",
            "decimals",
            "memory",
            "orphans",
            "sharing",
            "picking",
            *allowed,
        }, path
        if path.name in ("candidates.py", "crew.py", "work.py"):
            # what works, in this process or in others, takes plain arguments
            assert not rooms_of(path) & {"config", "tracking", "plots"}, path


def test_the_doctor_looks_and_trains_nothing() -> None:
    for path in files("doctor"):
        assert not reached(path, SHELLS), path
        assert not rooms_of(path) & {"tracking", "topaz", "picking", "cross_validation", "report"}, path
        assert "pickery.training.fit" not in imports_of(path) or path.name == "cost.py", path


def test_a_report_is_made_from_a_runs_folder_alone() -> None:
    for path in files("report"):
        assert not reached(path, (*LIGHTNING, *MLFLOW, *OPTUNA, "torch")), path
        assert rooms_of(path) <= {"errors", "config", "evaluation", "report"}, path


def test_nobody_imports_the_commands_but_the_command_line() -> None:
    for path in ALL_FILES:
        room = path.relative_to(SOURCE).parts[0]
        # the functions of `pickery.api` are beside the commands, not below
        if room not in ("cli.py", "commands", "api"):
            assert not rooms_of(path) & ({"commands", "terminal"} - {room}), path


def test_every_room_is_packaged() -> None:
    import tomllib

    with (SOURCE.parents[1] / "pyproject.toml").open("rb") as file:
        packages = set(tomllib.load(file)["tool"]["setuptools"]["packages"])
    rooms = {".".join(path.parent.relative_to(SOURCE.parent).parts) for path in SOURCE.rglob("__init__.py")}
    assert packages == rooms | {"pickery.conf"}


def test_files_can_be_read_at_one_go() -> None:
    long = {str(path): count for path in ALL_FILES if (count := len(path.read_text().splitlines())) > 350}
    assert not long


def test_the_original_topaz_is_run_from_outside_and_only_one_place_chooses_who_trains() -> None:
    room = SOURCE / "topaz"
    knows_settings = {"asked.py", "train.py"}  # the others take plain arguments
    for path in room.glob("*.py"):
        assert not reached(path, (*SHELLS, "topaz")), path
        if path.name not in knows_settings:
            assert not rooms_of(path) & {"config", "tracking"}, path
        inside = {name.split(".")[2] for name in imports_of(path) if name.startswith("pickery.training.")}
        assert not inside & {"fit", "loop", "module", "callbacks", "run"}, f"{path}: that is the other engine"
    for path in ALL_FILES:
        if path.parent != room and path != SOURCE / "training" / "run.py":
            engine = {name for name in imports_of(path) if name.startswith("pickery.topaz.")}
            assert {name.split(".")[2] for name in engine} <= {"score_map"}, path
