"""Means of bursts: how often the truth lies in their intervals, by clocks that are made up."""

import math
from collections.abc import Callable, Iterator
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter

from sweep.plan.pilot import average, is_precise, mean_interval, of_a_run, spread
from sweep.plan.speed import Interval
from sweep.train.pilot import measure

Values = NDArray[np.float64]
Noise = Callable[[np.random.Generator, int], Values]

# A pilot as it is by default: bursts of 0.09 s, for 54 s at most; afterwards a run of 3 minutes, and one of 5 seconds.
BURST_SECONDS, PILOT_SECONDS, RUN_BURSTS, SHORT_RUN_BURSTS = 0.09, 54.0, 2000, 55
MOST_BURSTS = 800
NUM_PILOTS = 1000


def wave(random: np.random.Generator, number: int, seconds: float) -> Values:
    """Noise of standard deviation 1 that has forgotten two thirds of itself after so many seconds: AR(1)."""
    kept = math.exp(-BURST_SECONDS / seconds)
    draws = math.sqrt(1 - kept**2) * random.normal(size=number)
    draws[0] = random.normal()
    found: Values = lfilter([1], [1, -kept], draws)
    return found


def long_tailed(random: np.random.Generator, number: int) -> Values:
    """Log-normal, of mean 1 and standard deviation 0.5."""
    variance = math.log(1.25)
    return random.lognormal(-variance / 2, math.sqrt(variance), size=number)


def interrupted(random: np.random.Generator, number: int) -> Values:
    """One burst of twenty is held up, for a third of its time in the mean."""
    return (random.random(number) < 0.05) * random.exponential(0.3, size=number) - 0.015


CLOCKS: dict[str, Noise] = {
    "each burst by itself": lambda random, number: 1 + 0.1 * random.normal(size=number),
    "a long tail": long_tailed,
    "slow waves": lambda random, number: 1 + 0.05 * wave(random, number, 0.5) + 0.03 * random.normal(size=number),
    "high slow waves": lambda random, number: 1 + 0.2 * wave(random, number, 0.5) + 0.03 * random.normal(size=number),
    "waves, jitter and interruptions": lambda random, number: (
        1 + 0.05 * wave(random, number, 0.3) + 0.05 * random.normal(size=number) + interrupted(random, number)
    ),
}


def clock(noise: Noise, seed: int) -> Iterator[float]:
    values = noise(np.random.default_rng(seed), MOST_BURSTS + RUN_BURSTS)
    return iter((BURST_SECONDS * values.clip(0.05)).tolist())


@pytest.mark.parametrize("name", CLOCKS)
def test_the_truth_lies_in_the_interval_of_93_to_97_of_100_pilots(name: str) -> None:
    of_the_mean, of_a_long_run, of_a_short_run = 0, 0, 0
    for seed in range(NUM_PILOTS):
        ticks = clock(CLOCKS[name], seed)
        found = measure(lambda: next(ticks), 1, PILOT_SECONDS)  # noqa: B023 (called at once)
        assert len(found) <= MOST_BURSTS
        step = mean_interval(found)
        run = [next(ticks) for _ in range(RUN_BURSTS)]
        of_the_mean += step.low <= BURST_SECONDS <= step.high
        of_a_long_run += is_inside(run, step, found)
        of_a_short_run += is_inside(run[-SHORT_RUN_BURSTS:], step, found)
    assert 0.93 * NUM_PILOTS <= of_the_mean <= 0.97 * NUM_PILOTS
    assert 0.93 * NUM_PILOTS <= of_a_long_run <= 0.97 * NUM_PILOTS
    assert 0.93 * NUM_PILOTS <= of_a_short_run <= 0.97 * NUM_PILOTS


def is_inside(run: list[float], step: Interval, pilot: list[float]) -> bool:
    """Whether the mean of a run's bursts is where it was expected."""
    expected = of_a_run(step, len(pilot), spread(pilot), len(run))
    return expected.low <= fmean(run) <= expected.high


def test_bursts_as_if_they_were_independent_would_promise_too_much() -> None:
    """What the batches are for."""
    inside = 0
    for seed in range(NUM_PILOTS):
        values = np.array([next(ticks) for ticks in [clock(CLOCKS["slow waves"], seed)] for _ in range(200)])
        inside += abs(values.mean() - BURST_SECONDS) <= 1.97 * values.std(ddof=1) / math.sqrt(len(values))
    assert inside < 0.75 * NUM_PILOTS


SECONDS = st.floats(1e-6, 1e3)


@given(st.lists(SECONDS, min_size=1, max_size=300))
def test_an_interval_holds_its_value_and_begins_at_nothing_at_least(values: list[float]) -> None:
    found = mean_interval(values)
    assert 0 <= found.low <= found.value <= found.high < math.inf
    assert min(values) * (1 - 1e-9) <= found.value <= max(values) * (1 + 1e-9)


@given(SECONDS, st.integers(2, 300))
def test_a_clock_without_noise_is_known_exactly(value: float, number: int) -> None:
    found = mean_interval([value] * number)
    assert found.high - found.low <= 1e-9 * value
    assert is_precise(found)


@given(st.lists(SECONDS, min_size=1, max_size=60), st.floats(1e-3, 1e3))
def test_other_units_scale_an_interval(values: list[float], factor: float) -> None:
    one, other = mean_interval(values), mean_interval([factor * value for value in values])
    expected = one * factor
    assert (other.low, other.value, other.high) == pytest.approx(
        (expected.low, expected.value, expected.high), rel=1e-6, abs=1e-6 * expected.value
    )


def test_a_single_value_says_nothing_about_its_spread() -> None:
    assert mean_interval([3.0]) == Interval(0.0, 3.0, 6.0)
    assert not is_precise(mean_interval([3.0]))


def test_what_neighbours_have_in_common_widens_an_interval() -> None:
    """The same ten values, once as a drift and once mixed."""
    drift = mean_interval([float(value) for value in range(100, 110)])
    mixed = mean_interval([100.0, 109.0, 101.0, 108.0, 102.0, 107.0, 103.0, 106.0, 104.0, 105.0])
    assert drift.value == mixed.value
    assert drift.high - drift.value > 1.5 * (mixed.high - mixed.value)


def test_what_does_not_fill_the_batches_is_left_out_at_the_beginning() -> None:
    """As if it were part of the warm-up."""
    assert mean_interval([50.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]).value == 1.5


@given(st.integers(1, 10**9), st.integers(1, 10**6))
def test_the_shorter_a_run_the_less_is_known_of_its_mean_step(num_steps: int, num_pilot_steps: int) -> None:
    step = Interval(0.9, 1.0, 1.1)
    short, long = (of_a_run(step, num_pilot_steps, 0.5, number) for number in (num_steps, 2 * num_steps))
    assert short.low <= long.low <= step.low
    assert short.high >= long.high >= step.high
    assert of_a_run(step, num_pilot_steps, 0.5, num_pilot_steps).high == pytest.approx(1 + 0.1 * math.sqrt(2))
    assert of_a_run(step, num_pilot_steps, 0.0, num_steps).high == pytest.approx(step.high)


def test_an_average_of_several_places_is_better_known_than_each() -> None:
    found = average([Interval(0.7, 1.0, 1.3), Interval(1.6, 2.0, 2.4)])
    assert (found.low, found.value, found.high) == pytest.approx((1.25, 1.5, 1.75))
    assert average([Interval(0.9, 1.0, 1.1)]).high == pytest.approx(1.1)


def test_the_spread_is_half_the_distance_that_95_of_100_bursts_lie_within() -> None:
    assert spread([0.9, 1.1] * 50) == pytest.approx(0.1)
    assert spread([2.0]) == 0
    assert spread([1.0] * 79 + [41.0]) == 0  # one of eighty
