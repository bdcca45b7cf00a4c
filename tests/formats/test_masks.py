"""Masks: found by name, read at any size, and turned into the regions and the picks that they leave out."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pickery.errors import InputError, PickeryWarning
from pickery.formats.masks import MaskedArea, find_masks
from pickery.formats.micrographs import MicrographFile, write_mrc

SHAPE = (60, 90)
HALF = np.zeros(SHAPE, bool)
HALF[:, :30] = True


def micrographs(*names: str) -> list[MicrographFile]:
    return [MicrographFile(name, Path("/data") / f"{name}.mrc") for name in names]


def shapes(*names: str) -> dict[str, tuple[int, int]]:
    return dict.fromkeys(names, SHAPE)


def draw(path: Path, mask: np.ndarray = HALF) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    if path.suffix == ".mrc":
        write_mrc(path, mask.astype(np.float32), pixel_size_angstrom=None)
    else:
        Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    return path


def area(*images: np.ndarray, polygons: tuple[np.ndarray, ...] = (), shape: tuple[int, int] = SHAPE) -> MaskedArea:
    return MaskedArea("mask.png", "a", shape, images, polygons)


def square(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


# ---- which mask is whose


@pytest.mark.parametrize("name", ["a.png", "a_mask.png", "a-mask.tif", "a.mask.mrc", "a_MASK.PNG", "a masks.png"])
def test_an_image_is_the_mask_of_the_micrograph_that_it_is_named_after(tmp_path: Path, name: str) -> None:
    draw(tmp_path / name)
    found = find_masks(str(tmp_path), micrographs("a", "b"), shapes("a", "b"))
    assert list(found) == ["a"]
    assert found["a"].regions(SHAPE, (1, 1)).tolist() == HALF.tolist()


def test_a_micrograph_whose_own_name_ends_in_mask_is_found_too(tmp_path: Path) -> None:
    draw(tmp_path / "a_mask.png")
    assert list(find_masks(str(tmp_path), micrographs("a", "a_mask"), shapes("a", "a_mask"))) == ["a_mask"]


def test_masks_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for square_ in ("sq1", "sq2"):
        draw(tmp_path / "masks" / square_ / "a_mask.png", HALF if square_ == "sq1" else ~HALF)
    files = [MicrographFile(f"{s}/a", tmp_path / "raw" / s / "a.mrc") for s in ("sq1", "sq2")]
    found = find_masks(f"{tmp_path}/masks/*/*.png", files, shapes("sq1/a", "sq2/a"))
    assert found["sq1/a"].regions(SHAPE, (1, 1)).tolist() == HALF.tolist()
    assert found["sq2/a"].regions(SHAPE, (1, 1)).tolist() == (~HALF).tolist()


def test_two_images_of_one_micrograph_are_refused(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    draw(tmp_path / "a_mask.png")
    with pytest.raises(InputError, match=r"a\.png.*a_mask\.png.*one micrograph"):
        find_masks(str(tmp_path), micrographs("a"), shapes("a"))


def test_a_mask_of_no_micrograph_is_warned_of_and_nothing_but_such_is_an_error(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    draw(tmp_path / "elsewhere.png")
    with pytest.warns(PickeryWarning, match=r"elsewhere\.png; they are not used"):
        assert list(find_masks(str(tmp_path), micrographs("a"), shapes("a"))) == ["a"]
    with pytest.raises(InputError, match=r"none of them of a micrograph given, the first being b: name each as"):
        find_masks(str(tmp_path), micrographs("b"), shapes("b"))


def test_masks_may_lie_beside_the_micrographs_which_are_no_masks(tmp_path: Path) -> None:
    own = MicrographFile("a", draw(tmp_path / "a.mrc", np.ones(SHAPE, bool)))
    with pytest.raises(InputError, match=r"data\.masks gives the micrographs themselves \(such as .*a\.mrc\)"):
        find_masks(str(tmp_path), [own], shapes("a"))
    draw(tmp_path / "a_mask.png")
    assert find_masks(str(tmp_path), [own], shapes("a"))["a"].images == (tmp_path / "a_mask.png",)


def test_micrographs_that_could_not_be_read_have_no_mask(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    assert find_masks(str(tmp_path), micrographs("a"), {}) == {}


@pytest.mark.parametrize("turned", [True, False])
def test_another_aspect_is_refused_by_both_sizes(tmp_path: Path, turned: bool) -> None:
    draw(tmp_path / "a.png", HALF.T if turned else HALF[:, :80])
    with pytest.raises(InputError, match=r"data\.masks: .*a\.png has (60 x 90|80 x 60) pixels.*\(90 x 60\)"):
        find_masks(str(tmp_path), micrographs("a"), shapes("a"))


def test_files_that_are_no_masks_are_refused_with_what_masks_are(tmp_path: Path) -> None:
    (tmp_path / "a.star").write_text("data_\n")
    for source in (tmp_path, tmp_path / "a.star"):
        with pytest.raises(InputError, match=r"tables of polygons with the columns image_name, polygon"):
            find_masks(str(source), micrographs("a"), shapes("a"))


def test_a_picture_without_numbers_is_refused(tmp_path: Path) -> None:
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(InputError, match=r"a\.tif has pixels that are not finite numbers"):
        find_masks(str(tmp_path), micrographs("a"), shapes("a"))["a"].read()


def test_a_blank_mask_leaves_nothing_out(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", np.zeros(SHAPE, bool))
    assert not find_masks(str(tmp_path), micrographs("a"), shapes("a"))["a"].regions((15, 22), (4, 90 / 22)).any()


def test_a_mask_of_everything_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png", np.ones(SHAPE, bool))
    mask = find_masks(str(path), micrographs("a"), shapes("a"))["a"]
    with pytest.raises(InputError, match=r"a\.png leaves nothing of the micrograph a: .*turn the mask round"):
        mask.regions((15, 22), (4, 90 / 22))


# ---- regions


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 2.0, 3.7, 7.5]))
def test_a_region_is_left_out_where_half_of_its_area_is(seed: int, factor: float) -> None:
    full = np.random.default_rng(seed).random(SHAPE) < 0.5
    new = (int(SHAPE[0] / factor), int(SHAPE[1] / factor))
    scale = (SHAPE[0] / new[0], SHAPE[1] / new[1])

    def overlap(count: int, step: float, size: int) -> np.ndarray:
        """Part of each pixel that lies in each region; the region i is centred on i · step."""
        centre, pixel = np.arange(count)[:, None] * step, np.arange(size)
        low, high = np.maximum(centre - step / 2, pixel - 0.5), np.minimum(centre + step / 2, pixel + 0.5)
        return (high - low).clip(0)

    down, across = overlap(new[0], scale[0], SHAPE[0]), overlap(new[1], scale[1], SHAPE[1])
    part = down @ full @ across.T / np.outer(down.sum(axis=1), across.sum(axis=1))
    clear = abs(part - 0.5) > 1e-5  # a half, rounded, may be either
    assert np.array_equal(area(full).regions(new, scale)[clear], (part >= 0.5)[clear])


def test_a_mask_drawn_on_the_downsampled_micrograph_is_taken_as_it_is() -> None:
    mask = np.random.default_rng(0).random((15, 22)) < 0.5
    assert np.array_equal(area(mask).regions((15, 22), (4, 90 / 22)), mask)


@pytest.mark.parametrize("size", [(120, 180), (30, 45), (20, 30)])
def test_a_mask_of_any_size_leaves_out_the_same_area(size: tuple[int, int]) -> None:
    rows, columns = np.indices(size)
    scaled = (columns * 90 / size[1] < 40) & (rows * 60 / size[0] < 20)
    regions = area(scaled).regions((15, 22), (4, 90 / 22))
    expected = np.zeros((15, 22), bool)
    expected[:5, :10] = True
    assert np.count_nonzero(regions != expected) <= 15  # but for the regions along its edge


def test_what_any_mask_of_a_micrograph_leaves_out_is_left_out() -> None:
    one = square(50, 20, 80, 50)
    both = area(HALF, polygons=(one,)).regions((15, 22), (4, 90 / 22))
    expected = area(HALF).regions((15, 22), (4, 90 / 22)) | area(polygons=(one,)).regions((15, 22), (4, 90 / 22))
    assert np.array_equal(both, expected)


# ---- polygons


@given(st.integers(0, 2**32 - 1))
def test_a_polygon_leaves_out_what_its_picture_does(seed: int) -> None:
    from matplotlib.path import Path as Outline

    polygon = np.random.default_rng(seed).uniform(-20, 110, (5, 2))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    masked = area(polygons=(polygon,))
    points = np.column_stack([x.ravel(), y.ravel()])
    covered = masked.covers(points).reshape(SHAPE)
    if not covered.all():
        assert np.array_equal(masked.regions(SHAPE, (1, 1)), covered)
    triangle = polygon[:3]  # no part of a triangle is encircled twice
    assert np.array_equal(area(polygons=(triangle,)).covers(points), Outline(triangle).contains_points(points))


def test_a_polygon_that_begins_at_the_border_takes_the_border_with_it() -> None:
    regions = area(polygons=(square(0, 0, 40, 40),)).regions((15, 22), (4, 90 / 22))
    assert regions[0, 0]
    assert regions[:9, :9].all()
    assert not regions[11:].any()


def test_a_table_holds_several_polygons_of_several_micrographs(tmp_path: Path) -> None:
    drawn = [
        ("a.mrc", "1", square(10, 10, 20, 20)),
        ("b", "1", square(0, 0, 50, 50)),
        ("a.mrc", "2", square(60, 10, 80, 30)),
    ]
    rows = [f"{name},{polygon},{x},{y}" for name, polygon, corners in drawn for x, y in corners]
    (tmp_path / "carbon.csv").write_text("\n".join(["image_name,polygon,x_coord,y_coord", *rows]))
    found = find_masks(str(tmp_path / "carbon.csv"), micrographs("a", "b", "c"), shapes("a", "b", "c"))
    assert list(found) == ["a", "b"]
    covered = found["a"].read().covers([[15, 15], [70, 20], [40, 15], [0, 0]])
    assert covered.tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image_name,x_coord,y_coord\na,1,2\n", "has no column polygon"),
        ("image_name,polygon,x_coord,y_coord\na,1,1,2\na,1,3,4\n", "polygon 1 of a has 2 vertices"),
        ("image_name,polygon,x_coord,y_coord\na,1,1,one\n", "y_coord in row 1 .* is 'one'"),
        ("image_name,polygon,x_coord,y_coord\n", "holds no polygons"),
    ],
)
def test_a_table_that_is_none_of_polygons_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "masks.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        find_masks(str(tmp_path / "masks.csv"), micrographs("a"), shapes("a"))


# ---- picks


def test_a_pick_is_covered_where_the_pixel_that_it_falls_on_is() -> None:
    points = np.array([[29.4, 5], [29.6, 5], [-0.5, 0], [89.4, 59.4]])
    assert area(HALF).covers(points).tolist() == [True, False, True, False]
    small = HALF[::3, ::3]  # its pixel 9 stands for 27, and those nearer to 30 than to 27 are not left out
    assert area(small).covers([[28.4, 5], [28.6, 5]]).tolist() == [True, False]
    assert area(HALF).covers(np.empty((0, 2))).tolist() == []
