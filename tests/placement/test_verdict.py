from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from pickery.formats.frame import AS_IT_IS, Frame
from pickery.placement.fit import RINGS, Anywhere, anywhere, mean_patch
from pickery.placement.rings import EDGES_PX, surroundings
from pickery.placement.verdict import LEAST_SPAN, judge, ruled_out, variants
from pickery.placement.words import changes, mending, sentence
from tests.placement.conftest import COLUMNS, ROWS, Made

FAULTS = [
    (Frame(flip_y=True), ["data.flip_y=true"]),
    (Frame(flip_x=True), ["data.flip_x=true"]),
    (Frame(swap_xy=True), ["data.swap_xy=true"]),
    (Frame(coordinate_scale=4), ["data.coordinate_scale=4"]),
    (Frame(coordinate_scale=0.5), ["data.coordinate_scale=0.5"]),
    (Frame(coordinate_scale=8, flip_y=True), ["data.coordinate_scale=8", "data.flip_y=true"]),
    (Frame(coordinate_scale=3), ["data.coordinate_scale=3"]),
]


def written(frame: Frame, points: np.ndarray) -> np.ndarray:
    """Give what a file holds whose coordinates are to be read in a frame."""
    x, y = points.T
    x, y = (COLUMNS - 1 - x if frame.flip_x else x), (ROWS - 1 - y if frame.flip_y else y)
    x, y = (y, x) if frame.swap_xy else (x, y)
    return np.column_stack((x, y)) / frame.coordinate_scale


@pytest.mark.parametrize("seed", range(3))
def test_picks_on_particles_are_good(discs: Callable[..., Made], seed: int) -> None:
    around, points = discs(seed)
    found = judge(points, around, AS_IT_IS)
    assert found.kind == "good"
    assert found.better is None
    assert found.given.statistic > 10 * found.best_other
    assert "sit on particles" in sentence(found)


@pytest.mark.parametrize(("frame", "settings"), FAULTS)
def test_each_fault_is_named_with_what_mends_it(discs: Callable[..., Made], frame: Frame, settings: list[str]) -> None:
    around, points = discs(1)
    raw = {name: written(frame, xy) for name, xy in points.items()}
    for name, xy in points.items():
        np.testing.assert_allclose(frame.apply(raw[name], (ROWS, COLUMNS)), xy)
    found = judge(raw, around, AS_IT_IS, more_factors=[3.0])
    assert found.kind == "misplaced"
    assert found.better is not None
    assert mending(AS_IT_IS, found.better.frame) == settings
    assert judge(raw, around, found.better.frame).kind == "good"
    assert changes(AS_IT_IS, found.better.frame) in sentence(found)


@pytest.mark.parametrize("move", [(20, 0), (-14, 14), (0, -35)])
def test_picks_beside_their_particles_are_moved_back(discs: Callable[..., Made], move: tuple[float, float]) -> None:
    around, points = discs(2)
    found = judge({name: xy + move for name, xy in points.items()}, around, AS_IT_IS)
    assert found.kind == "moved"
    assert found.better is not None
    np.testing.assert_allclose(found.better.frame.offset_px, np.negative(move), atol=2.0)
    assert mending(AS_IT_IS, found.better.frame)[0].startswith("data.offset=[")


def test_a_setting_that_is_wrong_is_named_as_well_as_one_that_lacks(discs: Callable[..., Made]) -> None:
    around, points = discs(1)
    found = judge(points, around, Frame(coordinate_scale=2, flip_x=True))
    assert found.better is not None
    assert mending(found.given.frame, found.better.frame) == ["data.coordinate_scale=1", "data.flip_x=false"]


@pytest.mark.parametrize("seed", range(5))
def test_places_drawn_at_random_are_no_particles_in_any_frame(discs: Callable[..., Made], seed: int) -> None:
    around, points = discs(3)
    drawn = anywhere(around, {name: len(xy) for name, xy in points.items()}, (seed,))
    found = judge(drawn, around, AS_IT_IS)
    assert found.kind == "unclear"
    assert found.best_other < 60
    assert judge({name: xy[:3] for name, xy in drawn.items()}, around, AS_IT_IS).kind == "few"


def test_picks_crowded_into_a_corner_make_no_other_frame_right(discs: Callable[..., Made]) -> None:
    around, points = discs(4)
    generator = np.random.default_rng(0)
    crowded = {name: generator.uniform(300, 330, xy.shape) for name, xy in points.items()}
    assert judge(crowded, around, AS_IT_IS).better is None


def test_only_frames_that_picks_can_be_in_count_against_the_one_given(discs: Callable[..., Made]) -> None:
    around, points = discs(1)
    found = judge(points, around, AS_IT_IS)
    reasons = {fit.frame: ruled_out(fit, found.given) for fit in found.others}
    assert reasons[Frame(flip_y=True)] is None
    assert reasons[Frame(coordinate_scale=2)] == "outside"
    assert reasons[Frame(coordinate_scale=1 / 16)] == "crowded"
    assert reasons[Frame(coordinate_scale=1 / 1.5)] == "shrunk"
    assert found.best_other == max(fit.statistic for fit in found.others if reasons[fit.frame] is None)
    # picks that lie outside as they are read may well be in smaller pixels
    too_large = judge(points, around, Frame(coordinate_scale=4))
    (as_they_are,) = [fit for fit in too_large.others if fit.frame == AS_IT_IS]
    assert as_they_are.span >= LEAST_SPAN
    assert ruled_out(as_they_are, too_large.given) is None


def test_picks_of_other_micrographs_that_lie_outside(discs: Callable[..., Made]) -> None:
    around, points = discs(4)
    generator = np.random.default_rng(0)
    elsewhere = {name: generator.uniform(0, 30_000, xy.shape) for name, xy in points.items()}
    found = judge(elsewhere, around, AS_IT_IS)
    assert found.kind == "outside"
    assert "lie outside" in sentence(found)


def test_all_frames_are_tried_once_and_not_the_one_given() -> None:
    given = Frame(coordinate_scale=2, flip_y=True)
    found = variants(given, [3.0])
    assert given not in found
    assert len(set(found)) == len(found)
    assert {frame.coordinate_scale for frame in found} >= {1, 2, 4, 8, 16, 32, 6, 2 / 3}


def test_rings_are_means_of_rings_and_blind_to_slow_changes() -> None:
    generator = np.random.default_rng(0)
    image = generator.normal(size=(120, 150)).astype(np.float32)
    one = surroundings(image)
    assert one.factor == 1
    assert one.maps.shape == (RINGS, 120, 150)
    y, x = np.mgrid[:120, :150]
    distance = np.hypot(y - 60, x - 70)
    for ring, (inner, outer) in enumerate(pairwise(EDGES_PX)):
        # less the whole map's mean, which is about 0
        expected = one.image[(distance >= inner) & (distance < outer)].mean()
        assert one.maps[ring, 60, 70] == pytest.approx(expected, abs=0.02)


def test_slow_changes_of_brightness_are_taken_away() -> None:
    noise = np.random.default_rng(0).normal(size=(400, 400)).astype(np.float32)
    slope = np.mgrid[:400, :400][0].astype(np.float32) / 100
    even, sloped = surroundings(noise).image, surroundings(noise + slope).image
    assert np.corrcoef(even.ravel(), sloped.ravel())[0, 1] > 0.97
    assert abs(sloped[:100].mean() - sloped[-100:].mean()) < 0.5


def test_points_fall_on_their_shrunk_pixel() -> None:
    one = surroundings(np.random.default_rng(0).normal(size=(1100, 1300)).astype(np.float32))
    assert one.factor == 3
    points = np.array([[0, 0], [2, 2], [3, 2], [1299, 1099], [100.4, 50]], dtype=np.float64)
    assert one.pixels(points).tolist() == [[0, 0], [0, 0], [0, 1], [365, 432], [16, 33]]


def test_the_mean_patch_of_discs_is_a_disc(discs: Callable[..., Made]) -> None:
    around, points = discs(1)
    patch, count = mean_patch(around, AS_IT_IS, points, half_px=20)
    assert 80 < count <= 120
    half = around["m0"].factor * 10
    assert half == 20
    inside = np.hypot(*np.mgrid[-20:21, -20:21]) < 8
    outside = np.hypot(*np.mgrid[-20:21, -20:21]) > 14
    assert patch[inside].mean() < patch[outside].mean() - 0.5
    nowhere, none = mean_patch(around, Frame(offset_px=(10_000, 0)), points, half_px=20)
    assert none == 0
    assert np.isnan(nowhere).all()


def test_no_picks_fit_nothing(discs: Callable[..., Made]) -> None:
    around, _ = discs(1)
    fit = Anywhere(around).fit(AS_IT_IS, {"elsewhere": np.ones((3, 2))})
    assert (fit.picks, fit.inside, fit.statistic, fit.distance) == (0, 0, 0.0, 0.0)
