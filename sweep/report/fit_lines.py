"""The straight lines that a fit is made of: for a given exponent score = ceiling - slope x abscissa, the abscissa
being (ratio / shortest) ^ -exponent. Least squares over trials, within bounds, for all of some exponents at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """The lengths as shares of the shortest, and of each the mean of its trials and their number. `scatter` is the sum
    of squares of trials about those means: no curve can explain it. `highest` is what no ceiling is above."""

    shortened: Floats
    means: Floats
    counts: Floats
    scatter: float
    highest: float

    @classmethod
    def of(cls, ratios: Floats, scores: Floats, highest: float) -> Data:
        """Of trials: one element each."""
        lengths, places = np.unique(ratios, return_inverse=True)
        counts = np.bincount(places).astype(np.float64)
        means = np.bincount(places, scores) / counts
        return cls(lengths / lengths[0], means, counts, float(((scores - means[places]) ** 2).sum()), highest)

    def abscissas(self, exponents: Floats) -> Floats:
        """Shape (exponents, lengths)."""
        return self.shortened ** -exponents[:, None]

    def total(self, values: Floats) -> Floats:
        """The sum over all trials of what each length has, along the last axis."""
        return values @ self.counts

    @property
    def mean(self) -> float:
        """Of all trials."""
        return float(self.total(self.means) / self.counts.sum())


@dataclass(frozen=True)
class Lines:
    """For each of some exponents, along the first axis: the best line through (ratio / shortest) ^ -exponent, with a
    ceiling within its bound and a slope of at least 0, and its sum of squares."""

    exponents: Floats
    ceilings: Floats
    slopes: Floats
    errors: Floats

    def best(self) -> Line:
        """That of the least error."""
        place = int(self.errors.argmin())
        return Line(*(float(column[place]) for column in (self.exponents, self.ceilings, self.slopes, self.errors)))


@dataclass(frozen=True)
class Line:
    """One of them."""

    exponent: float
    ceiling: float
    slope: float
    error: float


def best_lines(exponents: Floats, data: Data) -> Lines:
    """The best line of each exponent."""
    abscissas = data.abscissas(exponents)
    ceilings, slopes = _free(abscissas, data)
    is_flat, is_full = slopes < 0, (slopes >= 0) & (ceilings > data.highest)
    if math.isfinite(data.highest):
        full = data.total((data.highest - data.means) * abscissas) / data.total(abscissas**2)
        slopes = np.where(is_full, full, slopes)
    ceilings = np.where(is_flat, data.mean, np.where(is_full, data.highest, ceilings))
    slopes = np.where(is_flat, 0.0, slopes)
    return Lines(exponents, ceilings, slopes, _errors(ceilings, slopes, abscissas, data))


def _free(abscissas: Floats, data: Data) -> tuple[Floats, Floats]:
    """Ceilings and slopes without bounds."""
    centres = data.total(abscissas) / data.counts.sum()
    from_mean = abscissas - centres[:, None]
    slopes = -data.total(from_mean * (data.means - data.mean)) / data.total(from_mean**2)
    return data.mean + slopes * centres, slopes


def _errors(ceilings: Floats, slopes: Floats, abscissas: Floats, data: Data) -> Floats:
    return data.total((ceilings[:, None] - slopes[:, None] * abscissas - data.means) ** 2) + data.scatter


def extremes(weights: Floats, exponents: Floats, data: Data, largest_error: float) -> list[float]:
    """What ceiling + weight x slope is at most and at least, over the lines within the bounds that have at most that
    error: of each exponent they lie on the ellipse of that error, or where a bound cuts it."""
    abscissas = data.abscissas(exponents)
    none = np.zeros_like(weights)
    corners = [
        *_on_the_ellipse(weights, abscissas, data, largest_error),
        *((ceilings, none) for ceilings in _reach(np.ones_like(abscissas), data.means, data, largest_error)),
    ]
    if math.isfinite(data.highest):
        bound = np.full_like(weights, data.highest)
        corners += [(bound, slopes) for slopes in _reach(abscissas, data.highest - data.means, data, largest_error)]
    values = [(ceilings + weights * slopes)[(ceilings <= data.highest) & (slopes >= 0)] for ceilings, slopes in corners]
    allowed = np.concatenate(values)
    return [float(allowed.min()), float(allowed.max())] if len(allowed) else []


def _on_the_ellipse(
    weights: Floats, abscissas: Floats, data: Data, largest_error: float
) -> list[tuple[Floats, Floats]]:
    """Where ceiling + weight x slope is extreme on it; NaN where all lines of an exponent have larger errors."""
    ceilings, slopes = _free(abscissas, data)
    room = _root(largest_error - _errors(ceilings, slopes, abscissas, data))
    count, total, squares = data.counts.sum(), data.total(abscissas), data.total(abscissas**2)
    # The covariance of ceiling and slope is [[squares, total], [total, count]] / determinant.
    determinant = count * data.total((abscissas - (total / count)[:, None]) ** 2)
    along = (squares + weights * total) / determinant, (total + weights * count) / determinant
    steps = [room * part / np.sqrt(along[0] + weights * along[1]) for part in along]
    return [(ceilings + sign * steps[0], slopes + sign * steps[1]) for sign in (-1, 1)]


def _reach(factors: Floats, values: Floats, data: Data, largest_error: float) -> list[Floats]:
    """Between which two numbers a parameter lies for which parameter x factors is near enough to the values."""
    squares = data.total(factors**2)
    best = data.total(factors * values) / squares
    errors = data.total((best[:, None] * factors - values) ** 2) + data.scatter
    room = _root((largest_error - errors) / squares)
    return [best - room, best + room]


def _root(values: Floats) -> Floats:
    return np.sqrt(np.where(values < 0, math.nan, values))
