"""The plots of a score: what is drawn is what was measured, and all words can be read."""

import numpy as np
import pytest

from pickery.plots.centre_offsets import plot_centre_offsets
from pickery.plots.hit_scores import plot_hit_scores
from pickery.plots.micrograph_scores import plot_micrograph_scores
from pickery.plots.style import BEST


def legend(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize(("count", "shift", "radius"), [(1, 0.0, 8.0), (300, 4.0, 12.0), (6000, -30.0, 1234.5)])
def test_the_mean_offset_is_marked_where_it_lies(count, shift, radius, crowding):
    offsets = np.random.default_rng(0).normal(scale=2, size=(count, 2)) + np.array((shift, 0))
    figure = plot_centre_offsets(offsets, radius=radius, pixel_size_angstrom=1.5)
    beside, distances = figure.axes
    (dot,) = [line for line in beside.lines if line.get_color() == BEST]
    np.testing.assert_allclose((dot.get_xdata()[0], dot.get_ydata()[0]), offsets.mean(axis=0))
    assert f"{count:,} hit" in beside.get_title("left")
    assert beside.get_ylim()[0] > beside.get_ylim()[1], "rows grow downwards, as in the image"
    mean = np.hypot(*offsets.T).mean()
    assert distances.get_title("left") == f"mean {mean:.2f} px = {1.5 * mean:.2f} Å"
    assert sum(bar.get_height() for bar in distances.patches) == count
    assert crowding(figure) == []


def test_no_hit_and_hits_without_any_error_are_drawn(crowding):
    figure = plot_centre_offsets(np.zeros((0, 2)), radius=5)
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["no pick hits a particle"] * 2
    assert crowding(figure) == []
    assert crowding(plot_centre_offsets(np.zeros((7, 2)), radius=5)) == []


def test_a_micrograph_has_a_row_and_the_best_comes_first(crowding):
    figure = plot_micrograph_scores(["a", "b", "c"], [0.9, 0.5, np.nan], [0.8, 1.0, np.nan], [0.85, 0.97, np.nan])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a", "c"]
    np.testing.assert_array_equal(axes.lines[2].get_xdata(), [0.97, 0.85, np.nan])
    assert axes.get_xlim()[0] < 0.5
    assert legend(figure) == ["precision", "recall", "F1"]
    assert "lower bounds" in axes.get_xlabel()
    assert crowding(figure) == []


@pytest.mark.parametrize("count", [1, 25, 40, 41, 3000])
def test_any_number_of_micrographs_can_be_read(count, crowding):
    rng = np.random.default_rng(count)
    names = [f"FoilHole_{rng.integers(10**8)}_Data_{rng.integers(10**8)}_{number}_fractions" for number in range(count)]
    figure = plot_micrograph_scores(names, *rng.uniform(0.3, 1, (3, count)))
    assert crowding(figure) == []


def test_no_micrograph_at_all_is_said():
    (axes,) = plot_micrograph_scores([], [], [], []).axes
    assert axes.texts[0].get_text() == "no micrograph"


def test_every_score_is_in_the_histogram_and_the_threshold_in_its_place(crowding):
    rng = np.random.default_rng(0)
    figure = plot_hit_scores(rng.normal(3, 1, 200), rng.normal(-3, 1, 900), threshold=-0.25)
    (axes,) = figure.axes
    (line,) = [line for line in axes.lines if line.get_color() == BEST]
    assert line.get_xdata()[0] == -0.25
    assert legend(figure) == ["900 without a particle", "200 on a particle", "threshold -0.25"]
    assert axes.get_yscale() == "linear"
    assert crowding(figure) == []


def test_few_hits_among_many_others_are_still_seen():
    rng = np.random.default_rng(0)
    figure = plot_hit_scores(rng.normal(3, 1, 20), rng.normal(-3, 1, 90_000))
    assert figure.axes[0].get_yscale() == "log"


@pytest.mark.parametrize(("hits", "extras"), [([], []), ([1.0], []), ([], [2.0, 2.0]), ([1.0, 2.0], [3.0])])
def test_few_scores_or_none_are_drawn(hits, extras, crowding):
    assert crowding(plot_hit_scores(hits, extras)) == []
