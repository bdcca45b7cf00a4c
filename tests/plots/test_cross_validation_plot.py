import numpy as np
import pytest

from pickery.decimals import word
from pickery.plots import plot_cross_validation, save_figure
from pickery.plots.scales import value_scale
from pickery.plots.style import BEST, GREY, fold_mark
from pickery.plots.words import measured

RATES = [0.0001, 0.0002, 0.0003]
FOLDS = np.array([[0.30, 0.34], [0.45, 0.47], [0.41, 0.45]])


def drawn(figure, tmp_path):
    """Warnings are errors here, so that drawing without one is a test too."""
    save_figure(figure, tmp_path / "plot.png", dpi=40)
    return figure.axes


def lines(axes, name):
    return [line for line in axes.lines if line.get_label() == name]


def points(axes, name):
    """All (x, y) drawn under a name, nan left out."""
    found = [np.stack(line.get_data(), axis=1) for line in lines(axes, name)]
    every = np.concatenate([np.zeros((0, 2)), *found]).astype(float)
    return sorted(tuple(pair) for pair in every[~np.isnan(every).any(axis=1)].tolist())


def means(axes, name="mean ± standard error"):
    """(x, y) of the means under a name, and the ends of their error bars."""
    bars = [bar for bar in axes.containers if bar.get_label() == name]
    dots = [tuple(map(float, pair)) for bar in bars for pair in zip(*bar.lines[0].get_data(), strict=True)]
    ends = [part for bar in bars for group in bar.lines[2] for part in group.get_segments() if not np.isnan(part).any()]
    return dots, [(float(a[1]), float(b[1])) for a, b in ends]


def legend(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts() if text.get_text()]


def ticks(axes):
    labels = axes.xaxis.get_major_formatter().seq
    return list(zip(axes.xaxis.get_major_locator().locs, labels, strict=True))


def test_each_training_is_a_point_at_its_value_and_result(tmp_path):
    (axes,) = drawn(plot_cross_validation(RATES, FOLDS, parameter="learning_rate"), tmp_path)
    for fold in range(2):
        assert points(axes, f"fold {fold}") == [(rate, FOLDS[at, fold]) for at, rate in enumerate(RATES)]
        (line,) = lines(axes, f"fold {fold}")
        assert (line.get_color(), line.get_marker()) == fold_mark(fold)


def test_means_have_their_standard_error_and_are_joined_in_order_of_the_values(tmp_path):
    order = [2, 0, 1]
    figure = plot_cross_validation(np.array(RATES)[order], FOLDS[order], parameter="learning_rate")
    (axes,) = drawn(figure, tmp_path)
    dots, ends = means(axes)
    expected = FOLDS.mean(axis=1)
    error = FOLDS.std(axis=1, ddof=1) / np.sqrt(2)
    np.testing.assert_allclose(dots, np.stack([RATES, expected], axis=1))
    np.testing.assert_allclose(ends, np.stack([expected - error, expected + error], axis=1))


def test_marks_of_one_value_stand_apart_and_nearer_to_it_than_to_the_next():
    figure = plot_cross_validation(np.arange(1, 31), np.full((30, 5), 0.5), parameter="radius")
    (axes,) = figure.axes
    figure.canvas.draw()
    places = np.sort([line.get_transform().transform(line.get_xydata())[:, 0] for line in axes.lines[:5]], axis=0)
    assert np.diff(places, axis=0).min() > 0.5
    between = places[0, 1:] - places[-1, :-1]
    assert between.min() > 0


def test_the_best_value_is_marked_and_written_with_mean_and_error(tmp_path):
    auprc = FOLDS * 0.7
    figure = plot_cross_validation(RATES, FOLDS, parameter="optimizer.learning_rate", best=1, beside={"auprc": auprc})
    first, second = drawn(figure, tmp_path)
    for axes, of in ((first, FOLDS), (second, auprc)):
        (dot,) = lines(axes, "best")
        assert dot.get_color() == BEST
        assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0.0002, pytest.approx(of[1].mean()))
        assert axes._left_title.get_color() == BEST
    assert first.get_title(loc="left") == "best: learning rate 0.0002\n0.460 ± 0.010"
    assert second.get_title(loc="left") == "at 0.0002: 0.3220 ± 0.0070"


def test_average_precision_stands_beside_or_precision_where_it_is_the_monitor_and_that_of_picks(tmp_path):
    beside = {"precision": FOLDS, "auprc": FOLDS, "pick_average_precision": FOLDS, "loss": FOLDS}

    def titles(monitor, given):
        figure = plot_cross_validation(RATES, FOLDS, parameter="radius", monitor=monitor, beside=given)
        return [axes.get_ylabel() for axes in drawn(figure, tmp_path)]

    area, picks = "Area under precision-recall", "Pick average precision"
    assert titles("precision", beside) == ["Precision", area, picks]
    assert titles("auprc", beside) == [area, "Precision", picks]
    assert titles("pick_average_precision", beside) == [picks, area]
    assert titles("loss", beside) == ["Cross-entropy (lower is better)", area, picks]
    assert titles("precision", {"auprc": np.full((3, 2), np.nan)}) == ["Precision"]
    assert titles("precision", {"auprc": [[None, 0.1], [0.2, None], [0.2, 0.3]]}) == ["Precision", area]


def test_one_fold_has_no_error_bars(tmp_path):
    figure = plot_cross_validation(RATES, FOLDS[:, :1], parameter="learning_rate", best=1)
    (axes,) = drawn(figure, tmp_path)
    dots, ends = means(axes, "one fold: no error to show")
    np.testing.assert_allclose(dots, np.stack([RATES, FOLDS[:, 0]], axis=1))
    assert ends == []
    assert axes.get_title(loc="left") == "best: learning rate 0.0002\n0.450"


def test_one_value_is_drawn(tmp_path):
    figure = plot_cross_validation([3], [[0.2, 0.4]], parameter="radius", best=0, unchanged=3)
    (axes,) = drawn(figure, tmp_path)
    assert ticks(axes) == [(3.0, "3")]
    assert means(axes)[0] == [(3.0, pytest.approx(0.3))]


def test_folds_that_are_missing_leave_a_hollow_mean_that_no_line_joins(tmp_path):
    results = FOLDS.copy()
    results[1, 0] = np.nan
    figure = plot_cross_validation(RATES, results, parameter="learning_rate")
    (axes,) = drawn(figure, tmp_path)
    assert [x for x, _ in means(axes)[0]] == [0.0001, 0.0003]
    assert means(axes, "mean so far (folds missing)")[0] == [(0.0002, 0.47)]
    assert points(axes, "fold 0") == [(0.0001, 0.30), (0.0003, 0.41)]
    assert "mean so far (folds missing)" in legend(figure)


def test_stopped_values_are_grey_hollow_and_apart_from_the_line(tmp_path):
    figure = plot_cross_validation(RATES, FOLDS, parameter="learning_rate", best=1, stopped=[0])
    (axes,) = drawn(figure, tmp_path)
    assert [x for x, _ in means(axes)[0]] == [0.0002, 0.0003]
    (stopped,) = [bar for bar in axes.containers if bar.get_label().startswith("stopped")]
    assert stopped.lines[0].get_xdata() == [0.0001]
    assert stopped.lines[0].get_color() == GREY
    assert stopped.lines[0].get_markerfacecolor() == "white"
    assert "stopped early (trained shorter)" in legend(figure)


def test_failed_values_are_crossed_out_at_the_bottom(tmp_path):
    results = FOLDS.copy()
    results[2] = np.nan
    figure = plot_cross_validation(RATES, results, parameter="learning_rate", failed=[2])
    (axes,) = drawn(figure, tmp_path)
    assert points(axes, "failed") == [(0.0003, 0.055)]
    (cross,) = lines(axes, "failed")
    on_paper = axes.transAxes.inverted().transform(cross.get_transform().transform(cross.get_xydata()))
    assert 0 < on_paper[0, 1] < 0.1
    assert axes.transAxes.inverted().transform(axes.transData.transform((0.0001, 0.30)))[1] > 0.12
    assert "failed" in legend(figure)


def test_mixed_objectives_have_an_asterisk_over_their_points_and_a_note(tmp_path):
    figure = plot_cross_validation(RATES, FOLDS, parameter="radius", mixed=[1], note="Mind the gap.")
    (axes,) = drawn(figure, tmp_path)
    (asterisk,) = [text for text in axes.texts if text.get_text() == "*"]
    assert asterisk.get_position() == (0.0002, pytest.approx(0.47))
    notes = figure.get_supxlabel()
    assert "* Its folds were trained with different objectives" in notes
    assert notes.endswith("Mind the gap.")
    assert "*" not in plot_cross_validation(RATES, FOLDS, parameter="radius").get_supxlabel()


@pytest.mark.parametrize(("unchanged", "marked"), [(0.0002, True), (0.00015, True), (0.01, False), (None, False)])
def test_the_unchanged_setting_is_marked_where_it_lies_among_the_values(unchanged, marked, tmp_path):
    figure = plot_cross_validation(RATES, FOLDS, parameter="learning_rate", unchanged=unchanged)
    drawn(figure, tmp_path)
    words = [word for word in legend(figure) if word.startswith("unchanged")]
    assert words == ([f"unchanged: {word(unchanged)}"] if marked else [])
    if marked:
        assert points(figure.axes[0], words[0]) == [(unchanged, 0)]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1e-5, 1e-4, 1e-3], "log"),
        ([0.0001, 0.001], "log"),
        ([0.0001, 0.0003, 0.002], "log"),
        ([1, 2, 4], "log"),
        ([1, 2, 3, 4, 5, 6], "linear"),
        (np.arange(1, 21) * 0.0001, "linear"),
        ([2, 3, 5], "linear"),
        ([0, 0.001, 0.01, 0.1], "symlog"),
        ([0, 0.1, 0.5], "linear"),
        ([-1, 1, 100], "linear"),
        ([3], "linear"),
        ([0], "linear"),
    ],
)
def test_values_that_span_decades_have_a_logarithmic_axis_and_even_steps_a_linear_one(values, scale, tmp_path):
    assert value_scale(values) == scale
    figure = plot_cross_validation(values, np.full((len(values), 2), 0.3), parameter="loss.l2")
    (axes,) = drawn(figure, tmp_path)
    assert axes.get_xscale() == scale
    left, right = axes.get_xlim()
    assert left < min(values) <= max(values) < right


@pytest.mark.parametrize(
    "values", [RATES, [1e-5, 1e-4, 1e-3, 1e-2, 0.1], range(1, 7), np.arange(1, 31) * 0.0001, [0.1, 0.11, 0.5, 0.51]]
)
def test_ticks_stand_at_tested_values_written_as_exact_decimals(values, tmp_path):
    (axes,) = drawn(plot_cross_validation(values, np.full((len(values), 2), 0.3), parameter="radius"), tmp_path)
    for place, words in ticks(axes):
        assert place in [float(value) for value in values]
        assert "e" not in words
        assert float(words) == pytest.approx(place, rel=1e-12)
    every = {*(place for place, _ in ticks(axes)), *axes.xaxis.get_minor_locator().locs}
    assert every == {float(value) for value in values}
    assert len(ticks(axes)) <= 10


def test_a_measured_number_has_as_many_places_as_its_error_is_worth():
    assert [measured(0.5), measured(0.51234, 0.00042), measured(0.2, 0.0)] == [
        "0.500",
        "0.51234 ± 0.00042",
        "0.200 ± 0.000",
    ]


def test_lower_is_better_is_said_and_decades_of_it_are_logarithmic(tmp_path):
    results = [[0.5, 0.6], [0.01, 0.02], [0.1, 0.2]]
    figure = plot_cross_validation([1, 10, 100], results, parameter="radius", monitor="fpr", best=1)
    (axes,) = drawn(figure, tmp_path)
    assert axes.get_ylabel() == "False positive rate (lower is better)"
    assert axes.get_yscale() == "log"
    higher = plot_cross_validation([1, 10, 100], results, parameter="radius", monitor="precision")
    assert drawn(higher, tmp_path)[0].get_yscale() == "linear"


def product():
    pairs = [(rate, radius) for rate in RATES for radius in (2, 3, 4, 5)]
    results = np.random.default_rng(0).uniform(0.3, 0.5, (12, 3))
    return pairs, results


def test_two_settings_have_a_line_for_each_value_of_the_first_named_at_its_end(tmp_path):
    pairs, results = product()
    figure = plot_cross_validation(
        pairs, results, parameter=["learning_rate", "radius"], best=5, unchanged=[0.0002, 3], failed=[0], stopped=[11]
    )
    (axes,) = drawn(figure, tmp_path)
    assert axes.get_xlabel() == "Radius"
    assert axes.get_title(loc="left").startswith("best: learning rate 0.0002,\nradius 3\n")
    assert {text.get_text() for text in axes.texts} == {"0.0001", "0.0002", "0.0003", "learning\nrate"}
    joined = [bar.lines[0] for bar in axes.containers if bar.get_label() == "mean ± standard error"]
    assert len({line.get_color() for line in joined}) == len(joined) == 3
    expected = results.mean(axis=1).reshape(3, 4)
    for line, reached, count in zip(joined, expected, (4, 4, 3), strict=True):
        np.testing.assert_allclose(line.get_xdata(), [2, 3, 4, 5][:count])
        np.testing.assert_allclose(line.get_ydata(), reached[:count])
    (dot,) = lines(axes, "best")
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (3, pytest.approx(expected[1, 1]))
    assert points(axes, "fold 2") == sorted((float(pair[1]), of[2]) for pair, of in zip(pairs, results, strict=True))
    assert "unchanged: 0.0002 / 3" in legend(figure)


def test_beyond_five_lines_single_folds_are_left_out_and_the_figure_says_so(tmp_path):
    pairs = [(first, second) for first in range(8) for second in (1, 2, 3)]
    figure = plot_cross_validation(pairs, np.full((24, 3), 0.3), parameter=["radius", "l2"])
    (axes,) = drawn(figure, tmp_path)
    assert points(axes, "fold 0") == []
    assert "single folds are left out" in figure.get_supxlabel().replace("\n", " ")


def cases():
    random = np.random.default_rng(1)
    thirty = random.uniform(0.3, 0.5, (30, 10))
    pairs, results = product()
    beside = {"auprc": FOLDS / 2, "pick_average_precision": FOLDS}
    return {
        "plain": plot_cross_validation(
            RATES, FOLDS, parameter="learning_rate", best=1, beside=beside, unchanged=0.0002
        ),
        "thirty": plot_cross_validation(
            np.arange(1, 31) * 1e-4, thirty, parameter="learning_rate", best=29, beside={"auprc": thirty}, stopped=[3]
        ),
        "every state": plot_cross_validation(
            np.arange(1, 9) * 100,
            np.where(np.eye(8, 4) > 0, np.nan, random.uniform(0.3, 0.5, (8, 4))),
            parameter="data.expected_particles",
            best=5,
            unchanged=250,
            failed=[0],
            stopped=[6, 7],
            mixed=[4],
            note="Precision cannot be compared between values of expected_particles. " * 3,
        ),
        "product": plot_cross_validation(
            pairs,
            results,
            parameter=["model.autoencoder_weight", "data.expected_particles"],
            best=0,
            beside={"auprc": results},
        ),
        "nothing": plot_cross_validation(RATES, np.full((3, 2), np.nan), parameter="l2"),
    }


@pytest.mark.parametrize("name", ["plain", "thirty", "every state", "product", "nothing"])
def test_no_words_overlap_or_leave_the_figure(name, crowding):
    assert crowding(cases()[name]) == []


def test_the_same_data_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        save_figure(cases()["every state"], tmp_path / f"{name}.png", dpi=40)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
