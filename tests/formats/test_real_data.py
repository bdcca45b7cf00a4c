import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pickery.formats.micrographs import MicrographFile, find_micrographs, read_header, read_micrograph
from pickery.formats.picks import AssignedPicks, assign_picks, read_picks, write_picks

pytestmark = pytest.mark.skipif("PICKERY_REFERENCE" not in os.environ, reason="the real data is not here")


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(os.environ["PICKERY_REFERENCE"]) / "data" / "apoferritin"


@pytest.fixture(scope="module")
def micrographs(folder: Path) -> list[MicrographFile]:
    return find_micrographs(str(folder / "micrographs"))


def assigned(source: Path, micrographs: list[MicrographFile]) -> AssignedPicks:
    return assign_picks(read_picks(str(source)), micrographs, {m.name: read_header(m.path).shape for m in micrographs})


def in_order(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points[np.lexsort(points.T)]


@pytest.mark.parametrize("name", ["picks.star", "box"])
def test_star_and_boxes_give_the_points_of_the_table(
    folder: Path, micrographs: list[MicrographFile], name: str
) -> None:
    table, other = assigned(folder / "picks.txt", micrographs), assigned(folder / name, micrographs)
    assert sum(map(len, table.points.values())) == 2455
    assert not other.unmatched
    assert not other.outside
    assert len(table.points["May08_06.09.02"]) == 0
    for micrograph, points in table.points.items():
        np.testing.assert_array_equal(in_order(other.points[micrograph]), in_order(points))


def test_headers_say_what_the_pixels_are(micrographs: list[MicrographFile]) -> None:
    headers = [read_header(micrograph.path) for micrograph in micrographs]
    assert len(headers) == 16
    assert {header.shape for header in headers} == {(1200, 1240)}
    assert {header.pixel_size_angstrom for header in headers} == {1.5}
    assert sorted(header.dtype for header in headers) == ["float32"] * 2 + ["uint16"] * 14
    for micrograph in micrographs[:3]:
        image = read_micrograph(micrograph.path)
        assert image.shape == (1200, 1240)
        assert image.dtype == np.dtype(np.float32)


def test_star_converted_to_a_table_is_the_table(folder: Path, tmp_path: Path) -> None:
    write_picks(tmp_path / "p.txt", read_picks(str(folder / "picks.star")))
    ours, given = (sorted(path.read_text().split("\n")) for path in (tmp_path / "p.txt", folder / "picks.txt"))
    assert ours == given
