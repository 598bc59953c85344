"""The fit of a curve's trials, and what it says in words. Whoever needs it imports this: it loads SciPy's optimiser."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sweep.errors import Outcome
from sweep.recipe.duration import Ratio
from sweep.report.analysis import Curve
from sweep.report.fit import Fit, Prediction, fit_curve
from sweep.report.metric import Metric


def fit_of(curve: Curve) -> Fit:
    """The curve through all finished trials, each at its realised ratio.

    Raises:
        ValueError: fewer than three ratios, said in a sentence.
    """
    finished = curve.trials[curve.trials["outcome"] == Outcome.FINISHED]
    ratios, values = (finished[name].to_numpy(dtype=np.float64) for name in ("realised_ratio", "quality"))
    bounds = curve.metric.bounds
    if curve.metric.is_lower_better and (values >= 0).all():  # a loss that falls and falls stays above zero
        bounds = (bounds[0], 0.0)
    return fit_curve(ratios, 0.0 - values if curve.metric.is_lower_better else values, bounds)


def predictions(fit: Fit, ratios: Sequence[Ratio]) -> list[tuple[Ratio, Prediction | str]]:
    """What the fit says of ratios that need not have been run; of one that is too far from those that have, why not."""
    found: list[tuple[Ratio, Prediction | str]] = []
    for ratio in ratios:
        try:
            found.append((ratio, fit.predict(float(ratio.value))))
        except ValueError as error:
            found.append((ratio, str(error)))
    return found


def fit_notes(curve: Curve, ratios: Sequence[Ratio]) -> list[str]:
    """The fit as a formula with its own error, and its predictions; or why there is none."""
    try:
        fit = fit_of(curve)
    except ValueError as error:
        return [f"fit: none, since {error}"]
    metric = curve.metric
    sign, scale = "+" if metric.is_lower_better else "-", metric.per_score * fit.scale
    formula = f"{metric.name} = {metric.value_text(fit.ceiling)} {sign} {scale:.3g} x ratio ^ -{fit.exponent:.3g}"
    off = metric.amount_text(metric.per_score * fit.leave_one_out_error)
    return [
        f"fit: {formula}; leave-one-out error {off} {metric.unit}",
        *(f"fit at {ratio.text}: {_prediction_text(metric, found)}" for ratio, found in predictions(fit, ratios)),
    ]


def _prediction_text(metric: Metric, found: Prediction | str) -> str:
    if isinstance(found, str):
        return found
    if found.score is None or found.low is None:
        limit = f"at {'least' if metric.is_lower_better else 'most'} {metric.value_text(found.high)}"
        return f"{limit} (longer than all that ran: no gain is promised)"
    interval = metric.range_text(found.low, found.high).removesuffix(" %")
    return f"{metric.value_text(found.score)} (95 % interval {interval})"
