"""What a pilot has measured, as means with 95 % intervals that hold although neighbouring bursts are alike.

A machine's noise comes in waves, so bursts are no independent draws. They are grouped into ten batches, one after the
other; what neighbouring batches still have in common widens the interval as in an autoregressive process of first
order. tests/plan/test_pilot_statistics.py says for which noise the truth then lies inside in 93 to 97 of 100 pilots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, stdev

from sweep.plan.speed import Interval

# Chosen: with more batches they are too short to forget each other, with fewer the interval is wide for want of them.
_NUM_BATCHES = 10
# Student's t of 1, 2, … degrees of freedom, two-sided, 95 %.
_STUDENTS_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
# Chosen: what ten batches show above it is a drift, for which no interval is wide enough, or chance, which would make
# it absurd. Simulated: with 0.9 as many intervals hold the truth, and one of twenty is up to half as wide again.
_MAX_CORRELATION = 0.5

PRECISION = 0.05  # of the mean: within so much a pilot has measured enough


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of `values`, measured one after the other, and where it lies had one gone on for ever."""
    if len(values) == 1:
        return Interval(0.0, values[0], 2 * values[0])  # nothing is known of its spread
    batches = _batch_means(values)
    mean = fmean(batches)
    variance = stdev(batches) ** 2 / len(batches)
    if len(batches) == _NUM_BATCHES:
        correlation = _lag_one_correlation(batches)
        variance *= (1 + correlation) / (1 - correlation)
    half = _STUDENTS_T[len(batches) - 2] * math.sqrt(variance)
    return Interval(max(0.0, mean - half), mean, mean + half)


def _batch_means(values: Sequence[float]) -> list[float]:
    """Of as many batches as there are, ten at most, all of one size: what is too much is left out at the beginning."""
    size = max(1, len(values) // _NUM_BATCHES)
    count = min(len(values), _NUM_BATCHES)
    kept = values[len(values) - size * count :]
    return [fmean(kept[first : first + size]) for first in range(0, len(kept), size)]


def _lag_one_correlation(values: Sequence[float]) -> float:
    """That of neighbours, from none to almost all, without what the estimate of a few is too low by: Kendall 1954."""
    mean = fmean(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    if squares == 0:
        return 0.0
    products = math.fsum((one - mean) * (other - mean) for one, other in pairwise(values))
    found = products / squares
    return min(max(found + (1 + 3 * found) / len(values), 0.0), _MAX_CORRELATION)


def average(intervals: Sequence[Interval]) -> Interval:
    """The mean of several things that were measured independently, each as important as the others."""
    value = fmean(interval.value for interval in intervals)
    half = math.hypot(*(interval.high - interval.value for interval in intervals)) / len(intervals)
    return Interval(max(0.0, value - half), value, value + half)


def is_precise(interval: Interval) -> bool:
    return interval.high - interval.value <= PRECISION * interval.value


def of_a_run(step: Interval, num_pilot_steps: int, spread: float, num_steps: int) -> Interval:
    """Where the mean step of a run of `num_steps` lies: its own noise comes on top of the pilot's, and the shorter it
    is, the more of it is left in its mean; but never more than there is in a burst, whose `spread` is known."""
    half = step.high - step.value
    own = min(half * math.sqrt(num_pilot_steps / max(1, num_steps)), spread * step.value)
    half = math.hypot(half, own)
    return Interval(max(0.0, step.value - half), step.value, step.value + half)


def spread(values: Sequence[float]) -> float:
    """By how much bursts differ, as a share of their mean: half the distance that 95 of 100 lie within."""
    ordered = sorted(values)
    cut = len(ordered) // 40
    return (ordered[len(ordered) - 1 - cut] - ordered[cut]) / 2 / fmean(values)
