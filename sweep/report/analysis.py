"""Cost and quality over the lengths of a recipe: pure functions of the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from sweep.errors import Outcome
from sweep.report.approximation import is_approximate
from sweep.report.intervals import Estimate, Noise
from sweep.report.metric import ACCURACY, Metric
from sweep.report.set_ups import SetUps
from sweep.report.summary import RatioSummary, in_points, summarise


@dataclass(frozen=True)
class Curve:
    """Cost and quality of one recipe and method, a row a length, the shortest first.

    `trials` are the frame's own rows of it, and by which `time_factor` the times of each compare; `devices` and
    `set_ups` where its finished trials ran, as far as that is known. `metric` is what quality is.
    """

    recipe: str
    method: str
    devices: tuple[str, ...]
    set_ups: SetUps
    rows: tuple[RatioSummary, ...]
    noise: Noise
    trials: pd.DataFrame
    metric: Metric

    @property
    def is_approximate(self) -> bool:
        """Whether its lengths stand in for runs that were not trained."""
        return is_approximate(self.method)

    @cached_property
    def measured(self) -> tuple[RatioSummary, ...]:
        """The lengths of which a trial has finished, the cheapest first."""
        return tuple(sorted((row for row in self.rows if row.is_measured), key=lambda row: row.train_seconds or 0.0))

    @cached_property
    def front(self) -> tuple[RatioSummary, ...]:
        """The lengths that are worth their cost, the cheapest first: each is better than the one before."""
        return tuple(row for row in self.measured if row.is_on_front)

    @cached_property
    def baseline(self) -> RatioSummary | None:
        """The whole baseline, where a trial of it has finished."""
        return next((row for row in self.measured if row.is_baseline), None)

    @cached_property
    def best(self) -> RatioSummary | None:
        """The best length: of several the cheapest."""
        return self.front[-1] if self.front else None

    def points_between(self, row: RatioSummary, other: RatioSummary) -> Estimate:
        """How many points better `row` is."""
        return in_points(self.noise.difference(row.sample, other.sample), self.metric)


def make_curves(frame: pd.DataFrame, metric: Metric = ACCURACY) -> tuple[Curve, ...]:
    """A curve for each recipe and method, in the frame's order."""
    return tuple(_curve(trials, metric) for _, trials in frame.groupby(["recipe", "method"], sort=False, dropna=False))


def _curve(trials: pd.DataFrame, metric: Metric) -> Curve:
    set_ups = SetUps.of(trials)
    trials = trials.assign(time_factor=[set_ups.factor(name) for name in trials["set_up"]])
    finished = trials[trials["outcome"] == Outcome.FINISHED]
    rows, noise = summarise(trials, metric, set_ups)
    return Curve(
        recipe=str(trials["recipe"].iloc[0]),
        method=str(trials["method"].iloc[0]),
        devices=tuple(finished["device"].dropna().unique()),
        set_ups=set_ups,
        rows=rows,
        noise=noise,
        trials=trials,
        metric=metric,
    )


def max_contention(frame: pd.DataFrame) -> float | None:
    """The largest share of CPU time, in 0..1, that other processes used during any finished trial."""
    values = frame["contention"].dropna()
    return float(values.max()) if len(values) else None


def score_at(curves: Sequence[Curve], ratio: float) -> float | None:
    """Mean score of the trials at `ratio`, as asked or else as realised: of several curves' the lowest.

    None where there are no such trials, or not all of them have finished.
    """
    rows = [row for curve in curves for row in curve.rows]
    there = [row for row in rows if row.ratio == ratio] or [row for row in rows if row.realised_ratio == ratio]
    means = [row.score if row.num_finished == row.num_trials else None for row in there]
    known = [mean for mean in means if mean is not None]
    return min(known) if known and len(known) == len(means) else None
