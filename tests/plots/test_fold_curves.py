import numpy as np
import pytest

from pickery.plots import Curve, plot_fold_curves, save_figure
from pickery.plots.style import BEST, HELD_OUT, INK, TRAINING, fold_mark


def drawn(figure, tmp_path):
    """Warnings are errors here, so that drawing without one is a test too."""
    save_figure(figure, tmp_path / "plot.png", dpi=30)
    return figure.axes


def line(axes, name):
    (found,) = [line for line in axes.lines if line.get_label() == name]
    return found


def names(axes):
    return {line.get_label() for line in axes.lines if not line.get_label().startswith("_")}


def dot(axes, name):
    found = line(axes, name)
    return float(found.get_xdata()[0]), float(found.get_ydata()[0])


def training(count, top=0.5, best=None, **more):
    values = top * np.arange(1, count + 1) / count
    return Curve(np.arange(1, count + 1), values, count if best is None else best, **more)


def labels(count):
    return [f"learning_rate={round(0.0001 * (index + 1), 5)}" for index in range(count)]


def titles(figure):
    return [axes.get_title(loc="left").replace("\n", " ") for axes in figure.axes]


def test_each_value_has_a_panel_and_each_fold_its_own_colour_and_mark_in_all_of_them(tmp_path):
    curves = [[training(5, 0.3), training(5, 0.4, best=3)], [training(5, 0.5), training(5, 0.6)]]
    figure = plot_fold_curves(curves, labels(2), best=1)
    panels = drawn(figure, tmp_path)
    assert titles(figure) == labels(2)
    assert [axes._left_title.get_color() for axes in panels] == [INK, BEST]
    for axes, folds in zip(panels, curves, strict=True):
        for fold, curve in enumerate(folds):
            np.testing.assert_array_equal(line(axes, f"fold {fold}").get_ydata(), curve.held_out)
            best = line(axes, f"best of fold {fold}")
            assert (line(axes, f"fold {fold}").get_color(), best.get_marker()) == fold_mark(fold)
            assert dot(axes, f"best of fold {fold}") == (curve.best_epoch, curve.held_out[curve.best_epoch - 1])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["fold 0", "fold 1"]


def test_panels_share_both_axes_whatever_the_lengths(tmp_path):
    curves = [[training(1, 0.1), None], [training(12, 0.6), training(7, 0.4)]]
    first, second = drawn(plot_fold_curves(curves, labels(2)), tmp_path)
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim()
    left, right = first.get_xlim()
    assert left < 1 < 12 < right


def test_the_final_training_is_the_last_panel_with_its_training_curve(tmp_path):
    final = training(4, 0.7, training=[0.2, 0.4, 0.6, 0.8])
    figure = plot_fold_curves([[training(4)]], labels(1), best=0, final=final, final_label="final")
    _, last = drawn(figure, tmp_path)
    assert titles(figure)[-1] == "final"
    assert line(last, "training").get_color() == TRAINING
    assert line(last, "held-out").get_color() == HELD_OUT
    np.testing.assert_array_equal(line(last, "training").get_ydata(), final.training)
    assert dot(last, "best") == (4, 0.7)
    assert last.get_ylim()[1] > 0.8


def test_a_final_training_without_held_out_micrographs_is_dotted_on_its_training_curve(tmp_path):
    final = Curve([1, 2], [np.nan, np.nan], 2, training=[0.2, 0.4])
    _, last = drawn(plot_fold_curves([[training(2)]], labels(1), final=final), tmp_path)
    assert names(last) == {"training", "best"}
    assert dot(last, "best") == (2, 0.4)


def test_gaps_are_bridged_faintly_and_lone_values_have_a_dot(tmp_path):
    curve = Curve([1, 2, 3, 4], [0.1, np.nan, 0.3, np.nan], 2)
    (axes,) = drawn(plot_fold_curves([[curve]], labels(1)), tmp_path)
    assert line(axes, "fold 0").get_markevery() == [0, 2]
    (bridge,) = [found for found in axes.lines if found.get_alpha() == 0.5]
    np.testing.assert_array_equal(bridge.get_xdata(), [1, 3])
    # the best epoch's own value is missing: none is claimed
    assert "best of fold 0" not in names(axes)


def test_one_epoch_is_a_dot_at_a_whole_number(tmp_path):
    (axes,) = drawn(plot_fold_curves([[training(1)]], labels(1), best=0), tmp_path)
    assert dot(axes, "best of fold 0") == (1, 0.5)
    left, right = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if left <= tick <= right] == [1]


@pytest.mark.parametrize("curves", [[], [[None, None]], [[]], [[Curve([], [])]], [[Curve([1], [np.nan], 1)]]])
def test_nothing_measured_yet_draws_without_a_warning(curves, tmp_path):
    drawn(plot_fold_curves(curves, labels(len(curves))), tmp_path)


def test_lower_is_better_is_said(tmp_path):
    figure = plot_fold_curves([[training(3)]], labels(1), monitor="loss")
    drawn(figure, tmp_path)
    assert figure.get_supylabel().replace("\n", " ") == "Cross-entropy (lower is better), held-out"


@pytest.mark.parametrize(("monitor", "kept"), [("precision", range(5, 40)), ("loss", range(35))])
def test_beyond_36_panels_the_best_values_are_shown_in_order_and_the_figure_says_so(monitor, kept, tmp_path):
    curves = [[training(2, 0.1 + 0.01 * value)] for value in range(40)]
    figure = plot_fold_curves(curves, labels(40), monitor=monitor, final=training(2))
    assert len(figure.axes) == 36
    assert titles(figure) == [*(labels(40)[value] for value in kept), "final training"]
    assert "5 of 40 values have no room here: these are the best 35." in figure.get_supxlabel()


def test_the_best_value_is_always_shown(tmp_path):
    curves = [[training(2, 0.1 + 0.01 * value)] for value in range(40)]
    assert titles(plot_fold_curves(curves, labels(40), best=0))[0] == labels(40)[0]


@pytest.mark.parametrize("count", [1, 2, 4, 5, 30])
@pytest.mark.parametrize("long", [False, True])
def test_no_words_overlap_or_leave_the_figure(count, long, crowding):
    names = [
        f"expected_particles={100 * value}, {label}" if long else label for value, label in enumerate(labels(count))
    ]
    curves = [[training(10, 0.01 + 0.03 * (value + fold)) for fold in range(5)] for value in range(count)]
    monitor = "loss" if long else "precision"
    assert crowding(plot_fold_curves(curves, names, monitor=monitor, best=0, note="A note. " * 30)) == []


def test_the_same_data_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        save_figure(plot_fold_curves([[training(3), training(2)]], labels(1)), tmp_path / f"{name}.png", dpi=40)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
