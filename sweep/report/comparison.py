"""Two curves compared: at equal quality, how much cheaper; at equal cost, how much better.

Quality as a function of cost is PCHIP through the means of all measured lengths over the logarithm of train_seconds;
cost as a function of quality is PCHIP through the Pareto front, the cost at which that quality is first reached.
Averaged over the common range that is Bjøntegaard's delta ("Calculation of average PSNR differences between
RD-curves", VCEG-M33, 2001). Nothing is said of costs or qualities that only one of the two has reached. Each interval
is of replicates.py; the seeds of two curves count as independent. docs/reading-the-report.md has the formulas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sweep.report.contender import Contender, Lineup, log_cost
from sweep.report.crossings import Crossing, find_crossings
from sweep.report.metric import Metric
from sweep.report.pair import AtCost, AtQuality, Pair
from sweep.report.replicates import NUM_REPLICATES, Interval, Replicates, interval_of
from sweep.report.summary import RatioSummary

# How many points a curve is drawn or exported at.
_SAMPLES = 65


@dataclass(frozen=True)
class Comparison:
    """`new` against `old`. A range is None where they have none in common, and so is what would be told of it.

    `anchor` is the old curve's baseline, or its best length, where no baseline has finished, or only one that
    is worse than the cheapest length: its quality is where costs are compared (`old_seconds`, `new_seconds`,
    `times_cheaper`), and its cost is where qualities are (`points`, `new_score`). `cost_change` and `mean_points`
    are the Bjøntegaard deltas: the one a share (-0.3 is 30 % cheaper) averaged over `quality_range`, the other
    points averaged over `cost_range`, in seconds. `by_cost` and `by_quality` are the whole curves; `measured` is
    what `by_cost` says at the measured costs of both.
    """

    old: Contender
    new: Contender
    anchor: RatioSummary
    old_seconds: float
    new_seconds: float | None
    times_cheaper: Interval | None
    new_score: float | None
    points: Interval | None
    quality_range: tuple[float, float] | None
    cost_change: Interval | None
    cost_range: tuple[float, float] | None
    mean_points: Interval | None
    crossings: tuple[Crossing, ...]
    measured: tuple[AtCost, ...]
    by_cost: tuple[AtCost, ...]
    by_quality: tuple[AtQuality, ...]

    @property
    def metric(self) -> Metric:
        """What both are judged by."""
        return self.old.curve.metric

    @property
    def is_at_baseline(self) -> bool:
        baseline = self.old.curve.baseline
        return baseline is not None and log_cost(baseline) == log_cost(self.anchor)


def compare_all(lineup: Lineup) -> tuple[Comparison, ...]:
    """Each contender with the reference."""
    return tuple(compare(lineup.reference, other) for other in lineup.others)


def compare(old: Contender, new: Contender, num_replicates: int = NUM_REPLICATES) -> Comparison:
    """Two curves, each with a measured length. The same two always give the same numbers."""
    noises = [contender.curve.noise for contender in (old, new)]
    num = num_replicates if all(noise.single is not None for noise in noises) else 0
    draws = [
        Replicates.draw(contender.points, noise, num, stream)
        for stream, (contender, noise) in enumerate(zip((old, new), noises, strict=True))
    ]
    return _compare(old, new, Pair(draws[0], draws[1], old.curve.metric))


def sampled_line(contender: Contender) -> tuple[tuple[float, float], ...]:
    """The curve to be drawn: train_seconds and score, evenly by log cost, from the cheapest length on."""
    line = Replicates.draw(contender.points, None, 0, 0)
    places = np.linspace(line.log_costs[0], line.log_costs[-1], _SAMPLES if len(line.log_costs) > 1 else 1)
    scores = line.qualities_at(places)[0]
    return tuple((math.exp(place), float(score)) for place, score in zip(places, scores, strict=True))


def _compare(old: Contender, new: Contender, pair: Pair) -> Comparison:
    place = _anchor(old)
    qualities = pair.olds.qualities[:, [place]]
    new_seconds = float(pair.news.log_costs_at(qualities)[0, 0])
    log_costs = pair.olds.log_costs[[place]]
    at_anchor = pair.points(log_costs)[:, 0] if pair.spans(float(log_costs[0])) else None
    low, high = pair.log_cost_range
    low_quality, high_quality = (float(end[0]) for end in pair.quality_ranges)
    by_cost = pair.by_cost()
    return Comparison(
        old=old,
        new=new,
        anchor=old.points[place],
        old_seconds=math.exp(pair.olds.log_costs_at(qualities)[0, 0]),
        new_seconds=math.exp(new_seconds) if math.isfinite(new_seconds) else None,
        times_cheaper=pair.times_cheaper(qualities)[0],
        new_score=float(qualities[0, 0] + at_anchor[0] / pair.metric.per_score) if at_anchor is not None else None,
        points=interval_of(at_anchor) if at_anchor is not None else None,
        quality_range=(low_quality, high_quality) if low_quality <= high_quality else None,
        cost_change=pair.cost_change(),
        cost_range=(math.exp(low), math.exp(high)) if low <= high else None,
        mean_points=pair.mean_points(),
        crossings=find_crossings(pair.olds, pair.news, low, high),
        measured=pair.at_measured(by_cost),
        by_cost=by_cost,
        by_quality=pair.by_quality(),
    )


def _anchor(old: Contender) -> int:
    """Which of its lengths: where another one costs as much as the baseline, the better of the two."""
    means = [row.sample.mean for row in old.points]
    best = means.index(max(means))
    if old.curve.baseline is None:
        return best
    place = [log_cost(row) for row in old.points].index(log_cost(old.curve.baseline))
    return place if means[place] >= means[0] else best
