"""How long to train, in a sentence.

The cheapest length that is within some points of the baseline by its mean, and how sure that is: a difference inside
its interval is a tie, and a single seed says nothing of noise. No length that was not trained is ever named.
"""

from __future__ import annotations

from dataclasses import dataclass

from sweep.errors import Problem, UsageError
from sweep.report.analysis import Curve
from sweep.report.cells import points_text, times_text
from sweep.report.intervals import Estimate
from sweep.report.knee import Knee, find_knee
from sweep.report.summary import RatioSummary

WITHIN_POINTS = 0.5
# An accuracy is a count over a count: differences of half a point come out an ulp beyond it.
_ROUNDING = 1e-9


def check_within(points: float) -> None:
    """Pass in silence.

    Raises:
        UsageError: no number of percentage points.
    """
    if not 0 <= points <= 100:
        raise UsageError(Problem(f"{points:g} is not from 0 to 100 points", where="--within-points"))


@dataclass(frozen=True)
class Choice:
    """The cheapest length `row` whose mean is within `within_points` of `reference`, which is `difference` points less
    accurate (a negative number where it is) and `times_cheaper`."""

    row: RatioSummary
    reference: RatioSummary
    within_points: float
    difference: Estimate
    times_cheaper: float

    @property
    def is_reference(self) -> bool:
        return self.row is self.reference

    @property
    def is_sure(self) -> bool | None:
        """Whether the whole interval is within those points; None where there is no interval."""
        if self.is_reference:
            return True
        ci95 = self.difference.ci95
        return None if ci95 is None else self.difference.value - ci95 >= -self.within_points - _ROUNDING


def choose(curve: Curve, reference: RatioSummary, within_points: float) -> Choice:
    """The cheapest length within `within_points` of `reference`, which is one itself."""
    for row in curve.measured:
        difference = curve.points_between(row, reference)
        if row is reference or difference.value >= -within_points - _ROUNDING:
            return _choice(curve, row, reference, within_points)
    raise ValueError("the reference is one of the curve's measured lengths")


def _choice(curve: Curve, row: RatioSummary, reference: RatioSummary, within_points: float) -> Choice:
    cheaper = (reference.train_seconds or 0.0) / (row.train_seconds or 1.0)
    return Choice(row, reference, within_points, curve.points_between(row, reference), cheaper)


def verdict_text(curve: Curve, within_points: float = WITHIN_POINTS) -> str:
    """The plain sentence that stands below the table."""
    best = curve.best
    if best is None:
        return "no trial has finished yet"
    if len(curve.measured) == 1:
        return f"only ratio {best.ratio_text} has been measured: there is nothing to compare it with"
    reference = curve.baseline or best
    choice = choose(curve, reference, within_points)
    return _kept_text(curve, choice) if choice.is_reference else _chosen_text(choice, _name(curve, reference))


def _name(curve: Curve, row: RatioSummary) -> str:
    """The baseline by its ratio, the best as such."""
    return row.ratio_text if row is curve.baseline else f"the best, {row.ratio_text}"


def _chosen_text(choice: Choice, name: str) -> str:
    within = f"{choice.row.ratio_text} is the cheapest ratio within {choice.within_points:g} points of {name}"
    return f"{within}: {_exchange_text(choice)}{_doubt_text(choice)}{_set_up_text(choice)}"


def _exchange_text(choice: Choice) -> str:
    cheaper, points = times_text(choice.times_cheaper), points_text(choice.difference.value, choice.difference.ci95)
    if choice.difference.is_tie:
        return f"{cheaper} cheaper, and a tie ({points})"
    return f"{cheaper} cheaper for {points}" if choice.difference.value <= 0 else f"{cheaper} cheaper, and {points}"


def _doubt_text(choice: Choice) -> str:
    ci95 = choice.difference.ci95
    if ci95 is None or choice.is_sure:
        return _unknown_text(choice)
    return f"; by its interval it may be {ci95 - choice.difference.value:.2f} points worse"


def _unknown_text(choice: Choice) -> str:
    return " (of one seed: how sure that is, is not known)" if choice.difference.ci95 is None else ""


def _set_up_text(choice: Choice) -> str:
    if not (choice.row.mixed_seeds or choice.reference.mixed_seeds):
        return ""
    return "; some of that was trained on another set-up, whose times do not compare"


def _kept_text(curve: Curve, choice: Choice) -> str:
    """Where nothing shorter will do: what the most accurate of the cheaper lengths would cost in points."""
    name = _name(curve, choice.reference)
    cheaper = [row for row in curve.front if (row.train_seconds or 0.0) < (choice.reference.train_seconds or 0.0)]
    if not cheaper:
        return f"no ratio cheaper than {name} has been measured"
    nearest = _choice(curve, cheaper[-1], choice.reference, choice.within_points)
    doubts = f"{_unknown_text(nearest)}{_set_up_text(nearest)}"
    exchange = f"{nearest.row.ratio_text}, the nearest, is {_exchange_text(nearest)}{doubts}"
    return f"no cheaper ratio is within {choice.within_points:g} points of {name}: {exchange}"


def further_texts(curve: Curve, within_points: float = WITHIN_POINTS) -> list[str]:
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


def _best_text(curve: Curve, baseline: RatioSummary, best: RatioSummary, within_points: float) -> str:
    gain = curve.points_between(best, baseline)
    tie = ", a tie" if gain.is_tie else ""
    cost = times_text((best.train_seconds or 0.0) / (baseline.train_seconds or 1.0))
    choice = choose(curve, best, within_points)
    within = f"nothing cheaper is within {within_points:g} points of it"
    if not choice.is_reference:
        within = f"{choice.row.ratio_text} is the cheapest within {within_points:g} points of it"
    against = f"{points_text(gain.value, gain.ci95)} against {baseline.ratio_text}{tie}, at {cost} the cost"
    return f"best: {best.ratio_text}, {against}; {within}"
