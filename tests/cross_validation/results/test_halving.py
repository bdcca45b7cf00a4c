import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickery.cross_validation.results.halving import Rung, rungs, saved, survivors

NAN = math.nan


@pytest.mark.parametrize(
    ("values", "epochs", "expected"),
    [
        (1, 10, [(1, 10)]),
        (2, 10, [(2, 10)]),
        (3, 6, [(3, 3), (2, 6)]),
        (4, 10, [(4, 5), (2, 10)]),
        (5, 10, [(5, 3), (3, 5), (2, 10)]),
        (8, 10, [(8, 3), (4, 5), (2, 10)]),
        (9, 7, [(9, 1), (5, 2), (3, 4), (2, 7)]),
        (16, 3, [(16, 1), (4, 2), (2, 3)]),
        (16, 2, [(16, 1), (2, 2)]),
        (16, 1, [(16, 1)]),
    ],
)
def test_half_of_the_values_go_on_for_twice_the_epochs(
    values: int, epochs: int, expected: list[tuple[int, int]]
) -> None:
    assert rungs(values, epochs) == tuple(Rung(*pair) for pair in expected)


@given(values=st.integers(1, 400), epochs=st.integers(1, 400))
def test_all_values_begin_and_each_rung_has_fewer_values_and_more_epochs_than_the_last(
    values: int, epochs: int
) -> None:
    ladder = rungs(values, epochs)
    counts, lengths = [rung.values for rung in ladder], [rung.epochs for rung in ladder]
    assert counts[0] == values
    assert counts == sorted(set(counts), reverse=True)
    assert counts[-1] == min(values, 2) or len(ladder) == 1
    assert lengths[0] >= 1
    assert lengths == sorted(set(lengths))
    assert lengths[-1] == epochs


@given(values=st.integers(1, 60), epochs=st.integers(1, 60), folds=st.integers(1, 10))
def test_halving_never_costs_more_than_training_all_in_full(values: int, epochs: int, folds: int) -> None:
    trained, full = saved(rungs(values, epochs), folds, epochs)
    assert full == values * epochs * folds
    assert trained <= full
    assert (trained == full) == (values <= 2 or epochs == 1)


def test_a_survivor_goes_on_from_where_it_was() -> None:
    # two folds of: 3 values for 3 epochs, then 2 of them for 3 more; else 3 values for 6
    assert saved(rungs(3, 6), 2, 6) == (2 * (3 * 3 + 2 * 3), 2 * 3 * 6)


def test_the_best_survive_in_the_order_of_the_grid() -> None:
    means = [0.3, 0.5, 0.1, 0.4]
    assert survivors(means, 2, "higher", [0] * 4) == (1, 3)
    assert survivors(means, 3, "higher", [0] * 4) == (0, 1, 3)
    assert survivors(means, 2, "lower", [0] * 4) == (0, 2)


def test_of_equal_means_the_nearest_to_the_unchanged_setting_survives_then_the_first() -> None:
    assert survivors([0.5, 0.5, 0.5, 0.1], 2, "higher", [3, 1, 2, 0]) == (1, 2)
    assert survivors([0.5, 0.5, 0.5, 0.1], 2, "higher", [1, 1, 1, 0]) == (0, 1)


def test_a_value_without_a_mean_never_survives() -> None:
    assert survivors([NAN, 0.2, 0.1], 2, "higher", [0, 1, 2]) == (1, 2)
    assert survivors([NAN, 0.2, NAN], 2, "lower", [0, 1, 2]) == (1,)
    assert survivors([NAN, NAN, NAN], 2, "higher", [0, 1, 2]) == ()


@given(
    means=st.lists(st.floats(-10, 10) | st.just(NAN), min_size=1, max_size=12),
    count=st.integers(1, 12),
    better=st.sampled_from(["higher", "lower"]),
)
def test_no_value_left_behind_is_better_than_a_survivor(
    means: list[float], count: int, better: Literal["higher", "lower"]
) -> None:
    kept = survivors(means, count, better, [0] * len(means))
    known = [index for index, mean in enumerate(means) if not math.isnan(mean)]
    assert list(kept) == sorted(kept)
    assert len(kept) == min(count, len(known))
    sign = 1 if better == "higher" else -1
    behind = [sign * means[index] for index in known if index not in kept]
    assert not behind or max(behind) <= min(sign * means[index] for index in kept)
    mirrored = survivors(
        [-mean for mean in means], count, "lower" if better == "higher" else "higher", [0] * len(means)
    )
    assert mirrored == kept
