"""Where a further doubling of the cost begins to buy less than doublings do on average.

Kneedle (Satopää et al., "Finding a 'Kneedle' in a haystack", 2011) on the Pareto front: of its inner lengths the one
that lies furthest above the straight line from the cheapest to the best, score against the logarithm of the cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sweep.report.analysis import Curve
from sweep.report.intervals import Estimate
from sweep.report.summary import RatioSummary, in_points


@dataclass(frozen=True)
class Knee:
    """`above` is how many points it lies above that line, with an interval for the highest of all inner lengths."""

    row: RatioSummary
    above: Estimate

    @property
    def is_clear(self) -> bool | None:
        """Whether that is more than seeds differ by; None of one seed."""
        return None if self.above.is_tie is None else not self.above.is_tie


def find_knee(curve: Curve) -> Knee | None:
    """None where the front has fewer than three lengths, all of one cost, or none above the line."""
    if len(curve.front) < 3:
        return None
    first, *inner, last = curve.front
    if not _log_cost(first, last):
        return None
    knees = [Knee(row, _above(curve, first, row, last, len(inner))) for row in inner]
    best = max(knees, key=lambda knee: knee.above.value)
    return best if best.above.value > 0 else None


def _above(curve: Curve, first: RatioSummary, row: RatioSummary, last: RatioSummary, num_inner: int) -> Estimate:
    share = _log_cost(first, row) / _log_cost(first, last)
    weighted = [(1.0, row.sample), (share - 1, first.sample), (-share, last.sample)]
    return in_points(curve.noise.contrast(weighted, num_inner), curve.metric)


def _log_cost(row: RatioSummary, other: RatioSummary) -> float:
    return math.log((other.train_seconds or 0.0) / (row.train_seconds or 0.0))
