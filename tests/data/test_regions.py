import numpy as np
import pytest

from pickery.data.region_set import Outside, RegionSet
from pickery.data.regions import (
    LabelledRegions,
    disc_offsets,
    disc_size,
    label_map,
    marked_by,
    positive_regions,
    runs_of,
)


@pytest.mark.parametrize(("radius", "size"), [(0, 1), (1, 5), (3, 29), (4, 49), (7, 149)])
def test_disc_has_the_stated_number_of_regions(radius: int, size: int) -> None:
    assert disc_size(radius) == size
    assert (disc_offsets(radius) ** 2).sum(axis=1).max(initial=0) <= radius**2


def test_centres_are_rounded_to_the_nearest_region_not_truncated() -> None:
    assert positive_regions([[4.6, 2.4]], (10, 10), 0).tolist() == [2 * 10 + 5]
    assert positive_regions([[4.5, 2.5]], (10, 10), 0).tolist() == [3 * 10 + 5]


def test_discs_overlap_once_and_stop_at_the_border() -> None:
    regions = positive_regions([[0, 0], [1, 0]], (6, 6), 1)
    assert regions.tolist() == [0, 1, 2, 6, 7]
    assert len(positive_regions([[-20, -20]], (6, 6), 1)) == 0


def test_labels_are_rows_by_columns() -> None:
    labels = label_map([[7, 2]], (5, 9), 1)
    assert labels.shape == (5, 9)
    assert labels[2, 7]
    assert labels.sum() == 5


def listed(some: RegionSet | Outside) -> np.ndarray:
    return some.numbers(np.arange(len(some)))


def make_regions() -> LabelledRegions:
    points = [np.array([[3.0, 2.0], [9.0, 5.0]]), np.empty((0, 2)), np.array([[1.0, 1.0]])]
    return LabelledRegions.label([0, 100, 250], [[8, 12], [10, 15], [6, 6]], points, radius=1)


def test_regions_are_numbered_through_all_micrographs() -> None:
    regions = make_regions()
    assert regions.total == 96 + 150 + 36
    index, y, x = regions.locate(listed(regions.positives))
    assert index.tolist() == [0] * 10 + [2] * 5
    assert {(int(a), int(b)) for a, b in zip(y[10:], x[10:], strict=True)} == {(0, 1), (1, 0), (1, 1), (1, 2), (2, 1)}
    assert regions.observed == 15 / 282


def test_unlabeled_ranks_are_exactly_the_complement_of_the_positives() -> None:
    regions = make_regions()
    unlabeled = np.setdiff1d(np.arange(regions.total), listed(regions.positives))
    assert np.array_equal(listed(regions.unlabeled), unlabeled)


def test_runs_are_the_marked_regions_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    for marked in (*(rng.random((7, 9)) < share for share in (0, 0.3, 0.9, 1)), np.zeros((2, 3), bool)):
        runs = runs_of(marked)
        assert np.array_equal(marked_by(runs, marked.shape), marked)
        assert np.diff(runs.ravel()).min(initial=1) >= 1


def masked_regions() -> tuple[LabelledRegions, np.ndarray, np.ndarray, np.ndarray]:
    """Give three micrographs with picks, negatives that touch them, and masks; and what each region is, as images."""
    rng = np.random.default_rng(3)
    shapes = [(12, 15), (20, 10), (9, 9)]
    points = [rng.uniform(0, 10, (3, 2)), np.empty((0, 2)), rng.uniform(0, 8, (1, 2))]
    negatives = [points[0] + 2, rng.uniform(0, 10, (4, 2)), np.empty((0, 2))]
    masks = [rng.random(shape) < share for shape, share in zip(shapes, (0.3, 0, 0.6), strict=True)]
    regions = LabelledRegions.label(
        [0, 200, 500], shapes, points, 2, negatives=negatives, masked=[runs_of(mask) for mask in masks]
    )
    near = [label_map(xy, shape, 2) for xy, shape in zip(points, shapes, strict=True)]
    refused = [label_map(xy, shape, 2) for xy, shape in zip(negatives, shapes, strict=True)]
    flat = [np.concatenate([image.ravel() for image in images]) for images in (near, refused, masks)]
    return regions, flat[0], flat[1], flat[2]


def test_every_region_is_one_of_positive_negative_unlabeled_and_masked() -> None:
    regions, near, refused, masked = masked_regions()
    assert np.array_equal(listed(regions.positives), np.flatnonzero(near & ~masked))
    assert np.array_equal(listed(regions.negatives), np.flatnonzero(refused & ~near & ~masked))
    assert np.array_equal(regions.masked.holds(np.arange(regions.total)), masked)
    assert np.array_equal(listed(regions.unlabeled), np.flatnonzero(~near & ~refused & ~masked))
    assert np.array_equal(listed(regions.unmasked), np.flatnonzero(~masked))
    assert regions.contested == np.count_nonzero(near & refused & ~masked) > 0


def test_the_observed_fraction_is_of_the_regions_that_are_not_masked() -> None:
    regions, near, _, masked = masked_regions()
    assert regions.observed == np.count_nonzero(near & ~masked) / np.count_nonzero(~masked)


def test_masks_of_many_large_micrographs_need_little_memory() -> None:
    carbon = np.zeros((1024, 1024), bool)
    carbon[:, :300] = True
    carbon[700:, :] = True
    bytes_each = runs_of(carbon).nbytes
    assert bytes_each * 10_000 < 200e6
