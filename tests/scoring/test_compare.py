"""Laws of a score: perfect picks score 1, a shift is the centre error, order changes nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from pickery.config.schema import ScoreGroup
from pickery.errors import InputError
from pickery.scoring.compare import compare
from pickery.scoring.record import folder_for, summarise, write
from pickery.scoring.sides import Sides

SETTINGS = ScoreGroup(picks="picks.txt", truth="truth.txt", radius=8.0)


def sides(picks, scores, truth, *, shapes=None, pixel_size=None):
    names = tuple(truth)
    return Sides(
        names=names,
        picks={name: np.array(picks[name], dtype=np.float64).reshape(-1, 2) for name in names},
        scores={name: np.array(scores[name], dtype=np.float64) for name in names},
        truth={name: np.array(truth[name], dtype=np.float64).reshape(-1, 2) for name in names},
        ranked=bool(np.isfinite(np.concatenate([scores[name] for name in names])).all()),
        shapes=shapes or {},
        pixel_size_angstrom=pixel_size,
        remarks=(),
    )


@pytest.fixture
def truth():
    """Particles on a grid, far enough apart that none is mistaken for its neighbour."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(50, 400, 50), np.arange(50, 400, 50)), axis=-1).reshape(-1, 2)
    return {name: grid + rng.uniform(-5, 5, grid.shape) for name in "ab"}


@pytest.fixture
def scores(truth):
    return {name: np.linspace(2, 4, len(points)) for name, points in truth.items()}


def test_perfect_picks_score_one(truth, scores):
    done = compare(sides(truth, scores, truth), radius=8)
    found = done.metrics
    assert (found.average_precision, found.f1, found.precision, found.recall) == (1, 1, 1, 1)
    assert found.threshold == found.curve.threshold[-1] == 2
    assert (found.centre_error_px, found.misses, found.extras) == (0, 0, 0)
    assert done.remarks == ()


def test_picks_that_are_shifted_by_3_and_4_pixels_have_a_centre_error_of_5(truth, scores):
    shifted = {name: points + np.array((3, 4)) for name, points in truth.items()}
    both = sides(shifted, scores, truth, pixel_size=1.5)
    done = compare(both, radius=8)
    assert done.metrics.centre_error_px == pytest.approx(5)
    np.testing.assert_allclose(done.offsets.mean(axis=0), (3, 4))
    assert "(+3.0, +4.0) px beside their particles" in done.remarks[0]
    summary = summarise(SETTINGS, both, done)
    assert summary["picks"]["pick_centre_error_angstrom"] == pytest.approx(7.5)
    np.testing.assert_allclose(summary["mean_offset_px"], (3, 4))


def test_scatter_without_a_direction_is_no_shift(truth, scores):
    rng = np.random.default_rng(1)
    noisy = {name: points + rng.normal(scale=1.5, size=points.shape) for name, points in truth.items()}
    assert compare(sides(noisy, scores, truth), radius=8).remarks == ()


def test_the_order_of_picks_particles_and_micrographs_changes_nothing(truth, scores):
    rng = np.random.default_rng(2)
    noisy = {name: points[::2] + rng.normal(scale=3, size=points[::2].shape) for name, points in truth.items()}
    picks = {name: np.concatenate([points, rng.uniform(0, 400, (30, 2))]) for name, points in noisy.items()}
    marks = {name: rng.permutation(len(points)).astype(float) for name, points in picks.items()}
    one = compare(sides(picks, marks, truth), radius=8)
    order = {name: rng.permutation(len(points)) for name, points in picks.items()}
    turned = {name: rng.permutation(truth[name]) for name in ("b", "a")}
    other = compare(
        sides({n: picks[n][order[n]] for n in "ab"}, {n: marks[n][order[n]] for n in "ab"}, turned), radius=8
    )
    for name in ("average_precision", "f1", "threshold", "precision", "recall", "hits", "misses", "extras"):
        assert getattr(one.metrics, name) == pytest.approx(getattr(other.metrics, name)), name
    assert one.metrics.centre_error_px == pytest.approx(other.metrics.centre_error_px)
    np.testing.assert_allclose(one.metrics.curve.precision, other.metrics.curve.precision)


def test_picks_without_scores_all_count_and_have_no_average_precision(truth):
    nan = {name: np.full(len(points), np.nan) for name, points in truth.items()}
    both = sides(truth, nan, truth)
    done = compare(both, radius=8, threshold=3.0)
    picks = summarise(SETTINGS, both, done)["picks"]
    assert (done.metrics.f1, picks["pick_average_precision"], picks["pick_threshold"]) == (1, None, None)
    assert np.isnan(done.best_threshold)


def test_a_threshold_that_is_given_decides_and_the_best_one_is_said_beside_it(truth, scores):
    both = sides(truth, scores, truth)
    done = compare(both, radius=8, threshold=3.0)
    assert done.metrics.threshold == 3
    assert done.metrics.recall == pytest.approx(np.mean(np.concatenate(list(scores.values())) >= 3))
    assert (done.best_f1, done.best_threshold) == (1, 2)
    assert len(done.offsets) == done.metrics.hits
    assert len(done.hit_scores) + len(done.extra_scores) == done.metrics.candidates


@pytest.mark.parametrize(("factor", "flip"), [(8.0, False), (0.5, False), (1.0, True), (4.0, True)])
def test_picks_of_another_scale_or_orientation_are_told(truth, scores, factor, flip):
    rows = 421
    picks = {name: points.copy() for name, points in truth.items()}
    for points in picks.values():
        if flip:
            points[:, 1] = rows - 1 - points[:, 1]
        points /= factor
    (said,) = compare(sides(picks, scores, truth, shapes=dict.fromkeys("ab", (rows, 450))), radius=8).remarks
    assert ("y turned about (score.flip_y)" in said) is flip
    assert (f"coordinates times {factor:g} (score.coordinate_scale)" in said) is (factor != 1)
    assert "98 would with" in said


def test_no_hit_at_all_is_no_figure_but_nothing(truth, scores, tmp_path):
    far = {name: points + 25 for name, points in truth.items()}
    both = sides(far, scores, truth)
    done = compare(both, radius=8)
    summary = summarise(SETTINGS, both, done)
    write(tmp_path / "out", summary, both, done)
    read = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert read["picks"]["pick_threshold"] is None
    assert read["picks"]["pick_average_precision"] == 0
    assert read["mean_offset_px"] is None


def test_the_folder_is_the_same_for_the_same_settings_and_another_for_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, again, other = (
        folder_for(ScoreGroup(picks="a/picks.star", truth="t.star", radius=radius)) for radius in (3.0, 3.0, 4.0)
    )
    assert one == again
    assert one != other
    assert one.parent == Path("scores")
    assert one.name.startswith("picks.star-")
    assert folder_for(ScoreGroup(picks="picked/*.box", truth="t.star", radius=3.0)).name.startswith("picks-")


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    (tmp_path / "summary.json").write_text('{"epochs": 3}', encoding="utf-8")
    with pytest.raises(InputError, match=r"score\.out=.* holds something else \(run\.json\)"):
        folder_for(ScoreGroup(picks="p.txt", truth="t.txt", radius=3.0, out=str(tmp_path)))
    with pytest.raises(InputError, match=r"score\.out=.* is a file"):
        folder_for(ScoreGroup(picks="p.txt", truth="t.txt", radius=3.0, out=str(tmp_path / "run.json")))
