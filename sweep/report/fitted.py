"""The fit of a curve's trials, and what it says in words. Whoever needs it imports this: it loads SciPy's optimiser."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sweep.errors import Outcome
from sweep.recipe.duration import Ratio
from sweep.report.analysis import Curve
from sweep.report.fit import Fit, Prediction, fit_curve


def fit_of(curve: Curve) -> Fit:
    """The curve through all finished trials, each at its realised ratio.

    Raises:
        ValueError: fewer than three ratios, said in a sentence.
    """
    finished = curve.trials[curve.trials["outcome"] == Outcome.FINISHED]
    columns = (finished[name].to_numpy(dtype=np.float64) for name in ("realised_ratio", "accuracy"))
    return fit_curve(*columns)


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
    formula = f"accuracy = {100 * fit.ceiling:.2f} % - {100 * fit.scale:.3g} x ratio ^ -{fit.exponent:.3g}"
    return [
        f"fit: {formula}; leave-one-out error {100 * fit.leave_one_out_error:.2f} points",
        *(f"fit at {ratio.text}: {_prediction_text(found)}" for ratio, found in predictions(fit, ratios)),
    ]


def _prediction_text(found: Prediction | str) -> str:
    if isinstance(found, str):
        return found
    if found.accuracy is None or found.low is None:
        return f"at most {100 * found.high:.2f} % (longer than all that ran: no gain is promised)"
    interval = f"{100 * found.low:.2f} to {100 * found.high:.2f}"
    return f"{100 * found.accuracy:.2f} % (95 % interval {interval})"
