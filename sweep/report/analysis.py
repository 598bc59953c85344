"""Cost and quality by ratio: pure functions of the frame.

A trial that failed takes no part in any mean, and is counted beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from sweep.errors import Outcome


@dataclass(frozen=True)
class RatioSummary:
    """One ratio over its seeds. `relative_cost` and `points` (percentage points of accuracy) are against the baseline;
    what cannot be known is None. `failures` are the sentences of trials that did not finish; `mixed_seeds` those that
    were trained on another set-up than the sweep began with."""

    method: str
    ratio_text: str
    ratio: float
    realised_ratio: float
    is_baseline: bool
    epochs: float
    steps: int
    num_trials: int
    num_finished: int
    train_seconds: float | None
    relative_cost: float | None
    dollars: float | None
    accuracy: float | None
    accuracy_sd: float | None
    points: float | None
    truncated_accuracy: float | None
    failures: tuple[str, ...]
    mixed_seeds: tuple[int, ...]


def summarise(frame: pd.DataFrame) -> list[RatioSummary]:
    """A summary for each method and length, shortest first."""
    # By examples too: two shares of them can fill the same number of batches.
    groups = frame.groupby(["method", "realised_ratio", "examples"], sort=True)
    return [_summary(group, _baseline(frame, str(group["method"].iloc[0]))) for _, group in groups]


def _baseline(frame: pd.DataFrame, method: str) -> pd.DataFrame:
    return frame[(frame["method"] == method) & frame["is_baseline"].astype(bool)]


def _summary(group: pd.DataFrame, baseline: pd.DataFrame) -> RatioSummary:
    first = group.iloc[0]
    accuracy, baseline_accuracy = _mean(group, "accuracy"), _mean(baseline, "accuracy")
    seconds, baseline_seconds = _mean(group, "train_seconds"), _mean(baseline, "train_seconds")
    finished = group[group["outcome"] == Outcome.FINISHED]
    is_baseline = bool(first["is_baseline"])
    return RatioSummary(
        method=str(first["method"]),
        ratio_text=str(first["ratio_text"]),
        ratio=float(first["ratio"]),
        realised_ratio=float(first["realised_ratio"]),
        is_baseline=is_baseline,
        epochs=float(first["epochs"]),
        steps=int(first["steps"]),
        num_trials=len(group),
        num_finished=len(finished),
        train_seconds=seconds,
        relative_cost=seconds / baseline_seconds if seconds is not None and baseline_seconds else None,
        dollars=_mean(group, "dollars"),
        accuracy=accuracy,
        accuracy_sd=float(finished["accuracy"].std(ddof=1)) if len(finished) > 1 else None,
        points=100 * (accuracy - baseline_accuracy)
        if accuracy is not None and baseline_accuracy is not None and not is_baseline
        else None,
        truncated_accuracy=_mean(group, "truncated_accuracy"),
        failures=tuple(_failure(row) for _, row in group.iterrows() if row["outcome"] != Outcome.FINISHED),
        mixed_seeds=tuple(int(seed) for seed in group["seed"][group["other_set_up"].notna()]),
    )


def _mean(group: pd.DataFrame, column: str) -> float | None:
    values = group[column].dropna()
    return float(values.mean()) if len(values) else None


def _failure(row: pd.Series) -> str:
    reason = row["reason"] if isinstance(row["reason"], str) else row["outcome"]
    return f"seed {row['seed']}: {reason}"


def max_contention(frame: pd.DataFrame) -> float | None:
    """The largest share of CPU time, in 0..1, that other processes used during any finished trial."""
    values = frame["contention"].dropna()
    return float(values.max()) if len(values) else None


def accuracy_at(summaries: list[RatioSummary], ratio: float) -> float | None:
    """Mean accuracy of the trials at `ratio`, as asked or else as realised: of several methods' the lowest.

    None where there are no such trials, or not all of them have finished.
    """
    there = [row for row in summaries if row.ratio == ratio] or [
        row for row in summaries if row.realised_ratio == ratio
    ]
    means = [row.accuracy if row.num_finished == row.num_trials else None for row in there]
    known = [mean for mean in means if mean is not None]
    return min(known) if known and len(known) == len(means) else None
