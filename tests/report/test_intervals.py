import math
from statistics import mean, stdev, variance

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweep.report.intervals import Estimate, Noise, Sample, unequal_spreads

ACCURACIES = st.floats(0, 1).map(lambda value: round(value, 4))


def sample(*accuracies: float, seeds: range | None = None) -> Sample:
    return Sample(tuple(seeds or range(len(accuracies))), accuracies)


def unnamed(*accuracies: float) -> Sample:
    return Sample((None,) * len(accuracies), accuracies)


def of_table(table: np.ndarray) -> list[Sample]:
    """Ratios x seeds, with holes of NaN."""
    rows = [[(seed, value) for seed, value in enumerate(row) if not math.isnan(value)] for row in table.tolist()]
    return [Sample(tuple(seed for seed, _ in row), tuple(value for _, value in row)) for row in rows]


SHORT, LONG = sample(0.5, 0.625, 0.875), sample(0.875, 0.9375, 1.0)


def test_a_mean_has_the_interval_of_students_t_with_the_pooled_spread() -> None:
    noise = Noise.of([SHORT, LONG])
    pooled = math.sqrt((variance(SHORT.scores) + variance(LONG.scores)) / 2)
    assert noise.single is not None
    assert noise.single.degrees_of_freedom == 4
    assert noise.single.sd == pytest.approx(pooled, rel=1e-12)
    estimate = noise.mean(SHORT)
    assert estimate.value == pytest.approx(mean(SHORT.scores))
    assert estimate.ci95 == pytest.approx(stats.t.ppf(0.975, 4) * pooled / math.sqrt(3), rel=1e-9)


def test_two_ratios_with_the_same_seeds_are_compared_by_the_paired_t_test() -> None:
    difference = Noise.of([SHORT, LONG]).difference(SHORT, LONG)
    gaps = [one - other for one, other in zip(SHORT.scores, LONG.scores, strict=True)]
    assert difference.value == pytest.approx(mean(gaps))
    assert difference.ci95 == pytest.approx(stats.t.ppf(0.975, 2) * stdev(gaps) / math.sqrt(3), rel=1e-9)
    assert difference.is_paired


@pytest.mark.parametrize(("num_ratios", "num_seeds"), [(2, 2), (3, 4), (5, 3)])
def test_what_ratios_and_seeds_leave_over_is_the_residual_of_a_two_way_analysis(
    num_ratios: int, num_seeds: int
) -> None:
    table = np.random.default_rng(7).random((num_ratios, num_seeds))
    left = table - table.mean(1, keepdims=True) - table.mean(0, keepdims=True) + table.mean()
    paired = Noise.of(of_table(table)).paired
    assert paired is not None
    assert paired.degrees_of_freedom == (num_ratios - 1) * (num_seeds - 1)
    assert paired.sd == pytest.approx(math.sqrt((left**2).sum() / paired.degrees_of_freedom), rel=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_with_trials_missing_it_is_that_of_least_squares_on_dummies(seed: int) -> None:
    random = np.random.default_rng(seed)
    table = np.where(random.random((4, 5)) < 0.3, np.nan, random.random((4, 5)))
    samples = of_table(table)
    there = np.argwhere(~np.isnan(table))
    if not len(there):
        assert Noise.of(samples) == Noise(None, None)
        return
    dummies = np.hstack([np.eye(4)[there[:, 0]], np.eye(5)[there[:, 1]]])
    values = table[there[:, 0], there[:, 1]]
    coefficients, _, rank, _ = np.linalg.lstsq(dummies, values, rcond=None)
    freedom = len(values) - rank
    paired = Noise.of([each for each in samples if len(each)]).paired
    assert (paired is None) == (freedom < 1)
    if paired is not None:
        assert paired.degrees_of_freedom == freedom
        residual = ((values - dummies @ coefficients) ** 2).sum()
        assert paired.sd == pytest.approx(math.sqrt(residual / freedom), rel=1e-6, abs=1e-9)


def test_one_seed_has_no_interval() -> None:
    noise = Noise.of([sample(0.5), sample(0.75)])
    assert noise == Noise(None, None)
    assert noise.mean(sample(0.5)) == Estimate(0.5, None)
    assert noise.difference(sample(0.5), sample(0.75)) == Estimate(-0.25, None, is_paired=True)


def test_a_ratio_of_one_seed_has_none_either_beside_ratios_of_several() -> None:
    one = sample(0.5)
    noise = Noise.of([one, SHORT, LONG])
    assert noise.mean(one).ci95 is None
    assert noise.mean(LONG).ci95 is not None
    assert noise.difference(one, LONG) == Estimate(0.5 - LONG.mean, None)


def test_where_a_seed_is_missing_the_difference_is_that_of_the_means() -> None:
    half = Sample((0, 2), (0.5, 0.75))
    noise = Noise.of([half, LONG])
    difference = noise.difference(half, LONG)
    assert not difference.is_paired
    assert difference.value == pytest.approx(half.mean - LONG.mean)
    assert noise.single is not None
    assert difference.ci95 == pytest.approx(stats.t.ppf(0.975, 3) * noise.single.sd * math.sqrt(1 / 2 + 1 / 3))


def test_seeds_that_are_not_known_are_not_paired() -> None:
    one, other = unnamed(0.5, 0.625, 0.875), unnamed(0.875, 0.9375, 1.0)
    difference = Noise.of([one, other]).difference(one, other)
    independent = stats.ttest_ind(one.scores, other.scores).confidence_interval(0.95)
    assert not difference.is_paired
    assert difference.value == pytest.approx(one.mean - other.mean)
    assert difference.ci95 == pytest.approx((independent.high - independent.low) / 2, rel=1e-9)
    assert Noise.of([one, other]).paired is None


def test_a_contrast_of_three_means_pairs_them_too() -> None:
    middle = sample(0.75, 0.8125, 0.9375)
    noise = Noise.of([SHORT, middle, LONG])
    above = noise.contrast([(1.0, middle), (-0.5, SHORT), (-0.5, LONG)])
    assert noise.paired is not None
    assert above.value == pytest.approx(middle.mean - (SHORT.mean + LONG.mean) / 2)
    assert above.ci95 == pytest.approx(stats.t.ppf(0.975, 4) * noise.paired.sd * math.sqrt(1.5 / 3), rel=1e-9)


@pytest.mark.parametrize(("value", "ci95", "is_tie"), [(0.1, 0.2, True), (-0.2, 0.2, True), (0.3, 0.2, False)])
def test_a_difference_inside_its_interval_is_a_tie(value: float, ci95: float, is_tie: bool) -> None:
    assert Estimate(value, ci95).is_tie == is_tie
    assert Estimate(value, None).is_tie is None


@given(st.lists(st.lists(ACCURACIES, min_size=1, max_size=4), min_size=1, max_size=5), st.randoms())
def test_the_order_of_ratios_and_trials_changes_nothing(table: list[list[float]], random: object) -> None:
    samples = [sample(*row) for row in table]
    shuffled = []
    for each in samples:
        places = list(range(len(each)))
        random.shuffle(places)  # type: ignore[attr-defined]
        seeds, values = zip(*[(each.seeds[place], each.scores[place]) for place in places], strict=True)
        shuffled.append(Sample(seeds, values))
    one, other = Noise.of(samples), Noise.of(shuffled[::-1])
    for spread, again in ((one.single, other.single), (one.paired, other.paired)):
        assert (spread is None) == (again is None)
        if spread is not None and again is not None:
            assert again.sd == pytest.approx(spread.sd, rel=1e-6, abs=1e-9)
            assert again.degrees_of_freedom == spread.degrees_of_freedom


def share_covered(num_seeds: int, seed_sd: float, share_missing: float) -> tuple[float, float]:
    """Of 2,000 simulated curves: how often the interval of a mean, and of a difference to the baseline, holds the
    truth. Every seed shifts its whole curve by `seed_sd` times what single trials scatter by."""
    random, truth, num_curves = np.random.default_rng(1), np.array([0.80, 0.88, 0.92, 0.93]), 2000
    covered: dict[str, list[bool]] = {"mean": [], "difference": []}
    for _ in range(num_curves):
        table = truth[:, None] + 0.01 * random.standard_normal((4, num_seeds))
        table += 0.01 * seed_sd * random.standard_normal(num_seeds)
        table[:-1][random.random((3, num_seeds)) < share_missing] = np.nan
        samples = of_table(table)
        noise = Noise.of([each for each in samples if len(each)])
        for each, true in zip(samples, truth, strict=True):
            if len(each) > 1:
                estimate = noise.mean(each)
                covered["mean"].append(abs(estimate.value - true) <= (estimate.ci95 or 0))
        for each, true in zip(samples[:-1], truth, strict=False):
            if len(each) > 1:
                estimate = noise.difference(each, samples[-1])
                covered["difference"].append(abs(estimate.value - (true - truth[-1])) <= (estimate.ci95 or 0))
    return float(np.mean(covered["mean"])), float(np.mean(covered["difference"]))


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
@pytest.mark.parametrize("share_missing", [0.0, 0.2])
def test_intervals_of_simulated_curves_hold_the_truth(num_seeds: int, share_missing: float) -> None:
    of_mean, of_difference = share_covered(num_seeds, 0.0, share_missing)
    assert 0.93 < of_mean < 0.97
    assert 0.93 < of_difference < 0.97


def test_differences_are_as_sure_where_a_seed_is_lucky_at_every_ratio() -> None:
    _, of_difference = share_covered(3, 3.0, 0.0)
    assert 0.93 < of_difference < 0.97


def test_spreads_that_differ_are_told_by_bartletts_test() -> None:
    random = np.random.default_rng(3)
    calm, wild = (sample(*(0.9 + sd * random.standard_normal(5))) for sd in (0.001, 0.02))
    expected = stats.bartlett(calm.scores, wild.scores).pvalue
    assert unequal_spreads([calm, wild, sample(0.5)]) == pytest.approx(expected, rel=1e-9)
    assert unequal_spreads([calm, sample(0.5)]) is None
    assert unequal_spreads([calm, sample(0.5, 0.5)]) is None
