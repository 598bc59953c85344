"""What a trial may score: Student's t about the curve, as outcomes that are equally likely."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tables import curve_through

from sweep.report.forecast import NUM_OUTCOMES, Doubt, Forecast, Forecaster
from sweep.report.intervals import Spread

ANYWHERE = (-math.inf, math.inf)


NONE = Doubt(0.0, None)


@given(st.floats(-2, 2), st.floats(1e-4, 1), st.integers(1, 30))
def test_outcomes_are_the_middles_of_equal_shares_of_students_t(score: float, sd: float, df: int) -> None:
    outcomes = np.sort(Forecast(score, NONE, Doubt(sd, df)).outcomes(ANYWHERE))
    shares = stats.t(df, loc=score, scale=sd).cdf(outcomes)
    assert shares == pytest.approx((np.arange(NUM_OUTCOMES) + 0.5) / NUM_OUTCOMES, abs=1e-6)


@given(st.floats(0.1, 1), st.floats(0.1, 1), st.integers(3, 30), st.floats(-2, 2))
def test_what_the_curve_is_off_by_and_what_seeds_do_are_independent(
    curve: float, noise: float, df: int, limit: float
) -> None:
    outcomes = np.array(Forecast(0.0, Doubt(curve, None), Doubt(noise, df)).outcomes(ANYWHERE))
    width, seeds = curve * math.sqrt(12), stats.t(df, scale=noise)
    offs = np.linspace(-width / 2, width / 2, 2001)
    assert float((outcomes > limit).mean()) == pytest.approx(float(seeds.sf(limit - offs).mean()), abs=0.02)


def test_no_outcome_is_more_than_an_accuracy_can_be() -> None:
    assert max(Forecast(0.99, NONE, Doubt(0.1, 3)).outcomes((0.0, 1.0))) == 1.0


def test_another_seed_of_a_ratio_is_as_far_from_its_mean_as_seeds_and_the_mean_are() -> None:
    curve = curve_through((0.5, 50, [0.8, 0.82]), (1, 100, [0.9, 0.92]))
    forecaster = Forecaster.of(curve)
    assert forecaster is not None
    assert forecaster.noise == curve.noise.single
    assert not forecaster.is_of_fit
    forecast = forecaster.another_seed(curve.rows[0])
    assert forecast.score == pytest.approx(0.81)
    assert forecast.curve.sd == 0
    assert forecast.noise == Doubt(pytest.approx(math.sqrt(0.0002) * math.sqrt(1.5)), 2)


def test_between_two_ratios_alone_anything_between_them_is_alike() -> None:
    curve = curve_through((0.5, 50, [0.8, 0.8]), (1, 100, [0.92, 0.92]))
    forecaster = Forecaster.of(curve)
    assert forecaster is not None
    forecast = forecaster.new_length(0.7, curve.rows[0], curve.rows[1])
    assert forecast is not None
    outcomes = forecast.outcomes(ANYWHERE)
    assert min(outcomes) == pytest.approx(0.8, abs=0.001)
    assert max(outcomes) == pytest.approx(0.92, abs=0.001)
    assert sum(outcome < 0.83 for outcome in outcomes) == pytest.approx(NUM_OUTCOMES / 4, abs=1)
    assert forecaster.new_length(0.35, None, curve.rows[0]) is None


def test_through_three_ratios_a_new_one_is_where_the_fit_is_and_as_sure() -> None:
    lengths = [
        (ratio, 100 * ratio, [1 - 0.05 / ratio + away for away in (-0.002, 0.002)]) for ratio in (0.25, 0.5, 1.0)
    ]
    forecaster = Forecaster.of(curve_through(*lengths))
    assert forecaster is not None
    near, far = (forecaster.new_length(ratio, None, forecaster.curve.rows[0]) for ratio in (0.35, 0.15))
    assert near is not None
    assert far is not None
    assert near.score == pytest.approx(1 - 0.05 / 0.35, abs=1e-6)
    assert 0 < near.curve.sd < far.curve.sd
    assert near.noise == far.noise == Doubt(forecaster.noise.sd, 3)


def test_of_one_seed_what_the_fit_leaves_over_stands_for_noise_and_of_two_ratios_nothing() -> None:
    forecaster = Forecaster.of(curve_through((0.25, 25, [0.7]), (0.5, 50, [0.82]), (1, 100, [0.9])))
    assert forecaster is not None
    assert forecaster.is_of_fit
    assert forecaster.fit is not None
    assert forecaster.noise == Spread(forecaster.fit.residual_sd, 1)
    assert Forecaster.of(curve_through((0.5, 50, [0.8]), (1, 100, [0.9]))) is None
