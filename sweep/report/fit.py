"""Score as a function of the length: score = ceiling - scale x ratio ^ -exponent.

Least squares over all finished trials, within bounds: no ceiling above the highest score that there is (1 of an
accuracy), and no curve that falls with the length.
For a given exponent the rest is a straight line, so only the exponent is searched for, from every dip of the error over
all of its range. Of three lengths the exponent is 1. Intervals are profile likelihood's: all curves whose squared error
is at most 1 + t² / df times the least.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import stdtrit

from sweep.report.fit_lines import Data, Floats, Line, best_lines, extremes

# Chosen: below the first a curve is a logarithm for all that a grid can tell, above the other it is a step.
_MIN_EXPONENT, _MAX_EXPONENT = 0.05, 5.0
_EXPONENTS = np.geomspace(_MIN_EXPONENT, _MAX_EXPONENT, 401)
_MIN_RATIOS = 3
_DIGITS = 9
# Of more ratios, every fiftieth is left out together: each fit searches anew.
_MAX_GROUPS = 50
# Twice the longest run, or half the shortest, is as far as a curve of a few lengths is believed.
_FURTHEST = 2.0

Range = tuple[float, float]
_SHARE: Range = (0.0, 1.0)


@dataclass(frozen=True)
class Prediction:
    """Score at a ratio, with its 95 % interval. Beyond the longest run no gain is claimed: there is only `high`,
    what it is at most."""

    ratio: float
    score: float | None
    low: float | None
    high: float


@dataclass(frozen=True)
class Fit:
    """The curve of `ratios` and `scores`, one element a trial. `bounds` are the lowest and the highest score that any
    trial can have, infinite where there is no such one.

    `leave_one_out_error` is the root mean square, over the ratios, of how far the curve that is fitted without a
    ratio lies off that ratio's mean.
    """

    ratios: Floats
    scores: Floats
    line: Line
    is_exponent_fitted: bool
    leave_one_out_error: float
    bounds: Range = _SHARE

    @property
    def smallest(self) -> float:
        return float(self.ratios.min())

    @property
    def largest(self) -> float:
        return float(self.ratios.max())

    @property
    def ceiling(self) -> float:
        return self.line.ceiling

    @property
    def exponent(self) -> float:
        return self.line.exponent

    @property
    def scale(self) -> float:
        """What is missing from the ceiling at ratio 1."""
        return self.line.slope * math.pow(self.smallest, self.exponent)

    @property
    def degrees_of_freedom(self) -> int:
        return len(self.ratios) - (3 if self.is_exponent_fitted else 2)

    @property
    def residual_sd(self) -> float:
        return math.sqrt(self.line.error / self.degrees_of_freedom)

    def score_at(self, ratio: float) -> float:
        return self._bounded(self.line.ceiling - self.line.slope * math.pow(ratio / self.smallest, -self.exponent))

    def interval_at(self, ratio: float) -> Range:
        """95 %, of the mean score at `ratio`."""
        return self._range(-((ratio / self.smallest) ** -self._exponents))

    @property
    def ceiling_interval(self) -> Range:
        return self._range(np.zeros_like(self._exponents))

    @property
    def exponent_interval(self) -> Range | None:
        """None where it was not fitted, or where the curve is flat: then any exponent is as good."""
        if not self.is_exponent_fitted or self.line.slope == 0:
            return None
        lines = best_lines(_EXPONENTS, self._data)
        inside = _EXPONENTS[lines.errors <= self._largest_error].tolist()
        return min([self.exponent, *inside]), max([self.exponent, *inside])

    def predict(self, ratio: float) -> Prediction:
        """Score at a ratio that may not have been run.

        Raises:
            ValueError: it is shorter than half the shortest, or longer than twice the longest run.
        """
        lowest, highest = self.smallest / _FURTHEST, self.largest * _FURTHEST
        if not lowest <= ratio <= highest:
            raise ValueError(f"not predicted, which reaches from {lowest:g} to {highest:g}")
        low, high = self.interval_at(ratio)
        if ratio > self.largest:
            return Prediction(ratio, None, None, high)
        return Prediction(ratio, self.score_at(ratio), low, high)

    @cached_property
    def _data(self) -> Data:
        return Data.of(self.ratios, self.scores, self.bounds[1])

    @cached_property
    def _exponents(self) -> Floats:
        """Those of the search, and the best one."""
        return np.append(_EXPONENTS if self.is_exponent_fitted else [], self.exponent)

    @cached_property
    def _largest_error(self) -> float:
        quantile = float(stdtrit(self.degrees_of_freedom, 0.975))
        return self.line.error * (1 + quantile**2 / self.degrees_of_freedom)

    def _range(self, weights: Floats) -> Range:
        """The least and the largest of ceiling + weight x slope over all curves that fit nearly as well, with a weight
        for each of the exponents: the abscissa of a ratio depends on it."""
        own = self.line.ceiling + float(weights[-1]) * self.line.slope
        ends = extremes(weights, self._exponents, self._data, self._largest_error)
        return self._bounded(min([own, *ends])), self._bounded(max([own, *ends]))

    def _bounded(self, score: float) -> float:
        return min(max(score, self.bounds[0]), self.bounds[1])


def fit_curve(ratios: Floats, scores: Floats, bounds: Range = _SHARE) -> Fit:
    """The best curve through trials: `ratios` as realised and `scores`, one element a trial, in any order.

    Raises:
        ValueError: fewer than three different ratios, or one of no length, said in a sentence.
    """
    # Steps are whole: two lengths that differ by less are one, written in two ways.
    ratios = np.round(ratios, _DIGITS)
    lengths = np.unique(ratios)
    if not (lengths > 0).all():
        raise ValueError("a run of no length is on no curve")
    if len(lengths) < _MIN_RATIOS:
        raise ValueError(f"a curve is fitted through three ratios or more: there are {len(lengths)}")
    groups = [lengths[first::_MAX_GROUPS] for first in range(min(len(lengths), _MAX_GROUPS))]
    off = np.concatenate([_errors_without(group, ratios, scores, bounds) for group in groups])
    line = _best(Data.of(ratios, scores, bounds[1]))
    return Fit(ratios, scores, line, len(lengths) > _MIN_RATIOS, math.sqrt(float(np.mean(off**2))), bounds)


def _errors_without(left_out: Floats, ratios: Floats, scores: Floats, bounds: Range) -> Floats:
    """How far the means at some lengths lie off the curve through all others."""
    others = ~np.isin(ratios, left_out)
    line, shortest = _best(Data.of(ratios[others], scores[others], bounds[1])), ratios[others].min()
    means = np.array([scores[ratios == length].mean() for length in left_out])
    predicted = np.clip(line.ceiling - line.slope * (left_out / shortest) ** -line.exponent, *bounds)
    errors: Floats = means - predicted
    return errors


def _best(data: Data) -> Line:
    of_one = best_lines(np.ones(1), data).best()
    if len(data.shortened) <= _MIN_RATIOS:
        return of_one
    lines = best_lines(_EXPONENTS, data)
    if not lines.slopes.any():  # flat: any exponent is as good
        return of_one
    errors = np.array([math.inf, *lines.errors, math.inf])
    dips = np.flatnonzero((errors[1:-1] < errors[:-2]) & (errors[1:-1] <= errors[2:]))
    return min([lines.best(), *(_refined(int(dip), data) for dip in dips)], key=lambda line: line.error)


def _refined(dip: int, data: Data) -> Line:
    """The best between the two neighbours of an exponent of the search."""
    found = minimize_scalar(
        lambda exponent: best_lines(np.array([exponent]), data).errors[0],
        bounds=(_EXPONENTS[max(dip - 1, 0)], _EXPONENTS[min(dip + 1, len(_EXPONENTS) - 1)]),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return best_lines(np.array([found.x]), data).best()
