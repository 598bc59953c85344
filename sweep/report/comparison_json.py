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
from sweep.report.leads import Lead, find_leads
from sweep.report.metric import Metric
from sweep.report.pair import AtCost
from sweep.report.replicates import Interval

JSON_FORMAT = 2


def comparison_to_json(lineup: Lineup, comparisons: Sequence[Comparison]) -> str:
    """`contenders` with their lengths and their curves; `comparisons`, each with the first of them; `leads`: which of
    all is best at which cost; `notes`."""
    metric = lineup.reference.curve.metric
    document = {
        "format": JSON_FORMAT,
        "metric": {"name": metric.name, "mode": metric.mode},
        "contenders": [_contender(contender) for contender in lineup.contenders],
        "comparisons": [_comparison(comparison) for comparison in comparisons],
        "leads": [_lead(lead) for lead in find_leads(lineup)],
        "notes": comparison_notes(lineup, comparisons),
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _contender(contender: Contender) -> dict[str, object]:
    return {
        "name": contender.name,
        "recipe": contender.curve.recipe,
        "method": contender.curve.method,
        "is_approximate": contender.curve.is_approximate,
        "devices": contender.set_ups or contender.devices,
        "dataset": contender.dataset,
        "lengths": [
            {
                "ratio": row.ratio_text,
                "train_seconds": row.train_seconds,
                "quality": contender.curve.metric.value(row.score),
                "num_seeds": row.num_finished,
            }
            for row in contender.points
        ],
        "line": [
            {"train_seconds": seconds, "quality": _value(contender.curve.metric, score)}
            for seconds, score in sampled_line(contender)
        ],
    }


def _comparison(comparison: Comparison) -> dict[str, object]:
    metric, common = comparison.metric, comparison.quality_range
    return {
        "old": comparison.old.name,
        "new": comparison.new.name,
        "at_equal_quality": {
            "ratio": comparison.anchor.ratio_text,
            "is_baseline": comparison.is_at_baseline,
            "quality": metric.value(comparison.anchor.score),
            "old_train_seconds": comparison.old_seconds,
            "new_train_seconds": comparison.new_seconds,
            "times_cheaper": _interval(comparison.times_cheaper),
        },
        "at_equal_cost": {
            "train_seconds": comparison.anchor.train_seconds,
            "old_quality": metric.value(comparison.anchor.score),
            "new_quality": None if comparison.new_score is None else _value(metric, comparison.new_score),
            "points": _points(metric, comparison.points),
        },
        "averaged": {
            "qualities": metric.range(*common) if common is not None else None,
            "cost_change": _interval(comparison.cost_change),
            "train_seconds": comparison.cost_range,
            "points": _points(metric, comparison.mean_points),
        },
        "crossings": [
            {
                "train_seconds": _interval(crossing.train_seconds),
                "quality": _value(metric, crossing.score),
                "ahead": (comparison.new if crossing.is_new_ahead else comparison.old).name,
            }
            for crossing in comparison.crossings
        ],
        "measured_costs": _at_costs(metric, comparison.measured),
        "by_cost": _at_costs(metric, comparison.by_cost),
        "by_quality": [
            {"quality": metric.turned(at.score), "times_cheaper": _interval(at.times_cheaper)}
            for at in comparison.by_quality
        ],
    }


def _lead(lead: Lead) -> dict[str, object]:
    return {
        "best": lead.contender.name,
        "from_seconds": _interval(lead.start),
        "to_seconds": lead.stop_seconds,
        "is_sure": lead.is_sure,
    }


def _at_costs(metric: Metric, places: Iterable[AtCost]) -> list[dict[str, object]]:
    return [
        {"train_seconds": at.train_seconds, "points": _points(metric, at.points), "simultaneous_ci95": at.simultaneous}
        for at in places
    ]


def _points(metric: Metric, points: Interval | None) -> dict[str, float | None] | None:
    """With the sign of the metric's own difference."""
    return _interval(points.negated if points is not None and metric.is_lower_better else points)


def _interval(interval: Interval | None) -> dict[str, float | None] | None:
    if interval is None:
        return None
    return {"value": interval.value, "low": _finite(interval.low), "high": _finite(interval.high)}


def _finite(end: float | None) -> float | None:
    return end if end is not None and math.isfinite(end) else None


def _value(metric: Metric, score: float) -> float:
    """What is interpolated can lie an ulp beyond its bounds."""
    low, high = metric.bounds
    return metric.turned(min(max(score, low), high))
