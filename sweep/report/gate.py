"""`--fail-under`: a sweep's quality as a pass or a failure, for continuous integration."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sweep.errors import Problem, SweepError, UsageError
from sweep.recipe.duration import Ratio
from sweep.report.analysis import accuracy_at, summarise
from sweep.report.cells import percent_text
from sweep.report.frame import trial_frame
from sweep.store.history import History

_ACCURACY = re.compile(r"(?P<number>[0-9]{1,3}(\.[0-9]{1,12})?)(?P<percent>%)?")


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
        value = float(match["number"]) / (100 if match["percent"] else 1) if match else float("nan")
        if not 0 <= value <= 1:
            problems.append(Problem(f"{accuracy!r} is no accuracy", where="--fail-under", fix="write 0.97 or 97%"))
        try:
            at = Ratio.parse(ratio)
        except ValueError as error:
            problems.append(Problem(str(error), where="--at", ratio=ratio))
        if problems:
            raise UsageError(problems)
        return cls(value, at)

    def check(self, history: History) -> None:
        """Pass in silence.

        Raises:
            SweepError: the accuracy is lower, or was not measured.
        """
        measured = accuracy_at(summarise(trial_frame(history)), float(self.ratio.value))
        if measured is None:
            raise SweepError(Problem("not every trial has finished there", where="--fail-under", ratio=self.ratio.text))
        if measured < self.accuracy:
            message = f"mean accuracy {percent_text(measured)} is under {percent_text(self.accuracy)}"
            raise SweepError(Problem(message, where="--fail-under", ratio=self.ratio.text))
