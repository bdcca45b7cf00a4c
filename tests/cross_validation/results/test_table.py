import csv
import json
import math
import random
from collections.abc import Mapping, Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickery.cross_validation.grid import FINAL, Axis, Grid, Point
from pickery.cross_validation.results.beyond import as_settings, further_values
from pickery.cross_validation.results.table import Outcome, Progress, State, Table, distances
from pickery.decimals import Number

NAN = math.nan
LEARNING_RATE = Axis("optimizer.learning_rate", (0.0001, 0.0002, 0.0003))
MOMENTUM = Axis("optimizer.momentum", (0.5, 0.7, 0.9))
RADIUS = Axis("data.radius", (2, 3, 4))

Figures = Sequence[Sequence[float | None]]


def make_outcomes(
    grid: Grid,
    figures: Figures,
    *,
    states: Mapping[tuple[int, int], State] | None = None,
    beside: Mapping[str, Figures] | None = None,
    objectives: Mapping[tuple[int, int], str] | None = None,
    reasons: Mapping[tuple[int, int], str] | None = None,
    rungs: Mapping[int, int] | None = None,
) -> list[Outcome]:
    """Make an outcome for each (value, fold) from its monitored figure; None: it waits."""
    outcomes = []
    for value, row in enumerate(figures):
        for fold, figure in enumerate(row):
            where, point = (value, fold), Point((rungs or {}).get(value, 0), fold, value)
            done = figure is not None
            outcomes.append(
                Outcome(
                    point,
                    (states or {}).get(where, "done" if done else "waiting"),
                    monitored=figure,
                    best_epoch=3 if done else None,
                    epochs=6 if done else None,
                    figures={name: own[value][fold] for name, own in (beside or {}).items()},
                    objective=(objectives or {}).get(where, "ge_binomial" if done else None),
                    reason=(reasons or {}).get(where),
                    folder=grid.folder(point),
                )
            )
    return outcomes


def make_table(
    figures: Figures,
    *,
    axes: Sequence[Axis] = (LEARNING_RATE,),
    unchanged: Sequence[Number | None] = (0.0002,),
    monitor: str = "precision",
    asked: str | None = "ge_binomial",
    states: Mapping[tuple[int, int], State] | None = None,
    beside: Mapping[str, Figures] | None = None,
    objectives: Mapping[tuple[int, int], str] | None = None,
    reasons: Mapping[tuple[int, int], str] | None = None,
    rungs: Mapping[int, int] | None = None,
) -> Table:
    grid = Grid(tuple(axes), len(figures[0]))
    outcomes = make_outcomes(
        grid, figures, states=states, beside=beside, objectives=objectives, reasons=reasons, rungs=rungs
    )
    return Table(grid, monitor, tuple(unchanged), outcomes, asked_objective=asked)


def best_of(table: Table) -> str:
    assert table.winner is not None
    return table.winner.label


# ---- means, and which is best


def test_mean_and_standard_error_over_the_folds() -> None:
    row = make_table([[0.1, 0.2, 0.6]], axes=[Axis("optimizer.learning_rate", (0.1,))]).rows[0]
    assert row.mean == pytest.approx(0.3, rel=1e-15)
    # deviations -0.2, -0.1, 0.3: variance 0.14 / 2, over 3 folds
    assert row.standard_error == pytest.approx(math.sqrt(0.07 / 3), rel=1e-14)


def test_one_fold_has_no_standard_error() -> None:
    row = make_table([[0.1], [0.2], [0.3]]).rows[1]
    assert row.mean == 0.2
    assert math.isnan(row.standard_error)


def test_the_highest_mean_wins_and_the_next_is_second() -> None:
    table = make_table([[0.3, 0.5], [0.5, 0.1], [0.4, 0.5]])
    assert [row.label for row in table.ranked] == [
        "learning_rate=0.0003",
        "learning_rate=0.0001",
        "learning_rate=0.0002",
    ]
    assert table.winner is table.rows[2]
    assert table.runner_up is table.rows[0]


def test_of_a_loss_the_lowest_mean_wins() -> None:
    assert best_of(make_table([[0.3, 0.5], [0.5, 0.1], [0.4, 0.5]], monitor="loss")) == "learning_rate=0.0002"


def test_a_metric_without_a_better_direction_cannot_rank() -> None:
    with pytest.raises(AssertionError, match="pick_threshold"):
        make_table([[0.3], [0.5], [0.4]], monitor="pick_threshold")


def test_a_value_with_a_failed_fold_cannot_win() -> None:
    table = make_table([[0.3, 0.5], [0.5, 0.1], [0.9, None]], states={(2, 1): "failed"})
    assert best_of(table) == "learning_rate=0.0001"
    assert table.rows[2].state == "failed"
    assert math.isnan(table.rows[2].mean)
    assert table.complete


@pytest.mark.parametrize("figure", [NAN, math.inf])
def test_a_figure_that_is_not_a_number_is_a_failure(figure: float) -> None:
    table = make_table([[0.3, 0.5], [0.5, 0.1], [0.9, figure]])
    assert best_of(table) == "learning_rate=0.0001"
    assert table.progress == Progress(done=5, failed=1, stopped=0, running=0, waiting=0)
    outcome = table.rows[2].folds[1]
    assert outcome is not None
    assert outcome.reason == "its precision is not a number"


def test_a_stopped_value_keeps_its_mean_but_cannot_win() -> None:
    table = make_table([[0.3, 0.5], [0.5, 0.1], [0.9, 0.9]], states={(2, 0): "stopped", (2, 1): "stopped"})
    assert best_of(table) == "learning_rate=0.0001"
    assert table.rows[2].state == "stopped"
    assert table.rows[2].mean == 0.9


def test_a_value_still_in_training_has_no_mean_yet() -> None:
    table = make_table([[0.3, 0.2], [0.9, None], [0.8, None]], states={(2, 1): "running"})
    assert [row.state for row in table.rows] == ["done", "waiting", "running"]
    assert best_of(table) == "learning_rate=0.0001"
    assert math.isnan(table.rows[1].mean)
    assert not table.complete
    assert table.progress == Progress(done=4, failed=0, stopped=0, running=1, waiting=1)
    assert table.progress.total == 6


def test_a_training_without_an_outcome_is_waiting() -> None:
    grid = Grid((LEARNING_RATE,), 2)
    table = Table(grid, "precision", (0.0002,), [Outcome(Point(0, 1, 2), "done", 0.5)])
    assert table.rows[2].folds[0] is None
    assert table.progress == Progress(done=1, failed=0, stopped=0, running=0, waiting=5)
    assert table.winner is None
    assert table.runner_up is None


def test_of_each_value_the_highest_rung_counts_and_only_the_highest_of_all_may_win() -> None:
    grid = Grid((LEARNING_RATE,), 1)
    low = [Outcome(Point(0, 0, value), "done", figure) for value, figure in enumerate([0.9, 0.5, 0.6])]
    high = [Outcome(Point(1, 0, 1), "done", 0.7), Outcome(Point(1, 0, 2), "waiting")]
    table = Table(grid, "precision", (0.0002,), [*high, *low])
    assert [row.rung for row in table.rows] == [0, 1, 1]
    assert table.rows[1].mean == 0.7
    # 0.9 came of fewer epochs
    assert best_of(table) == "learning_rate=0.0002"


def test_the_final_training_takes_no_part() -> None:
    grid = Grid((LEARNING_RATE,), 1)
    outcomes = make_outcomes(grid, [[0.1], [0.2], [0.3]])
    table = Table(grid, "precision", (0.0002,), [*outcomes, Outcome(Point(0, FINAL, 0), "running", 0.9)])
    assert table.complete
    assert table.progress.total == 3
    assert best_of(table) == "learning_rate=0.0003"


def test_two_outcomes_of_one_training_are_a_mistake() -> None:
    grid = Grid((LEARNING_RATE,), 1)
    with pytest.raises(AssertionError, match="two outcomes"):
        Table(grid, "precision", (0.0002,), make_outcomes(grid, [[0.1]]) * 2)


# ---- ties


@pytest.mark.parametrize(
    ("unchanged", "best"),
    [
        (0.0001, "0.0001"),
        (0.0002, "0.0002"),
        (0.00024, "0.0002"),
        (0.00026, "0.0003"),
        (1, "0.0003"),
        (0.00025, "0.0002"),
        (None, "0.0001"),
    ],
)
def test_a_tie_goes_to_the_nearest_to_the_unchanged_setting_then_to_the_first(
    unchanged: float | None, best: str
) -> None:
    table = make_table([[0.25, 0.75], [0.5, 0.5], [0.75, 0.25]], unchanged=(unchanged,))
    assert best_of(table) == f"learning_rate={best}"
    assert {row.value for row in table.tied} == {0, 1, 2}


def test_distances_are_exact_decimals() -> None:
    # as floats 0.3 - 0.2 < 0.2 - 0.1
    grid = Grid((Axis("a.b", (0.1, 0.2, 0.3)),), 1)
    assert distances(grid, (0.2,)) == (Fraction(1, 2), 0, Fraction(1, 2))


def test_distances_of_two_axes_are_sums_in_units_of_their_spans() -> None:
    grid = Grid((Axis("a.b", (0.001, 0.002, 0.005)), Axis("c.d", (10, 30))), 1)
    # spans 0.004 and 20
    assert distances(grid, (0.002, 10)) == tuple(Fraction(numerator, 4) for numerator in (1, 1 + 4, 0, 0 + 4, 3, 3 + 4))
    assert distances(grid, (None, 10)) == (0, 1, 0, 1, 0, 1)
    assert distances(Grid((Axis("a.b", (3,)),), 1), (5,)) == (2,)


# ---- comparing


def test_values_are_compared_fold_by_fold() -> None:
    table = make_table([[0.3, 0.5, 0.1], [0.2, 0.1, 0.0], [0.4, 0.4, 0.3]])
    comparison = table.compare(table.rows[0], table.rows[1])
    assert comparison.difference == pytest.approx((0.1 + 0.4 + 0.1) / 3)
    assert comparison.spread == pytest.approx(math.sqrt((0.01 + 0.04 + 0.01) / 2))
    assert comparison.ahead == 3
    assert comparison.told_apart
    assert table.compare(table.rows[0], table.rows[2]).ahead == 1
    assert table.compare(table.rows[0], table.rows[2]).told_apart is False


def test_one_fold_says_nothing_about_the_spread() -> None:
    table = make_table([[0.3], [0.2], [0.4]])
    comparison = table.compare(table.rows[0], table.rows[1])
    assert math.isnan(comparison.spread)
    assert comparison.told_apart is None


# dyadic numbers, so that sums and differences are exact
numbers = st.integers(-(2**12), 2**12).map(lambda number: number / 1024)
tables = st.integers(1, 4).flatmap(
    lambda folds: st.lists(st.lists(numbers, min_size=folds, max_size=folds), min_size=3, max_size=3)
)


@given(figures=tables, seed=st.integers(0, 99))
def test_results_do_not_depend_on_the_order_of_the_outcomes(figures: list[list[float]], seed: int) -> None:
    grid = Grid((LEARNING_RATE,), len(figures[0]))
    outcomes = make_outcomes(grid, figures)
    shuffled = random.Random(seed).sample(outcomes, len(outcomes))
    one, other = (Table(grid, "auprc", (0.0002,), given) for given in (outcomes, shuffled))
    assert one.ranked == other.ranked
    assert one.csv() == other.csv()
    assert one.lines() == other.lines()
    assert one.verdict() == other.verdict()


@given(figures=tables, seed=st.integers(0, 99))
def test_the_order_of_the_folds_changes_no_mean_and_no_winner(figures: list[list[float]], seed: int) -> None:
    folds = random.Random(seed).sample(range(len(figures[0])), len(figures[0]))
    # a third is no dyadic number, so that the order in which floats are added could matter
    thirds = [[figure / 3 for figure in row] for row in figures]
    one, other = make_table(thirds), make_table([[row[fold] for fold in folds] for row in thirds])
    assert [row.mean for row in one.rows] == [row.mean for row in other.rows]
    assert best_of(one) == best_of(other)


@given(figures=tables, constant=numbers)
def test_a_constant_added_to_all_figures_changes_neither_the_winner_nor_differences(
    figures: list[list[float]], constant: float
) -> None:
    one, other = make_table(figures), make_table([[figure + constant for figure in row] for row in figures])
    assert [row.value for row in one.ranked] == [row.value for row in other.ranked]
    before, after = (table.compare(table.rows[0], table.rows[1]) for table in (one, other))
    assert (before.difference, before.ahead) == (after.difference, after.ahead)
    assert before.told_apart == after.told_apart


@given(figures=tables)
def test_mirrored_figures_of_a_metric_to_be_lowered_rank_alike(figures: list[list[float]]) -> None:
    one, other = make_table(figures), make_table([[-figure for figure in row] for row in figures], monitor="loss")
    assert [row.value for row in one.ranked] == [row.value for row in other.ranked]
    assert one.summary()["difference"] == other.summary()["difference"]
    assert one.summary()["told_apart"] == other.summary()["told_apart"]


# ---- objectives


def test_values_whose_folds_used_another_objective_than_asked_are_marked() -> None:
    table = make_table([[0.3, 0.5], [0.5, 0.1], [0.9, 0.2]], objectives={(0, 0): "pn", (1, 0): "pn", (1, 1): "pn"})
    assert [row.mixed for row in table.rows] == [True, True, False]
    assert [row.objectives for row in table.rows] == [("ge_binomial", "pn"), ("pn",), ("ge_binomial",)]
    unknown = make_table([[0.3, 0.5], [0.5, 0.1], [0.9, 0.2]], objectives={(0, 0): "pn"}, asked=None)
    assert [row.mixed for row in unknown.rows] == [True, False, False]


# ---- cross_validation.csv


def test_csv_has_a_row_for_each_value_and_fold_with_every_digit() -> None:
    third = 1 / 3
    table = make_table(
        [[third, 0.5]],
        axes=[Axis("optimizer.learning_rate", (0.0001,)), Axis("data.radius", (3,))],
        unchanged=(None, 3),
        beside={"precision": [[0.25, 0.1]], "auprc": [[0.2 + 0.1, None]], "pick_f1": [[NAN, 1.0]]},
    )
    header, first, second = csv.reader(table.csv().splitlines())
    assert header == [
        *("optimizer.learning_rate", "data.radius", "fold", "state", "best_epoch", "epochs", "monitored_precision"),
        *("precision", "auprc", "pick_average_precision", "pick_f1", "objective"),
        *("mean_monitored_precision", "standard_error_monitored_precision", "folder"),
    ]
    assert first[:7] == ["0.0001", "3", "0", "done", "3", "6", repr(third)]
    assert first[7:12] == ["0.25", repr(0.2 + 0.1), "", "nan", "ge_binomial"]
    assert first[-1] == "learning_rate_0.0001_radius_3_fold_0"
    assert second[8] == ""


def test_csv_of_a_failed_value_has_no_mean() -> None:
    table = make_table([[0.3, None], [0.5, 0.1], [None, None]], states={(0, 1): "failed"})
    rows = list(csv.DictReader(table.csv().splitlines()))
    assert [row["state"] for row in rows] == ["done", "failed", "done", "done", "waiting", "waiting"]
    assert [row["mean_monitored_precision"] for row in rows] == ["", "", "0.3", "0.3", "", ""]


@given(figures=st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=2), min_size=3, max_size=3))
def test_figures_survive_the_csv(figures: list[list[float]]) -> None:
    table = make_table(figures)
    rows = list(csv.DictReader(table.csv().splitlines()))
    assert [float(row["monitored_precision"]) for row in rows] == [figure for own in figures for figure in own]
    assert [float(row["mean_monitored_precision"]) for row in rows[::2]] == [row.mean for row in table.rows]
    assert [float(row["optimizer.learning_rate"]) for row in rows[::2]] == list(LEARNING_RATE.values)
    assert table.csv() == make_table(figures).csv()


# ---- summary


def test_summary_is_json_and_names_the_best_by_its_settings() -> None:
    table = make_table(
        [[0.5, 0.25], [0.5, 0.5], [0.25, NAN]],
        axes=[Axis("optimizer.learning_rate", (0.0001, 0.0002, 0.0003)), Axis("data.radius", (3,))],
        unchanged=(0.0001, 3),
    )
    summary = json.loads(json.dumps(table.summary(), allow_nan=False))
    assert summary["best"] == {"optimizer.learning_rate": 0.0002, "data.radius": 3}
    assert summary["next"] == {"optimizer.learning_rate": 0.0001, "data.radius": 3}
    assert summary["mean"] == 0.5
    assert summary["standard_error"] == 0
    assert summary["difference"] == 0.125
    assert summary["difference_spread"] == pytest.approx(0.25 / math.sqrt(2))
    assert summary["told_apart"] is False
    assert [value["state"] for value in summary["values"]] == ["done", "done", "failed"]
    assert summary["values"][2]["mean"] is None
    assert summary["trainings"] == {"done": 5, "failed": 1, "stopped": 0, "running": 0, "waiting": 0, "total": 6}
    assert summary["verdict"] == table.verdict()


def test_summary_without_a_winner_is_json_too() -> None:
    summary = json.loads(json.dumps(make_table([[None], [None], [None]]).summary(), allow_nan=False))
    assert summary["best"] is summary["mean"] is summary["difference"] is None
    assert summary["complete"] is False


# ---- the table as plain text


def test_lines_show_every_fold_and_mark_the_best() -> None:
    beside = {"auprc": [[0.5, 0.7]] * 3, "pick_average_precision": [[0.8, 0.9]] * 3}
    table = make_table([[0.3, 0.5], [0.5, 0.1], [0.4, 0.5]], beside=beside)
    assert table.lines() == [
        "   learning_   fold   fold                         pick",
        "        rate      0      1    mean ± s.e.  auprc     AP",
        "      0.0001  0.300  0.500  0.400 ± 0.100  0.600  0.850",
        "      0.0002  0.500  0.100  0.300 ± 0.200  0.600  0.850",
        "*     0.0003  0.400  0.500  0.450 ± 0.050  0.600  0.850",
        "*: best; fold: held-out precision at the best epoch (higher is better); s.e.: standard error",
        "auprc: over all regions; pick AP: average precision of picks, a lower bound if labels are partial",
    ]


def test_lines_of_one_fold_have_no_mean() -> None:
    lines = make_table([[0.3], [0.25], [0.4]], monitor="loss").lines()
    assert [line.rstrip() for line in lines[:5]] == [
        "   learning_  held-out         pick",
        "        rate      loss  auprc    AP",
        "      0.0001     0.300      -     -",
        "*     0.0002     0.250      -     -",
        "      0.0003     0.400      -     -",
    ]
    assert "lower is better" in lines[5]


def test_lines_sign_what_waits_runs_failed_was_stopped_or_used_another_objective() -> None:
    table = make_table(
        [[0.3, None, None], [0.5, 0.1, None], [0.4, 0.5, 0.6]],
        states={(0, 1): "running", (1, 2): "failed", **{(2, fold): "stopped" for fold in range(3)}},
        objectives={(2, 0): "pn"},
    )
    lines = table.lines()
    assert lines[2].split() == ["0.0001", "0.300", "...", "-", "-", "-", "-"]
    assert lines[3].split() == ["0.0002", "0.500", "0.100", "fail", "-", "-", "-", "[1]"]
    assert lines[4].split() == ["0.0003", "0.400", "0.500", "0.600", "0.500", "±", "0.058", "-", "-", "[2]", "[3]"]
    assert lines[-3:] == [
        "[1] A fold failed, so that this value cannot be best.",
        "[2] Stopped early by halving: its figures are of fewer epochs.",
        "[3] Not trained with ge_binomial in every fold, as asked.",
    ]


def test_many_folds_are_summed_up() -> None:
    lines = make_table([[0.3] * 9 + [0.4], [0.1] * 5 + [None] * 5, [None] * 10]).lines()
    assert lines[1].split() == ["rate", "done", "lowest", "highest", "mean", "±", "s.e.", "auprc", "AP"]
    assert lines[2].split() == ["*", "0.0001", "10/10", "0.300", "0.400", "0.310", "±", "0.010", "-", "-"]
    assert lines[3].split() == ["0.0002", "5/10", "0.100", "0.100", "-", "-", "-"]
    assert lines[4].split() == ["0.0003", "0/10", "-", "-", "-", "-", "-"]


def test_close_figures_are_shown_with_more_decimals() -> None:
    assert "0.0121" in make_table([[0.0121], [0.0123], [0.0127]]).lines()[2]
    assert "0.012" in make_table([[0.0121], [0.2], [0.3]]).lines()[2].split()


@pytest.mark.parametrize("folds", [1, 2, 5, 6, 10])
def test_lines_fit_a_hundred_columns(folds: int) -> None:
    axes = [Axis("loss.decoder_unit_scaling", (16, 32)), Axis("data.expected_particles", (1000.25, 2000.25))]
    figures = [[0.001 * value + 0.0001 * fold for fold in range(folds)] for value in range(4)]
    beside = {"auprc": figures, "pick_average_precision": figures}
    for monitor in ("precision", "pick_average_precision", "adjusted_precision"):
        table = make_table(
            figures, axes=axes, unchanged=(None, None), monitor=monitor, beside=beside, objectives={(0, 0): "pn"}
        )
        assert max(map(len, table.lines())) <= 100
        if folds == 5:
            assert "fold" in table.lines()[0]


# ---- the verdict


def said(table: Table) -> str:
    return "\n".join(table.verdict())


def test_a_difference_larger_than_its_spread_is_called_real_with_care() -> None:
    assert make_table([[0.401, 0.379], [0.432, 0.424], [0.412, 0.400]]).verdict() == [
        "learning_rate=0.0002 is best: mean held-out precision 0.428 ± 0.004 (standard error) over 2 folds.",
        "The next, learning_rate=0.0003, is 0.022 lower on average, and lower in both folds. This difference is larger "
        "than its spread between the folds (0.003): that speaks for a real one, but 2 folds are few to tell by.",
    ]
    five = make_table([[0.1] * 5, [0.3, 0.31, 0.32, 0.3, 0.3], [0.2] * 5])
    assert "lower in all 5 folds" in said(five)
    assert "as far as 5 folds can tell, it is real." in said(five)


def test_a_difference_within_its_spread_is_not_called_real() -> None:
    verdict = make_table([[0.401, 0.379], [0.45, 0.38], [0.412, 0.390]]).verdict()
    assert verdict[1] == (
        "The next, learning_rate=0.0003, is 0.014 lower on average, and lower in 1 of 2 folds. This difference is not "
        "larger than its spread between the folds (0.034): the two cannot be told apart. Nor can learning_rate=0.0001 "
        "be told from the best. More folds (cross_validation.folds), or the same again with another seed, would tell "
        "more."
    )


def test_one_fold_is_said_to_tell_nothing_of_chance() -> None:
    assert make_table([[0.401], [0.45], [0.412]]).verdict() == [
        "learning_rate=0.0002 is best: held-out precision 0.450.",
        "The next, learning_rate=0.0003, is 0.038 lower. With one fold nothing is known of how much of that is chance; "
        "more folds (cross_validation.folds) would show it.",
    ]


def test_where_lower_is_better_the_next_is_higher() -> None:
    verdict = make_table([[0.5, 0.6], [0.1, 0.2], [0.3, 0.4]], monitor="loss").verdict()
    assert verdict[0].endswith("over 2 folds; lower is better.")
    assert "is 0.200 higher on average, and higher in both folds" in verdict[1]


def test_a_small_difference_is_not_written_as_none() -> None:
    table = make_table([[0.1], [0.50002], [0.5]])
    assert "is 0.00002 lower" in said(table)


def test_a_tie_is_said_to_be_one_and_why_the_one_was_taken() -> None:
    figures = [[0.25, 0.75], [0.75, 0.25], [0.1, 0.1]]
    assert (
        "learning_rate=0.0002 and learning_rate=0.0001 tie: their means are exactly equal (0.500). "
        "learning_rate=0.0002 is taken because it is what the setting is without cross-validation."
    ) in make_table(figures).verdict()
    nearest = said(make_table(figures, unchanged=(0.001,)))
    assert "because it is nearest to what is set without cross-validation (learning_rate=0.001)." in nearest
    first = said(make_table(figures, unchanged=(0.00015,)))
    assert "learning_rate=0.0001 is taken because it is the first of the 2 that are nearest" in first
    unknown = said(make_table(figures, unchanged=(None,)))
    assert "learning_rate=0.0001 is taken because it is the first of them." in unknown


def test_a_setting_that_changes_nothing_is_said_to() -> None:
    text = said(make_table([[0.25, 0.75]] * 3, unchanged=(0.001,)))
    assert "All values have the same figure in every fold: optimizer.learning_rate changed nothing here." in text
    assert "may lie beyond" not in text


def test_a_winner_at_the_edge_is_said_to_be_and_what_to_try_next() -> None:
    assert make_table([[0.1], [0.2], [0.3]]).verdict()[-1] == (
        "learning_rate=0.0003 is the highest value tried, so the best may lie beyond. To go on from there: "
        "cross_validation.initial=0.0003 cross_validation.increment=0.0001 cross_validation.times=3"
    )
    assert "may lie beyond" not in said(make_table([[0.1], [0.3], [0.2]]))
    two = Axis("optimizer.learning_rate", (0.1, 0.2))
    assert "may lie beyond" not in said(make_table([[0.1], [0.3]], axes=[two]))


def test_both_edges_of_two_parameters_are_said_in_one() -> None:
    figures = [[0.1 * (value == 2)] for value in range(9)]
    table = make_table(figures, axes=[LEARNING_RATE, MOMENTUM], unchanged=(None, None))
    assert table.verdict()[-1] == (
        "learning_rate=0.0001 (the lowest tried) and momentum=0.9 (the highest tried) lie at the edge, so the best may "
        "lie beyond. To go on from there: cross_validation.values=[[0.000025,0.00005,0.0001],[0.9,0.95,0.975]]"
    )


@pytest.mark.parametrize(
    ("values", "best", "expected"),
    [
        ((0.1, 0.2, 0.3), 0.3, (0.3, 0.4, 0.5)),
        ((0.3, 0.2, 0.1), 0.3, (0.3, 0.4, 0.5)),
        ((0.1, 0.2, 0.3), 0.2, None),
        ((0.3, 0.4, 0.5), 0.3, (0.1, 0.2, 0.3)),
        ((0.1, 0.2, 0.3), 0.1, (0.025, 0.05, 0.1)),
        ((0.0, 0.1, 0.2), 0.0, None),
        ((-0.1, 0.0, 0.1), -0.1, (-0.3, -0.2, -0.1)),
        ((0.0001, 0.001, 0.01), 0.01, (0.01, 0.1)),
        ((0.0001, 0.001, 0.01), 0.0001, (0.000001, 0.00001, 0.0001)),
        ((0.001, 0.003, 0.009), 0.001, (0.00011, 0.00033, 0.001)),
        ((0.1, 0.2, 0.5), 0.5, (0.5, 0.8)),
        ((1.0, 2.0, 5.0), 5.0, (5.0, 8.0, 11.0)),
        ((1, 2, 3, 4, 5, 6, 7), 7, (7, 8, 9, 10, 11)),
        ((4, 5, 6), 4, (2, 3, 4)),
        ((3, 6, 9), 3, (1, 2, 3)),
        ((1, 2, 3), 1, None),
        ((8, 16, 32), 32, (32, 64, 128)),
        ((0.5, 0.7, 0.9), 0.9, (0.9, 0.95, 0.975)),
        ((0.1, 0.2), 0.2, None),
    ],
)
def test_what_to_try_next_goes_on_in_exact_decimals_and_stays_positive(
    values: tuple[Number, ...], best: Number, expected: tuple[Number, ...] | None
) -> None:
    further = further_values(Axis("a.b", values), best)
    assert further == expected
    assert further is None or all(type(number) is type(best) for number in further)


def test_settings_are_written_as_the_command_line_takes_them() -> None:
    assert as_settings([(0.0001, 0.0002, 0.0003)]) == (
        "cross_validation.initial=0.0001 cross_validation.increment=0.0001 cross_validation.times=3"
    )
    assert as_settings([(0.5, 1.0), (2, 4, 6)]) == (
        "cross_validation.initial=[0.5,2] cross_validation.increment=[0.5,2] cross_validation.times=[2,3]"
    )
    assert as_settings([(0.1, 1.0, 10.0)]) == "cross_validation.values=[0.1,1,10]"
    assert as_settings([(0.1, 0.2), (3,)]) == "cross_validation.values=[[0.1,0.2],[3]]"


def test_failed_stopped_and_mixed_values_are_named() -> None:
    table = make_table(
        [[0.3, None], [0.5, 0.4], [0.1, 0.2]],
        states={(0, 1): "failed", (2, 0): "stopped", (2, 1): "stopped"},
        reasons={(0, 1): "The objective is not finite.\ntraceback"},
        objectives={(1, 0): "pn"},
    )
    assert table.verdict()[1:] == [
        "learning_rate=0.0001 cannot be best, as training failed in fold 1 (The objective is not finite).",
        "learning_rate=0.0002 was trained with pn in fold 0 in place of ge_binomial, as its expected particles are no "
        "more than the labelled ones: compare it with care.",
        "learning_rate=0.0003 was stopped after 6 epochs, at 0.150 ± 0.050: others were ahead of it then, though it "
        "might have caught up.",
    ]
    assert table.verdict()[0].endswith("It is the only value to have finished all its folds.")


def test_another_figure_that_would_choose_otherwise_is_named() -> None:
    picks = [[0.7, 0.8], [0.6, 0.6], [0.1, 0.1]]
    table = make_table([[0.3, 0.3], [0.4, 0.4], [0.1, 0.1]], beside={"pick_average_precision": picks})
    assert "By mean average precision of picks learning_rate=0.0001 would be best: 0.750 against 0.600." in said(table)
    assert "auprc" not in said(table)
    noisy = [[0.5, 0.8], [0.6, 0.6], [0.1, 0.1]]
    table = make_table([[0.3, 0.3], [0.4, 0.4], [0.1, 0.1]], beside={"auprc": noisy})
    assert (
        "By mean auprc over all regions learning_rate=0.0001 would be best: 0.650 against 0.600, a difference no "
        "larger than its spread between the folds."
    ) in table.verdict()


def test_figures_that_cannot_be_compared_are_said_to_be_so_and_draw_no_conclusion() -> None:
    picks = [[0.7, 0.8], [0.6, 0.6], [0.1, 0.1]]
    figures = [[0.3, 0.3], [0.4, 0.4], [0.5, 0.5]]
    beside = {"auprc": picks, "pick_average_precision": picks}
    assert make_table(figures, axes=[RADIUS], unchanged=(3,), beside=beside).verdict() == [
        "radius=4 is best: mean held-out precision 0.500 ± 0.000 (standard error) over 2 folds.",
        "But precision does not mean the same at different values of radius: rather judge by the average precision of "
        "picks (evaluation.monitor=pick_average_precision).",
        "The next, radius=3, is 0.100 lower.",
        "By mean average precision of picks radius=2 would be best: 0.750 against 0.100.",
    ]
    particles = Axis("data.expected_particles", (100, 200, 300))
    assert "does not mean the same" in said(make_table(figures, axes=[particles]))
    assert "does not mean the same" not in said(make_table(figures, axes=[particles], monitor="auprc"))
    assert "does not mean the same" not in said(make_table(figures, axes=[RADIUS], monitor="pick_f1"))


def test_an_unfinished_cross_validation_is_said_to_be() -> None:
    table = make_table([[0.3, 0.2], [0.9, None], [0.8, None]], states={(2, 1): "running"})
    assert table.verdict()[:2] == [
        "Not finished: 4 of 6 trainings have ended. This is how it stands.",
        "learning_rate=0.0001 is best so far: mean held-out precision 0.250 ± 0.050 (standard error) over 2 folds. It "
        "is the only value to have finished all its folds.",
    ]
    assert make_table([[None], [None], [None]]).verdict()[1] == "No value has finished all its folds yet."


def test_without_a_winner_the_verdict_says_why() -> None:
    table = make_table([[NAN], [None], [NAN]], states={(1, 0): "failed"})
    assert table.verdict() == [
        "No value can be called best: none has finished all its folds.",
        "learning_rate=0.0001 cannot be best, as training failed in fold 0 (its precision is not a number).",
        "learning_rate=0.0002 cannot be best, as training failed in fold 0.",
        "learning_rate=0.0003 cannot be best, as training failed in fold 0 (its precision is not a number).",
    ]


@given(figures=tables)
def test_every_table_can_be_put_into_words(figures: list[list[float]]) -> None:
    table = make_table(figures, beside={"auprc": figures})
    assert best_of(table) in table.verdict()[0]
    assert max(map(len, table.lines())) <= 100
    json.dumps(table.summary(), allow_nan=False)
