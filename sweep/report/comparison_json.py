"""A comparison as JSON, for programs: `docs/compare.schema.json` describes it.

Every number is exact, the curves are sampled. What is not known, or has no end, is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from sweep.report.comparison import Comparison, sampled_line
from sweep.report.comparison_notes import comparison_notes
from sweep.report.contender import Contender, Lineup
from sweep.report.pair import AtCost
from sweep.report.replicates import Interval

JSON_FORMAT = 1


def comparison_to_json(lineup: Lineup, comparisons: Sequence[Comparison]) -> str:
    """`contenders` with their lengths and their curves; `comparisons`, each with the first of them; `notes`."""
    document = {
        "format": JSON_FORMAT,
        "contenders": [_contender(contender) for contender in lineup.contenders],
        "comparisons": [_comparison(comparison) for comparison in comparisons],
        "notes": comparison_notes(lineup, comparisons),
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _contender(contender: Contender) -> dict[str, object]:
    return {
        "name": contender.name,
        "recipe": contender.curve.recipe,
        "method": contender.curve.method,
        "devices": contender.set_ups or contender.devices,
        "dataset": contender.dataset,
        "lengths": [
            {
                "ratio": row.ratio_text,
                "train_seconds": row.train_seconds,
                "accuracy": row.accuracy,
                "num_seeds": row.num_finished,
            }
            for row in contender.points
        ],
        "line": [
            {"train_seconds": seconds, "accuracy": _share(accuracy)} for seconds, accuracy in sampled_line(contender)
        ],
    }


def _comparison(comparison: Comparison) -> dict[str, object]:
    return {
        "old": comparison.old.name,
        "new": comparison.new.name,
        "at_equal_quality": {
            "ratio": comparison.anchor.ratio_text,
            "is_baseline": comparison.is_at_baseline,
            "accuracy": comparison.anchor.accuracy,
            "old_train_seconds": comparison.old_seconds,
            "new_train_seconds": comparison.new_seconds,
            "times_cheaper": _interval(comparison.times_cheaper),
        },
        "at_equal_cost": {
            "train_seconds": comparison.anchor.train_seconds,
            "old_accuracy": comparison.anchor.accuracy,
            "new_accuracy": None if comparison.new_accuracy is None else _share(comparison.new_accuracy),
            "points": _interval(comparison.points),
        },
        "averaged": {
            "accuracies": comparison.quality_range,
            "cost_change": _interval(comparison.cost_change),
            "train_seconds": comparison.cost_range,
            "points": _interval(comparison.mean_points),
        },
        "crossings": [
            {
                "train_seconds": _interval(crossing.train_seconds),
                "accuracy": _share(crossing.accuracy),
                "ahead": (comparison.new if crossing.is_new_ahead else comparison.old).name,
            }
            for crossing in comparison.crossings
        ],
        "measured_costs": _at_costs(comparison.measured),
        "by_cost": _at_costs(comparison.by_cost),
        "by_quality": [
            {"accuracy": at.accuracy, "times_cheaper": _interval(at.times_cheaper)} for at in comparison.by_quality
        ],
    }


def _at_costs(places: Iterable[AtCost]) -> list[dict[str, object]]:
    return [
        {"train_seconds": at.train_seconds, "points": _interval(at.points), "simultaneous_ci95": at.simultaneous}
        for at in places
    ]


def _interval(interval: Interval | None) -> dict[str, float | None] | None:
    if interval is None:
        return None
    return {"value": interval.value, "low": _finite(interval.low), "high": _finite(interval.high)}


def _finite(end: float | None) -> float | None:
    return end if end is not None and math.isfinite(end) else None


def _share(accuracy: float) -> float:
    """What is interpolated can lie an ulp beyond."""
    return min(max(accuracy, 0.0), 1.0)
