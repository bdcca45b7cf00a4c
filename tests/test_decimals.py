"""Numbers as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickery.decimals import Number, word


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0001, "0.0001"),
        (0.00001, "0.00001"),
        (3, "3"),
        (3.0, "3"),
        (0.0, "0"),
        (-0.0, "0"),
        (-1.0, "-1"),
        (-0.0002, "-0.0002"),
        (16.5, "16.5"),
        (100000.0, "100000"),
        (1e-9, "1e-9"),
        (1.5e-12, "1.5e-12"),
        (1e20, "1e20"),
        (math.inf, "inf"),
    ],
)
def test_numbers_are_written_as_people_write_them(value: Number, text: str) -> None:
    assert word(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_number_reads_back_as_itself(value: float) -> None:
    assert float(word(value)) == value
