import numpy as np
import pytest

from pickery.plots import plot_metrics, plot_precision, save_figure
from pickery.plots.style import BEST, HELD_OUT, TRAINING


def line(axes, name):
    (found,) = [line for line in axes.lines if line.get_label() == name]
    return found


def best_dot(axes):
    dots = [line for line in axes.lines if line.get_color() == BEST and line.get_marker() == "o"]
    return None if not dots else (float(dots[0].get_xdata()[0]), float(dots[0].get_ydata()[0]))


def words(axes):
    return [text.get_text() for text in axes.texts]


def drawn(figure, tmp_path):
    """Warnings are errors here, so that drawing without one is a test too."""
    save_figure(figure, tmp_path / "plot.png", dpi=40)
    return figure.axes


def test_precision_of_both_sets_is_drawn_and_the_best_epoch_marked_with_its_value(tmp_path):
    epochs, train, test = [1, 2, 3, 4], [0.2, 0.4, 0.5, 0.6], [0.1, 0.35, 0.45, 0.4]
    (axes,) = drawn(plot_precision(epochs, train, test, best_epoch=3), tmp_path)
    for name, values, colour in (("training", train, TRAINING), ("held-out", test, HELD_OUT)):
        assert list(line(axes, name).get_xdata()) == epochs
        assert list(line(axes, name).get_ydata()) == values
        assert line(axes, name).get_color() == colour
    assert best_dot(axes) == (3, 0.45)
    assert "best epoch 3: held-out precision 0.450" in words(axes)
    assert {"training", "held-out"} <= set(words(axes))


def test_without_held_out_micrographs_training_precision_is_marked(tmp_path):
    (axes,) = drawn(plot_precision([1, 2], [0.2, 0.4], best_epoch=2), tmp_path)
    assert "best epoch 2: training precision 0.400" in words(axes)
    assert "held-out" not in words(axes)


def test_another_monitor_is_named(tmp_path):
    (axes,) = drawn(plot_precision([1, 2], [0.2, 0.4], best_epoch=1, monitor="pick_f1"), tmp_path)
    assert "best epoch 1 (by pick F1): training precision 0.200" in words(axes)


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_epochs_are_whole_numbers_on_the_axis(count, tmp_path):
    values = np.linspace(0.1, 0.5, count)
    (axes,) = drawn(plot_precision(range(1, count + 1), values, values / 2, best_epoch=count), tmp_path)
    left, right = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if left <= tick <= right]
    assert ticks
    assert all(tick == round(tick) for tick in ticks)
    assert best_dot(axes) == (count, pytest.approx(values[-1] / 2))


def test_gaps_are_bridged_faintly_and_lone_values_have_a_dot(tmp_path):
    values = np.full(60, 0.3)
    values[10:20] = np.nan
    values[40] = values[42] = np.nan
    (axes,) = drawn(plot_precision(np.arange(60), values, best_epoch=15), tmp_path)
    np.testing.assert_array_equal(line(axes, "training").get_ydata(), values)
    assert line(axes, "training").get_markevery() == [41]
    (bridge,) = [found for found in axes.lines if found.get_alpha() == 0.5]
    assert not np.isnan(bridge.get_ydata()).any()
    # the best epoch's own value is missing: its line stands, but no value is claimed
    assert best_dot(axes) is None
    assert "best epoch 15" in words(axes)


def test_a_level_curve_is_not_blown_up(tmp_path):
    (axes,) = drawn(plot_precision([1, 2, 3], [0.8, 0.8001, 0.8]), tmp_path)
    low, high = axes.get_ylim()
    assert high - low >= 0.08


@pytest.mark.parametrize("test", [None, [np.nan], [np.inf]])
def test_nothing_measured_draws_without_a_warning(test, tmp_path):
    drawn(plot_precision([1], [np.nan], test, best_epoch=1), tmp_path)
    drawn(plot_precision([], [], None if test is None else []), tmp_path)


def test_metrics_have_a_panel_each_known_ones_first_and_precision_left_out(tmp_path):
    train = {"objective/penalty": [3.0, 2.0], "loss": [0.5, 0.4], "precision": [0.1, 0.2]}
    test = {"loss": [0.6, 0.5], "auprc": [0.2, 0.3], "precision": [0.1, 0.2]}
    panels = drawn(plot_metrics([1, 2], train, test, best_epoch=2), tmp_path)
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == ["Area under precision-recall", "Cross-entropy", "Objective: penalty"]
    auprc, loss, penalty = panels
    assert list(line(loss, "training").get_ydata()) == [0.5, 0.4]
    assert list(line(loss, "held-out").get_ydata()) == [0.6, 0.5]
    assert [best_dot(axes) for axes in panels] == [(2, 0.3), (2, 0.5), (2, 2.0)]
    assert words(auprc) == ["higher is better · held-out 0.3 at best epoch"]
    assert words(loss) == ["lower is better · held-out 0.5 at best epoch"]
    assert words(penalty) == ["training 2 at best epoch"]


def test_metrics_share_one_legend(tmp_path):
    figure = plot_metrics([1, 2], {"loss": [0.5, 0.4], "tpr": [0.1, 0.2]}, {"loss": [0.6, 0.5]}, best_epoch=1)
    drawn(figure, tmp_path)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["held-out", "training", "best epoch (1)"]
    assert all(axes.get_legend() is None for axes in figure.axes)


def test_the_panels_asked_for_come_in_that_order(tmp_path):
    train = {"tpr": [0.1], "fpr": [0.2], "precision": [0.3]}
    panels = drawn(plot_metrics([1], train, names=["precision", "tpr"]), tmp_path)
    assert [axes.get_title(loc="left") for axes in panels] == ["Precision", "True positive rate"]


def test_metrics_never_measured_are_left_out(tmp_path):
    panels = drawn(plot_metrics([1], {"tpr": [np.nan], "fpr": [0.2]}, {"fpr": [np.nan]}, best_epoch=1), tmp_path)
    assert [axes.get_title(loc="left") for axes in panels] == ["False positive rate"]
    assert words(panels[0]) == ["lower is better · training 0.2 at best epoch"]
    nothing = plot_metrics([], {})
    assert drawn(nothing, tmp_path) == []
    assert [text.get_text() for text in nothing.texts] == ["nothing measured yet"]
