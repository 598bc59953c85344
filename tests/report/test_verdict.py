from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import curve_through

from sweep.report.verdict import choose, further_texts, verdict_text

CALM = (-0.001, 0.0, 0.001)  # what seeds add


def seeds(accuracy: float, spread: tuple[float, ...] = CALM) -> list[float]:
    """Not alike at every ratio, so that something is left over when seeds are compared with themselves."""
    turn = round(1000 * accuracy) % len(spread)
    return [accuracy + extra for extra in spread[turn:] + spread[:turn]]


def test_the_cheapest_ratio_within_the_points_is_named_with_what_it_saves_and_costs() -> None:
    curve = curve_through((0.25, 10, seeds(0.9)), (0.5, 20, seeds(0.946)), (1, 40, seeds(0.949)))
    difference = curve.points_between(curve.rows[1], curve.rows[2])
    assert difference.ci95 is not None
    assert verdict_text(curve).startswith("0.5 is the cheapest ratio within 0.5 points of 1: 2.00x cheaper ")
    assert f"-0.30 ± {difference.ci95:.2f} points" in verdict_text(curve)


@pytest.mark.parametrize(
    ("short", "long", "within", "expected"),
    [
        ([0.90], [0.903], 0.5, "0.5 is the cheapest ratio within 0.5 points of 1: 2.00x cheaper for -0.30 points"),
        ([0.90], [0.903], 0.2, "no cheaper ratio is within 0.2 points of 1: 0.5, the nearest, is 2.00x cheaper for"),
        ([0.91], [0.903], 0.0, "0.5 is the cheapest ratio within 0 points of 1: 2.00x cheaper, and +0.70 points"),
    ],
)
def test_how_many_points_a_shorter_run_may_lose_is_asked_for(
    short: list[float], long: list[float], within: float, expected: str
) -> None:
    curve = curve_through((0.5, 20, short), (1, 40, long))
    assert verdict_text(curve, within).startswith(expected)


def test_exactly_so_many_points_are_within_them() -> None:
    assert verdict_text(curve_through((0.5, 20, [0.9]), (1, 40, [0.905]))).startswith("0.5 is the cheapest")


def test_of_one_seed_it_says_that_nothing_is_known_of_noise() -> None:
    text = verdict_text(curve_through((0.5, 20, [0.9]), (1, 40, [0.903])))
    assert text.endswith("for -0.30 points (of one seed: how sure that is, is not known)")


def test_a_difference_inside_its_interval_is_called_a_tie_and_its_worst_end_is_told() -> None:
    curve = curve_through((0.5, 20, [0.90, 0.92, 0.91]), (1, 40, [0.913, 0.902, 0.916]))
    gap = curve.points_between(*curve.rows)
    assert gap.ci95 is not None
    expected = f"2.00x cheaper, and a tie (-0.03 ± {gap.ci95:.2f} points); by its interval it may be"
    assert expected in verdict_text(curve)
    assert verdict_text(curve).endswith(f"{gap.ci95 - gap.value:.2f} points worse")


def test_without_a_baseline_the_best_is_what_counts() -> None:
    curve = curve_through((0.25, 10, [0.9]), (0.5, 20, [0.902]))
    assert verdict_text(curve).startswith(
        "0.25 is the cheapest ratio within 0.5 points of the best, 0.5: 2.00x cheaper"
    )


def test_what_cannot_be_compared_is_said() -> None:
    assert verdict_text(curve_through((1, 40, [0.9]))).startswith("only ratio 1 has been measured")
    assert verdict_text(curve_through((1, 0.0, [0.9]))) == "no trial has finished yet"
    assert verdict_text(curve_through((1, 40, [0.9]), (2, 80, [0.95]))) == "no ratio cheaper than 1 has been measured"


def test_the_best_is_named_where_it_is_not_the_baseline() -> None:
    curve = curve_through((0.5, 20, [0.9]), (1, 40, [0.95]), (2, 80, [0.96]))
    [best] = [text for text in further_texts(curve) if text.startswith("best")]
    assert best == "best: 2, +1.00 points against 1, at 2.00x the cost; nothing cheaper is within 0.5 points of it"
    assert "1 is the cheapest within 1.5 points of it" in further_texts(curve, 1.5)[0]
    assert not [text for text in further_texts(curve_through((0.5, 20, [0.9]), (1, 40, [0.95]))) if "best" in text]


LENGTHS = st.lists(st.lists(st.integers(0, 100), min_size=2, max_size=2), min_size=2, max_size=6)


@given(LENGTHS, st.floats(0, 20))
def test_the_choice_is_the_cheapest_that_is_near_enough(table: list[list[int]], within: float) -> None:
    lengths = [(place, 10.0 * place, [value / 100 for value in row]) for place, row in enumerate(table, 1)]
    curve = curve_through(*lengths)
    assert curve.baseline is not None
    choice = choose(curve, curve.baseline, within)
    near = [row for row in curve.measured if curve.points_between(row, curve.baseline).value >= -within - 1e-9]
    assert choice.row is min(near, key=lambda row: row.train_seconds or 0.0)
    assert choice.difference.value >= -within - 1e-9 or choice.is_reference


def _is_sure(points: list[float], within: float) -> bool | None:
    curve = curve_through((0.5, 20, points), (1, 40, [0.9, 0.91, 0.905][: len(points)]))
    assert curve.baseline is not None
    return choose(curve, curve.baseline, within).is_sure


@pytest.mark.parametrize(
    ("expected", "is_sure"),
    [
        (True, lambda: _is_sure([0.899, 0.909, 0.9045], 5.0)),
        (False, lambda: _is_sure([0.88, 0.93, 0.90], 0.5)),
        (None, lambda: _is_sure([0.9], 0.5)),
    ],
)
def test_it_is_sure_where_the_whole_interval_is_near_enough(
    expected: bool | None, is_sure: Callable[[], bool | None]
) -> None:
    assert is_sure() is expected
