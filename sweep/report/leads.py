"""Which of several curves is the best at which cost: the upper envelope of their means over the costs that all span.

Between two lengths each is PCHIP over the logarithm of train_seconds, as in a comparison; where the lead changes hands
is one of crossings.py's crossings. A lead is sure where it is larger, at one cost and against every other curve, than
what seeds do at all common costs at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from sweep.report.contender import Contender, Lineup
from sweep.report.crossings import find_crossings
from sweep.report.monotone import Floats
from sweep.report.pair import Pair, simultaneous_widths
from sweep.report.replicates import NUM_REPLICATES, Interval, Replicates

# Chosen: a lead must not be missed that is larger between two measured costs.
_PLACES = 129
# Logarithms of cost that differ by less are one place.
_SAME = 1e-9


@dataclass(frozen=True)
class Lead:
    """`contender` is the best by the means from `start` on, in seconds, to `stop_seconds`. The first lead starts where
    all curves are measured, the others where they overtake. `is_sure` is None where noise is not known."""

    contender: Contender
    start: Interval
    stop_seconds: float
    is_sure: bool | None


def find_leads(lineup: Lineup) -> tuple[Lead, ...]:
    """By cost; none where there is no range of costs that all of them span. Of curves that are equal there, the first
    in the line-up leads."""
    contenders = lineup.contenders
    means = [Replicates.draw(contender.points, None, 0, 0) for contender in contenders]
    low, high = max(float(line.log_costs[0]) for line in means), min(float(line.log_costs[-1]) for line in means)
    if not low < high:
        return ()
    led = _led(means, low, high)
    draws, places = _draws(contenders), _places(means, low, high)
    starts = [Interval(math.exp(low), None, None)]
    starts += [_start(draws[before], draws[after], place) for (_, before), (place, after) in pairwise(led)]
    stops = [*(place for place, _ in led[1:]), high]
    return tuple(
        Lead(
            contenders[leader],
            start,
            math.exp(stop),
            _is_sure(draws, leader, places, (places >= place) & (places <= stop)),
        )
        for (place, leader), start, stop in zip(led, starts, stops, strict=True)
    )


def _places(means: Sequence[Replicates], low: float, high: float) -> Floats:
    """All measured costs of that range, and many between."""
    knots = np.concatenate([line.log_costs for line in means])
    return np.union1d(knots[(knots > low) & (knots < high)], np.linspace(low, high, _PLACES))


def _led(means: Sequence[Replicates], low: float, high: float) -> list[tuple[float, int]]:
    """Where each lead begins, in logarithms of cost, and whose it is."""
    pairs = combinations(means, 2)
    crossings = {math.log(found.train_seconds.value) for pair in pairs for found in find_crossings(*pair, low, high)}
    places = [low, *sorted(place for place in crossings if low < place < high), high]
    led: list[tuple[float, int]] = []
    for start, stop in pairwise(places):
        values = [float(line.mean_quality(start, stop)[0]) for line in means]  # none overtakes another between
        leader = values.index(max(values))
        if not led or leader != led[-1][1]:
            led.append((start, leader))
    return led


def _draws(contenders: Sequence[Contender]) -> list[Replicates]:
    noises = [contender.curve.noise for contender in contenders]
    num = NUM_REPLICATES if all(noise.single is not None for noise in noises) else 0
    return [
        Replicates.draw(contender.points, noise, num, stream)
        for stream, (contender, noise) in enumerate(zip(contenders, noises, strict=True))
    ]


def _start(before: Replicates, after: Replicates, place: float) -> Interval:
    """Where `after` overtakes `before`, with what seeds do to that, as far as it is a crossing: two that were equal up
    to there only part."""
    found = find_crossings(before, after, *Pair(before, after).log_cost_range)
    there = (one.train_seconds for one in found if abs(math.log(one.train_seconds.value) - place) < _SAME)
    return next(there, Interval(math.exp(place), None, None))


def _is_sure(draws: Sequence[Replicates], leader: int, places: Floats, is_within: NDArray[np.bool_]) -> bool | None:
    """Of the lead at those of `places`, which are all common costs."""
    if draws[0].num == 1:
        return None
    is_ahead = is_within
    for other in (line for number, line in enumerate(draws) if number != leader):
        margins = draws[leader].qualities_at(places) - other.qualities_at(places)
        widths = np.array(simultaneous_widths(margins), dtype=np.float64)
        is_ahead = is_ahead & (margins[0] > widths)
    return bool(is_ahead.any())
