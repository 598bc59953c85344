"""A curve as it was measured, and as other seeds could have drawn it: a parametric bootstrap.

In each replicate the means of a curve move as moves.py says. The generator's seed is fixed: the same sweeps give the
same numbers. Costs are taken as exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sweep.report.contender import log_cost
from sweep.report.intervals import Noise
from sweep.report.monotone import Floats, MonotoneCubics
from sweep.report.moves import draw_moves
from sweep.report.summary import RatioSummary

# Chosen: fifty lie beyond each end of a 95 % interval, and all of it takes a fraction of a second.
NUM_REPLICATES = 2000
_SEED = 95
_TAIL = 0.025


@dataclass(frozen=True)
class Interval:
    """A number with the ends of its 95 % interval. None where nothing is known of noise; infinite where the replicates
    show no end."""

    value: float
    low: float | None
    high: float | None

    def includes(self, number: float) -> bool:
        """Whether it lies inside: never where the ends are not known."""
        return self.low is not None and self.high is not None and self.low <= number <= self.high

    def ties_with(self, number: float) -> bool:
        """Whether it lies inside, and at least one end is there: without any, the interval says nothing of a tie."""
        return self.includes(number) and not (self.low == -math.inf and self.high == math.inf)

    @property
    def negated(self) -> Interval:
        """Of what is the number's negative."""
        low, high = (None if end is None else -end for end in (self.high, self.low))
        return Interval(0.0 - self.value, low, high)

    def map(self, function: Callable[[float], float]) -> Interval:
        """Of what is a rising function of the number. An end that is not there stays away."""
        ends = (end if end is None or math.isinf(end) else function(end) for end in (self.low, self.high))
        return Interval(function(self.value), *ends)


def interval_of(values: Floats) -> Interval | None:
    """Of a number as it was measured, `values[0]`, and in the replicates, the rest.

    A replicate in which it is not defined (NaN) counts as beyond both ends. None where the number itself is not finite.
    """
    if not np.isfinite(values[0]):
        return None
    drawn = values[1:]
    if not len(drawn):
        return Interval(float(values[0]), None, None)
    low = np.quantile(np.where(np.isnan(drawn), -np.inf, drawn), _TAIL, method="lower")
    high = np.quantile(np.where(np.isnan(drawn), np.inf, drawn), 1 - _TAIL, method="higher")
    return Interval(float(values[0]), float(low), float(high))


@dataclass(frozen=True)
class Replicates:
    """`log_costs` (K,), ascending, of seconds; `qualities` (1 + R, K): the measured means, then R replicates' means."""

    log_costs: Floats
    qualities: Floats

    @classmethod
    def draw(cls, rows: Sequence[RatioSummary], noise: Noise | None, num: int, stream: int) -> Replicates:
        """Of measured lengths, each of another cost, the cheapest first. Two streams are independent."""
        means = np.array([[row.sample.mean for row in rows]])
        log_costs = np.array([log_cost(row) for row in rows])
        if noise is None or noise.single is None or not num:
            return cls(log_costs, means)
        moves = draw_moves(rows, noise, num, np.random.default_rng([_SEED, stream]))
        return cls(log_costs, np.concatenate([means, means + moves]))

    @property
    def num(self) -> int:
        """How many curves: the measured one and the replicates."""
        return len(self.qualities)

    def qualities_at(self, log_costs: Floats) -> Floats:
        """Of each at `log_costs` (P,), which lie in the measured range: (1 + R, P)."""
        return self._cubics.at(np.broadcast_to(log_costs, (self.num, len(log_costs))))

    def mean_quality(self, low: float, high: float) -> Floats:
        """Of each between two logarithms of cost: (1 + R,)."""
        ends = (np.full(self.num, end) for end in (low, high))
        return self._cubics.integral(*ends) / (high - low)

    @cached_property
    def _cubics(self) -> MonotoneCubics:
        return MonotoneCubics(np.broadcast_to(self.log_costs, self.qualities.shape), self.qualities)

    @property
    def worst_and_best(self) -> tuple[Floats, Floats]:
        """The qualities of each one's front at its ends: (1 + R,) twice."""
        return self.qualities[:, 0], self.qualities.max(axis=1)

    def log_costs_at(self, qualities: Floats) -> Floats:
        """The logarithms of the costs at which each first has the `qualities` (1 + R, P), along its front: (1 + R, P).

        Infinite where that is never, minus infinity where the cheapest length is better already.
        """
        found = np.empty(qualities.shape)
        for members, cubics in self._fronts:
            found[members] = cubics.at(qualities[members])
        worst, best = self.worst_and_best
        found[qualities < worst[:, None]] = -np.inf
        found[qualities > best[:, None]] = np.inf
        return found

    def mean_log_cost(self, low: Floats, high: Floats) -> Floats:
        """Of each between two of its front's qualities, both (1 + R,): NaN where `low` is not below `high`."""
        found = np.full(self.num, np.nan)
        for members, cubics in self._fronts:
            found[members] = cubics.integral(low[members], high[members])
        return np.where(high > low, found, np.nan) / np.where(high > low, high - low, 1.0)

    @cached_property
    def _fronts(self) -> list[tuple[NDArray[np.intp], MonotoneCubics]]:
        """Log cost by quality along the Pareto front, for all whose fronts are of the same lengths together."""
        highest = np.maximum.accumulate(self.qualities, axis=1)
        is_on_front = np.ones(self.qualities.shape, dtype=bool)
        is_on_front[:, 1:] = self.qualities[:, 1:] > highest[:, :-1]
        fronts, which = np.unique(is_on_front, axis=0, return_inverse=True)
        groups = [np.flatnonzero(which.ravel() == number) for number in range(len(fronts))]
        return [(members, self._front(members, lengths)) for members, lengths in zip(groups, fronts, strict=True)]

    def _front(self, members: NDArray[np.intp], lengths: NDArray[np.bool_]) -> MonotoneCubics:
        qualities = self.qualities[np.ix_(members, np.flatnonzero(lengths))]
        return MonotoneCubics(qualities, np.broadcast_to(self.log_costs[lengths], qualities.shape))
