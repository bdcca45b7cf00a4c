import numpy as np
import pytest

from pickery.evaluation.metrics import precision_recall_curve
from pickery.plots import plot_precision_recall, save_figure
from pickery.plots.style import BEST


@pytest.fixture
def curve():
    return precision_recall_curve([5.0, 4.0, 3.0, 2.0], [1, 0, 1, 1], positives=4)


def texts(figure):
    inside = [text.get_text() for axes in figure.axes for text in axes.texts]
    legend = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return inside, legend


def drawn(figure, tmp_path):
    save_figure(figure, tmp_path / "plot.png", dpi=40)
    return figure


def test_the_area_under_the_drawn_steps_is_the_average_precision(curve, tmp_path):
    figure = drawn(plot_precision_recall(curve, average_precision=curve.average_precision), tmp_path)
    (line,) = figure.axes[0].lines
    assert line.get_drawstyle() == "steps-pre"
    x, y = line.get_xdata(), line.get_ydata()
    np.testing.assert_array_equal(x, [0, *curve.recall])
    np.testing.assert_array_equal(y[1:], curve.precision)
    assert np.sum(np.diff(x) * y[1:]) == pytest.approx(curve.average_precision)
    assert texts(figure)[1] == [f"picks, average precision {curve.average_precision:.3f}"]


def test_the_threshold_is_marked_where_it_lies_with_its_numbers(curve, tmp_path):
    figure = drawn(plot_precision_recall(curve, average_precision=0.6, threshold=2.0), tmp_path)
    (dot,) = [line for line in figure.axes[0].lines if line.get_color() == BEST]
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0.75, 0.75)
    assert texts(figure)[0] == ["best F1 0.750\nthreshold 2.00\nprecision 0.750\nrecall 0.750"]
    between = drawn(plot_precision_recall(curve, average_precision=0.6, threshold=3.5), tmp_path)
    assert texts(between)[0] == ["F1 0.333\nthreshold 3.50\nprecision 0.500\nrecall 0.250"]


def test_partial_labels_are_said_in_the_plot(curve):
    partial = plot_precision_recall(curve, average_precision=0.6)
    assert partial.axes[0].get_ylabel() == "Precision (lower bound)"
    assert "Labels are partial" in partial.get_supxlabel()
    whole = plot_precision_recall(curve, average_precision=0.6, partial_labels=False)
    assert whole.axes[0].get_ylabel() == "Precision"
    assert whole.get_supxlabel() == ""


def test_a_long_region_curve_is_thinned_to_what_can_be_seen(curve, tmp_path):
    rng = np.random.default_rng(0)
    regions = precision_recall_curve(rng.normal(size=200_000), rng.random(200_000) < 0.1)
    figure = drawn(
        plot_precision_recall(
            curve, average_precision=0.6, region_curve=regions, region_average_precision=regions.average_precision
        ),
        tmp_path,
    )
    beside, picks = figure.axes[0].lines
    assert len(beside.get_xdata()) <= 2001
    assert beside.get_xdata()[-1] == 1.0
    assert beside.get_linewidth() < picks.get_linewidth()
    assert texts(figure)[1] == ["picks, average precision 0.600", "regions, average precision 0.100"]


@pytest.mark.parametrize(
    ("scores", "labels", "positives", "why"),
    [([], [], 3, "no picks"), ([1.0], [False], 0, "no labelled particle to compare with")],
)
def test_a_curve_that_does_not_exist_is_explained(scores, labels, positives, why, tmp_path):
    empty = precision_recall_curve(scores, labels, positives=positives)
    figure = drawn(plot_precision_recall(empty, average_precision=np.nan, threshold=np.nan), tmp_path)
    assert texts(figure) == ([why], [])
    assert not figure.axes[0].lines
    drawn(plot_precision_recall(empty, average_precision=np.nan, threshold=0.5), tmp_path)


def test_a_threshold_above_every_score_marks_nothing(curve, tmp_path):
    figure = drawn(plot_precision_recall(curve, average_precision=0.6, threshold=9.0), tmp_path)
    assert len(figure.axes[0].lines) == 1
