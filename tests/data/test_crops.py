"""Crops: many scores from one image, each what a patch of its own would have given."""

import numpy as np
import pytest
import torch

from pickery.data.datamodule import MinibatchDataset
from pickery.data.patches import rotate
from pickery.data.pixels import cut_squares
from pickery.data.regions import LabelledRegions, runs_of
from pickery.data.sampler import Cuts, RegionSampler, turned

SHAPES = [(60, 70), (90, 50)]
STARTS = [0, 4200]


def make_sampler(*, masks: bool = False, negatives: bool = False, **options: object) -> RegionSampler:
    points = [np.array([[20.0, 10.0], [5.0, 50.0], [66.0, 30.0]]), np.array([[8.0, 8.0], [30.0, 60.0]])]
    masked = [np.zeros(shape, dtype=np.bool_) for shape in SHAPES]
    masked[0][:, 35:45] = True
    wrong = [np.array([[50.0, 50.0]]), np.array([[20.0, 80.0]])]
    regions = LabelledRegions.label(
        STARTS,
        SHAPES,
        points,
        radius=3,
        masked=[runs_of(mask) for mask in masked] if masks else [],
        negatives=wrong if negatives else [],
    )
    settings = {"minibatch_size": 48, "balance": 0.25, "seed": 3, "outputs": 4, "stride": 4} | options
    return RegionSampler(regions, **settings)  # type: ignore[arg-type]


def kinds(sampler: RegionSampler) -> np.ndarray:
    p, n = sampler.positives, sampler.negatives
    return np.repeat([1, -1, 0], [p, n, sampler.minibatch_size - p - n])


def places(sampler: RegionSampler, cuts: Cuts) -> tuple[np.ndarray, np.ndarray]:
    """Where each score of each crop lies on its micrograph."""
    reach = (np.arange(sampler.outputs) - (sampler.outputs - 1) / 2) * sampler.stride
    below, beside = turned(reach[:, None], reach, cuts.angle[:, None, None], cuts.mirror[:, None, None])
    y, x = cuts.y + cuts.below.astype(float), cuts.x + cuts.beside.astype(float)
    return y[:, None, None] + below, x[:, None, None] + beside


@pytest.mark.parametrize(("outputs", "stride"), [(4, 4), (3, 4), (2, 2), (6, 1), (5, 8)])
def test_each_score_of_a_crop_sees_the_patch_that_lies_under_it(outputs: int, stride: int) -> None:
    sampler = make_sampler(outputs=outputs, stride=stride)
    image = np.random.default_rng(0).normal(size=4200 + 4500).astype(np.float32)
    field = 15
    side = field + stride * (outputs - 1)
    if side % 2 == 0:
        pytest.skip("no network has such a stride")
    cuts = sampler.draw(1)
    tensors = MinibatchDataset(sampler, image, side, cut_here=True)[1]
    crops = rotate(
        tensors["squares"], tensors["angle"], tensors["mirror"], side, below=tensors["below"], beside=tensors["beside"]
    )
    y, x = places(sampler, cuts)
    for i in range(outputs):
        for j in range(outputs):
            row, column = np.floor(y[:, i, j] + 0.5).astype(np.int64), np.floor(x[:, i, j] + 0.5).astype(np.int64)
            patch_cuts = tensors | {
                "y": torch.from_numpy(row),
                "x": torch.from_numpy(column),
                "below": torch.from_numpy((y[:, i, j] - row).astype(np.float32)),
                "beside": torch.from_numpy((x[:, i, j] - column).astype(np.float32)),
            }
            squares = cut_squares(torch.from_numpy(image), patch_cuts, field)
            patches = rotate(
                squares,
                tensors["angle"],
                tensors["mirror"],
                field,
                below=patch_cuts["below"],
                beside=patch_cuts["beside"],
            )
            down, across = stride * i, stride * j
            torch.testing.assert_close(
                crops[:, :, down : down + field, across : across + field], patches, atol=2e-4, rtol=0
            )


@pytest.mark.parametrize("options", [{}, {"masks": True}, {"negatives": True}, {"masks": True, "negatives": True}])
@pytest.mark.parametrize("from_all", [False, True])
def test_each_score_has_the_label_of_the_region_nearest_to_it(options: dict[str, bool], from_all: bool) -> None:
    sampler = make_sampler(**options, unlabeled_from_all=from_all)
    regions = sampler.regions
    every = np.arange(regions.total)
    positives, negatives, masked = (s.holds(every) for s in (regions.positives, regions.negatives, regions.masked))
    counted = 0
    for step in range(30):
        cuts = sampler.draw(step)
        y, x = places(sampler, cuts)
        for b, kind in enumerate(kinds(sampler)):
            index = STARTS.index(cuts.start[b])
            rows, columns = SHAPES[index]
            for place_y, place_x, label in zip(y[b].ravel(), x[b].ravel(), cuts.label[b].ravel(), strict=True):
                if min(abs(place_y % 1 - 0.5), abs(place_x % 1 - 0.5)) < 1e-4:
                    continue  # which of two regions is the nearer one is a matter of rounding
                row, column = round(place_y), round(place_x)
                expected = np.nan
                if 0 <= row < rows and 0 <= column < columns:
                    number = regions.first[index] + row * columns + column
                    positive, negative = positives[number], negatives[number]
                    unlabeled = not masked[number] and (from_all or not (positive or negative))
                    if {1: positive, -1: negative, 0: unlabeled}[int(kind)]:
                        expected = kind
                        counted += 1
                np.testing.assert_equal(label, np.float32(expected))
    assert counted > 5000


def test_each_crop_has_its_region_under_a_score_chosen_at_random() -> None:
    sampler = make_sampler(minibatch_size=256)
    counts = np.zeros((4, 4))
    for step in range(20):
        cuts = sampler.draw(step)
        assert (cuts.label[: sampler.positives] == 1).any(axis=(1, 2)).all()
        assert (cuts.label[sampler.positives :] == 0).any(axis=(1, 2)).all()
        assert (np.abs([cuts.below, cuts.beside]) <= 0.5).all()
        y, x = places(sampler, cuts)
        on_region = (np.abs(y - np.round(y)) < 1e-4) & (np.abs(x - np.round(x)) < 1e-4)
        assert on_region.any(axis=(1, 2)).all()
        counts += on_region.sum(axis=0)
    expected = counts.sum() / 16
    assert ((counts - expected) ** 2 / expected).sum() < 45  # chi-square of 15 degrees: 45 once in ten thousand


def test_a_crop_with_one_score_is_a_patch() -> None:
    crops, patches = make_sampler(outputs=1), make_sampler(outputs=1, stride=1)
    for name, array in vars(crops.draw(4)).items():
        assert np.array_equal(array, getattr(patches.draw(4), name))


def test_crops_follow_from_seed_and_step_alone() -> None:
    one, other = make_sampler(), make_sampler()
    other.draw(99)
    for name, array in vars(one.draw(5)).items():
        np.testing.assert_array_equal(array, getattr(other.draw(5), name))
