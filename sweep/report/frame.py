"""A sweep's history -> DataFrame, one row a trial.

`COLUMNS` are stable: they are what CSV and JSON carry. Accuracies are in 0..1; `quality` is the metric that the recipe
names, an accuracy too; what was not measured is missing (NaN or None), never 0.
"""

from __future__ import annotations

from fractions import Fraction

import pandas as pd

from sweep.recipe.duration import Ratio
from sweep.report.approximation import is_approximate
from sweep.report.metric import Metric
from sweep.store.history import History, TrialResult

_MEASURED = (
    "train_seconds",
    "eval_seconds",
    "data_wait_seconds",
    "images_per_second",
    "accuracy",
    "loss",
    "truncated_accuracy",
    "dollars",
    "joules",
)
COLUMNS = (
    "recipe",
    "ratio",
    "realised_ratio",
    "seed",
    "method",
    "epochs",
    "steps",
    *_MEASURED,
    "outcome",
    "device",
    "weights_sha256",
    "other_set_up",
    "set_up",
)
_JUDGED = ("quality", "truncated_quality")
JUDGED_COLUMNS = (*_JUDGED, "train_seconds_source")
# What the table says beside them.
EXTRA_COLUMNS = ("ratio_text", "examples", "is_baseline", "reason", "contention", "baseline_seconds")
_TAKEN = frozenset({*COLUMNS, *EXTRA_COLUMNS, *JUDGED_COLUMNS} - {"accuracy", "loss"})


def quality_columns(metric: Metric) -> tuple[str, str]:
    """What CSV calls the columns of quality and of the truncated control: as the metric is called."""
    name = f"metric {metric.name}" if metric.name in _TAKEN else metric.name
    return name, f"truncated_{name}"


def trial_frame(history: History) -> pd.DataFrame:
    """Every trial that was ever planned in this sweep, by method, ratio and seed: `COLUMNS`, `JUDGED_COLUMNS` and
    `EXTRA_COLUMNS`, and where there are cyclic runs `is_approximate`. The steps and examples of a command are not
    known: its plan counts epochs."""
    start = history.last_start
    name = start.recipe_name if start else ""
    baselines = history.baseline_seconds
    rows = [
        _row(result, name, history.price_of(result.environment))
        | {"baseline_seconds": baselines.get((result.entry.method, result.set_up))}
        for result in history.results
    ]
    if history.is_of_a_command:
        rows = [row | {"steps": None, "examples": None} for row in rows]
    if history.metric == "accuracy":
        rows = [row | {"truncated_accuracy": row["truncated_quality"]} for row in rows]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *JUDGED_COLUMNS, *EXTRA_COLUMNS])
    return with_approximations(typed(frame))


def with_approximations(frame: pd.DataFrame) -> pd.DataFrame:
    """The same; with a column `is_approximate` where that is so of any trial."""
    approximations = frame["method"].map(is_approximate, na_action="ignore")
    return frame.assign(is_approximate=approximations) if approximations.any() else frame


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with what was measured as floats, even where nothing was."""
    return frame.astype(dict.fromkeys((*_MEASURED, *_JUDGED, "contention", "baseline_seconds"), "float64"))


def _row(result: TrialResult, recipe: str, price: float | None) -> dict[str, object]:
    entry, seconds, source = result.entry, result.train_seconds, result.train_seconds_source
    measured = seconds is not None and seconds > 0 and result.images is not None
    return {
        "recipe": recipe,
        "ratio": float(Ratio.parse(entry.ratio).value),
        "realised_ratio": float(Fraction(entry.realised)),
        "seed": entry.seed,
        "method": entry.method,
        "epochs": float(Fraction(entry.num_epochs)),
        "steps": entry.num_steps,
        "train_seconds": seconds,
        "eval_seconds": result.eval_seconds,
        "data_wait_seconds": result.data_wait_seconds,
        "images_per_second": result.images / seconds if measured and result.images and seconds else None,
        "accuracy": result.accuracy,
        "loss": result.loss,
        "dollars": price * seconds / 3600 if price is not None and seconds is not None else None,
        "joules": result.joules,
        "outcome": result.outcome.value,
        "device": result.environment.device_kind if result.environment else None,
        "weights_sha256": result.weights_sha256,
        "other_set_up": "; ".join(result.other_set_up) or None,
        "set_up": result.set_up,
        "quality": result.quality,
        "truncated_quality": result.truncated_quality,
        "train_seconds_source": source if source != "measured" else None,
        "ratio_text": entry.ratio,
        "examples": entry.num_examples,
        "is_baseline": entry.is_baseline,
        "reason": result.reason,
        "contention": result.contention,
    }
