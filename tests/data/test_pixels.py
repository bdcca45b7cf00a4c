import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from pickery.data.pixels import Pixels, cut_squares

SHAPES = ((40, 30), (25, 60))
STARTS = (0, 1200)


def make_cuts(*places: tuple[int, int, int]) -> dict[str, torch.Tensor]:
    """Cut around (micrograph, y, x)."""
    columns = [(STARTS[index], *SHAPES[index], y, x) for index, y, x in places]
    names = ("start", "rows", "columns", "y", "x")
    return dict(zip(names, torch.tensor(columns).T.contiguous(), strict=True))


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).normal(size=2700).astype(np.float32)


@pytest.fixture
def mapped(image: np.ndarray, tmp_path: Path) -> np.memmap:
    image.tofile(tmp_path / "images.f32")
    return np.memmap(tmp_path / "images.f32", dtype="<f4", mode="r")


def test_squares_are_the_same_from_a_file_and_from_memory(image: np.ndarray, mapped: np.memmap) -> None:
    cuts = make_cuts((0, 0, 0), (0, 39, 29), (0, 20, 15), (1, 24, 59), (1, -2, 62), (1, 12, 0))
    expected = cut_squares(torch.from_numpy(image), cuts, 9)
    assert torch.equal(Pixels(image).squares(cuts, 9), expected)
    assert torch.equal(Pixels(mapped).squares(cuts, 9), expected)


def test_another_process_gets_the_files_name_and_not_its_pixels(mapped: np.memmap) -> None:
    pixels, cuts = Pixels(mapped), make_cuts((0, 20, 15))
    squares = pixels.squares(cuts, 9)
    sent = pickle.dumps(pixels)
    assert len(sent) < 1000
    assert torch.equal(pickle.loads(sent).squares(cuts, 9), squares)


def test_a_file_far_larger_than_memory_can_be_mapped_and_cut(tmp_path: Path) -> None:
    terabyte = 1 << 40
    try:
        with (tmp_path / "images.f32").open("wb") as file:
            file.truncate(terabyte)
    except OSError:
        pytest.skip("the file system has no files of this size")
    pixels = Pixels(np.memmap(tmp_path / "images.f32", dtype="<f4", mode="r"))
    cuts = make_cuts((0, 20, 15)) | {"start": torch.tensor([terabyte // 4 - 1200])}
    assert not pixels.squares(cuts, 9).any()
