"""Several processes that train one model together train the one that a single process trains, and end together."""

import csv
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from pickery.config.load import load
from pickery.data.datamodule import LabelledMicrographs, MinibatchDataset, PickerDataModule
from pickery.data.sampler import RegionSampler
from pickery.errors import InputError
from pickery.sharing import usable_cores
from pickery.training.choices import training_device
from pickery.training.followers import Followers
from pickery.training.leading import threads_each
from pickery.training.team import Started, Team, started_beside_others
from tests.conftest import TinyData
from tests.programs import Launcher, Program, epochs_of
from tests.training.whole_runs import run

FOLLOWER = "pickery.training.follower"
two_cores = pytest.mark.skipif(usable_cores() < 2, reason="two processes train on two cores")
unix = pytest.mark.skipif(sys.platform == "win32", reason="sends signals")


def eventually(condition: Callable[[], object], timeout_s: float = 60) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def rows(folder: Path) -> list[dict[str, float]]:
    text = (folder / "metrics.csv").read_text()
    return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(text.splitlines())]


def assert_same_curves(one: Path, other: Path) -> None:
    """Hold curves against each other; sums in another order differ in their last digits, which training amplifies."""
    assert len(rows(one)) == len(rows(other))
    for first, second in zip(rows(one), rows(other), strict=True):
        assert first.keys() == second.keys()
        for name, value in first.items():
            by_rank = "auprc" in name or "pick_" in name  # two of almost equal scores change places
            assert second[name] == pytest.approx(value, rel=1e-3 if by_rank else 1e-5, nan_ok=True), name


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# ---- the same curves


@two_cores
@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["sampler=patches"],
        # one held-out micrograph: the second process has none
        [
            "sampler=patches",
            "loss=pu",
            "loss.l2=0.01",
            "data.test_fraction=0.2",
            "sampler.workers=1",
            "sampler.resident=false",
        ],
        # few steps: eighteen of so large an objective amplify last digits to 2e-4 with some seeds, four keep them
        [
            "sampler=patches",
            "loss.autoencoder=0.1",
            "evaluation.monitor=pick_average_precision",
            "sampler.epoch_size=2",
            "trainer.epochs=2",
        ],
        ["sampler=crops", "sampler.outputs=3", "loss=ge_kl"],
    ],
    ids=["ge_binomial", "pu", "autoencoder", "crops"],
)
def test_two_processes_train_as_one_does(tiny: TinyData, words: list[str]) -> None:
    # Adam makes the same step of a gradient that is too large as a whole
    words = [*words, "optimizer=sgd", "optimizer.learning_rate=0.0001"]
    one = run(tiny.overrides(*words, "run_dir=one"))
    two = run(tiny.overrides(*words, "run_dir=two", "trainer.devices=2"))
    assert_same_curves(one, two)
    assert not torch.distributed.is_initialized()
    assert not followers_of(os.getpid())


@two_cores
@pytest.mark.slow
def test_a_run_is_the_same_whatever_the_number_of_devices_and_may_go_on_with_another(tiny: TinyData) -> None:
    whole = run(tiny.overrides("run_dir=whole"))
    begun = run(tiny.overrides("trainer.epochs=2", "trainer.devices=2"))
    assert run(tiny.overrides("trainer.epochs=2")) == begun
    assert run(tiny.overrides()) == begun
    assert_same_curves(begun, whole)


def labelled() -> LabelledMicrographs:
    generator = np.random.default_rng(0)
    shapes = np.array([(60, 70), (90, 50), (40, 40), (50, 50)])
    sizes = shapes.prod(axis=1)
    return LabelledMicrographs(
        names=("a", "b", "c", "d"),
        flat=generator.normal(size=sizes.sum()).astype(np.float32),
        starts=np.concatenate([[0], np.cumsum(sizes)[:-1]]),
        shapes=shapes,
        points=tuple(generator.uniform(10, 30, size=(3, 2)) for _ in shapes),
        radius=2,
    )


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_shares_of_a_minibatch_are_the_minibatch_and_each_has_its_part_of_the_positives(outputs: int) -> None:
    train = labelled()
    sampler = RegionSampler(train.regions(), minibatch_size=12, balance=0.25, seed=0, outputs=outputs, stride=4)
    whole = MinibatchDataset(sampler, train.flat, 9, cut_here=True)[5]
    parts = [slice(rank, None, 3) for rank in range(3)]
    shares = [MinibatchDataset(sampler, train.flat, 9, cut_here=True, share=part)[5] for part in parts]
    for name, value in whole.items():
        together = torch.stack([share[name] for share in shares], dim=1).flatten(0, 1)
        np.testing.assert_array_equal(together.numpy(), value.numpy())  # to which nan equals nan
    assert all((share["label"] == 1).any() for share in shares)


def test_every_held_out_micrograph_is_judged_by_one_process() -> None:
    micrographs = labelled()
    sampler = RegionSampler(micrographs.regions(), minibatch_size=12, balance=0.25, seed=0)
    seen: list[int] = []
    for rank in range(3):
        module = PickerDataModule(
            train=micrographs, test=micrographs, sampler=sampler, epoch_size=2, side=9, rank=rank, ranks=3
        )
        seen += [batch["index"] for batch in module.val_dataloader()]
    assert sorted(seen) == list(range(len(micrographs)))


# ---- what cannot be asked


def test_more_processes_than_cores_are_refused(tiny: TinyData) -> None:
    cores = usable_cores()
    words = tiny.overrides(f"trainer.devices={cores + 1}", f"sampler.minibatch_size={16 * (cores + 1)}")
    with pytest.raises(InputError, match=rf"trainer\.devices={cores + 1} on the CPU .* use trainer\.devices={cores}"):
        training_device(load("train", words))


def test_more_devices_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    config = load("train", ["data=simulated", "trainer.devices=4"])
    with pytest.raises(InputError, match=r"finds 2 GPUs: use trainer\.devices=2"):
        training_device(config)


def test_processes_divide_the_cores_unless_told_how_many_threads_each_has() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert threads_each(3, cpu, 2) == 3
    assert threads_each(None, cpu, 1) is None
    assert threads_each(None, gpu, 2) is None
    each = threads_each(None, cpu, 2)
    assert each is not None
    assert 1 <= each <= max(1, usable_cores() // 2)


ENVIRONMENT = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "node1", "MASTER_PORT": "29500"}


def test_the_environment_says_who_was_started_beside_whom() -> None:
    assert started_beside_others({}) is None
    assert started_beside_others({"RANK": "0", "WORLD_SIZE": "1"}) is None
    assert started_beside_others({"WORLD_SIZE": "4"}) is None
    environment = ENVIRONMENT | {"LOCAL_WORLD_SIZE": "2"}
    assert started_beside_others(environment) == Started(Team(3, 4), 1, 2, "node1", 29500)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"MASTER_ADDR": ""}, "MASTER_ADDR is missing"),
        ({"RANK": "4"}, "do not go together"),
        ({"MASTER_PORT": "http"}, "do not go together"),
        ({"LOCAL_WORLD_SIZE": "1"}, "do not go together"),
    ],
)
def test_an_environment_that_contradicts_itself_is_refused(changed: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        started_beside_others(ENVIRONMENT | changed)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sampler.minibatch_size=18"], "write sampler.minibatch_size=20"),
        (["trainer.devices=3", "sampler.minibatch_size=48"], "leave trainer.devices=3 out"),
    ],
)
def test_processes_started_together_are_held_against_the_settings(
    tiny: TinyData, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pickery.commands.train import run as command

    for name, value in (ENVIRONMENT | {"LOCAL_WORLD_SIZE": "2"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=said):
        command(load("train", tiny.overrides(*words)))


# ---- how they end


def followers_of(process: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        children = psutil.Process(process).children(recursive=True)
        return [child for child in children if FOLLOWER in child.cmdline()]
    return []


LONG = ("sampler.epoch_size=40", "trainer.epochs=6", "trainer.devices=2", "run_dir=together")


def start(launcher: Launcher, words: list[str], folder: Path, **environment: str) -> Program:
    return launcher.start(["train", *words], folder, **environment)


@pytest.fixture
def training(launcher: Launcher, tiny: TinyData, tmp_path: Path) -> Iterator[Program]:
    """Begin a training by two processes, and give it in the middle of its second epoch or later."""
    words = [*tiny.overrides(*LONG), "tracking=mlflow", "tracking.system_metrics=false"]
    begun = start(launcher, [word for word in words if word != "tracking=off"], tmp_path)
    begun.wait_until(lambda: epochs_of(tmp_path / "together"))
    assert not begun.ended(), begun.said
    yield begun
    begun.kill()


def tracked(folder: Path) -> str:
    """Give the status of the only tracked run."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as database:
        ((status,),) = database.execute("select status from runs").fetchall()
    return str(status)


def is_gone(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


@two_cores
@unix
@pytest.mark.slow
def test_whichever_process_is_killed_all_end_and_the_same_command_gives_the_uninterrupted_figures(
    launcher: Launcher, training: Program, tiny: TinyData, tmp_path: Path
) -> None:
    together = tmp_path / "together"
    (follower,) = followers_of(training.pid)
    follower.kill()
    assert training.wait() == 1
    assert "process 2 of 2" in training.said
    assert "was killed by signal 9, most likely for want of memory" in training.said
    assert "Traceback" not in training.said
    assert tracked(tmp_path) == "FAILED"
    assert "failed: process 2 of 2" in (together / "log.txt").read_text()

    again, done = start(launcher, tiny.overrides(*LONG), tmp_path), epochs_of(together)
    again.wait_until(lambda: epochs_of(together) > done)
    assert followers_of(again.pid)
    again.strike(signal.SIGKILL, group=False)  # and nobody is left
    assert not (together / "summary.json").exists()

    whole = run(tiny.overrides(*LONG[:-1], f"run_dir={tmp_path / 'whole'}"))
    assert run(tiny.overrides(*LONG)) == together
    assert (together / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()


@two_cores
@unix
@pytest.mark.slow
def test_asked_to_end_all_end_and_it_is_said_how_to_go_on(training: Program, tmp_path: Path) -> None:
    (follower,) = followers_of(training.pid)
    follower.send_signal(signal.SIGTERM)  # a cluster asks all of them
    os.kill(training.pid, signal.SIGTERM)
    assert training.wait() == 130
    eventually(lambda: is_gone(follower), timeout_s=15)
    assert "takes up where it stopped" in training.said
    assert "Traceback" not in training.said
    assert tracked(tmp_path) == "KILLED"


@pytest.mark.slow
def test_what_a_process_cannot_do_is_told_in_its_last_words() -> None:
    with Followers(3, threads=1) as followers:
        followers.give([b"nonsense", b"nonsense"])
        with pytest.raises(InputError, match=r"process [23] of 3 .* ended with status 1(.|\n)*UnpicklingError"):
            eventually(followers.check)


# ---- started by something else


def start_together(launcher: Launcher, words: list[str], *folders: Path) -> list[Program]:
    """Start two processes as torchrun would, the leader first, each in a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        start(launcher, words, folder, **environment, RANK=str(rank), LOCAL_RANK=str(rank))
        for rank, folder in enumerate(folders)
    ]


@two_cores
@pytest.mark.slow
def test_processes_that_were_started_together_train_together_and_find_the_run_finished(
    launcher: Launcher, tiny: TinyData, tmp_path: Path
) -> None:
    one = run(tiny.overrides(f"run_dir={tmp_path / 'one'}"))
    for said in ("2 processes train together", "nothing to do"):
        both = start_together(launcher, tiny.overrides("run_dir=together"), tmp_path, tmp_path)
        assert [process.wait() for process in both] == [0, 0]
        assert said in both[0].said
        assert both[1].said == ""
    assert_same_curves(tmp_path / "together", one)


@two_cores
@pytest.mark.slow
def test_where_one_of_them_cannot_train_nobody_waits(launcher: Launcher, tiny: TinyData, tmp_path: Path) -> None:
    leader, other = start_together(launcher, tiny.overrides("preprocess.downsample=40"), tmp_path, tmp_path)
    assert [leader.wait(), other.wait()] == [1, 1]
    assert "downsample less" in leader.said
    assert "ends because another one did" in other.said

    # as on a machine that does not see the run's folder, in which the first epoch is
    (tmp_path / "elsewhere").mkdir()
    run(tiny.overrides("trainer.epochs=1", "run_dir=together"))
    words = tiny.overrides("trainer.epochs=2", "run_dir=together")
    leader, other = start_together(launcher, words, tmp_path, tmp_path / "elsewhere")
    assert [leader.wait(), other.wait()] == [1, 1]
    assert "process 2 of 2 finds another last.ckpt in together than process 1 of 2" in leader.said
    assert "Traceback" not in leader.said + other.said
    assert len(rows(tmp_path / "together")) == 1
    assert not (tmp_path / "elsewhere" / "together").exists()
