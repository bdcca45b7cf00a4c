"""The values of a cross-validation: exact decimals, and trainings that everybody numbers and names alike."""

import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickery.cross_validation.grid import FINAL, Axis, Grid, Point, stepped
from pickery.decimals import Number

ONE = Grid((Axis("optimizer.learning_rate", (0.0001, 0.0002, 0.0003)),), 2)
TWO = Grid((Axis("optimizer.learning_rate", (0.0001, 0.0002)), Axis("data.radius", (2, 3, 4))), 2)

DECIMALS = st.decimals(min_value=-1000, max_value=1000, allow_nan=False, places=7)


@pytest.mark.parametrize(
    ("initial", "increment", "times", "expected"),
    [
        (0.0001, 0.0001, 3, (0.0001, 0.0002, 0.0003)),
        (0.1, 0.2, 3, (0.1, 0.3, 0.5)),
        (1e-5, 1e-5, 4, (1e-5, 2e-5, 3e-5, 4e-5)),
        (0.3, -0.1, 4, (0.3, 0.2, 0.1, 0.0)),
        (3, 1, 3, (3, 4, 5)),
        (10, -5, 3, (10, 5, 0)),
        (1, 0.5, 3, (1.0, 1.5, 2.0)),
        (0.7, 0.1, 1, (0.7,)),
        (1e308, 1e308, 2, (1e308, math.inf)),
        (-1e308, -1e308, 2, (-1e308, -math.inf)),
    ],
)
def test_steps_are_exact_decimals(initial: Number, increment: Number, times: int, expected: tuple[Number, ...]) -> None:
    assert stepped(initial, increment, times) == expected
    assert [type(value) for value in stepped(initial, increment, times)] == [type(value) for value in expected]


@given(DECIMALS, DECIMALS, st.integers(1, 20))
def test_steps_equal_the_arithmetic_of_what_was_typed(initial: Decimal, increment: Decimal, times: int) -> None:
    with localcontext(prec=100):
        exact = [float(initial + i * increment) for i in range(times)]
    assert list(stepped(float(initial), float(increment), times)) == exact


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30), st.integers(1, 20))
def test_whole_numbers_stay_whole(initial: int, increment: int, times: int) -> None:
    values = stepped(initial, increment, times)
    assert values == tuple(range(initial, initial + times * increment, increment) if increment else [initial] * times)
    assert all(type(value) is int for value in values)


def test_the_values_of_two_parameters_are_all_combinations_the_first_slowest() -> None:
    assert ONE.values == ((0.0001,), (0.0002,), (0.0003,))
    assert TWO.values == ((0.0001, 2), (0.0001, 3), (0.0001, 4), (0.0002, 2), (0.0002, 3), (0.0002, 4))
    assert [axis.short for axis in TWO.axes] == ["learning_rate", "radius"]


def test_trainings_come_fold_by_fold_with_every_value_in_each() -> None:
    assert [(point.fold, point.value) for point in ONE.points()] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert ONE.points(rung=1, values=[2, 0]) == (Point(1, 0, 2), Point(1, 0, 0), Point(1, 1, 2), Point(1, 1, 0))


def test_trainings_are_named_after_value_and_fold() -> None:
    assert ONE.label(2) == "learning_rate=0.0003"
    assert ONE.name(Point(0, 1, 0)) == "learning_rate=0.0001, fold 1"
    assert ONE.name(Point(0, FINAL, 0)) == "learning_rate=0.0001, final"
    assert ONE.folder(Point(0, 0, 0)) == "learning_rate_0.0001_fold_0"
    assert TWO.label(5) == "learning_rate=0.0002, radius=4"
    assert TWO.name(Point(0, 0, 5)) == "learning_rate=0.0002, radius=4, fold 0"
    assert TWO.folder(Point(0, FINAL, 5)) == "learning_rate_0.0002_radius_4_final"


def test_a_training_keeps_its_folder_on_every_rung_and_shares_it_with_no_other() -> None:
    assert ONE.folder(Point(0, 1, 2)) == ONE.folder(Point(2, 1, 2))
    for grid in (ONE, TWO):
        points = [*grid.points(), *(Point(0, FINAL, value) for value in range(len(grid.values)))]
        assert len({grid.folder(point) for point in points}) == len(points)
