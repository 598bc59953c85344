"""The report of a history or of a frame made by hand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from sweep.report.analysis import Curve, make_curves
from sweep.report.contender import Contender
from sweep.report.findings import Findings
from sweep.report.frame import COLUMNS, EXTRA_COLUMNS, JUDGED_COLUMNS
from sweep.report.grid import Grid
from sweep.report.summary import RatioSummary
from sweep.report.table import make_tables
from sweep.store.history import History


def table_of(history: History) -> Grid:
    """The table of all lengths, with the notes that stand below both tables."""
    tables = make_tables(Findings.of_history(history))
    return replace(tables[0], notes=tables[-1].notes)


def curve_of(history: History) -> Curve:
    """The curve of a history that has one."""
    (curve,) = Findings.of_history(history).curves
    return curve


def rows_of(history: History) -> list[RatioSummary]:
    """The lengths of all curves."""
    return [row for curve in Findings.of_history(history).curves for row in curve.rows]


def make_frame(*trials: dict[str, Any]) -> pd.DataFrame:
    """A frame of finished trials; each needs a `ratio`, its `train_seconds`, and its `accuracy` or `quality`."""
    rows = [_row(trial) for trial in trials]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *JUDGED_COLUMNS, *EXTRA_COLUMNS])
    numbers = (
        "train_seconds",
        "accuracy",
        "dollars",
        "truncated_accuracy",
        "contention",
        "quality",
        "truncated_quality",
    )
    return frame.astype(dict.fromkeys(numbers, "float64"))


def _row(trial: dict[str, Any]) -> dict[str, Any]:
    ratio = trial["ratio"]
    known = {"recipe": "mine", "method": "epochs", "seed": 0, "outcome": "finished", "ratio_text": f"{ratio:g}"}
    judged = {"quality": trial.get("accuracy"), "truncated_quality": trial.get("truncated_accuracy")}
    return {**known, **judged, "realised_ratio": ratio, "is_baseline": ratio == 1, **trial}


def curve_through(*lengths: tuple[float, float, Sequence[float]]) -> Curve:
    """A curve of (ratio, seconds, accuracies of the seeds 0, 1, …)."""
    (curve,) = make_curves(
        make_frame(
            *(
                {"ratio": ratio, "train_seconds": seconds, "accuracy": accuracy, "seed": seed, "steps": 100 * ratio}
                for ratio, seconds, accuracies in lengths
                for seed, accuracy in enumerate(accuracies)
            )
        )
    )
    return curve


def contender_through(*lengths: tuple[float, float, Sequence[float]], name: str = "new") -> Contender:
    """A contender whose curve is `curve_through` of the same."""
    return Contender(name, curve_through(*lengths), (), (), None)
