"""How long to train, in a sentence.

The cheapest length whose mean is within some points of the baseline's, and how sure that is: a difference inside
its interval is a tie, and a single seed says nothing of noise. No length that was not trained is ever named.
"""

from __future__ import annotations

from dataclasses import dataclass

from sweep.errors import Problem, UsageError
from sweep.report.analysis import Curve
from sweep.report.cells import times_text
from sweep.report.intervals import Estimate
from sweep.report.knee import Knee, find_knee
from sweep.report.metric import Metric
from sweep.report.summary import RatioSummary


def check_within(points: float | None) -> None:
    """Pass in silence.

    Raises:
        UsageError: no number of points of any metric.
    """
    if points is not None and not 0 <= points <= 1e30:
        raise UsageError(Problem(f"{points:g} is not from 0 to 100 points", where="--within-points"))


@dataclass(frozen=True)
class Choice:
    """The cheapest length `row` whose mean is within `within_points` of `reference`, which is `difference` points worse
    (a negative number where it is) and `times_cheaper`. `rounding` is what points can be off by."""

    row: RatioSummary
    reference: RatioSummary
    within_points: float
    difference: Estimate
    times_cheaper: float
    rounding: float

    @property
    def is_reference(self) -> bool:
        return self.row is self.reference

    @property
    def is_sure(self) -> bool | None:
        """Whether the whole interval is within those points; None where there is no interval."""
        if self.is_reference:
            return True
        ci95 = self.difference.ci95
        return None if ci95 is None else self.difference.value - ci95 >= -self.within_points - self.rounding


def choose(curve: Curve, reference: RatioSummary, within_points: float | None) -> Choice:
    """The cheapest length within `within_points` of `reference`, which is one itself."""
    within = curve.metric.within(within_points, reference.sample.mean)
    for row in curve.measured:
        choice = _choice(curve, row, reference, within)
        if row is reference or choice.difference.value >= -within - choice.rounding:
            return choice
    raise ValueError("the reference is one of the curve's measured lengths")


def _choice(curve: Curve, row: RatioSummary, reference: RatioSummary, within_points: float) -> Choice:
    cheaper = (reference.train_seconds or 0.0) / (row.train_seconds or 1.0)
    rounding = curve.metric.rounding(reference.sample.mean)
    return Choice(row, reference, within_points, curve.points_between(row, reference), cheaper, rounding)


def verdict_text(curve: Curve, within_points: float | None = None) -> str:
    """The plain sentence that stands below the table."""
    best = curve.best
    if best is None:
        return "no trial has finished yet"
    if len(curve.measured) == 1:
        return f"only ratio {best.ratio_text} has been measured: there is nothing to compare it with"
    reference = curve.baseline or best
    choice = choose(curve, reference, within_points)
    return _kept_text(curve, choice) if choice.is_reference else _chosen_text(curve, choice)


def _name(curve: Curve, row: RatioSummary) -> str:
    """The baseline by its ratio, the best as such."""
    return row.ratio_text if row is curve.baseline else f"the best, {row.ratio_text}"


def _chosen_text(curve: Curve, choice: Choice) -> str:
    metric, name = curve.metric, _name(curve, choice.reference)
    within = f"{choice.row.ratio_text} is the cheapest ratio within {metric.limit_text(choice.within_points)} of {name}"
    return f"{within}: {_exchange_text(metric, choice)}{_doubt_text(metric, choice)}{_set_up_text(choice)}"


def _exchange_text(metric: Metric, choice: Choice) -> str:
    cheaper = times_text(choice.times_cheaper)
    points = metric.points_text(choice.difference.value, choice.difference.ci95)
    if choice.difference.is_tie:
        return f"{cheaper} cheaper, and a tie ({points})"
    return f"{cheaper} cheaper for {points}" if choice.difference.value <= 0 else f"{cheaper} cheaper, and {points}"


def _doubt_text(metric: Metric, choice: Choice) -> str:
    ci95 = choice.difference.ci95
    if ci95 is None or choice.is_sure:
        return _unknown_text(choice)
    return f"; by its interval it may be {metric.amount_text(ci95 - choice.difference.value)} {metric.unit} worse"


def _unknown_text(choice: Choice) -> str:
    return " (of one seed: how sure that is, is not known)" if choice.difference.ci95 is None else ""


def _set_up_text(choice: Choice) -> str:
    if choice.row.is_scaled or choice.reference.is_scaled:
        return "; some of that was trained on another set-up, whose times count as shares of its own ratio 1.0"
    if not (choice.row.mixed_seeds or choice.reference.mixed_seeds):
        return ""
    return "; some of that was trained on another set-up, whose times do not compare"


def _kept_text(curve: Curve, choice: Choice) -> str:
    """Where nothing shorter will do: what the best of the cheaper lengths would cost in points."""
    metric, name = curve.metric, _name(curve, choice.reference)
    cheaper = [row for row in curve.front if (row.train_seconds or 0.0) < (choice.reference.train_seconds or 0.0)]
    if not cheaper:
        return f"no ratio cheaper than {name} has been measured"
    nearest = _choice(curve, cheaper[-1], choice.reference, choice.within_points)
    doubts = f"{_unknown_text(nearest)}{_set_up_text(nearest)}"
    exchange = f"{nearest.row.ratio_text}, the nearest, is {_exchange_text(metric, nearest)}{doubts}"
    return f"no cheaper ratio is within {metric.limit_text(choice.within_points)} of {name}: {exchange}"


def further_texts(curve: Curve, within_points: float | None = None) -> list[str]:
    """What there is to say beside the verdict: of the best length, where it is not the baseline, and of the knee."""
    texts = []
    if curve.baseline is not None and curve.best is not None and curve.best is not curve.baseline:
        texts.append(_best_text(curve, curve.baseline, curve.best, within_points))
    if (knee := find_knee(curve)) is not None:
        texts.append(_knee_text(knee))
    return texts


def _knee_text(knee: Knee) -> str:
    if knee.is_clear is False:
        return f"no clear knee: that at ratio {knee.row.ratio_text} is within what seeds differ by"
    text = f"knee: after ratio {knee.row.ratio_text} a further doubling buys less than doublings do on average"
    return text if knee.is_clear else f"{text} (of one seed)"


def _best_text(curve: Curve, baseline: RatioSummary, best: RatioSummary, within_points: float | None) -> str:
    gain = curve.points_between(best, baseline)
    tie = ", a tie" if gain.is_tie else ""
    cost = times_text((best.train_seconds or 0.0) / (baseline.train_seconds or 1.0))
    choice = choose(curve, best, within_points)
    limit = curve.metric.limit_text(choice.within_points)
    within = f"nothing cheaper is within {limit} of it"
    if not choice.is_reference:
        within = f"{choice.row.ratio_text} is the cheapest within {limit} of it"
    against = (
        f"{curve.metric.points_text(gain.value, gain.ci95)} against {baseline.ratio_text}{tie}, at {cost} the cost"
    )
    return f"best: {best.ratio_text}, {against}; {within}"
