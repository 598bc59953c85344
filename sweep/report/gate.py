"""`--fail-under`: a sweep's quality as a pass or a failure, for continuous integration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from sweep.errors import Problem, SweepError, UsageError
from sweep.recipe.duration import Ratio
from sweep.report.analysis import Curve, accuracy_at

_ACCURACY = re.compile(r"(?P<number>[0-9]{1,3}(\.[0-9]{1,12})?)(?P<percent>%)?")

# The mean of three equal accuracies can come out one ulp below them; an accuracy itself is a count over a count.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Gate:
    """The least mean accuracy, in 0..1, that passes at a ratio."""

    accuracy: float
    ratio: Ratio

    @classmethod
    def parse(cls, accuracy: str, ratio: str) -> Gate:
        """Read `0.97` or `97%`, and the ratio.

        Raises:
            UsageError: with what is wrong with either.
        """
        problems = []
        match = _ACCURACY.fullmatch(accuracy.strip())
        value = Fraction(match["number"]) / (100 if match["percent"] else 1) if match else None
        if value is None or value > 1:
            problems.append(Problem(f"{accuracy!r} is no accuracy", where="--fail-under", fix="write 0.97 or 97%"))
        try:
            at = Ratio.parse(ratio)
        except ValueError as error:
            problems.append(Problem(str(error), where="--at", ratio=ratio))
        if problems or value is None:
            raise UsageError(problems)
        return cls(float(value), at)

    def check(self, curves: Sequence[Curve]) -> None:
        """Pass in silence.

        Raises:
            SweepError: the accuracy is lower, or was not measured.
        """
        measured = accuracy_at(curves, float(self.ratio.value))
        if measured is None:
            message = "there is no such trial, or not every one has finished"
            raise SweepError(Problem(message, where="--fail-under", ratio=self.ratio.text))
        if measured < self.accuracy - _ROUNDING:
            message = f"mean accuracy {100 * measured:.6g} % is under {100 * self.accuracy:.6g} %"
            raise SweepError(Problem(message, where="--fail-under", ratio=self.ratio.text))
