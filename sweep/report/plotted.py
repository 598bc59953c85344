"""What is drawn of the curves, as plain numbers: seconds and percent. Nothing here knows how it is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, pairwise

import numpy as np
import pandas as pd

from sweep.errors import Outcome
from sweep.printable import one_line
from sweep.report.analysis import Curve
from sweep.report.findings import Findings
from sweep.report.summary import RatioSummary
from sweep.report.time_axis import padded

# Of the fitted line, which is smooth.
_NUM_SAMPLES = 49
_MIN_SPAN = 1.0
_ROOM = 0.07


@dataclass(frozen=True)
class Point:
    """A mean over seeds. `low` and `high` are the ends of its 95 % interval: None where there is none."""

    row: RatioSummary
    seconds: float
    percent: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Seed:
    """One finished trial. `seed` is its number, as text."""

    ratio: str
    seed: str
    seconds: float
    percent: float


@dataclass(frozen=True)
class Fitted:
    """The fitted accuracy at a cost, with the ends of its band."""

    seconds: float
    percent: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """A curve as it is drawn. `label` is what tells it from the others, safe to print."""

    label: str
    curve: Curve

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """The cheapest first."""
        return tuple(_point(row) for row in self.curve.measured)

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
                float(trial["train_seconds"]),
                100 * float(trial["accuracy"]),
            )
            for trial in trials
            if trial["train_seconds"] > 0 and math.isfinite(trial["accuracy"])
        )

    @cached_property
    def truncated(self) -> tuple[tuple[float, float], ...]:
        """(seconds, percent) of the full-length run, stopped at each shorter length."""
        known = [(point.seconds, point.row.truncated_accuracy) for point in self.points]
        return tuple((seconds, 100 * accuracy) for seconds, accuracy in known if accuracy is not None)

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
            Fitted(float(cost), *(100 * value for value in (fit.accuracy_at(ratio), *fit.interval_at(ratio))))
            for ratio, cost in zip(lengths.tolist(), seconds, strict=True)
        )


@dataclass(frozen=True)
class Limits:
    """The ends of both axes, in seconds and in percent."""

    shortest: float
    longest: float
    lowest: float
    highest: float

    def with_room(self) -> Limits:
        """With room on all sides, above 100 % only as much as a mark there needs."""
        room = _ROOM * (self.highest - self.lowest)
        highest = min(self.highest + room, max(100.0, self.highest) + room / 2)
        return Limits(*padded(self.shortest, self.longest), self.lowest - room, highest)


_ANYTHING = Limits(1.0, 3600.0, 0.0, 100.0)


def make_series(findings: Findings) -> tuple[Series, ...]:
    """One for each curve of which something was measured; no two labels are the same."""
    curves = [curve for curve in findings.curves if curve.measured]
    labels = _distinct(one_line(findings.label(curve) or curve.recipe) for curve in curves)
    return tuple(Series(label, curve) for label, curve in zip(labels, curves, strict=True))


def limits_of(series: Iterable[Series]) -> Limits:
    """What holds all that was measured, intervals as far as they lie within 0 … 100 %; of nothing, axes for anything.

    A fit's band may be cut off: of few lengths it can be far wider than all there is to see.
    """
    shown = list(series)
    places = [(point.seconds, point.percent) for one in shown for point in one.points]
    places += [(seed.seconds, seed.percent) for one in shown for seed in one.seeds]
    places += [place for one in shown for place in one.truncated]
    if not places:
        return _ANYTHING.with_room()
    ends = [end for one in shown for point in one.points for end in (point.low, point.high) if end is not None]
    times = [seconds for seconds, _ in places]
    percents = [percent for _, percent in places] + [min(max(end, 0.0), 100.0) for end in ends]
    return Limits(min(times), max(times), *_spread(min(percents), max(percents))).with_room()


def _spread(lowest: float, highest: float) -> tuple[float, float]:
    """At least a percentage point, so that what is equal looks so; none of it above 100 %."""
    missing = max(_MIN_SPAN - (highest - lowest), 0.0)
    above = min(missing / 2, max(100.0 - highest, 0.0))
    return lowest - missing + above, highest + above


def _point(row: RatioSummary) -> Point:
    percent, ci95 = 100 * row.sample.mean, row.accuracy_ci95
    low, high = (None, None) if ci95 is None else (percent - 100 * ci95, percent + 100 * ci95)
    return Point(row, row.train_seconds or 0.0, percent, low, high)


def _rises(values: Sequence[float]) -> bool:
    return all(before < after for before, after in pairwise(values))


def _distinct(labels: Iterable[str]) -> list[str]:
    """Labels that differ, where writing control characters out has made some equal."""
    known: list[str] = []
    for label in labels:
        numbered = (label if number == 1 else f"{label} ({number})" for number in count(1))
        known.append(next(name for name in numbered if name not in known))
    return known
