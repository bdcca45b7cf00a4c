import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pickery.formats.conversion import by_micrograph
from pickery.formats.frame import Frame
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


@pytest.mark.parametrize("name", ["picks.star", "box", "picks.cs"])
def test_star_boxes_and_cryosparc_give_the_points_of_the_table(
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
    write_picks(tmp_path / "p.txt", by_micrograph(read_picks(str(folder / "picks.star"))).picks)
    ours, given = (sorted(path.read_text().split("\n")) for path in (tmp_path / "p.txt", folder / "picks.txt"))
    assert ours == given


def rings(source: Path, images: dict[str, NDArray[np.float32]], micrographs: list[MicrographFile]) -> list[float]:
    """Mean brightness by distance from the picks, in steps of four pixels: of the mean patch of 96 x 96 pixels."""
    half, patches = 48, []
    for name, points in assigned(source, micrographs).points.items():
        image = images[name]
        for x, y in points.round().astype(int):
            if half <= x < image.shape[1] - half and half <= y < image.shape[0] - half:
                patches.append(image[y - half : y + half, x - half : x + half])
    mean = np.mean(patches, axis=0)
    rows, columns = np.indices(mean.shape) - half
    distance = np.hypot(rows, columns)
    return [float(mean[(distance >= r) & (distance < r + 4)].mean()) for r in range(0, half, 4)]


def test_mean_patch_at_the_picks_is_the_same_ring_for_all_formats(
    folder: Path, micrographs: list[MicrographFile], tmp_path: Path
) -> None:
    images = {}
    for micrograph in micrographs:
        pixels = read_micrograph(micrograph.path)
        images[micrograph.name] = (pixels - pixels.mean()) / pixels.std()
    ring = rings(folder / "picks.txt", images, micrographs)
    for name in ("picks.star", "picks.cs", "box"):
        np.testing.assert_allclose(rings(folder / name, images, micrographs), ring, atol=1e-6)
    # protein is dark: a shell of 28 to 32 pixels' radius around a core like the surroundings
    assert min(ring) == ring[7] < -0.25
    assert min(*ring[:5], *ring[9:]) > 0
    table = read_picks(str(folder / "picks.txt"))
    for format in ("star", "cs", "box", "json", "cbox", "csv"):
        write_picks(tmp_path / format, by_micrograph(table, micrographs).picks, format=format, box_size_px=64)
        np.testing.assert_allclose(rings(tmp_path / format, images, micrographs), ring, atol=1e-6)
    write_picks(tmp_path / "flipped.txt", by_micrograph(table, micrographs, frame=Frame(flip_y=True)).picks)
    assert np.ptp(rings(tmp_path / "flipped.txt", images, micrographs)) < 0.02
