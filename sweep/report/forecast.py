"""What a trial that has not run may score: the curve at its length, and what seeds do to it.

At a length that has run the curve is its mean; at a new one the fit, or, through two lengths alone, anything between
the two. What the curve may be off by and what seeds do are independent: both are gone through in equally likely steps,
paired by a lattice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sweep.report.analysis import Curve
from sweep.report.distributions import students_t
from sweep.report.fit import Fit
from sweep.report.fitted import fit_of
from sweep.report.intervals import Spread
from sweep.report.summary import RatioSummary

# Chosen: a chance of 1 % is two of them. Two neighbours of Fibonacci's make the lattice that fills a square evenly.
NUM_OUTCOMES, _STRIDE = 233, 144
_COVERAGE = 0.95


@dataclass(frozen=True)
class Doubt:
    """What a score may be off by: Student's t times `sd`, of so many degrees of freedom; None: anything alike within
    sqrt(3) times `sd`."""

    sd: float
    degrees_of_freedom: int | None

    def quantile(self, share: float) -> float:
        if self.degrees_of_freedom is None:
            return self.sd * math.sqrt(12) * (share - 0.5)
        return self.sd * math.copysign(students_t(self.degrees_of_freedom, abs(2 * share - 1)), share - 0.5)


@dataclass(frozen=True)
class Forecast:
    """A score, and what it may be off by."""

    score: float
    curve: Doubt
    noise: Doubt

    def outcomes(self, bounds: tuple[float, float]) -> list[float]:
        """Scores that are equally likely."""
        low, high = bounds
        shares = [(place + 0.5) / NUM_OUTCOMES for place in range(NUM_OUTCOMES)]
        curve, noise = ([doubt.quantile(share) for share in shares] for doubt in (self.curve, self.noise))
        pairs = ((curve[place], noise[place * _STRIDE % NUM_OUTCOMES]) for place in range(NUM_OUTCOMES))
        return [min(max(self.score + off + more, low), high) for off, more in pairs]


@dataclass(frozen=True)
class Forecaster:
    """Of one curve. `fit` is None where fewer than three lengths have run. `noise` is that of a single trial: of trials
    that differ by their seed alone, else what the fit leaves over (`is_of_fit`)."""

    curve: Curve
    fit: Fit | None
    noise: Spread
    is_of_fit: bool

    @classmethod
    def of(cls, curve: Curve) -> Forecaster | None:
        """None where nothing is known of noise."""
        try:
            fit = fit_of(curve)
        except ValueError:
            fit = None
        if curve.noise.single is not None:
            return cls(curve, fit, curve.noise.single, is_of_fit=False)
        if fit is None or fit.degrees_of_freedom < 1:
            return None
        return cls(curve, fit, Spread(fit.residual_sd, fit.degrees_of_freedom), is_of_fit=True)

    def another_seed(self, row: RatioSummary) -> Forecast:
        """Of a length that has run."""
        sd = self.noise.sd * math.sqrt(1 + 1 / len(row.sample))
        return Forecast(row.sample.mean, Doubt(0.0, None), Doubt(sd, self.noise.degrees_of_freedom))

    def new_length(self, ratio: float, shorter: RatioSummary | None, longer: RatioSummary) -> Forecast | None:
        """Of a realised ratio between two that have run; None where nothing tells."""
        noise = Doubt(self.noise.sd, self.noise.degrees_of_freedom)
        if self.fit is not None:
            low, high = self.fit.interval_at(ratio)
            half_width = students_t(self.fit.degrees_of_freedom, _COVERAGE)
            curve = Doubt((high - low) / 2 / half_width, self.fit.degrees_of_freedom)
            return Forecast(self.fit.score_at(ratio), curve, noise)
        if shorter is None:
            return None
        ends = (shorter.sample.mean, longer.sample.mean)
        return Forecast(sum(ends) / 2, Doubt(abs(ends[1] - ends[0]) / math.sqrt(12), None), noise)
