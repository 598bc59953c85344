"""What a curve says of its lengths: which are worth their cost, what each further hour buys, where its knee is."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import curve_through, make_frame

from sweep.report.analysis import make_curves
from sweep.report.knee import find_knee

# Few values, so that ties are met.
POINTS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=8)


def through(points: list[tuple[int, int]]):
    return curve_through(*((place, float(cost), [quality / 8]) for place, (cost, quality) in enumerate(points, 1)))


def front_by_brute_force(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    def dominates(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return one[0] <= other[0] and one[1] >= other[1] and one != other

    return [point for point in points if not any(dominates(other, point) for other in points)]


@given(POINTS)
def test_the_front_is_what_no_other_length_is_better_than(points: list[tuple[int, int]]) -> None:
    front = [(row.train_seconds, row.score) for row in through(points).front]
    assert sorted(front) == sorted((cost, quality / 8) for cost, quality in front_by_brute_force(points))


def test_a_longer_run_that_is_no_better_is_not_on_the_front() -> None:
    curve = curve_through((0.5, 10, [0.8]), (1, 20, [0.9]), (2, 40, [0.9]), (4, 80, [0.85]))
    assert [row.ratio for row in curve.front] == [0.5, 1]
    assert curve.best is curve.baseline


@given(POINTS, st.randoms())
def test_shuffled_rows_give_the_same_curve(points: list[tuple[int, int]], random: object) -> None:
    trials = [
        {"ratio": place, "train_seconds": cost, "accuracy": quality / 8, "seed": seed}
        for place, (cost, quality) in enumerate(points, 1)
        for seed in range(2)
    ]
    shuffled = list(trials)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    (one,), (other,) = make_curves(make_frame(*trials)), make_curves(make_frame(*shuffled))
    unordered = [(row.ratio, row.score, row.points, row.is_on_front, row.points_per_hour) for row in one.rows]
    assert unordered == [(row.ratio, row.score, row.points, row.is_on_front, row.points_per_hour) for row in other.rows]


def test_what_more_buys_is_counted_from_the_next_shorter_length() -> None:
    trials = [
        {"ratio": 0.25, "train_seconds": 900, "dollars": 1.0, "accuracy": 0.5},
        {"ratio": 1, "train_seconds": 3600, "dollars": 4.0, "accuracy": 0.75},
    ]
    (curve,) = make_curves(make_frame(*trials))
    short, long = curve.rows
    assert (short.points_per_hour, short.points_per_dollar, short.points_per_doubling) == (None, None, None)
    assert long.points_per_hour == pytest.approx(25 / 0.75)
    assert long.points_per_dollar == pytest.approx(25 / 3)
    assert long.points_per_doubling == pytest.approx(25 / 2)


def test_where_a_seed_is_missing_nothing_contradicts_the_means() -> None:
    lengths = [(0.5, 10, [0.90, 0.95, 0.92]), (1, 20, [0.92, 0.919]), (2, 40, [0.93, 0.94, 0.93])]
    curve = curve_through(*lengths)
    short, whole, _ = curve.rows
    assert short.score is not None
    assert whole.score is not None
    assert short.points == pytest.approx(100 * (short.score - whole.score))
    assert not whole.is_on_front
    assert whole.points_per_doubling == pytest.approx(-short.points)


def test_a_doubling_has_the_interval_of_its_difference() -> None:
    curve = curve_through((0.25, 10, [0.5, 0.625, 0.875]), (1, 40, [0.875, 0.9375, 1.0]))
    long = curve.rows[1]
    difference = curve.points_between(long, curve.rows[0])
    assert difference.ci95 is not None
    assert long.points_per_doubling_ci95 == pytest.approx(difference.ci95 / 2)


def test_a_longer_run_that_took_no_longer_has_no_gain_an_hour() -> None:
    curve = curve_through((0.5, 10, [0.5]), (1, 10, [0.75]))
    assert (curve.rows[1].points_per_hour, curve.rows[1].points_per_doubling) == (None, None)


def test_recipes_are_curves_of_their_own_with_their_own_baselines() -> None:
    trials = [
        {"recipe": recipe, "ratio": ratio, "train_seconds": seconds * ratio, "accuracy": accuracy}
        for recipe, seconds, accuracy in (("a", 10, 0.5), ("b", 30, 0.75))
        for ratio in (0.5, 1)
    ]
    curves = make_curves(make_frame(*trials))
    assert [(curve.recipe, curve.baseline.train_seconds) for curve in curves if curve.baseline] == [
        ("a", 10),
        ("b", 30),
    ]
    assert [row.relative_cost for curve in curves for row in curve.rows] == [0.5, 1, 0.5, 1]


def test_the_knee_is_the_inner_length_furthest_above_the_line_over_log_cost() -> None:
    curve = curve_through((0.25, 10, [0.5]), (0.5, 20, [0.75]), (1, 40, [0.875]), (2, 80, [0.9375]))
    knee = find_knee(curve)
    assert knee is not None
    assert knee.row.ratio == 0.5
    assert knee.above.value == pytest.approx(100 * (0.75 - (0.5 + 0.4375 / 3)))


@pytest.mark.parametrize(
    "accuracies",
    [(0.5, 0.75), (0.5, 0.75, 0.75), (0.5, 0.625, 0.75), (0.5, 0.55, 0.75)],
    ids=["two lengths", "a plateau", "a straight line", "a curve that turns up"],
)
def test_a_curve_without_a_bend_has_no_knee(accuracies: tuple[float, ...]) -> None:
    lengths = [(2.0**place, 10 * 2.0**place, [accuracy]) for place, accuracy in enumerate(accuracies)]
    assert find_knee(curve_through(*lengths)) is None


def test_of_one_seed_nobody_knows_whether_a_knee_is_clear() -> None:
    knee = find_knee(curve_through((0.25, 10, [0.5]), (0.5, 20, [0.75]), (1, 40, [0.8])))
    assert knee is not None
    assert knee.is_clear is None


def test_a_knee_within_what_seeds_differ_by_is_no_clear_one() -> None:
    sharp = [(0.5, 10, [0.5, 0.51]), (1, 20, [0.8, 0.81]), (2, 40, [0.85, 0.86])]
    noisy = [(0.5, 10, [0.4, 0.61]), (1, 20, [0.9, 0.71]), (2, 40, [0.95, 0.76])]
    for lengths, is_clear in ((sharp, True), (noisy, False)):
        knee = find_knee(curve_through(*lengths))
        assert knee is not None
        assert knee.is_clear == is_clear


@given(POINTS, st.floats(0.01, 100))
def test_a_faster_machine_changes_no_knee_and_no_front(points: list[tuple[int, int]], faster: float) -> None:
    one = through(points)
    other = curve_through(*((row.ratio, (row.train_seconds or 0) * faster, row.sample.scores) for row in one.rows))
    assert [row.ratio for row in one.front] == [row.ratio for row in other.front]
    knees = [find_knee(curve) for curve in (one, other)]
    heights = [knee.above.value if knee else 0.0 for knee in knees]
    assert math.isclose(heights[0], heights[1], abs_tol=1e-9)
