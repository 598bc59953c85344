"""The report as JSON, for programs: `docs/report.schema.json` describes it.

Numbers are exact, texts are held to the letter, and what was not measured or cannot be known is null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from sweep.report.analysis import Curve
from sweep.report.bill import make_bill
from sweep.report.cost_model import cost_model
from sweep.report.findings import Findings
from sweep.report.frame import COLUMNS, JUDGED_COLUMNS
from sweep.report.intervals import Estimate
from sweep.report.knee import find_knee
from sweep.report.metric import WITHIN_POINTS, Metric
from sweep.report.notes import make_notes
from sweep.report.summary import RatioSummary
from sweep.report.verdict import choose, verdict_text
from sweep.store.history import History

if TYPE_CHECKING:  # at run time it brings SciPy's optimiser along
    from sweep.report.fit import Prediction

JSON_FORMAT = 3

_Object = dict[str, Any]


def to_json(findings: Findings) -> str:
    """`rows`, one a length, with their statistics; `curves`, one a recipe and method, with verdict and fit; `trials`.
    Where the numbers are a sweep's own, its recipe and environment, and as `sweep` its own bill."""
    within = findings.within_points
    document = {
        "format": JSON_FORMAT,
        "name": findings.name,
        **_of_sweep(findings.history),
        "metric": {"name": findings.metric.name, "mode": findings.metric.mode},
        "within_points": WITHIN_POINTS if within is None and findings.metric.is_share else within,
        "rows": [_row(curve, row) for curve in findings.curves for row in curve.rows],
        "curves": [_curve(findings, curve) for curve in findings.curves],
        "trials": [_trial(row) for row in findings.frame[[*COLUMNS, *JUDGED_COLUMNS]].to_dict("records")],
        "notes": make_notes(findings),
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _of_sweep(history: History | None) -> _Object:
    if history is None:
        return dict.fromkeys(("recipe", "fingerprint", "price", "environment", "sweep"))
    start = history.starts[-1]
    bill = make_bill(history)
    return {
        "recipe": start.recipe,
        "fingerprint": start.fingerprint,
        "price": start.price,
        "environment": history.environment.model_dump(),
        "sweep": asdict(bill) if bill is not None else None,
    }


def _row(curve: Curve, row: RatioSummary) -> _Object:
    metric = curve.metric
    return {
        "recipe": curve.recipe,
        "method": curve.method,
        "is_approximate": curve.is_approximate,
        "ratio": row.ratio,
        "ratio_text": row.ratio_text,
        "realised_ratio": row.realised_ratio,
        "is_baseline": row.is_baseline,
        "epochs": row.epochs,
        "steps": row.steps,
        "num_trials": row.num_trials,
        "num_finished": row.num_finished,
        "train_seconds": _only(row.measured_seconds.values()),
        "relative_cost": row.relative_cost,
        "dollars": row.dollars,
        "joules": row.joules,
        "quality": metric.value(row.score),
        "sd": row.sd,
        "ci95": metric.ends(row.score, row.ci95),
        "points": metric.value(row.points),
        "points_ci95": metric.ends(row.points, row.points_ci95),
        "truncated_quality": metric.value(row.truncated_score),
        "pareto": row.is_on_front,
        "points_per_hour": metric.value(row.points_per_hour),
        "points_per_dollar": metric.value(row.points_per_dollar),
        "points_per_doubling": metric.value(row.points_per_doubling),
        "points_per_doubling_ci95": metric.ends(row.points_per_doubling, row.points_per_doubling_ci95),
        "failures": list(row.failures),
    }


def _only(means: Iterable[float]) -> float | None:
    """Means of several set-ups have no mean."""
    known = list(means)
    return known[0] if len(known) == 1 else None


def _curve(findings: Findings, curve: Curve) -> _Object:
    knee, model = find_knee(curve), cost_model(curve)
    return {
        "recipe": curve.recipe,
        "method": curve.method,
        "is_approximate": curve.is_approximate,
        "devices": list(curve.devices),
        "verdict": {"text": verdict_text(curve, findings.within_points), **_choice(findings, curve)},
        "best": curve.best.ratio_text if curve.best else None,
        "knee": {"ratio": knee.row.ratio_text, "is_clear": knee.is_clear, **_estimate(curve.metric, knee.above)}
        if knee
        else None,
        "cost_model": asdict(model) if model is not None else None,
        "fit": _fit(findings, curve),
    }


def _choice(findings: Findings, curve: Curve) -> _Object:
    """The choice in numbers; null where fewer than two lengths have been measured."""
    reference = curve.baseline or curve.best
    if reference is None or len(curve.measured) < 2:
        empty = ("ratio", "reference", "times_cheaper", "points", "ci95", "is_tie", "is_surely_within")
        return dict.fromkeys(empty)
    choice = choose(curve, reference, findings.within_points)
    return {
        "ratio": choice.row.ratio_text,
        "reference": choice.reference.ratio_text,
        "times_cheaper": choice.times_cheaper,
        **_estimate(curve.metric, Estimate(0.0, None) if choice.is_reference else choice.difference),
        "is_tie": None if choice.is_reference else choice.difference.is_tie,
        "is_surely_within": choice.is_sure,
    }


def _estimate(metric: Metric, estimate: Estimate) -> _Object:
    return {"points": metric.turned(estimate.value), "ci95": metric.ends(estimate.value, estimate.ci95)}


def _fit(findings: Findings, curve: Curve) -> _Object:
    """Its parameters, and what it says of the ratios that were asked for; or why there is none."""
    from sweep.report.fitted import fit_of, predictions

    try:
        fit = fit_of(curve)
    except ValueError as error:
        return {"refused": str(error)}
    metric = curve.metric
    return {
        "ceiling": metric.turned(fit.ceiling),
        "ceiling_ci95": list(metric.range(*fit.ceiling_interval)),
        "scale": fit.scale,
        "exponent": fit.exponent,
        "exponent_ci95": _listed(fit.exponent_interval),
        "is_exponent_fitted": fit.is_exponent_fitted,
        "residual_sd": fit.residual_sd,
        "degrees_of_freedom": fit.degrees_of_freedom,
        "leave_one_out_error": fit.leave_one_out_error,
        "predictions": [
            _prediction(metric, found) for _, found in predictions(fit, findings.wanted) if not isinstance(found, str)
        ],
    }


def _prediction(metric: Metric, found: Prediction) -> _Object:
    ends = (metric.value(found.low), metric.value(found.high))
    low, high = ends[::-1] if metric.is_lower_better else ends
    return {"ratio": found.ratio, "quality": metric.value(found.score), "low": low, "high": high}


def _listed(ends: Sequence[float] | None) -> list[float] | None:
    return None if ends is None else list(ends)


def _trial(row: dict[Any, Any]) -> _Object:
    return {str(name): None if pd.isna(value) else value for name, value in row.items()}
