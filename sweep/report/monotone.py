"""Monotone piecewise cubics through points (PCHIP; Fritsch and Butland, 1984): no overshoot, no extrapolation.

Many at once, each with knots of its own, which scipy's PchipInterpolator does not do: the lengths that are worth their
cost differ from one simulated repetition of a sweep to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class MonotoneCubics:
    """N curves through K points each: `x`, ascending in each row, and `y`, both (N, K)."""

    x: Floats
    y: Floats

    def at(self, points: Floats) -> Floats:
        """The values at `points` (N, P): (N, P). Beyond a curve's ends it is what the end is."""
        if self.x.shape[1] == 1:
            return np.broadcast_to(self.y, points.shape)
        place, t = self._places(points)
        h, y0, y1, m0, m1 = self._segments(place)
        return y0 + t * (h * m0 + t * (3 * (y1 - y0) - h * (2 * m0 + m1) + t * (2 * (y0 - y1) + h * (m0 + m1))))

    def integral(self, low: Floats, high: Floats) -> Floats:
        """The exact integral of each from its `low` to its `high`, both (N,) and between its ends: (N,)."""
        if self.x.shape[1] == 1:
            return self.y[:, 0] * (high - low)
        return self._integral_to(high) - self._integral_to(low)

    def _integral_to(self, end: Floats) -> Floats:
        place, t = self._places(end[:, None])
        h, y0, y1, m0, m1 = self._segments(place)
        cubed, squared = t**3 / 3 * (3 * (y1 - y0) - h * (2 * m0 + m1)), t**2 / 2 * h * m0
        partial = h * (t * y0 + squared + cubed + t**4 / 4 * (2 * (y0 - y1) + h * (m0 + m1)))
        return np.asarray((np.take_along_axis(self._whole, place, axis=1) + partial)[:, 0])

    @cached_property
    def _whole(self) -> Floats:
        """The integral from the first knot to each but the last: (N, K - 1)."""
        h, (y0, y1), (m0, m1) = np.diff(self.x), _ends(self.y), _ends(self._slopes)
        whole = h * ((y0 + y1) / 2 + h * (m0 - m1) / 12)
        return np.cumsum(np.concatenate([np.zeros_like(whole[:, :1]), whole[:, :-1]], axis=1), axis=1)

    def _places(self, points: Floats) -> tuple[NDArray[np.intp], Floats]:
        """Between which two knots each point lies, and how far from the first to the second, in 0..1."""
        place = np.zeros(points.shape, dtype=np.intp)
        for knot in self.x.T[1:-1]:  # one after the other: all at once would fill the memory
            place += points >= knot[:, None]
        h, start = np.take_along_axis(np.diff(self.x), place, axis=1), np.take_along_axis(self.x, place, axis=1)
        return place, np.clip((points - start) / h, 0.0, 1.0)

    def _segments(self, place: NDArray[np.intp]) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Of the segments there: width, and value and slope at the beginning and at the end."""
        parts = (np.diff(self.x), *_ends(self.y), *_ends(self._slopes))
        h, y0, y1, m0, m1 = (np.take_along_axis(part, place, axis=1) for part in parts)
        return h, y0, y1, m0, m1

    @cached_property
    def _slopes(self) -> Floats:
        h, secants = np.diff(self.x), np.diff(self.y) / np.diff(self.x)
        if h.shape[1] == 1:
            return np.repeat(secants, 2, axis=1)
        first = _end_slope(h[:, 0], h[:, 1], secants[:, 0], secants[:, 1])
        last = _end_slope(h[:, -1], h[:, -2], secants[:, -1], secants[:, -2])
        return np.concatenate([first[:, None], _inner_slopes(h, secants), last[:, None]], axis=1)


def _ends(values: Floats) -> tuple[Floats, Floats]:
    return values[:, :-1], values[:, 1:]


def _inner_slopes(h: Floats, secants: Floats) -> Floats:
    """Weighted harmonic means of the secants on both sides; level where these point in different directions."""
    (h0, h1), (s0, s1) = _ends(h), _ends(secants)
    w0, w1 = h0 + 2 * h1, 2 * h0 + h1
    goes_on = s0 * s1 > 0
    return np.divide((w0 + w1) * s0 * s1, w0 * s1 + w1 * s0, out=np.zeros_like(s0), where=goes_on)


def _end_slope(h0: Floats, h1: Floats, s0: Floats, s1: Floats) -> Floats:
    """That of the parabola through three points, held back to where it keeps their shape."""
    slope = ((2 * h0 + h1) * s0 - h0 * s1) / (h0 + h1)
    slope = np.where((np.sign(s0) != np.sign(s1)) & (np.abs(slope) > 3 * np.abs(s0)), 3 * s0, slope)
    return np.where(np.sign(slope) == np.sign(s0), slope, 0.0)
