"""Student's t and chi-squared of whole degrees of freedom, by their finite sums.

scipy has them too, but takes longer to be imported than all else of a report; it is the oracle of the tests.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

_MAX_ROUNDS = 100
_PRECISION = 1e-14


@lru_cache(maxsize=1024)
def students_t(degrees_of_freedom: int, coverage: float) -> float:
    """The t that a share `coverage` of Student's distribution lies within, on either side of zero.

    It is sqrt(degrees of freedom) times the tangent of an angle. How much lies within rises ever more slowly with the
    angle, so that Newton's method comes from below and never passes it.
    """
    n = degrees_of_freedom
    slope = 2 / math.sqrt(math.pi) * math.exp(math.lgamma((n + 1) / 2) - math.lgamma(n / 2))
    angle = 0.0
    for _ in range(_MAX_ROUNDS):
        step = (coverage - _share_within(angle, n)) / (slope * math.cos(angle) ** (n - 1))
        angle += step
        if step <= _PRECISION * angle:
            break
    return math.sqrt(n) * math.tan(angle)


def _share_within(angle: float, n: int) -> float:
    """How much of Student's t lies within sqrt(n) tan(angle), n being its degrees: Abramowitz & Stegun 26.7.3-4."""
    sine, cosine = math.sin(angle), math.cos(angle)
    factors = np.arange(2 if n % 2 else 1, n - 1, 2, dtype=np.float64)
    terms = 1 + float(np.cumprod(factors / (factors + 1) * cosine**2).sum())
    if n % 2 == 0:
        return sine * terms
    return 2 / math.pi * (angle + (sine * cosine * terms if n > 1 else 0.0))


def chi_squared_above(degrees_of_freedom: int, value: float) -> float:
    """How much of the chi-squared distribution lies above `value`: Abramowitz & Stegun 26.4.4-5."""
    if value <= 0:
        return 1.0
    half = value / 2
    powers = np.arange(degrees_of_freedom % 2 / 2, degrees_of_freedom / 2).tolist()
    terms = (math.exp(power * math.log(half) - half - math.lgamma(power + 1)) for power in powers)
    return math.fsum(terms) + (math.erfc(math.sqrt(half)) if degrees_of_freedom % 2 else 0.0)
