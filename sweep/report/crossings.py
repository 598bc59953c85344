"""Where one curve overtakes the other: the roots of the difference of two piecewise cubics over log cost.

The difference is itself a cubic between any two neighbouring knots of both, so that its roots are exact. Touching
without changing sides is no crossing, nor is running together for a while, unless they part on the other side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from sweep.report.monotone import Floats
from sweep.report.replicates import Interval, Replicates, interval_of

# A difference that is a smaller share of the scores than this is rounding.
_ROUNDING = 1e-12
# Chosen: where a replicate crosses is read off this many steps of log cost, linear in between.
_STEPS = 256


@dataclass(frozen=True)
class Crossing:
    """At the cost `train_seconds`, and from there on, the new curve is the better one (`is_new_ahead`), or the old."""

    train_seconds: Interval
    score: float
    is_new_ahead: bool


def find_crossings(old: Replicates, new: Replicates, low: float, high: float) -> tuple[Crossing, ...]:
    """The measured curves' crossings between two logarithms of cost, which both of them span, by cost."""
    if not low < high:
        return ()
    difference = _difference(old, new, low, high)
    found = _changes(
        difference, low, high, _ROUNDING * max(np.abs(old.qualities[0]).max(), np.abs(new.qualities[0]).max())
    )
    grid = np.linspace(low, high, _STEPS + 1)
    moved = new.qualities_at(grid)[1:] - old.qualities_at(grid)[1:]
    return tuple(_crossing(old, place, is_ahead, grid, moved) for place, is_ahead in found)


def _difference(old: Replicates, new: Replicates, low: float, high: float) -> CubicHermiteSpline:
    knots = np.union1d(old.log_costs, new.log_costs)
    knots = np.concatenate([[low], knots[(knots > low) & (knots < high)], [high]])
    lines = [PchipInterpolator(curve.log_costs, curve.qualities[0]) for curve in (old, new)]
    values, slopes = ([line(knots, nu) for line in lines] for nu in (0, 1))
    return CubicHermiteSpline(knots, values[1] - values[0], slopes[1] - slopes[0])


def _changes(difference: CubicHermiteSpline, low: float, high: float, rounding: float) -> list[tuple[float, bool]]:
    """Where the sign changes, and whether to positive. Between its roots it does not."""
    roots = difference.roots(extrapolate=False)
    ends = np.unique(np.concatenate([difference.x, roots[np.isfinite(roots) & (roots > low) & (roots < high)]]))
    middles = difference((ends[:-1] + ends[1:]) / 2)
    signs = np.where(np.abs(middles) > rounding, np.sign(middles), 0)
    changes: list[tuple[float, bool]] = []
    last = 0.0
    for start, sign in zip(ends[:-1], signs, strict=True):
        if sign and last and sign != last:
            changes.append((float(start), bool(sign > 0)))
        last = sign or last
    return changes


def _crossing(old: Replicates, place: float, is_ahead: bool, grid: Floats, moved: Floats) -> Crossing:
    nearest = _nearest_changes(grid, moved if is_ahead else -moved, place)
    interval = interval_of(np.concatenate([[place], nearest]))
    assert interval is not None
    score = PchipInterpolator(old.log_costs, old.qualities[0])(place)
    return Crossing(interval.map(math.exp), float(score), is_ahead)


def _nearest_changes(grid: Floats, moved: Floats, place: float) -> Floats:
    """Where each replicate's difference rises through zero, as near to `place` as it does; NaN where it never does."""
    before, after = moved[:, :-1], moved[:, 1:]
    rises = (before <= 0) & (after > 0)
    share = np.divide(-before, after - before, out=np.zeros_like(before), where=rises)
    places = grid[:-1] + share * np.diff(grid)
    away = np.where(rises, np.abs(places - place), np.inf)
    nearest = away.argmin(axis=1)[:, None]
    found = np.take_along_axis(places, nearest, axis=1)
    return np.asarray(np.where(np.take_along_axis(rises, nearest, axis=1), found, np.nan)[:, 0])
