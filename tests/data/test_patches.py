import math

import numpy as np
import pytest
import torch

from pickery.data.patches import cut, cut_side, rotate


def make_flat() -> tuple[torch.Tensor, list[np.ndarray], torch.Tensor]:
    generator = np.random.default_rng(0)
    images = [generator.normal(size=shape).astype(np.float32) for shape in [(40, 50), (37, 23)]]
    flat = torch.from_numpy(np.concatenate([image.ravel() for image in images]))
    return flat, images, torch.tensor([0, 2000])


def crop_of(
    flat: torch.Tensor, images: list[np.ndarray], starts: torch.Tensor, where: list[tuple[int, int, int]], side: int
) -> torch.Tensor:
    index = torch.tensor([i for i, _, _ in where])
    rows = torch.tensor([images[i].shape[0] for i, _, _ in where])
    columns = torch.tensor([images[i].shape[1] for i, _, _ in where])
    y, x = torch.tensor([y for _, y, _ in where]), torch.tensor([x for _, _, x in where])
    return cut(flat, starts[index], rows, columns, y, x, side)


def test_a_crop_is_the_slice_of_the_zero_padded_micrograph() -> None:
    flat, images, starts = make_flat()
    side = 21
    where = [(0, 20, 25), (0, 0, 0), (0, 39, 49), (1, 0, 22), (1, 36, 0), (1, 18, 3)]
    crops = crop_of(flat, images, starts, where, side)
    for patch, (i, y, x) in zip(crops.numpy(), where, strict=True):
        padded = np.pad(images[i], side // 2)
        assert np.array_equal(patch, padded[y : y + side, x : x + side])


def test_no_rotation_gives_the_centre_of_the_crop() -> None:
    crops = torch.randn(3, cut_side(15), cut_side(15))
    off = (cut_side(15) - 15) // 2
    patches = rotate(crops, torch.zeros(3), torch.tensor([False, True, False]), 15)[:, 0]
    expected = crops[:, off : off + 15, off : off + 15]
    torch.testing.assert_close(patches[0], expected[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(patches[1], expected[1].flip(-1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_exact(turns: int) -> None:
    crops = torch.randn(1, cut_side(15), cut_side(15))
    off = (cut_side(15) - 15) // 2
    patch = rotate(crops, torch.tensor([turns * math.pi / 2]), torch.tensor([False]), 15)[0, 0]
    expected = torch.rot90(crops[0, off : off + 15, off : off + 15], turns)
    torch.testing.assert_close(patch, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("side", [31, 71, 127])
def test_no_rotation_reaches_outside_the_crop(side: int) -> None:
    crops = torch.ones(64, cut_side(side), cut_side(side))
    angle = torch.arange(64) * (2 * math.pi / 64)
    patches = rotate(crops, angle, torch.arange(64) % 2 == 0, side)
    torch.testing.assert_close(patches, torch.ones(64, 1, side, side), atol=1e-5, rtol=0)


def test_a_rotated_plane_is_the_plane_read_at_the_rotated_places() -> None:
    side, big = 15, cut_side(15)
    ramp = torch.arange(big, dtype=torch.float32) - big // 2
    crops = (2 * ramp[:, None] + 5 * ramp[None, :])[None]
    angle = 0.6
    patch = rotate(crops, torch.tensor([angle]), torch.tensor([True]), side)[0, 0]
    v, u = np.mgrid[-7:8, -7:8].astype(float)
    x = math.cos(angle) * -u - math.sin(angle) * v
    y = math.sin(angle) * -u + math.cos(angle) * v
    np.testing.assert_allclose(patch.numpy(), 2 * y + 5 * x, atol=1e-3)
