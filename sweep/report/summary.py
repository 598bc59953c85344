"""What the trials of one length say: means over seeds, and how it stands to the baseline and to the length before.

A trial that failed takes no part in any mean, and is counted beside it. Intervals are `sweep/report/intervals.py`'s.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sweep.errors import Outcome
from sweep.report.intervals import Estimate, Noise, Sample
from sweep.report.metric import Metric
from sweep.report.set_ups import SetUps

_HOUR = 3600.0


@dataclass(frozen=True)
class RatioSummary:
    """One ratio over its seeds; what cannot be known is None.

    Scores and `points` are metric.py's; each `ci95` is half a 95 % interval. `train_seconds` are those of the curve's
    reference, of all trials whose times compare (see set_ups.py); `measured_seconds` the mean by the set-up, as it was
    measured, None being one that is not known; `is_scaled` says whether some time counts otherwise. `relative_cost` and
    `points` are against the baseline. `points_per_hour`, `_per_dollar` and `_per_doubling` are what the time since the
    next shorter length has bought. `is_on_front`: no other length is as cheap and as good, and better in one.
    `failures` are the sentences of trials that did not finish; `mixed_seeds` those that were trained on another set-up
    than the sweep began with.
    """

    ratio_text: str
    ratio: float
    realised_ratio: float
    is_baseline: bool
    epochs: float | None
    steps: int | None
    num_trials: int
    sample: Sample
    train_seconds: float | None
    measured_seconds: dict[str | None, float]
    is_scaled: bool
    relative_cost: float | None
    dollars: float | None
    joules: float | None
    ci95: float | None
    points: float | None
    points_ci95: float | None
    truncated_score: float | None
    points_per_hour: float | None
    points_per_dollar: float | None
    points_per_doubling: float | None
    points_per_doubling_ci95: float | None
    is_on_front: bool
    failures: tuple[str, ...]
    mixed_seeds: tuple[int | None, ...]

    @property
    def num_finished(self) -> int:
        return len(self.sample)

    @property
    def score(self) -> float | None:
        """The mean over seeds."""
        return self.sample.mean if len(self.sample) else None

    @property
    def sd(self) -> float | None:
        """The standard deviation over seeds, with n - 1."""
        return self.sample.sd

    @property
    def is_measured(self) -> bool:
        """Whether a trial of it has finished, and took time that compares."""
        return bool(self.num_finished and self.train_seconds)


def in_points(estimate: Estimate, metric: Metric) -> Estimate:
    """A difference of scores in points."""
    ci95 = None if estimate.ci95 is None else metric.per_score * estimate.ci95
    return Estimate(metric.per_score * estimate.value, ci95, estimate.is_paired)


def summarise(trials: pd.DataFrame, metric: Metric, set_ups: SetUps) -> tuple[tuple[RatioSummary, ...], Noise]:
    """Each length of one recipe and method, the shortest first, and what seeds do to all of them."""
    lengths = _lengths(trials, metric, set_ups)
    noise = Noise.of([length.sample for length in lengths])
    return tuple(_summaries(lengths, noise, metric)), noise


def _lengths(trials: pd.DataFrame, metric: Metric, set_ups: SetUps) -> list[_Length]:
    """Its trials by length, the shortest first."""
    groups: dict[tuple[float, int], list[dict[Any, Any]]] = defaultdict(list)
    for row in trials.to_dict("records"):
        # By examples too: two shares of them can fill the same number of batches.
        groups[row["realised_ratio"], _whole(row["examples"]) or 0].append(row)
    return [_Length.of(groups[key], metric, set_ups) for key in sorted(groups)]


@dataclass(frozen=True, eq=False)
class _Length:
    """One length's trials, before anything is compared."""

    first: dict[Any, Any]
    sample: Sample
    num_trials: int
    means: dict[str, float | None]
    measured_seconds: dict[str | None, float]
    is_scaled: bool
    failures: tuple[str, ...]
    mixed_seeds: tuple[int | None, ...]

    @classmethod
    def of(cls, rows: list[dict[Any, Any]], metric: Metric, set_ups: SetUps) -> _Length:
        finished = [row for row in rows if row["outcome"] == Outcome.FINISHED]
        seconds = _mean(row["train_seconds"] * row["time_factor"] for row in finished)
        return cls(
            first=rows[0],
            sample=Sample(
                tuple(_whole(row["seed"]) for row in finished),
                tuple(metric.turned(float(row["quality"])) for row in finished),
            ),
            num_trials=len(rows),
            means={key: _mean(row[key] for row in finished) for key in _AVERAGED} | {"train_seconds": seconds},
            measured_seconds=_measured_seconds(finished, set_ups),
            is_scaled=any(row["time_factor"] != 1 and not math.isnan(row["time_factor"]) for row in finished),
            failures=tuple(_failure(row) for row in rows if row["outcome"] != Outcome.FINISHED),
            mixed_seeds=tuple(_whole(row["seed"]) for row in rows if isinstance(row["other_set_up"], str)),
        )

    @property
    def is_measured(self) -> bool:
        return bool(len(self.sample) and self.means["train_seconds"])

    def cost_and_quality(self) -> tuple[float, float]:
        """What to sort by: of two that cost the same the better one first."""
        return (self.means["train_seconds"] or 0.0, -self.sample.mean)


_AVERAGED = ("dollars", "joules", "truncated_quality")


def _measured_seconds(finished: list[dict[Any, Any]], set_ups: SetUps) -> dict[str | None, float]:
    """The mean on each set-up, in their order."""
    means = {
        name: _mean(row["train_seconds"] for row in finished if _text(row["set_up"]) == name)
        for name in (*set_ups.names, None)
    }
    return {name: mean for name, mean in means.items() if mean is not None}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _mean(values: Iterable[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else None


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _whole(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)


def _failure(row: dict[Any, Any]) -> str:
    reason = row["reason"] if isinstance(row["reason"], str) else row["outcome"]
    seed = _whole(row["seed"])
    return f"seed {seed}: {reason}" if seed is not None else f"a trial: {reason}"


def _summaries(lengths: list[_Length], noise: Noise, metric: Metric) -> Iterable[RatioSummary]:
    baseline = next((length for length in lengths if length.first["is_baseline"]), None)
    front = set(_front(lengths))
    previous: _Length | None = None
    for length in lengths:
        yield _summary(length, noise, metric, baseline, previous, is_on_front=length in front)
        if length.is_measured:
            previous = length


def _front(lengths: Sequence[_Length]) -> list[_Length]:
    """The lengths that no other one is as cheap and as good as, and better in one of the two."""
    front: list[_Length] = []
    for length in sorted((length for length in lengths if length.is_measured), key=_Length.cost_and_quality):
        last = front[-1] if front else None
        is_better = last is None or length.sample.mean > last.sample.mean
        if is_better or (last and length.cost_and_quality() == last.cost_and_quality()):
            front.append(length)
    return front


def _summary(
    length: _Length,
    noise: Noise,
    metric: Metric,
    baseline: _Length | None,
    previous: _Length | None,
    is_on_front: bool,
) -> RatioSummary:
    first, cost = length.first, length.means["train_seconds"]
    gain = _difference(length, previous, noise, metric) if previous and length.is_measured else None
    against = _against(length, noise, metric, baseline)
    doublings = _doublings(length, previous)
    return RatioSummary(
        ratio_text=str(first["ratio_text"]),
        ratio=float(first["ratio"]),
        realised_ratio=float(first["realised_ratio"]),
        is_baseline=bool(first["is_baseline"]),
        epochs=_known(first["epochs"]),
        steps=_whole(first["steps"]),
        num_trials=length.num_trials,
        sample=length.sample,
        train_seconds=cost,
        measured_seconds=length.measured_seconds,
        is_scaled=length.is_scaled,
        relative_cost=_quotient(cost, baseline.means["train_seconds"] if baseline else None),
        dollars=length.means["dollars"],
        joules=length.means["joules"],
        ci95=noise.mean(length.sample).ci95 if len(length.sample) else None,
        points=against.value if against else None,
        points_ci95=against.ci95 if against else None,
        truncated_score=_turned(length.means["truncated_quality"], metric),
        points_per_hour=_gain_per(gain, _further(length, previous, "train_seconds"), _HOUR),
        points_per_dollar=_gain_per(gain, _further(length, previous, "dollars")),
        points_per_doubling=_gain_per(gain, doublings),
        points_per_doubling_ci95=gain.ci95 / doublings if gain and gain.ci95 is not None and doublings else None,
        is_on_front=is_on_front,
        failures=length.failures,
        mixed_seeds=length.mixed_seeds,
    )


def _turned(value: float | None, metric: Metric) -> float | None:
    return None if value is None else metric.turned(value)


def _difference(length: _Length, other: _Length, noise: Noise, metric: Metric) -> Estimate:
    return in_points(noise.difference(length.sample, other.sample), metric)


def _against(length: _Length, noise: Noise, metric: Metric, baseline: _Length | None) -> Estimate | None:
    if baseline is None or length is baseline or not len(length.sample) or not len(baseline.sample):
        return None
    return _difference(length, baseline, noise, metric)


def _further(length: _Length, previous: _Length | None, what: str) -> float | None:
    """How much more of a cost than the next shorter length; None where it is no more."""
    now, before = length.means[what], previous.means[what] if previous else None
    return now - before if now is not None and before is not None and now > before else None


def _doublings(length: _Length, previous: _Length | None) -> float | None:
    seconds = _quotient(length.means["train_seconds"], previous.means["train_seconds"] if previous else None)
    return math.log2(seconds) if seconds is not None and seconds > 1 else None


def _gain_per(gain: Estimate | None, amount: float | None, unit: float = 1.0) -> float | None:
    return gain.value / (amount / unit) if gain is not None and amount else None


def _quotient(value: float | None, by: float | None) -> float | None:
    return value / by if value is not None and by else None
