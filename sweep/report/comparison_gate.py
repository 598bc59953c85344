"""`--fail-if-worse`: a comparison as a pass or a failure, for continuous integration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sweep.errors import Problem, SweepError, UsageError
from sweep.report.cells import duration_text
from sweep.report.comparison import Comparison
from sweep.report.contender import Lineup
from sweep.report.metric import Metric
from sweep.report.pair import AtCost

_POINTS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_OPTION = "--fail-if-worse"


@dataclass(frozen=True)
class ComparisonGate:
    """How many points worse than the old curve a new one may be, at every common cost."""

    points: float

    @classmethod
    def parse(cls, text: str) -> ComparisonGate:
        """Read `0.5`: percentage points of an accuracy, else the metric's own unit.

        Raises:
            UsageError: it is no number of points.
        """
        if not _POINTS.fullmatch(text.strip()):
            message = f"{text!r} is no number of percentage points"
            raise UsageError(Problem(message, where=_OPTION, fix="write 0.5, from 0 to 100"))
        return cls(float(text))

    def check_metric(self, metric: Metric) -> None:
        """Pass in silence.

        Raises:
            UsageError: there are not as many percentage points.
        """
        if metric.is_share and self.points > 100:
            message = f"'{self.points:g}' is no number of percentage points"
            raise UsageError(Problem(message, where=_OPTION, fix="write 0.5, from 0 to 100"))

    def check(self, lineup: Lineup, comparisons: Sequence[Comparison]) -> None:
        """Pass in silence.

        Raises:
            SweepError: with every new curve that is worse by more points somewhere, beyond what seeds do; that has no
                cost in common with the old one; or of which nothing has been measured.
        """
        problems = [problem for comparison in comparisons if (problem := self._problem(comparison)) is not None]
        problems += [Problem(f"nothing of {name} has been measured", where=_OPTION) for name in lineup.left_out]
        if problems:
            raise SweepError(problems)

    def _problem(self, comparison: Comparison) -> Problem | None:
        old, new = comparison.old.name, comparison.new.name
        if not comparison.by_cost:
            return Problem(f"{new} and {old} have no cost in common", where=_OPTION)
        metric = comparison.metric
        rounding = metric.rounding(comparison.anchor.sample.mean)
        lowest = min(_at_best(at) for at in comparison.by_cost)
        worst = next(at for at in comparison.by_cost if _at_best(at) <= lowest + rounding)  # of equals the cheapest
        if _at_best(worst) >= -self.points - rounding:
            return None
        noise = "beyond what seeds do" if worst.simultaneous is not None else "by the means: noise is not known"
        by = f"{_loss_text(metric, worst)} {metric.unit} at {duration_text(worst.train_seconds)}"
        return Problem(f"{new} is worse than {old} by {by}, more than {self.points:g} ({noise})", where=_OPTION)


def _at_best(at: AtCost) -> float:
    """How many points better the new curve can be there, at the edge of what noise allows."""
    return at.points.value + (at.simultaneous or 0.0)


def _loss_text(metric: Metric, at: AtCost) -> str:
    """`0.72 ± 0.31`: by how much it is worse."""
    return metric.lead_text(-at.points.value, at.simultaneous)
