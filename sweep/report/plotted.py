"""What is drawn of the curves, as plain numbers: seconds, and qualities as their axis shows them, in percent of an
accuracy, else the metric's values. Nothing here knows how it is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, pairwise

import numpy as np
import pandas as pd

from sweep.errors import Outcome
from sweep.printable import one_line
from sweep.report.analysis import Curve
from sweep.report.findings import Findings
from sweep.report.metric import ACCURACY, Metric
from sweep.report.summary import RatioSummary
from sweep.report.time_axis import padded

# Of the fitted line, which is smooth.
_NUM_SAMPLES = 49
# Of the axis of quality: in percentage points, else as a share of the largest value.
_MIN_SPAN, _MIN_SHARE = 1.0, 0.01
_ROOM = 0.07
# Chosen: losses that fall by as much bend less on a logarithmic axis.
_LOGARITHMIC_FROM = 10.0


@dataclass(frozen=True)
class Point:
    """A mean over seeds. `low` and `high` are the ends of its 95 % interval: None where there is none."""

    row: RatioSummary
    seconds: float
    quality: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Seed:
    """One finished trial. `seed` is its number, as text; `seconds` as they compare with the others'."""

    ratio: str
    seed: str
    seconds: float
    quality: float


@dataclass(frozen=True)
class Fitted:
    """The fitted quality at a cost, with the ends of its band."""

    seconds: float
    quality: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """A curve as it is drawn. `label` is what tells it from the others, safe to print."""

    label: str
    curve: Curve

    @property
    def metric(self) -> Metric:
        """What its qualities are of."""
        return self.curve.metric

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """The cheapest first."""
        return tuple(_point(self.metric, row) for row in self.curve.measured)

    @cached_property
    def front(self) -> tuple[Point, ...]:
        return tuple(point for point in self.points if point.row.is_on_front)

    @cached_property
    def seeds(self) -> tuple[Seed, ...]:
        """Every finished trial, at its own time."""
        trials = self.curve.trials[self.curve.trials["outcome"] == Outcome.FINISHED].to_dict("records")
        return tuple(
            Seed(
                one_line(str(trial["ratio_text"])),
                "not known" if pd.isna(trial["seed"]) else str(int(trial["seed"])),
                float(trial["train_seconds"] * trial["time_factor"]),
                self.metric.per_score * float(trial["quality"]),
            )
            for trial in trials
            if trial["train_seconds"] * trial["time_factor"] > 0 and math.isfinite(trial["quality"])
        )

    @cached_property
    def truncated(self) -> tuple[tuple[float, float], ...]:
        """(seconds, quality) of the full-length run, stopped at each shorter length."""
        known = [(point.seconds, point.row.truncated_score) for point in self.points]
        return tuple((seconds, self.metric.shown(score)) for seconds, score in known if score is not None)

    @cached_property
    def fitted(self) -> tuple[Fitted, ...]:
        """From the shortest to the longest length that ran; empty where nothing can be fitted, or where a longer run
        has cost no more time."""
        rows = sorted(self.curve.measured, key=lambda row: row.realised_ratio)
        ratios, costs = [row.realised_ratio for row in rows], [row.train_seconds or 0.0 for row in rows]
        if not _rises(ratios) or not _rises(costs):
            return ()
        from sweep.report.fitted import fit_of

        try:
            fit = fit_of(self.curve)
        except ValueError:
            return ()
        lengths = np.geomspace(fit.smallest, fit.largest, _NUM_SAMPLES)
        seconds = np.exp(np.interp(np.log(lengths), np.log(ratios), np.log(costs)))
        return tuple(
            Fitted(float(cost), self.metric.shown(fit.score_at(ratio)), *self._band(*fit.interval_at(ratio)))
            for ratio, cost in zip(lengths.tolist(), seconds, strict=True)
        )

    def _band(self, low: float, high: float) -> tuple[float, float]:
        ends = self.metric.range(low, high)
        return self.metric.per_score * ends[0], self.metric.per_score * ends[1]


@dataclass(frozen=True)
class Limits:
    """The ends of both axes. `is_logarithmic` is that of quality, where all there is on it is above 0."""

    shortest: float
    longest: float
    lowest: float
    highest: float
    metric: Metric = ACCURACY
    is_logarithmic: bool = False

    def with_room(self) -> Limits:
        """With room on all sides, above 100 % only as much as a mark there needs."""
        times = padded(self.shortest, self.longest)
        if self.is_logarithmic:
            factor = (self.highest / self.lowest) ** _ROOM
            return replace(self._timed(*times), lowest=self.lowest / factor, highest=self.highest * factor)
        room = _ROOM * (self.highest - self.lowest)
        highest = self.highest + room
        if self.metric.is_share:
            highest = min(highest, max(100.0, self.highest) + room / 2)
        return replace(self._timed(*times), lowest=self.lowest - room, highest=highest)

    def _timed(self, shortest: float, longest: float) -> Limits:
        return replace(self, shortest=shortest, longest=longest)

    def up(self, quality: float) -> float:
        """How far up the axis a quality lies, as a share."""
        if not self.is_logarithmic:
            return (quality - self.lowest) / (self.highest - self.lowest)
        return math.log(max(quality, self.lowest) / self.lowest) / math.log(self.highest / self.lowest)

    def down(self, quality: float) -> float:
        """How far from the top."""
        if self.is_logarithmic:
            return 1 - self.up(quality)
        return (self.highest - quality) / (self.highest - self.lowest)

    def drawable(self, quality: float) -> float:
        """A quality that the axis has a place for, if need be beyond its end."""
        return max(quality, self.lowest) if self.is_logarithmic else quality


_ANYTHING = Limits(1.0, 3600.0, 0.0, 100.0)


def make_series(findings: Findings) -> tuple[Series, ...]:
    """One for each curve of which something was measured; no two labels are the same."""
    curves = [curve for curve in findings.curves if curve.measured]
    labels = _distinct(one_line(findings.label(curve) or curve.recipe) for curve in curves)
    return tuple(Series(label, curve) for label, curve in zip(labels, curves, strict=True))


def limits_of(series: Iterable[Series]) -> Limits:
    """What holds all that was measured; of nothing, axes for anything.

    Intervals of accuracies are held as far as they lie within 0 … 100 %. A fit's band may be cut off: of few lengths it
    can be far wider than all there is to see.
    """
    shown = list(series)
    places = [(point.seconds, point.quality) for one in shown for point in one.points]
    places += [(seed.seconds, seed.quality) for one in shown for seed in one.seeds]
    places += [place for one in shown for place in one.truncated]
    if not places:
        return _ANYTHING.with_room()
    metric, times = shown[0].metric, [seconds for seconds, _ in places]
    measured = [quality for _, quality in places]
    ends = [end for one in shown for point in one.points for end in (point.low, point.high) if end is not None]
    is_logarithmic = metric.is_lower_better and 0 < _LOGARITHMIC_FROM * min(measured) <= max(measured)
    if metric.is_share:
        ends = [min(max(end, 0.0), 100.0) for end in ends]
    held = measured + [end for end in ends if end > 0 or not is_logarithmic]
    spread = (min(held), max(held)) if is_logarithmic else _spread(metric, min(held), max(held))
    return Limits(min(times), max(times), *spread, metric, is_logarithmic).with_room()


def _spread(metric: Metric, lowest: float, highest: float) -> tuple[float, float]:
    """At least a percentage point, so that what is equal looks so; none of it above 100 %. Of another metric as much of
    its size."""
    if not metric.is_share:
        size = max(abs(lowest), abs(highest)) or 1.0
        missing = max(_MIN_SHARE * size - (highest - lowest), 0.0)
        return lowest - missing / 2, highest + missing / 2
    missing = max(_MIN_SPAN - (highest - lowest), 0.0)
    above = min(missing / 2, max(100.0 - highest, 0.0))
    return lowest - missing + above, highest + above


def _point(metric: Metric, row: RatioSummary) -> Point:
    quality, ci95, factor = metric.shown(row.sample.mean), row.ci95, metric.per_score
    low, high = (None, None) if ci95 is None else (quality - factor * ci95, quality + factor * ci95)
    return Point(row, row.train_seconds or 0.0, quality, low, high)


def _rises(values: Sequence[float]) -> bool:
    return all(before < after for before, after in pairwise(values))


def _distinct(labels: Iterable[str]) -> list[str]:
    """Labels that differ, where writing control characters out has made some equal."""
    known: list[str] = []
    for label in labels:
        numbered = (label if number == 1 else f"{label} ({number})" for number in count(1))
        known.append(next(name for name in numbered if name not in known))
    return known
