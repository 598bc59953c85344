"""What time a length takes: a fixed part and a part for each step, and whether cost is proportional to length.

Weighted least squares over the finished trials, each weighted by 1 / time², since what disturbs a time does so in
proportion. Lengths are steps where the table has them, else epochs, else ratios.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.errors import Outcome
from sweep.report.analysis import Curve
from sweep.report.cells import duration_text, short_text

# Chosen: more than what times scatter by on a quiet machine.
_NOTABLE = 0.10
# Seconds: below them nothing was timed.
_SHORTEST = 1e-9
_UNITS = {"steps": "a step", "epochs": "an epoch", "realised_ratio": "a baseline's length"}


@dataclass(frozen=True)
class CostModel:
    """time = `fixed_seconds` + `seconds_per_unit` x length; a `unit` is a step, an epoch or a baseline's length.

    `largest_residual` is the largest share of its time by which a length's mean lies off that line. `disproportion` is
    by how much the dearest unit, a length's mean time over its length, costs more than the cheapest: 0.1 is a tenth;
    `is_fixed_cost`: the fixed part explains most of that.
    """

    unit: str
    fixed_seconds: float
    seconds_per_unit: float
    largest_residual: float
    disproportion: float
    is_fixed_cost: bool
    dearest: str
    cheapest: str

    @property
    def is_proportional(self) -> bool:
        return self.disproportion <= _NOTABLE

    @property
    def text(self) -> str:
        """`time: 0.02 s a run and 1.64 ms a step; the means lie at most 1 % off`."""
        each = f"{short_text(self.seconds_per_unit)} {self.unit}"
        fixed = f"{duration_text(self.fixed_seconds)} a run and {each}" if self.fixed_seconds >= 0.005 else each
        return f"time: {fixed}; the means lie at most {100 * self.largest_residual:.0f} % off"

    @property
    def warning(self) -> str | None:
        """The sentence where cost is not proportional to length, with what that points to."""
        if self.is_proportional:
            return None
        text = (
            f"cost is not proportional to length: {self.unit} took {100 * self.disproportion:.0f} % longer at ratio "
            f"{self.dearest} than at {self.cheapest}"
        )
        if self.is_fixed_cost:
            return f"{text}; a fixed {duration_text(self.fixed_seconds)} a run explains that"
        return f"{text}; contention or throttling may have stretched some of the times"


def cost_model(curve: Curve) -> CostModel | None:
    """Of the trials on the curve's reference; None where fewer than two lengths of them have finished."""
    trials = curve.trials
    timed = (trials["outcome"] == Outcome.FINISHED) & (trials["train_seconds"] >= _SHORTEST)
    finished = trials[timed & curve.set_ups.own(trials)]
    column = next(name for name in _UNITS if finished[name].notna().all())
    by_length = _means(finished, column)
    lengths, seconds = by_length.index.to_numpy(dtype=np.float64), by_length.to_numpy()
    if len(lengths) < 2 or not (lengths > 0).all():
        return None
    times = finished["train_seconds"].to_numpy(dtype=np.float64)
    fixed, per_unit = _line(finished[column].to_numpy(dtype=np.float64), times)
    each = seconds / lengths
    dearest, cheapest = by_length.index[int(each.argmax())], by_length.index[int(each.argmin())]
    residuals = np.abs(fixed + per_unit * lengths - seconds) / seconds
    return CostModel(
        unit=_UNITS[column],
        fixed_seconds=fixed,
        seconds_per_unit=per_unit,
        largest_residual=float(residuals.max()),
        disproportion=float(each.max() / each.min() - 1),
        is_fixed_cost=bool(fixed > (each.max() / each.min() - 1) / 2 * per_unit * lengths.min()),
        dearest=_ratio_text(finished, column, dearest),
        cheapest=_ratio_text(finished, column, cheapest),
    )


def _means(finished: pd.DataFrame, column: str) -> pd.Series[float]:
    return finished.groupby(column)["train_seconds"].mean()


def _ratio_text(finished: pd.DataFrame, column: str, length: float) -> str:
    return str(finished.loc[finished[column] == length, "ratio_text"].iloc[0])


def _line(lengths: NDArray[np.float64], seconds: NDArray[np.float64]) -> tuple[float, float]:
    """Intercept and slope, neither below zero: no run ends before it begins, and no step gives time back."""
    ones, relative = 1 / seconds, lengths / seconds
    (fixed, per_unit), *_ = np.linalg.lstsq(np.column_stack([ones, relative]), np.ones_like(seconds), rcond=None)
    if fixed < 0:
        return 0.0, float(relative.sum() / (relative**2).sum())
    if per_unit < 0:
        return float(ones.sum() / (ones**2).sum()), 0.0
    return float(fixed), float(per_unit)
