"""`--fail-under` and `--fail-over`: a sweep's quality as a pass or a failure, for continuous integration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from sweep.errors import Problem, SweepError, UsageError
from sweep.recipe.duration import Ratio
from sweep.report.analysis import Curve, score_at
from sweep.report.metric import Metric

_VALUE = re.compile(r"(?P<number>-?[0-9]{1,12}(\.[0-9]{1,12})?)(?P<percent>%)?", re.ASCII)

# The mean of three equal values can come out one ulp beyond them.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Gate:
    """The worst mean that passes at a ratio, as the metric's value: in 0..1 of an accuracy. `text` is how it was typed,
    and `option` the one that was given."""

    value: float
    ratio: Ratio
    text: str
    option: str = "--fail-under"

    @classmethod
    def parse(cls, text: str, ratio: str, option: str = "--fail-under") -> Gate:
        """Read `0.97`, `97%` or `1.5`, and the ratio.

        Raises:
            UsageError: with what is wrong with either.
        """
        problems = []
        value = read_value(text)
        if value is None:
            problems.append(_no_value(text, option))
        try:
            at = Ratio.parse(ratio)
        except ValueError as error:
            problems.append(Problem(str(error), where="--at", ratio=ratio))
        if problems or value is None:
            raise UsageError(problems)
        return cls(float(value), at, text, option)

    def check_metric(self, metric: Metric) -> None:
        """Pass in silence where it can be asked of this metric.

        Raises:
            UsageError: it is no value of it, or the wrong side of it.
        """
        right = "--fail-over" if metric.is_lower_better else "--fail-under"
        if self.option != right:
            message = f"{metric.heading}: no value of it is too {'low' if metric.is_lower_better else 'high'}"
            raise UsageError(Problem(message, where=self.option, fix=f"use {right}"))
        if metric.is_share and not 0 <= self.value <= 1:
            raise UsageError(_no_value(self.text, self.option))
        if not metric.is_share and self.text.strip().endswith("%"):
            raise UsageError(Problem(f"{metric.name} is not in percent", where=self.option, fix="write a plain number"))

    def check(self, curves: Sequence[Curve]) -> None:
        """Pass in silence.

        Raises:
            SweepError: what was measured is worse, or was not measured.
        """
        measured = score_at(curves, float(self.ratio.value))
        if measured is None:
            message = "there is no such trial, or not every one has finished"
            raise SweepError(Problem(message, where=self.option, ratio=self.ratio.text))
        metric = curves[0].metric
        if measured < metric.turned(self.value) - _ROUNDING * max(1.0, abs(self.value)):
            side, found = "over" if metric.is_lower_better else "under", metric.turned(measured)
            message = f"mean {metric.name} {_exact_text(metric, found)} is {side} {_exact_text(metric, self.value)}"
            raise SweepError(Problem(message, where=self.option, ratio=self.ratio.text))


def read_value(text: str) -> Fraction | None:
    """A metric's value as it is typed: `0.97`, `97%` or `1.5`; None of anything else."""
    match = _VALUE.fullmatch(text.strip())
    return Fraction(match["number"]) / (100 if match["percent"] else 1) if match else None


def _no_value(text: str, option: str) -> Problem:
    if option == "--fail-under":
        return Problem(f"{text!r} is no accuracy", where=option, fix="write 0.97 or 97%")
    return Problem(f"{text!r} is no number", where=option, fix="write 1.5")


def _exact_text(metric: Metric, value: float) -> str:
    return f"{100 * value:.6g} %" if metric.is_share else f"{value:.6g}"
