from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pickery.errors import InputError
from pickery.formats.frame import AS_IT_IS, Frame
from pickery.formats.micrographs import MicrographFile
from pickery.formats.picks import AssignedPicks, PickTable, assign_picks

SHAPE = (100, 200)


def files(*paths: str) -> list[MicrographFile]:
    """Micrographs named as `find_micrographs` would name them: with a folder where two share a name."""
    stems = [Path(path).stem for path in paths]
    return [
        MicrographFile(stem if stems.count(stem) == 1 else f"{Path(path).parent.name}/{stem}", Path(path))
        for stem, path in zip(stems, paths, strict=True)
    ]


def assign(
    names: list[str],
    micrographs: list[MicrographFile],
    points: list[tuple[float, float]] | None = None,
    *,
    frame: Frame = AS_IT_IS,
    ignore: tuple[str, ...] = (),
) -> AssignedPicks:
    x, y = np.array(points or [(10 + index, 20) for index in range(len(names))], np.float64).T
    table = PickTable(tuple(names), x, y, np.arange(len(names), dtype=np.float64), "p.txt")
    return assign_picks(table, micrographs, {m.name: SHAPE for m in micrographs}, frame=frame, ignore=ignore)


def where(assigned: AssignedPicks) -> dict[str, list[int]]:
    """Micrograph → indices of its picks; their scores are those."""
    return {name: scores.astype(int).tolist() for name, scores in assigned.scores.items()}


@pytest.mark.parametrize(
    "name", ["a.b", "a.b.mrc", "a.b.tif", "x/y/a.b.mrc", "/data/a.b.mrc", "./a.b", "/data/../data/a.b.mrc"]
)
def test_one_file_name_fits_by_path_or_name_or_name_without_extension(name: str) -> None:
    assert where(assign([name], files("/data/a.b.mrc", "/data/c.mrc"))) == {"a.b": [0], "c": []}


def test_every_micrograph_has_a_key_and_unknown_names_are_counted() -> None:
    assigned = assign(["a", "z", "a", "z", "y"], files("/data/a.mrc", "/data/b.mrc"))
    assert where(assigned) == {"a": [0, 2], "b": []}
    assert assigned.points["b"].shape == (0, 2)
    assert assigned.unmatched == {"z": 2, "y": 1}
    assert assigned.outside == {}


def test_folders_decide_between_equal_file_names() -> None:
    both = files("/data/sq1/a.mrc", "/data/sq2/a.mrc")
    assert where(assign(["sq2/a.mrc", "job/sq1/a.mrc", "sq2/a"], both)) == {"sq1/a": [1], "sq2/a": [0, 2]}


def test_name_that_fits_two_micrographs_is_refused() -> None:
    with pytest.raises(InputError, match=r"data\.picks names a, which fits both /data/sq1/a\.mrc and /data/sq2/a\.mrc"):
        assign(["a"], files("/data/sq1/a.mrc", "/data/sq2/a.mrc"))


def test_pick_of_another_folder_is_not_taken_by_an_equal_file_name() -> None:
    assigned = assign(["sq1/a.mrc", "sq3/a.mrc"], files("/data/sq1/a.mrc"))
    assert where(assigned) == {"a": [0]}
    assert assigned.unmatched == {"sq3/a.mrc": 1}
    with pytest.raises(InputError, match=r"names sq1/a\.mrc and sq3/a\.mrc, which both fit /copy/a\.mrc"):
        assign(["sq1/a.mrc", "sq3/a.mrc"], files("/copy/a.mrc"))


def test_nothing_matched_shows_the_nearest_names() -> None:
    with pytest.raises(
        InputError, match=r"p\.txt names 1 micrographs.*\(job/mic_001_frames\.mrc is not, mic_001 is nearest\)"
    ):
        assign(["job/mic_001_frames.mrc"], files("/data/mic_001.mrc", "/data/far.mrc"))
    with pytest.raises(InputError, match=r"picks on zzz; micrographs mic_001, far"):
        assign(["zzz"], files("/data/mic_001.mrc", "/data/far.mrc"))
    with pytest.raises(InputError, match="none of them among the 0 given"):
        assign(["zzz"], [])


def test_scale_comes_before_the_flip() -> None:
    assigned = assign(["a"], files("/a.mrc"), [(10, 20)], frame=Frame(4, flip_y=True))
    np.testing.assert_array_equal(assigned.points["a"], [[40, 19]])


@given(st.integers(0, 99), st.integers(0, 199))
def test_flipped_pick_is_on_its_pixel_of_the_flipped_image(row: int, column: int) -> None:
    image = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    ((x, y),) = assign(["a"], files("/a.mrc"), [(column, row)], frame=Frame(flip_y=True)).points["a"].astype(int)
    assert image[::-1][y, x] == image[row, column]


@pytest.mark.parametrize(
    ("frame", "seen"),
    [
        (Frame(flip_x=True), lambda image: image[:, ::-1]),
        (Frame(swap_xy=True), lambda image: image.T),
        (Frame(swap_xy=True, flip_y=True), lambda image: image[::-1].T),
        (Frame(swap_xy=True, flip_x=True), lambda image: image[:, ::-1].T),
        (Frame(swap_xy=True, flip_x=True, flip_y=True), lambda image: image[::-1, ::-1].T),
    ],
)
def test_a_pick_seen_on_the_turned_image_is_on_its_pixel(
    frame: Frame, seen: Callable[[NDArray[np.int_]], NDArray[np.int_]]
) -> None:
    image = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    turned = seen(image)
    assert frame.size((turned.shape[0], turned.shape[1])) == SHAPE
    rows, columns = np.random.default_rng(0).integers(0, turned.shape, (50, 2)).T
    x, y = frame.apply(np.column_stack((columns, rows)).astype(float), SHAPE).astype(int).T
    np.testing.assert_array_equal(image[y, x], turned[rows, columns])


def test_an_offset_comes_last_in_full_size_pixels() -> None:
    assigned = assign(["a"], files("/a.mrc"), [(10, 20)], frame=Frame(4, flip_y=True, offset_px=(-3, 1.5)))
    np.testing.assert_array_equal(assigned.points["a"], [[37, 20.5]])


def test_what_is_to_be_ignored_in_names_does_not_count_on_either_side() -> None:
    both = files("/data/FoilHole_1_DW.mrc", "/data/FoilHole_2_DW.mrc")
    assert where(assign(["2_patch.mrc", "1_patch"], both, ignore=("FoilHole_", "_DW", "_patch"))) == {
        "FoilHole_1_DW": [1],
        "FoilHole_2_DW": [0],
    }
    with pytest.raises(InputError, match=r"names x, which fits both /x1\.mrc and /x2\.mrc"):
        assign(["x"], files("/x1.mrc", "/x2.mrc"), ignore=("1", "2"))


def test_picks_off_the_image_are_left_out_and_counted() -> None:
    points = [(-0.5, -0.5), (-0.6, 5), (199.4, 99.4), (199.5, 5), (5, 99.5), (1e9, 1e9)]
    assigned = assign(["a"] * 6, files("/a.mrc", "/b.mrc"), points)
    assert where(assigned) == {"a": [0, 2], "b": []}
    assert assigned.outside == {"a": 4}


def test_all_picks_off_the_image_names_the_settings_to_correct() -> None:
    with pytest.raises(
        InputError,
        match=r"p\.txt has all its 1 picks outside.*x from 300 to 300.*200 × 100.*coordinate_scale=1 or data\.flip_y",
    ):
        assign(["a", "z"], files("/a.mrc"), [(300, 5), (1, 1)])


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf])
def test_impossible_scale_is_an_input_error(scale: float) -> None:
    with pytest.raises(InputError, match=r"data\.coordinate_scale="):
        Frame(scale)


def test_picks_that_repeat_others_are_one_particle() -> None:
    points = [(10.0, 20.0), (30.0, 40.0), (10.0, 20.0), (10.0, 20.5), (30.0, 40.0)]
    assigned = assign(["a"] * 5, files("/d/a.mrc", "/d/b.mrc"), points)
    assert where(assigned) == {"a": [0, 1, 3], "b": []}
    assert assigned.repeated == {"a": 2}
