"""The commands of the documents, run: as they stand where that is quick, on small sizes where it is not."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from pickery.config.commands import COMMANDS
from pickery.sharing import usable_cores
from tests.conftest import Said, TinyData

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# what makes a training one of seconds
SMALL = [
    "model.units=4", "sampler.minibatch_size=16", "sampler.epoch_size=3", "trainer.epochs=2", "trainer.threads=1",
    "preprocess.workers=1",
]  # fmt: skip
SMALL_SIMULATION = ["simulation.micrographs=4", "simulation.rows=384", "simulation.columns=384",
                    "simulation.particles_per_micrograph=8"]  # fmt: skip


def commands() -> list[list[str]]:
    """All commands in the documents' shell blocks, as words."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"```bash\n(.*?)```", document.read_text(encoding="utf-8"), re.S):
            lines = block.replace("\\\n", " ").splitlines()
            found += [shlex.split(line, comments=True) for line in lines if line.strip() and not line.startswith("#")]
    return [words for words in found if words]


def pickery_commands(name: str) -> list[list[str]]:
    return [words[1:] for words in commands() if words[0].endswith("pickery") and words[1] == name]


def test_every_documented_command_is_one_that_these_tests_run() -> None:
    for words in commands():
        assert words[0] in ("./scripts/pickery", "pickery", "./scripts/test", "./scripts/benchmark"), words
        if words[0].endswith("pickery"):
            assert words[1] in COMMANDS, words
        else:
            assert (ROOT / words[0]).exists()
    assert len(pickery_commands("train")) >= 3
    assert len(pickery_commands("cross-validate")) >= 5


@pytest.mark.parametrize("words", pickery_commands("train") + pickery_commands("cross-validate"), ids=" ".join)
def test_documented_settings_are_valid_as_they_stand(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pickery.config.load import check_sweep, load

    (tmp_path / "srun").touch(mode=0o755)  # of a cluster
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    if "--multirun" in words:
        assert len(check_sweep(words[0], [word for word in words[1:] if word != "--multirun"])) > 1
    else:
        load(words[0], words[1:])


def shrunk(words: list[str]) -> list[str]:
    """Make a training, or each of a cross-validation, one of seconds."""
    small = list(SMALL)
    if not any(word.startswith(("data.micrographs=", "from_run=")) for word in words):
        # resnet8 sees 71 regions, these micrographs have 96
        small += SMALL_SIMULATION
    else:
        small += ["preprocess.downsample=4", "data.expected_particles=8"]
    if usable_cores() < 2:
        small += ["trainer.devices=1"]
    if words[0] == "cross-validate" and not any(word.startswith("cross_validation.values=") for word in words):
        small += ["cross_validation.times=2"]
    other = {word.split("=")[0] for word in small}
    return [word for word in words if word.split("=")[0] not in other] + small


@pytest.fixture
def own_data(tiny: TinyData, tmp_path: Path) -> Path:
    """Lay out a user's folder: micrographs, and picks as RELION writes them."""
    for name in ("micrographs", "apoferritin"):
        (tmp_path / name).symlink_to(tiny.micrographs)
    (tmp_path / "picks.txt").symlink_to(tiny.picks)
    rows = [line.split("\t") for line in tiny.picks.read_text().splitlines()[1:]]
    loop = "\n".join(f"micrographs/{name}.mrc {x} {y}" for name, x, y, *_ in rows)
    (tmp_path / "picks.star").write_text(
        "# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnMicrographPixelSize #2\n1 2.0\n\n"
        "data_particles\n\nloop_\n_rlnMicrographName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\n" + loop + "\n"
    )
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("words", pickery_commands("train"), ids=" ".join)
def test_documented_trainings_run(words: list[str], own_data: Path, said_by: Said) -> None:
    for earlier in (word.partition("=")[2] for word in words if word.startswith("from_run=")):
        first = ["data.micrographs=micrographs", "data.picks=picks.star", "model=conv31", f"run_dir={earlier}"]
        said_by(*shrunk(["train", *first]))
    said = said_by(*shrunk(words))
    assert "best epoch" in said
    assert "to read about it: pickery report runs/" in said
    assert list(own_data.glob("runs/*/model.ckpt"))
    assert (own_data / "mlruns" / "mlflow.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    # test_launchers.py checks what SLURM would be told
    [words for words in pickery_commands("cross-validate") if "hydra/launcher=submitit_slurm" not in words],
    ids=" ".join,
)
def test_documented_cross_validations_run(words: list[str], own_data: Path, said_by: Said) -> None:
    said_by(*shrunk(words))
    given = [word.partition("=")[2] for word in words if word.startswith("run_dir=")]
    (folder,) = [own_data / name for name in given] or own_data.glob("runs/cross-validate-*")
    for name in ("model.ckpt", "cross_validation.csv", "plots/cross_validation.png", "summary.json"):
        assert (folder / name).exists()
    assert "failed" not in (folder / "cross_validation.csv").read_text()
    assert list((folder / "workers").iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_the_page_of_runs_opens_and_ends(tiny: TinyData, tmp_path: Path, said_by: Said) -> None:
    words = [word for word in tiny.overrides("trainer.epochs=1") if word != "tracking=off"]
    said_by("train", *words)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "pickery", "ui", f"ui.port={port}"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(120):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                    assert "MLflow" in page.read().decode()
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.5)
        else:
            pytest.fail("the page did not open within a minute")
    finally:
        server.send_signal(signal.SIGINT)
        said, _ = server.communicate(timeout=60)
    assert f"http://127.0.0.1:{port}/#/experiments/" in said
