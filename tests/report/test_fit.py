import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from scipy.stats import t as students_t

from sweep.report.fit import Fit, fit_curve

RATIOS = np.array([0.1, 0.25, 0.5, 1.0, 2.0])
# FFCV's published ImageNet results of ResNet-50 (github.com/libffcv/ffcv-imagenet): epochs, top-1 accuracy.
FFCV = np.array([16, 24, 32, 40, 56, 88]) / 88, np.array([0.738, 0.756, 0.766, 0.772, 0.780, 0.784])
SHARES = st.floats(0, 1)


def curve(ceiling: float, scale: float, exponent: float, ratios: np.ndarray = RATIOS) -> np.ndarray:
    return ceiling - scale * ratios**-exponent


def squares(fit: Fit) -> float:
    return float(sum((fit.score_at(r) - a) ** 2 for r, a in zip(fit.ratios, fit.scores, strict=True)))


@given(st.floats(0.5, 1), st.floats(0.001, 0.05), st.floats(0.1, 1.0))
def test_a_curve_without_noise_is_found_again(ceiling: float, scale: float, exponent: float) -> None:
    fit = fit_curve(RATIOS, curve(ceiling, scale, exponent))
    assert fit.is_exponent_fitted
    assert (fit.ceiling, fit.scale) == pytest.approx((ceiling, scale), rel=1e-3, abs=1e-5)
    assert fit.exponent == pytest.approx(exponent, rel=1e-2)
    assert fit.leave_one_out_error < 0.05 * scale * 0.1**-exponent


@given(st.lists(SHARES, min_size=5, max_size=5), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_no_search_from_random_starts_finds_a_better_one(accuracies: list[float], seed: int) -> None:
    values = np.array(accuracies)
    found = squares(fit_curve(RATIOS, values))
    random = np.random.default_rng(seed)
    low, high = np.array([0, 0, 0.05]), np.array([1, 100, 5])
    for _ in range(5):
        start = low + random.random(3) * (np.array([1, 1, 2]) - low)
        other = least_squares(lambda p: curve(*p) - values, start, bounds=(low, high))
        assert found <= 2 * other.cost + 1e-9


@given(st.lists(SHARES, min_size=3, max_size=10), st.randoms())
@settings(deadline=None)
def test_the_bounds_hold_and_the_order_of_trials_changes_nothing(accuracies: list[float], random: object) -> None:
    pairs = [(RATIOS[place % 5], accuracy) for place, accuracy in enumerate(accuracies)]
    fit = fit_curve(*(np.array(column) for column in zip(*pairs, strict=True)))
    assert 0 <= fit.ceiling <= 1
    assert fit.scale >= 0
    assert 0.05 <= fit.exponent <= 5
    random.shuffle(pairs)  # type: ignore[attr-defined]
    again = fit_curve(*(np.array(column) for column in zip(*pairs, strict=True)))
    for ratio in (0.05, 0.3, 1.0):
        low, high = fit.interval_at(ratio)
        assert 0 <= low <= fit.score_at(ratio) + 1e-12
        assert fit.score_at(ratio) - 1e-12 <= high <= 1
        assert again.score_at(ratio) == pytest.approx(fit.score_at(ratio), abs=1e-5)


@given(st.lists(st.floats(0.2, 0.95), min_size=5, max_size=5), st.floats(0.1, 10))
@settings(deadline=None, max_examples=30)
def test_the_unit_of_the_ratio_changes_no_prediction(accuracies: list[float], factor: float) -> None:
    values = np.array(accuracies)
    one, other = fit_curve(RATIOS, values), fit_curve(RATIOS * factor, values)
    assert other.score_at(0.3 * factor) == pytest.approx(one.score_at(0.3), abs=1e-5)


def test_the_profile_interval_is_that_of_all_curves_that_fit_nearly_as_well() -> None:
    ratios, accuracies = FFCV
    fit = fit_curve(ratios, accuracies)
    largest = squares(fit) * (1 + students_t.ppf(0.975, 3) ** 2 / 3)
    grid = itertools.product(np.linspace(0.78, 0.815, 141), np.linspace(0.002, 0.04, 153), np.linspace(0.5, 1.5, 101))
    params = np.array(list(grid))
    errors = ((curve(*(params.T[:, :, None]), ratios) - accuracies) ** 2).sum(1)
    near = params[errors <= largest]
    assert len(near) > 100
    for ratio in (0.15, 0.5, 1.0):
        predicted = curve(*near.T, np.array(ratio))
        low, high = fit.interval_at(ratio)
        width = high - low
        assert low <= predicted.min() <= low + 0.1 * width
        assert high - 0.1 * width <= predicted.max() <= high
    assert fit.exponent_interval is not None
    assert fit.exponent_interval == pytest.approx((near[:, 2].min(), near[:, 2].max()), abs=0.06)
    assert fit.ceiling_interval == pytest.approx((near[:, 0].min(), near[:, 0].max()), abs=0.002)


def test_published_results_lie_on_such_a_curve() -> None:
    fit = fit_curve(*FFCV)
    assert fit.residual_sd < 0.0015
    assert fit.leave_one_out_error < 0.005
    assert 0.784 < fit.ceiling < 0.82


def test_intervals_of_simulated_curves_hold_the_truth() -> None:
    random, truth = np.random.default_rng(5), (0.93, 0.02, 0.7)
    ratios = np.repeat(RATIOS, 3)
    covered = []
    for _ in range(300):
        fit = fit_curve(ratios, curve(*truth, ratios) + 0.004 * random.standard_normal(len(ratios)))
        for ratio in (0.15, 0.7, 1.5):
            low, high = fit.interval_at(ratio)
            covered.append(low <= curve(*truth, np.array(ratio)) <= high)
    assert 0.93 < np.mean(covered) < 0.97


def test_of_three_ratios_the_exponent_is_one() -> None:
    ratios = np.array([0.25, 0.5, 1.0])
    fit = fit_curve(ratios, 0.9 - 0.02 / ratios)
    assert (fit.is_exponent_fitted, fit.exponent, fit.exponent_interval) == (False, 1.0, None)
    assert (fit.ceiling, fit.scale) == pytest.approx((0.9, 0.02))
    assert fit.degrees_of_freedom == 1


@pytest.mark.parametrize("ratios", [[], [1.0], [0.5, 1.0], [0.5, 0.5, 1.0, 1.0]])
def test_below_three_ratios_it_refuses_with_the_reason(ratios: list[float]) -> None:
    with pytest.raises(ValueError, match=r"a curve is fitted through three ratios or more: there are [012]"):
        fit_curve(np.array(ratios), np.full(len(ratios), 0.9))


def test_a_run_of_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a run of no length is on no curve"):
        fit_curve(np.array([0.0, 0.5, 1.0]), np.full(3, 0.9))


def test_where_accuracy_declines_the_curve_is_flat() -> None:
    fit = fit_curve(RATIOS, np.array([0.95, 0.94, 0.93, 0.92, 0.91]))
    assert fit.scale == 0
    assert fit.exponent_interval is None
    assert fit.score_at(0.1) == fit.score_at(2) == pytest.approx(0.93)


def test_accuracies_that_are_all_alike_are_fitted_too() -> None:
    fit = fit_curve(RATIOS, np.full(5, 0.75))
    assert fit.score_at(1.0) == pytest.approx(0.75)
    assert fit.interval_at(1.0) == pytest.approx((0.75, 0.75))


def test_the_leave_one_out_error_is_of_predictions_that_are_accuracies() -> None:
    ratios = np.array([0.001, 0.5, 0.6, 1.0])
    assert fit_curve(ratios, np.array([0.5, 0.2, 0.6, 0.7])).leave_one_out_error <= 1


def test_ratios_that_differ_by_rounding_are_one() -> None:
    ratios = np.array([0.5, 0.5 + 1e-12, 1.0, 1.0 + 1e-13])
    with pytest.raises(ValueError, match="there are 2"):
        fit_curve(ratios, np.array([0.8, 0.8, 0.9, 0.9]))


def test_the_leave_one_out_error_is_that_of_leaving_each_ratio_out() -> None:
    ratios, accuracies = np.repeat(RATIOS, 2), np.array([0.5, 0.52, 0.7, 0.71, 0.8, 0.79, 0.85, 0.86, 0.88, 0.87])
    off = []
    for ratio in RATIOS:
        others = ratios != ratio
        off.append(accuracies[~others].mean() - fit_curve(ratios[others], accuracies[others]).score_at(ratio))
    assert fit_curve(ratios, accuracies).leave_one_out_error == pytest.approx(np.sqrt(np.mean(np.square(off))))


def test_beyond_the_longest_run_it_says_only_what_it_is_at_most() -> None:
    fit = fit_curve(*FFCV)
    within, beyond = fit.predict(0.75), fit.predict(1.5)
    assert within.score == fit.score_at(0.75)
    assert (within.low, within.high) == fit.interval_at(0.75)
    assert (beyond.score, beyond.low) == (None, None)
    assert beyond.high == fit.interval_at(1.5)[1]


@given(st.floats(0.001, 100))
@settings(deadline=None)
def test_nothing_is_predicted_far_from_what_ran(ratio: float) -> None:
    assume(not 0.05 <= ratio <= 4.0)
    fit = fit_curve(RATIOS, curve(0.9, 0.02, 0.7))
    with pytest.raises(ValueError, match=r"not predicted, which reaches from 0\.05 to 4"):
        fit.predict(ratio)
