"""Monotone cubics against scipy's, which take one row of knots at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from sweep.report.monotone import MonotoneCubics

GAPS = st.floats(0.01, 10)
VALUES = st.integers(-6, 6).map(lambda whole: whole / 4)  # few, so that level and turning parts are met
POINTS = st.lists(st.tuples(GAPS, VALUES), min_size=2, max_size=7)


def knots(points: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.cumsum([gap for gap, _ in points]), np.array([value for _, value in points])


@given(POINTS, st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_values_and_integrals_are_scipys(points: list[tuple[float, float]], shares: list[float]) -> None:
    x, y = knots(points)
    theirs, ours = PchipInterpolator(x, y), MonotoneCubics(x[None], y[None])
    low, high = sorted(x[0] + share * (x[-1] - x[0]) for share in shares)
    places = np.concatenate([x, np.linspace(low, high, 20)])
    assert ours.at(places[None])[0] == pytest.approx(theirs(places), abs=1e-11)
    integral = ours.integral(np.array([low]), np.array([high]))[0]
    assert integral == pytest.approx(float(theirs.integrate(low, high)), abs=1e-10)


@given(POINTS)
def test_nothing_overshoots(points: list[tuple[float, float]]) -> None:
    x, y = knots(points)
    values = MonotoneCubics(x[None], y[None]).at(np.linspace(x[0], x[-1], 200)[None])
    assert y.min() - 1e-12 <= values.min()
    assert values.max() <= y.max() + 1e-12


def test_each_row_has_knots_of_its_own() -> None:
    x, y = np.array([[0.0, 1, 3], [0, 2, 3]]), np.array([[0.0, 1, 2], [5, 4, 0]])
    places = np.array([[0.5, 2.0], [0.25, 2.5]])
    expected = [PchipInterpolator(*row)(place) for *row, place in zip(x, y, places, strict=True)]
    assert MonotoneCubics(x, y).at(places) == pytest.approx(np.array(expected))


def test_one_point_is_itself_and_has_no_width() -> None:
    one = MonotoneCubics(np.array([[2.0]]), np.array([[7.0]]))
    assert one.at(np.array([[2.0]])).tolist() == [[7.0]]
    assert one.integral(np.array([2.0]), np.array([2.0])).tolist() == [0.0]
