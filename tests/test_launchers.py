"""A cross-validation's workers as Hydra's launchers, a cluster and several machines start, end and lose them."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest

from pickery.config.errors import ConfigError
from pickery.config.explain import unknown_option
from pickery.config.load import check_sweep
from tests.conftest import TinyData
from tests.cross_validation.conftest import cross_validate, epochs_said
from tests.test_cli import program
from tests.test_readme import pickery_commands

pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
pytest.importorskip("hydra_plugins.hydra_submitit_launcher")

EPOCHS = 10
TRAININGS = 4
# long enough to be killed in the middle
LONG = (
    "cross_validation.values=[0.001,0.002]", "cross_validation.folds=2",
    f"trainer.epochs={EPOCHS}", "sampler.epoch_size=50",
)  # fmt: skip
WORKERS = ("--multirun", "cross_validation.worker=0,1,2")


def eventually(condition: Callable[[], object], timeout_s: float = 120) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


class Started:
    """A program in a process group of its own, whose words go to a file."""

    groups: ClassVar[list[int]] = []

    def __init__(self, line: list[str], folder: Path, env: dict[str, str] | None = None) -> None:
        self._said = folder / f"said.{time.monotonic_ns()}"
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                line, cwd=folder, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"} | (env or {}),
            )  # fmt: skip
        self.groups.append(self.process.pid)

    @property
    def said(self) -> str:
        return self._said.read_text()

    def wait(self, timeout_s: float = 180) -> int:
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.said) from None


@pytest.fixture(autouse=True)
def _leave_nothing_behind() -> Iterator[None]:
    yield
    while Started.groups:
        with suppress(ProcessLookupError):
            os.killpg(Started.groups.pop(), signal.SIGKILL)


def pickery(folder: Path, words: list[str], *more: str, env: dict[str, str] | None = None) -> Started:
    return Started([sys.executable, "-m", "pickery", "cross-validate", *words, *more], folder, env)


def in_training(cross: Path, host: str = "") -> int | None:
    """Give the process of a worker that is in the middle of a training of the folds."""
    for path in sorted((cross / "workers").glob(f"{host}*.json")):
        try:
            worker = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        # what it told may be a second old
        if 1 <= worker["progress"].get("epoch", 0) < EPOCHS // 2 and "fold" in str(worker["progress"]["training"]):
            return int(worker["pid"])
    return None


def kill_one(cross: Path, number: int = signal.SIGKILL, host: str = "") -> int:
    found: list[int | None] = [None]
    eventually(lambda: found.append(in_training(cross, host)) or found[-1])
    assert found[-1] is not None
    os.kill(found[-1], number)
    return found[-1]


def trials(cross: Path, study: str = "pickery") -> list[tuple[str, str]]:
    """Give all trials of a study: the training's name, and how it ended."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(cross / "study.journal")))
    known = optuna.load_study(study_name=study, storage=storage).trials
    return [(one.user_attrs["name"], one.user_attrs.get("ended", one.state.name.lower())) for one in known]


def holds(cross: Path, alone: str) -> None:
    """Hold a cross-validation that was disturbed against an undisturbed one."""
    assert (cross / "cross_validation.csv").read_text() == alone
    finished = [name for name, ended in trials(cross) if ended == "complete"]
    assert len(finished) == len(set(finished)) == TRAININGS
    (final,) = [name for name, ended in trials(cross, "pickery final") if ended == "complete"]
    assert len(list(cross.glob("*_final"))) == 1
    disturbed = {name for name, ended in trials(cross) if ended != "complete"}
    for folder, epochs in epochs_said(cross).items():
        # what a kill cuts off may be said twice, or trained and not said
        name = folder.replace("_0.", "=0.").replace("_fold_", ", fold ").replace("_final", ", final")
        assert name in {*finished, final}
        assert len(epochs) <= EPOCHS + 1 if name in disturbed else epochs == [*range(1, EPOCHS + 1)]
    assert list((cross / "workers").iterdir()) == []


@pytest.fixture(scope="module")
def alone(tiny: TinyData, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the table of one process that was left in peace."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patched:  # drawing takes most of the time
        for module in ("pickery.training.finish", "pickery.cross_validation.conclude"):
            patched.setattr(f"{module}.save_figure", lambda figure, path: None)
        return cross_validate(tiny.overrides(*LONG, f"run_dir={folder / 'cross'}")).table


# ---- joblib


@pytest.mark.slow
def test_joblib_ends_all_when_one_is_killed_and_the_same_command_ends_with_the_table_of_one_process(
    tiny: TinyData, tmp_path: Path, alone: str
) -> None:
    cross = tmp_path / "cross"
    words = tiny.overrides(*LONG, *WORKERS, "hydra/launcher=joblib", "hydra.launcher.n_jobs=3", "run_dir=cross")
    first = pickery(tmp_path, words)
    kill_one(cross)
    assert first.wait() == 1
    assert "a job was killed" in first.said
    assert "the same command takes up where it stopped" in first.said
    assert "Traceback" not in first.said
    assert not (cross / "summary.json").exists()
    again = pickery(tmp_path, words)
    assert again.wait() == 0, again.said
    holds(cross, alone)
    # each tells of its own trainings, number 0 of what all this is
    assert again.said.count("2 values on 2 folds") == 1
    told = re.findall(r"^ *\d of 5  (.*) \(worker [012]\)", again.said, re.M)
    assert len(told) == len(set(told))
    assert {name for name, ended in trials(cross) if ended == "lost"} <= set(told)
    assert again.said.count("is best: ") == 1


# ---- processes on one machine or several


@pytest.mark.slow
def test_of_workers_started_by_hand_one_is_killed_and_the_others_do_its_work(
    tiny: TinyData, tmp_path: Path, alone: str
) -> None:
    words = tiny.overrides(*LONG, "run_dir=cross")
    workers = [pickery(tmp_path, words, f"cross_validation.worker={number}") for number in (0, 1, 2)]
    killed = kill_one(tmp_path / "cross")
    assert sorted(worker.wait() for worker in workers) == [-signal.SIGKILL, 0, 0]
    assert any(worker.process.pid == killed for worker in workers)
    holds(tmp_path / "cross", alone)
    assert sum("lost its worker and is taken up again" in worker.said for worker in workers) == 1


SILENT_S = 6.0
# a machine of another name, with less patience
ELSEWHERE = f"""
import socket, sys
host, *words = sys.argv[1:]
socket.gethostname = lambda: host
from pickery.cross_validation.study import presence
presence.SILENT_S, presence.HEARTBEAT_S = {SILENT_S}, 1.0
from pickery.cli import main
sys.exit(main(words))
"""


@pytest.mark.slow
def test_what_a_machine_that_fell_silent_had_is_taken_up_by_another_after_the_stated_time(
    tiny: TinyData, tmp_path: Path, alone: str
) -> None:
    cross = tmp_path / "cross"
    words = ["cross-validate", *tiny.overrides(*LONG, "run_dir=cross")]
    far = Started([sys.executable, "-c", ELSEWHERE, "gpu7", *words], tmp_path)
    near = Started([sys.executable, "-c", ELSEWHERE, "gpu8", *words], tmp_path)
    eventually(lambda: in_training(cross, "gpu7"))
    (record,) = (cross / "workers").glob("gpu7*.json")
    kill_one(cross, host="gpu7")
    assert far.wait() == -signal.SIGKILL
    silent_since = record.stat().st_mtime
    eventually(lambda: not record.exists())
    assert time.time() - silent_since >= SILENT_S
    assert near.wait() == 0
    assert near.said.count("lost its worker and is taken up again") == 1
    holds(cross, alone)


# ---- submitit, on this machine


@pytest.mark.slow
def test_submitit_goes_on_when_one_is_killed_and_the_others_do_its_work(
    tiny: TinyData, tmp_path: Path, alone: str
) -> None:
    cross = tmp_path / "cross"
    launched = pickery(tmp_path, tiny.overrides(*LONG, *WORKERS, "hydra/launcher=submitit_local", "run_dir=cross"))
    kill_one(cross)
    eventually(lambda: (cross / "summary.json").exists() and not list((cross / "workers").iterdir()))
    assert launched.wait() == 1
    assert "what the jobs say is in .submitit, in the newest folder of runs/.sweeps" in launched.said
    assert re.search(r"a job ended before it was done, killed perhaps; .* is in /.*/runs/\.sweeps/.*\);", launched.said)
    assert "Traceback" not in launched.said
    holds(cross, alone)


# ---- SLURM, of which there is only the outside

CLUSTER = {
    "sbatch": 'cp "$1" batch.sh; echo "Submitted batch job 4711"',
    "sacct": 'echo "JobID|State|NodeList"; for i in 0 1 2; do echo "4711_$i|RUNNING|gpu$i"; done',
    "scontrol": 'echo "$@" >> scontrol.said',
    "srun": 'while [ "${1#--}" != "$1" ]; do case $1 in --output|--error) shift 2;; *) shift;; esac; done; exec "$@"',
}


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """Make the commands of a cluster that takes every job and starts none; gives the environment."""
    (tmp_path / "bin").mkdir()
    for name, script in CLUSTER.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def directives(batch: Path) -> dict[str, str]:
    lines = [line for line in batch.read_text().splitlines() if line.startswith("#SBATCH --")]
    return dict(shlex.split(line.removeprefix("#SBATCH --"))[0].partition("=")[::2] for line in lines)


def submit(folder: Path, words: list[str], env: dict[str, str], jobs: int) -> None:
    """Submit, and go away, as may who has seen the jobs in the queue."""
    launched = pickery(folder, words, env=env)
    eventually(lambda: len(list(folder.glob("runs/.sweeps/*/.submitit/4711_*/*_submitted.pkl"))) == jobs)
    launched.process.send_signal(signal.SIGINT)
    assert launched.wait() == 130, launched.said


def job(folder: Path, env: dict[str, str], number: int) -> Started:
    """Do with a job of the array what the cluster would."""
    slurm = {
        "SLURM_JOB_ID": "4711", "SLURM_ARRAY_JOB_ID": "4711", "SLURM_ARRAY_TASK_ID": str(number), "SLURM_NTASKS": "1",
        "SLURM_JOB_NUM_NODES": "1", "SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0",
    }  # fmt: skip
    return Started(["bash", "batch.sh"], folder, env | slurm)


@pytest.mark.slow
def test_a_job_whose_time_is_almost_up_hands_its_training_back_and_is_queued_again(
    tiny: TinyData, tmp_path: Path, cluster: dict[str, str], alone: str
) -> None:
    cross = tmp_path / "cross"
    (documented,) = [line for line in pickery_commands("cross-validate") if "hydra/launcher=submitit_slurm" in line]
    recipe = [word for word in documented if word.startswith(("hydra", "--multirun", "cross_validation.worker="))]
    assert len(recipe) == 9
    submit(tmp_path, tiny.overrides(*LONG, *recipe, "run_dir=cross"), cluster, 3)
    asked = directives(tmp_path / "batch.sh")
    assert asked.items() >= {
        "array": "0-2%3", "partition": "gpu", "time": "240", "gpus-per-node": "1", "cpus-per-task": "8",
        "mem": "32GB", "nodes": "1", "ntasks-per-node": "1", "signal": "USR2@120", "job-name": "pickery",
    }.items()  # fmt: skip
    assert not cross.exists(), "the jobs make it"
    command = (tmp_path / "batch.sh").read_text().splitlines()[-1]
    assert command.startswith("srun ")
    assert f" {sys.executable} -u -m submitit.core._submit {tmp_path}/runs/.sweeps/" in command

    first = job(tmp_path, cluster, 0)
    kill_one(cross, signal.SIGUSR2)
    assert first.wait() != 0
    assert (tmp_path / "scontrol.said").read_text() == "requeue 4711_0\n"
    assert [ended for _, ended in trials(cross) if ended not in ("complete", "waiting")] == ["released"]
    assert list((cross / "workers").iterdir()) == []
    again = job(tmp_path, cluster, 0)
    assert again.wait() == 0, again.said
    assert "going on in cross" in again.said
    holds(cross, alone)


# a training that lasts until it is asked to end
PATIENT = """
import os, signal, sys, time, types
from pickery.termination import terminable
def run(config):
    with terminable():
        os.kill(os.getpid(), signal.SIGUSR2)
        time.sleep(60)
module = types.ModuleType("pickery.commands.train")
module.run = run
sys.modules["pickery.commands.train"] = module
"""


@pytest.mark.parametrize(("more", "requeued"), [(["hydra.launcher.max_num_timeout=1"], "requeue 4711_1\n"), ([], None)])
def test_a_job_is_queued_again_as_often_as_was_said(
    more: list[str], requeued: str | None, tmp_path: Path, cluster: dict[str, str]
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(PATIENT)
    env = cluster | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(Path("src").absolute())])}
    line = ["train", "--multirun", "seed=1,2", "hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=10"]
    launched = Started([sys.executable, "-m", "pickery", *line, *more], tmp_path, env)
    eventually(lambda: len(list(tmp_path.glob("runs/.sweeps/*/.submitit/4711_*/*_submitted.pkl"))) == 2)
    launched.process.send_signal(signal.SIGINT)
    assert launched.wait() == 130
    ended = job(tmp_path, env, 1)
    status, said = ended.wait(), tmp_path / "scontrol.said"
    assert (said.read_text() if said.exists() else None) == requeued
    assert ("the job's time was up; the same command takes up where it stopped" in ended.said) == (requeued is None)
    assert (status == 0) == (requeued is None), "submitit keeps the failure as the job's result"
    assert "mistake in Pickery" not in ended.said


def test_what_sbatch_refuses_is_said_in_its_words(tmp_path: Path, cluster: dict[str, str]) -> None:
    (tmp_path / "bin" / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid partition: gpu' >&2\nexit 1\n")
    line = ["train", "--multirun", "seed=1,2", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"]
    launched = Started([sys.executable, "-m", "pickery", *line], tmp_path, cluster)
    assert launched.wait() == 1
    assert "pickery: the jobs could not be submitted: sbatch: error: invalid partition: gpu\n" in launched.said
    assert "Traceback" not in launched.said


# ---- what goes wrong, said plainly


def test_jobs_that_fail_elsewhere_are_told_of_in_one_line(tmp_path: Path) -> None:
    done = program(tmp_path, "train", "-m", "trainer.epochs=1,2", "hydra/launcher=submitit_local")
    assert done.returncode == 1
    assert "pickery: the sweep has failed jobs; the first is job 2, trainer.epochs=2: two is too many" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_cluster_its_launcher_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="there is no srun here"):
        check_sweep("train", ["hydra/launcher=submitit_slurm", "seed=1,2"])


def test_a_launcher_that_is_not_installed_is_said_to_be_so() -> None:
    assert "pip install 'pickery[launchers]'" in unknown_option("train", "hydra/launcher", "joblib", ["basic"])
    assert unknown_option("train", "hydra/launcher", "ray", ["basic"]).endswith(
        "basic, joblib, submitit_local, submitit_slurm."
    )
