from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pickery.formats.micrographs import MicrographFile, find_micrographs, write_mrc
from pickery.preprocess import contents
from pickery.preprocess.prepare import Prepared, prepare


def write(path: Path, seed: int, shape: tuple[int, int] = (66, 90)) -> None:
    image = np.random.default_rng(seed).normal(100, 10, shape)
    image[20:30, 20:40] -= 15
    write_mrc(path, image, pixel_size_angstrom=1.5)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have hashes remembered of files just written, which might change again within a tick of the clock."""
    monkeypatch.setattr(contents, "SETTLED_NS", -1_000_000_000)


@pytest.fixture
def write_micrograph() -> Callable[..., None]:
    return write


@pytest.fixture
def micrographs(tmp_path: Path) -> list[MicrographFile]:
    """Four micrographs, one of another size."""
    folder = tmp_path / "micrographs"
    folder.mkdir()
    for number in range(4):
        write(folder / f"mic_{number}.mrc", number, (66, 90) if number != 2 else (80, 71))
    return find_micrographs(str(folder))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "prepared"


@pytest.fixture
def run(store: Path) -> Callable[..., Prepared]:
    """`prepare` with ordinary settings, except those given."""

    def run(files: list[MicrographFile], **settings: Any) -> Prepared:
        ordinary: dict[str, Any] = {
            "store": store,
            "downsample": 4,
            "method": "gmm",
            "pixel_sampling": 1,
            "iterations": 100,
            "workers": 1,
            "skip_bad": False,
            "seed": 0,
        }
        return prepare(files, **(ordinary | settings))

    return run
