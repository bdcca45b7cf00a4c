import numpy as np
import pytest

from pickery.data.regions import LabelledRegions, disc_offsets, disc_size, label_map, positive_regions


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


def make_regions() -> LabelledRegions:
    points = [np.array([[3.0, 2.0], [9.0, 5.0]]), np.empty((0, 2)), np.array([[1.0, 1.0]])]
    return LabelledRegions.label([0, 100, 250], [[8, 12], [10, 15], [6, 6]], points, radius=1)


def test_regions_are_numbered_through_all_micrographs() -> None:
    regions = make_regions()
    assert regions.total == 96 + 150 + 36
    index, y, x = regions.locate(regions.positives)
    assert index.tolist() == [0] * 10 + [2] * 5
    assert {(int(a), int(b)) for a, b in zip(y[10:], x[10:], strict=True)} == {(0, 1), (1, 0), (1, 1), (1, 2), (2, 1)}
    assert regions.observed == 15 / 282


def test_unlabeled_ranks_are_exactly_the_complement_of_the_positives() -> None:
    regions = make_regions()
    unlabeled = regions.unlabeled(np.arange(regions.total - len(regions.positives)))
    assert np.array_equal(unlabeled, np.setdiff1d(np.arange(regions.total), regions.positives))
