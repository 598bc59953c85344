"""Two curves over what they have in common: differences and quotients, as measured and in every replicate.

Costs are logarithms of train_seconds, qualities scores, as metric.py has them. Nothing is said of costs or qualities
that only one of the two has reached.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweep.report.metric import ACCURACY, Metric
from sweep.report.monotone import Floats
from sweep.report.replicates import Interval, Replicates, interval_of

# How many qualities the whole range is told at.
_QUALITIES = 65
# Chosen: a gate must not miss what lies between two measured costs.
_COSTS = 129
_ONE_SIGMA = 0.6827
_COVERAGE = 0.95


@dataclass(frozen=True)
class AtCost:
    """How many points better the new curve is at a cost. `simultaneous` is the half-width within which the differences
    at all common costs lie at once in 95 of 100 cases; None where noise is not known."""

    train_seconds: float
    points: Interval
    simultaneous: float | None


@dataclass(frozen=True)
class AtQuality:
    """How many times cheaper the new curve reaches a score."""

    score: float
    times_cheaper: Interval


@dataclass(frozen=True)
class Pair:
    """Both with as many replicates; the first row of each array (1 + R, …) is the measured one."""

    olds: Replicates
    news: Replicates
    metric: Metric = ACCURACY

    @property
    def log_cost_range(self) -> tuple[float, float]:
        """What both curves span; the first is above the second where that is nothing."""
        lows, highs = zip(*((curve.log_costs[0], curve.log_costs[-1]) for curve in (self.olds, self.news)), strict=True)
        return float(max(lows)), float(min(highs))

    def spans(self, log_cost: float) -> bool:
        """Whether both were trained for less and for more than that."""
        low, high = self.log_cost_range
        return low <= log_cost <= high

    @property
    def quality_ranges(self) -> tuple[Floats, Floats]:
        """What both fronts span, in each replicate: (1 + R,) twice."""
        (old_worst, old_best), (new_worst, new_best) = self.olds.worst_and_best, self.news.worst_and_best
        return np.maximum(old_worst, new_worst), np.minimum(old_best, new_best)

    def points(self, log_costs: Floats) -> Floats:
        """How many points better the new one is at `log_costs` (P,): (1 + R, P)."""
        return self.metric.per_score * (self.news.qualities_at(log_costs) - self.olds.qualities_at(log_costs))

    def times_cheaper(self, qualities: Floats) -> list[Interval | None]:
        """At each of `qualities` (1 + R, P). Neither end is known where a replicate's curves both fail to span it."""
        with np.errstate(invalid="ignore"):
            logarithms = self.olds.log_costs_at(qualities) - self.news.log_costs_at(qualities)
        found = (interval_of(column) for column in logarithms.T)
        return [one.map(math.exp) if one is not None else None for one in found]

    def cost_change(self) -> Interval | None:
        """The mean over the common qualities, as a share: -0.3 is 30 % cheaper."""
        low, high = self.quality_ranges
        found = interval_of(self.news.mean_log_cost(low, high) - self.olds.mean_log_cost(low, high))
        return found.map(math.expm1) if found is not None else None

    def mean_points(self) -> Interval | None:
        """The mean over the logarithms of the common costs."""
        low, high = self.log_cost_range
        if not low < high:
            return None
        return interval_of(
            self.metric.per_score * (self.news.mean_quality(low, high) - self.olds.mean_quality(low, high))
        )

    def by_cost(self) -> tuple[AtCost, ...]:
        """At all measured common costs, the ends of that range, and many between: where curves bend, the difference is
        at its largest."""
        low, high = self.log_cost_range
        if not low <= high:
            return ()
        knots = self._knots
        places = np.union1d(knots[(knots >= low) & (knots <= high)], np.linspace(low, high, _COSTS))
        points = self.points(places)
        told = zip(places, map(interval_of, points.T), simultaneous_widths(points), strict=True)
        return tuple(AtCost(math.exp(place), found, width) for place, found, width in told if found is not None)

    @property
    def _knots(self) -> Floats:
        return np.union1d(self.olds.log_costs, self.news.log_costs)

    def at_measured(self, by_cost: Sequence[AtCost]) -> tuple[AtCost, ...]:
        """Those of `by_cost` at which one of the two was measured."""
        measured = {math.exp(knot) for knot in self._knots}
        return tuple(at for at in by_cost if at.train_seconds in measured)

    def by_quality(self) -> tuple[AtQuality, ...]:
        """Evenly over the qualities that both have."""
        low, high = (end[0] for end in self.quality_ranges)
        if not low <= high:
            return ()
        places = np.linspace(low, high, _QUALITIES if low < high else 1)
        found = self.times_cheaper(np.broadcast_to(places, (self.olds.num, len(places))))
        pairs = zip(places, found, strict=True)
        return tuple(AtQuality(float(place), times) for place, times in pairs if times is not None)


def simultaneous_widths(points: Floats) -> list[float | None]:
    """Half-widths (P,) that hold at all costs at once in 95 of 100 replicates: max-t.

    Each cost's scale is the half-width that holds 68 of 100 replicates by itself: heavy tails leave that one alone.
    """
    if len(points) == 1:
        return [None] * points.shape[1]
    away = np.abs(points[1:] - points[0])
    scales = np.quantile(away, _ONE_SIGMA, axis=0)
    relative = np.divide(away, scales, out=np.zeros_like(away), where=scales > 0)
    return [float(width) for width in np.quantile(relative.max(axis=1), _COVERAGE) * scales]
