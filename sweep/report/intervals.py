"""What seeds do to a score, and 95 % intervals of means and of their differences.

The seeds of one ratio are few, so one standard deviation serves all ratios of a curve: a mean's is pooled over them,
and that of a difference is what is left once every ratio and every seed has its own mean (a two-way layout), since a
seed that is lucky is so at every ratio. A score is what metric.py makes of what is
measured. docs/reading-the-report.md has the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.report.distributions import chi_squared_above, students_t

_COVERAGE = 0.95


@dataclass(frozen=True)
class Sample:
    """The scores of one ratio, one a trial that finished. A seed that is not known is None."""

    seeds: tuple[int | None, ...]
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        return math.fsum(self.scores) / len(self.scores)

    @property
    def sd(self) -> float | None:
        """The standard deviation, with n - 1; None of a single trial."""
        spread = _pooled([self])
        return spread.sd if spread else None

    @property
    def by_seed(self) -> dict[int, float]:
        return {seed: value for seed, value in zip(self.seeds, self.scores, strict=True) if seed is not None}

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Spread:
    """A standard deviation that serves all ratios of a curve."""

    sd: float
    degrees_of_freedom: int

    def half_width(self, variances: float, num_chosen_from: int = 1) -> float:
        """Half the 95 % interval of a sum of independent means whose variances are `variances` times `sd` squared: of
        the highest of several, wide enough for all of them (Bonferroni)."""
        coverage = 1 - (1 - _COVERAGE) / num_chosen_from
        return students_t(self.degrees_of_freedom, coverage) * self.sd * math.sqrt(variances)


@dataclass(frozen=True)
class Estimate:
    """A mean, a difference of means or another weighted sum of them, with half its 95 % interval: None where it is of
    one seed. `is_paired` where every seed is compared with itself."""

    value: float
    ci95: float | None
    is_paired: bool = False

    @property
    def is_tie(self) -> bool | None:
        """Whether zero lies inside the interval; None where there is none."""
        return None if self.ci95 is None else abs(self.value) <= self.ci95


@dataclass(frozen=True)
class Noise:
    """The spread of a curve over seeds: of single trials, and of what is left where seeds are compared with
    themselves. None where no ratio (no two ratios) has two seeds."""

    single: Spread | None
    paired: Spread | None

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Noise:
        return cls(_pooled(samples), _left_over(samples))

    def mean(self, sample: Sample) -> Estimate:
        """Of one ratio."""
        known = self.single is not None and len(sample) > 1
        return Estimate(sample.mean, self.single.half_width(1 / len(sample)) if known and self.single else None)

    def difference(self, one: Sample, other: Sample) -> Estimate:
        """How much better `one` is."""
        return self.contrast([(1.0, one), (-1.0, other)])

    def contrast(self, weighted: Sequence[tuple[float, Sample]], num_chosen_from: int = 1) -> Estimate:
        """A weighted sum of means, the weights summing to 0. Every seed is compared with itself where all have the same
        seeds. Of the highest of several its interval is wide enough for all of them."""
        value = math.fsum(weight * sample.mean for weight, sample in weighted)
        seeds = [set(sample.by_seed) for _, sample in weighted]
        is_paired = all(each == seeds[0] for each in seeds) and len(seeds[0]) == len(weighted[0][1])
        if not is_paired:
            known = self.single is not None and all(len(sample) > 1 for _, sample in weighted)
            variances = math.fsum(weight**2 / len(sample) for weight, sample in weighted)
            spread = self.single if known else None
            return Estimate(value, spread.half_width(variances, num_chosen_from) if spread else None)
        variances = math.fsum(weight**2 for weight, _ in weighted) / len(seeds[0])
        spread = self.paired if len(seeds[0]) > 1 else None
        return Estimate(value, spread.half_width(variances, num_chosen_from) if spread else None, is_paired=True)


def _pooled(samples: Sequence[Sample]) -> Spread | None:
    degrees_of_freedom = sum(max(len(sample) - 1, 0) for sample in samples)
    if not degrees_of_freedom:
        return None
    squares = math.fsum((value - sample.mean) ** 2 for sample in samples for value in sample.scores)
    return Spread(math.sqrt(squares / degrees_of_freedom), degrees_of_freedom)


def _left_over(samples: Sequence[Sample]) -> Spread | None:
    """The residual spread of score = ratio + seed, by least squares: exact for whatever trials are missing."""
    tables = [table for sample in samples if (table := sample.by_seed)]
    seeds = sorted({seed for table in tables for seed in table})
    if not seeds:
        return None
    there = np.array([[seed in table for seed in seeds] for table in tables], dtype=np.float64)
    values = np.array([[table.get(seed, 0.0) for seed in seeds] for table in tables])
    residuals, num_free = _two_way(there, values)
    degrees_of_freedom = int(there.sum()) - len(tables) - num_free
    if degrees_of_freedom < 1:
        return None
    return Spread(math.sqrt(float((residuals**2).sum()) / degrees_of_freedom), degrees_of_freedom)


def _two_way(there: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """What ratios' and seeds' means leave of a table of ratios x seeds that has holes, and how many seeds are free.

    Each ratio's mean is taken out first, so that only an equation a seed is left to be solved.
    """
    counts = there.sum(axis=1, keepdims=True)
    centred = there * (values - values.sum(axis=1, keepdims=True) / counts)
    matrix = np.diag(there.sum(axis=0)) - there.T @ (there / counts)
    effects, _, num_free, _ = np.linalg.lstsq(matrix, centred.sum(axis=0), rcond=None)
    return centred - there * (effects - (there @ effects)[:, None] / counts), int(num_free)


def unequal_spreads(samples: Sequence[Sample]) -> float | None:
    """Bartlett's test: how probable spreads as different as these are where all ratios have the same one.

    None where fewer than two ratios have two seeds, or where one has no spread at all.
    """
    variances = [(len(sample) - 1, float(np.var(sample.scores, ddof=1))) for sample in samples if len(sample) > 1]
    if len(variances) < 2 or min(variance for _, variance in variances) <= 0:
        return None
    total = sum(count for count, _ in variances)
    pooled = math.fsum(count * variance for count, variance in variances) / total
    spread = total * math.log(pooled) - math.fsum(count * math.log(variance) for count, variance in variances)
    correction = 1 + (math.fsum(1 / count for count, _ in variances) - 1 / total) / (3 * (len(variances) - 1))
    return chi_squared_above(len(variances) - 1, spread / correction)
