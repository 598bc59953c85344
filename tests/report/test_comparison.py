"""Two curves compared: what must hold whatever they are, Bjøntegaard's deltas and crossings against brute force."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator
from tables import contender_through, make_frame

from sweep.report.analysis import make_curves
from sweep.report.comparison import Comparison, compare, sampled_line
from sweep.report.contender import Contender
from sweep.report.replicates import Interval, interval_of

Length = tuple[float, float, Sequence[float]]
RATIOS = (0.1, 0.25, 0.5, 1.0, 2.0)
OLD = (0.896, 0.940, 0.960, 0.970, 0.975)
NEW = (0.886, 0.935, 0.958, 0.974, 0.980)


def through(
    means: Sequence[float], seconds: float = 100, name: str = "new", ratios: Sequence[float] = RATIOS
) -> Contender:
    """A length a ratio, one seed each; `seconds` at ratio 1."""
    lengths = zip(ratios, means, strict=True)
    return contender_through(*((ratio, seconds * ratio, [mean]) for ratio, mean in lengths), name=name)


def noisy(
    means: Sequence[float], sd: float, random: np.random.Generator, num_seeds: int = 3, effect: float = 0
) -> Contender:
    """Trials scatter by `sd`, and every seed moves its whole curve by `effect` times as much."""
    moved = effect * sd * random.standard_normal(num_seeds)
    lengths = zip(RATIOS, means, strict=True)
    return contender_through(
        *(
            (ratio, 100 * ratio, (mean + moved + sd * random.standard_normal(num_seeds)).tolist())
            for ratio, mean in lengths
        )
    )


def value(interval: Interval | None) -> float:
    assert interval is not None
    return interval.value


def relative_numbers(comparison: Comparison) -> list[float | None]:
    intervals = (comparison.times_cheaper, comparison.points, comparison.cost_change, comparison.mean_points)
    return [None if interval is None else interval.value for interval in intervals]


def alike(numbers: list[float | None]) -> list[object]:
    return [None if number is None else pytest.approx(number, abs=1e-9, rel=1e-9) for number in numbers]


# Costs in steps of log cost and qualities on a grid, so that equal costs, equal qualities and declines are met.
LENGTHS = st.lists(st.tuples(st.integers(0, 12), st.integers(2, 20)), min_size=1, max_size=6)


def drawn(points: list[tuple[int, int]], num_seeds: int = 1, seconds: float = 1.0) -> Contender:
    return contender_through(
        *(
            (place, seconds * 1.5**cost, [quality / 24 + 0.01 * seed for seed in range(num_seeds)])
            for place, (cost, quality) in enumerate(points, 1)
        )
    )


@given(LENGTHS)
def test_a_curve_compared_with_itself_saves_nothing_and_is_no_better(points: list[tuple[int, int]]) -> None:
    comparison = compare(drawn(points), drawn(points))
    assert (value(comparison.times_cheaper), value(comparison.points)) == (1.0, 0.0)
    assert [number for number in relative_numbers(comparison) if number not in (None, 0.0, 1.0)] == []
    assert comparison.crossings == ()


@given(LENGTHS)
def test_a_curve_at_half_the_cost_is_twice_as_cheap(points: list[tuple[int, int]]) -> None:
    comparison = compare(drawn(points), drawn(points, seconds=0.5))
    assert value(comparison.times_cheaper) == pytest.approx(2.0)
    assert comparison.cost_change is None or comparison.cost_change.value == pytest.approx(-0.5)
    assert all(at.times_cheaper.value == pytest.approx(2.0) for at in comparison.by_quality)


@given(LENGTHS, LENGTHS, st.floats(1e-3, 1e3))
def test_other_units_of_cost_change_no_relative_number(
    old: list[tuple[int, int]], new: list[tuple[int, int]], factor: float
) -> None:
    one = compare(drawn(old, 2), drawn(new, 2), 20)
    other = compare(drawn(old, 2, factor), drawn(new, 2, factor), 20)
    assume((one.cost_range is None) == (other.cost_range is None))  # one shared cost can be rounded apart
    assume(len(one.measured) == len(other.measured))
    assert relative_numbers(one) == alike(relative_numbers(other))
    seconds = [crossing.train_seconds.value * factor for crossing in one.crossings]
    assert seconds == pytest.approx([crossing.train_seconds.value for crossing in other.crossings])


@given(LENGTHS, LENGTHS)
def test_swapping_the_two_inverts_what_is_averaged(old: list[tuple[int, int]], new: list[tuple[int, int]]) -> None:
    there, back = compare(drawn(old), drawn(new)), compare(drawn(new), drawn(old))
    assert (there.quality_range, there.cost_range) == (back.quality_range, back.cost_range)
    if there.cost_change is not None:
        assert (1 + there.cost_change.value) * (1 + value(back.cost_change)) == pytest.approx(1)
    if there.mean_points is not None:
        assert there.mean_points.value == pytest.approx(-value(back.mean_points), abs=1e-9)
    assert [at.times_cheaper.value for at in there.by_quality] == pytest.approx(
        [1 / at.times_cheaper.value for at in back.by_quality]
    )
    assert [crossing.train_seconds.value for crossing in there.crossings] == pytest.approx(
        [crossing.train_seconds.value for crossing in back.crossings]
    )
    assert [crossing.is_new_ahead for crossing in there.crossings] == [
        not crossing.is_new_ahead for crossing in back.crossings
    ]


@given(LENGTHS, st.randoms())
def test_shuffled_rows_change_nothing(points: list[tuple[int, int]], random: object) -> None:
    trials = [
        {"ratio": place, "train_seconds": 1.5**cost, "accuracy": quality / 24 + 0.01 * seed, "seed": seed}
        for place, (cost, quality) in enumerate(dict(points).items(), 1)
        for seed in range(2)
    ]
    shuffled = list(trials)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    (one,), (other,) = make_curves(make_frame(*trials)), make_curves(make_frame(*shuffled))
    old = through(OLD, 20)
    numbers = [compare(old, Contender("new", curve, (), (), None)) for curve in (one, other)]
    assert relative_numbers(numbers[0]) == relative_numbers(numbers[1])
    assert numbers[0].measured == numbers[1].measured


@given(LENGTHS, LENGTHS)
def test_nothing_is_told_beyond_what_both_have_reached(old: list[tuple[int, int]], new: list[tuple[int, int]]) -> None:
    one, other = drawn(old), drawn(new)
    comparison = compare(one, other)
    for contender in (one, other):
        costs = [row.train_seconds or 0.0 for row in contender.points]
        means = [row.sample.mean for row in contender.points]
        told = [at.train_seconds for at in (*comparison.measured, *comparison.by_cost)]
        told += [crossing.train_seconds.value for crossing in comparison.crossings]
        told += list(comparison.cost_range or ())
        assert all(min(costs) * (1 - 1e-9) <= seconds <= max(costs) * (1 + 1e-9) for seconds in told)
        reached = [at.score for at in comparison.by_quality] + list(comparison.quality_range or ())
        assert all(means[0] - 1e-12 <= accuracy <= max(means) + 1e-12 for accuracy in reached)


def along_the_front(contender: Contender) -> Callable[[np.ndarray], np.ndarray]:
    """Log cost by quality, by scipy."""
    front: list[tuple[float, float]] = []
    for row in contender.points:
        if not front or row.sample.mean > front[-1][0]:
            front.append((row.sample.mean, math.log(row.train_seconds or 0.0)))
    qualities, log_costs = zip(*front, strict=True)
    return PchipInterpolator(qualities, log_costs)


def over_cost(contender: Contender) -> Callable[[np.ndarray], np.ndarray]:
    return PchipInterpolator(
        np.log([row.train_seconds or 0.0 for row in contender.points]), [row.sample.mean for row in contender.points]
    )


def mean_of(function: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> float:
    """By the midpoints of very many pieces."""
    ends = np.linspace(low, high, 200_001)
    return float(function((ends[:-1] + ends[1:]) / 2).mean())


@given(LENGTHS, LENGTHS)
def test_bjontegaards_deltas_are_numerical_integrals(old: list[tuple[int, int]], new: list[tuple[int, int]]) -> None:
    one, other = drawn(old), drawn(new)
    comparison = compare(one, other)
    if comparison.cost_change is not None and comparison.quality_range is not None:
        slow, fast = along_the_front(one), along_the_front(other)
        mean = mean_of(lambda quality: fast(quality) - slow(quality), *comparison.quality_range)
        assert comparison.cost_change.value == pytest.approx(math.exp(mean) - 1, abs=1e-6)
    if comparison.mean_points is not None and comparison.cost_range is not None:
        before, after = over_cost(one), over_cost(other)
        low, high = map(math.log, comparison.cost_range)
        mean = mean_of(lambda log_cost: after(log_cost) - before(log_cost), low, high)
        assert comparison.mean_points.value == pytest.approx(100 * mean, abs=1e-5)


@given(LENGTHS, LENGTHS)
def test_crossings_are_where_the_sign_changes_on_a_dense_grid(
    old: list[tuple[int, int]], new: list[tuple[int, int]]
) -> None:
    one, other = drawn(old), drawn(new)
    comparison = compare(one, other)
    if comparison.cost_range is None or comparison.mean_points is None:
        assert comparison.crossings == ()
        return
    low, high = map(math.log, comparison.cost_range)
    grid = np.linspace(low, high, 100_001)
    difference = over_cost(other)(grid) - over_cost(one)(grid)
    told = np.abs(difference) > 1e-9
    signs, places = np.sign(difference[told]), grid[told]
    changed = np.flatnonzero(signs[1:] != signs[:-1])
    found = [math.log(crossing.train_seconds.value) for crossing in comparison.crossings]
    assert len(found) == len(changed)
    for place, change in zip(found, changed, strict=True):
        assert places[change] - 1e-4 <= place <= places[change + 1] + 1e-4
    assert [crossing.is_new_ahead for crossing in comparison.crossings] == (signs[changed + 1] > 0).tolist()


def test_a_crossing_lies_on_both_curves() -> None:
    (crossing,) = compare(through(OLD), through(NEW)).crossings
    assert crossing.is_new_ahead
    for means in (OLD, NEW):
        place = np.array(math.log(crossing.train_seconds.value))
        assert float(over_cost(through(means))(place)) == pytest.approx(crossing.score)


def test_curves_that_touch_do_not_cross() -> None:
    old = through((0.5, 0.7, 0.8), ratios=(0.5, 1, 2))
    assert compare(old, through((0.6, 0.7, 0.9), ratios=(0.5, 1, 2))).crossings == ()


def test_curves_that_run_together_cross_where_they_part_on_the_other_side() -> None:
    old = through((0.5, 0.6, 0.6, 0.6, 0.9))
    (crossing,) = compare(old, through((0.4, 0.6, 0.6, 0.6, 0.95))).crossings
    assert crossing.is_new_ahead
    assert crossing.train_seconds.value == pytest.approx(100)
    assert compare(old, through((0.55, 0.6, 0.6, 0.6, 0.95))).crossings == ()


def test_quality_and_cost_are_compared_at_the_old_baseline() -> None:
    old = through((0.6, 0.7, 0.8), ratios=(0.5, 1, 2), seconds=100)
    comparison = compare(old, through((0.6, 0.7, 0.8), ratios=(0.5, 1, 2), seconds=40))
    assert (comparison.anchor.ratio, comparison.old_seconds) == (1, pytest.approx(100))
    assert comparison.new_seconds == pytest.approx(40)
    assert comparison.new_score is None  # its longest ran for 80 s
    assert comparison.points is None
    assert value(comparison.times_cheaper) == pytest.approx(2.5)


def test_without_a_baseline_the_best_length_is_where_they_are_compared() -> None:
    old = through((0.6, 0.8, 0.75), ratios=(0.25, 0.5, 0.75))
    comparison = compare(old, through((0.6, 0.85), ratios=(0.25, 1)))
    assert comparison.anchor.ratio == 0.5
    assert comparison.times_cheaper is not None


def test_where_the_cheapest_length_is_above_the_baseline_the_best_one_is_where_they_are_compared() -> None:
    old = through((0.7, 0.8, 0.6), ratios=(0.25, 0.5, 1))
    comparison = compare(old, through((0.7, 0.85), ratios=(0.25, 1)))
    assert (comparison.anchor.ratio, comparison.old_seconds) == (0.5, pytest.approx(50))
    assert not comparison.is_at_baseline


def test_a_quality_that_is_never_reached_has_no_cost() -> None:
    comparison = compare(through(OLD), through([mean - 0.2 for mean in OLD]))
    assert (comparison.new_seconds, comparison.times_cheaper, comparison.quality_range) == (None, None, None)
    assert (comparison.cost_change, comparison.by_quality) == (None, ())
    assert value(comparison.points) == pytest.approx(-20)


def test_curves_of_no_common_cost_are_compared_at_equal_quality_alone() -> None:
    comparison = compare(through(OLD), through(OLD, seconds=0.1))
    assert (comparison.cost_range, comparison.points, comparison.mean_points) == (None, None, None)
    assert (comparison.measured, comparison.by_cost, comparison.crossings) == ((), (), ())
    assert value(comparison.times_cheaper) == pytest.approx(1000)


def test_single_lengths_of_one_cost_are_compared_at_it() -> None:
    comparison = compare(through([0.5], ratios=[1]), through([0.75], ratios=[1]))
    assert value(comparison.points) == pytest.approx(25)
    assert [at.points.value for at in comparison.measured] == pytest.approx([25])
    assert (comparison.times_cheaper, comparison.mean_points, comparison.crossings) == (None, None, ())


def test_of_two_lengths_of_one_cost_the_better_one_counts() -> None:
    twice = contender_through((0.5, 50, [0.6]), (1, 100, [0.7]), (1.1, 100, [0.8]), (1.2, 100 + 1e-14, [0.75]))
    assert [row.sample.mean for row in twice.points] == [0.6, 0.8]
    assert value(compare(twice, twice).points) == 0


@pytest.mark.parametrize("longer", [[], [(2, 1.5, [0.8])]])
def test_the_anchor_is_the_baseline_where_numpys_logarithm_is_another(longer: list[Length]) -> None:
    seconds = 0.9143076411329467
    old = contender_through((0.5, 0.4, [0.6]), (1, seconds, [0.7]), *longer)
    comparison = compare(old, old)
    assert (comparison.anchor.ratio, comparison.is_at_baseline) == (1, True)
    assert (comparison.old_seconds, comparison.new_seconds) == (pytest.approx(seconds), pytest.approx(seconds))
    assert (value(comparison.times_cheaper), value(comparison.points)) == (1, 0)


def test_two_costs_of_one_logarithm_are_one_length_and_the_better_one_is_the_anchor() -> None:
    nearly = math.nextafter(100, 101)
    old = contender_through((1, 100, [0.7]), (1.1, nearly, [0.8]))
    assert math.log(100) == math.log(nearly)
    comparison = compare(old, old)
    assert (comparison.anchor.ratio, comparison.is_at_baseline) == (1.1, True)


def test_a_line_goes_through_every_length_and_no_further() -> None:
    line = sampled_line(through(OLD))
    assert [line[0], line[-1]] == [(pytest.approx(10), 0.896), (pytest.approx(200), 0.975)]
    assert [seconds for seconds, _ in line] == sorted(seconds for seconds, _ in line)
    assert sampled_line(through([0.5], ratios=[1])) == ((pytest.approx(100), 0.5),)


def test_one_seed_gives_no_interval() -> None:
    random = np.random.default_rng(0)
    comparison = compare(noisy(OLD, 0.002, random), through(NEW))
    assert (value(comparison.points), comparison.points.low if comparison.points else 0) == (
        pytest.approx(0.5, abs=1),
        None,
    )
    assert all(at.simultaneous is None for at in comparison.measured)


def test_the_same_sweeps_give_the_same_intervals() -> None:
    pairs = [[noisy(means, 0.002, np.random.default_rng(seed)) for seed, means in enumerate((OLD, NEW))] for _ in "ab"]
    one, other = (compare(*pair) for pair in pairs)
    assert one.times_cheaper == other.times_cheaper
    assert one.by_cost == other.by_cost


def test_a_replicate_without_the_number_counts_as_beyond_both_ends() -> None:
    drawn = np.linspace(0, 1, 1000)
    few, many = drawn.copy(), drawn.copy()
    few[:10], many[:30] = np.nan, np.nan
    wide = interval_of(np.concatenate([[0.5], few]))
    assert wide is not None
    assert (wide.low, wide.high) == (pytest.approx(0.025, abs=0.002), pytest.approx(0.985, abs=0.002))
    assert interval_of(np.concatenate([[0.5], many])) == Interval(0.5, -math.inf, math.inf)
    assert interval_of(np.concatenate([[math.nan], drawn])) is None


def test_where_replicates_do_not_reach_a_quality_the_saving_has_no_lower_end() -> None:
    old, new = (noisy(means, 0.004, np.random.default_rng(7)) for means in (OLD, (0.9, 0.94, 0.96, 0.966, 0.971)))
    times = compare(old, new).times_cheaper
    assert times is not None
    assert times.low == -math.inf
    assert times.high is not None
    assert times.value < times.high < math.inf


@pytest.mark.slow
@pytest.mark.parametrize("effect", [0, 1, 3])
def test_intervals_hold_the_true_numbers_in_about_95_of_100_sweeps(effect: float) -> None:
    """Where a seed moves its whole curve by `effect` times what is left over; this test's own seed is fixed. Of 1,000
    sweeps `mean_points` was held in 97.4, 95.7 and 97.4 of 100. What may have no end is held oftener."""
    random, num = np.random.default_rng(1), 400
    true = compare(through(OLD), through(NEW))
    held: dict[str, list[bool]] = defaultdict(list)
    for _ in range(num):
        found = compare(*(noisy(means, 0.002, random, effect=effect) for means in (OLD, NEW)), 400)
        for name in ("times_cheaper", "points", "cost_change", "mean_points"):
            if (told := getattr(found, name)) is not None:
                held[name].append(told.includes(value(getattr(true, name))))
        pairs = zip(found.measured, true.measured, strict=True)
        held["measured"].append(all(abs(at.points.value - t.points.value) <= (at.simultaneous or 0) for at, t in pairs))
        if len(found.crossings) == 1:
            held["crossings"].append(found.crossings[0].train_seconds.includes(true.crossings[0].train_seconds.value))
    shares = {name: sum(each) / len(each) for name, each in held.items()}
    assert len(held["points"]) == len(held["mean_points"]) == num
    assert all(share >= 0.93 for share in shares.values()), shares
    assert all(shares[name] <= 0.99 for name in ("points", "mean_points")), shares
