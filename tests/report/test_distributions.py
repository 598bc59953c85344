"""Student's t and chi-squared, against scipy's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweep.report.distributions import chi_squared_above, students_t

DEGREES = st.one_of(st.integers(1, 12), st.integers(1, 20_000))


@given(degrees=DEGREES, tail=st.floats(1e-6, 0.9))
def test_as_much_of_students_t_as_was_asked_for_lies_within(degrees: int, tail: float) -> None:
    expected = stats.t.ppf(1 - tail / 2, degrees)
    assert students_t(degrees, 1 - tail) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 8, 27, 100, 9_999])
def test_95_percent_of_students_t(degrees: int) -> None:
    assert students_t(degrees, 0.95) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-12)


@given(degrees=DEGREES, above=st.floats(1e-12, 1 - 1e-12))
def test_what_of_chi_squared_lies_above(degrees: int, above: float) -> None:
    value = stats.chi2.isf(above, degrees)
    assert chi_squared_above(degrees, value) == pytest.approx(above, rel=1e-9)


def test_all_of_chi_squared_lies_above_zero_and_what_rounding_makes_of_it() -> None:
    assert [chi_squared_above(3, value) for value in (0.0, -1e-17)] == [1.0, 1.0]
