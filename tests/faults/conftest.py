"""What the tests of faults share: launchers of programs, and an undisturbed run to hold the others against."""

import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import TinyData
from tests.faults.disks import NAMESPACE
from tests.faults.torture import Victim, Whole
from tests.programs import Launcher


@pytest.fixture(scope="session")
def with_disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Give a launcher that may mount disks of any size, which nobody but it and its programs sees."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        pytest.skip("disks of a size of their own need Linux's unshare")
    probe = tmp_path_factory.mktemp("probe")
    tried = subprocess.run(
        [*NAMESPACE, "mount", "-t", "tmpfs", "-o", "size=1m", "disk", str(probe)], capture_output=True, text=True
    )
    if tried.returncode:
        pytest.skip(f"disks of a size of their own are not permitted here: {tried.stderr.strip()}")
    launcher = Launcher(NAMESPACE)
    yield launcher
    launcher.end()


@pytest.fixture(scope="session")
def training(launcher: Launcher, tiny: TinyData) -> Victim:
    return Victim(launcher, "train", tiny.folder, together=False)


@pytest.fixture(scope="session")
def training_together(launcher: Launcher, tiny: TinyData) -> Victim:
    return Victim(launcher, "train", tiny.folder, together=True)


@pytest.fixture(scope="session")
def whole(training: Victim, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Give a training that nothing befell."""
    return training.undisturbed(tmp_path_factory.mktemp("undisturbed") / "whole")


@pytest.fixture(scope="session")
def cross_validation(launcher: Launcher, tiny: TinyData) -> Victim:
    return Victim(launcher, "cross-validate", tiny.folder, together=False)


@pytest.fixture(scope="session")
def cross_validation_together(launcher: Launcher, tiny: TinyData) -> Victim:
    return Victim(launcher, "cross-validate", tiny.folder, together=True)


@pytest.fixture(scope="session")
def whole_cross_validation(cross_validation: Victim, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Give a cross-validation that nothing befell."""
    return cross_validation.undisturbed(tmp_path_factory.mktemp("undisturbed") / "whole")
