"""What a sweep is judged by: its name, which way is better, and how its numbers are written.

Analyses know only *scores*, of which more is better: the metric itself, or its negative where less of it is better.
*Points* are differences of scores: percentage points of an accuracy, else the metric's own unit. What a reader sees
goes through here, which turns both back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sweep.errors import Problem, UsageError
from sweep.report.cells import significant_text

# Chosen: what a shorter run may lose where nothing else is said: of an accuracy in points, else of ratio 1's value.
WITHIN_POINTS, _WITHIN_SHARE = 0.5, 0.01
_ROUNDING = 1e-9
_VALUE_DIGITS, _DIFFERENCE_DIGITS = 5, 3


@dataclass(frozen=True)
class Metric:
    """A metric by its name. An accuracy is a share in 0..1, and written in percent; any other one is a number."""

    name: str = "accuracy"
    is_lower_better: bool = False

    @property
    def is_share(self) -> bool:
        return self.name == "accuracy"

    @property
    def mode(self) -> str:
        """As a recipe says it."""
        return "min" if self.is_lower_better else "max"

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which two scores all of them lie."""
        return (0.0, 1.0) if self.is_share else (-math.inf, math.inf)

    def turned(self, number: float) -> float:
        """A score as the metric's value, a value as a score; a difference likewise."""
        return 0.0 - number if self.is_lower_better else number

    def value(self, score: float | None) -> float | None:
        """What was not measured stays None."""
        return None if score is None else self.turned(score)

    def ends(self, score: float | None, half: float | None) -> list[float] | None:
        """An interval in values, by its ends: the lower one first."""
        if score is None or half is None:
            return None
        return [self.turned(score) - half, self.turned(score) + half]

    def range(self, low: float, high: float) -> tuple[float, float]:
        """From one score to a higher one: in values, the lower one first."""
        return (self.turned(high), self.turned(low)) if self.is_lower_better else (low, high)

    @property
    def per_score(self) -> float:
        """How many points a difference of scores of 1 is."""
        return 100.0 if self.is_share else 1.0

    def shown(self, score: float) -> float:
        """What an axis says of a score: percent, or the metric's value."""
        return self.per_score * self.turned(score)

    def is_nothing(self, points: float) -> bool:
        """Whether a difference is no more than rounding."""
        return not round(points, 9) if self.is_share else points == 0

    def rounding(self, score: float) -> float:
        """How many points near `score` are no more than rounding."""
        return _ROUNDING if self.is_share else _ROUNDING * abs(score)

    def within(self, points: float | None, score: float) -> float:
        """How many points below `score` are near enough: `points`, or what is chosen here where they are None."""
        if points is not None:
            return points
        return WITHIN_POINTS if self.is_share else _WITHIN_SHARE * abs(score)

    def check_within(self, points: float | None) -> None:
        """Pass in silence.

        Raises:
            UsageError: more percentage points than there are.
        """
        if self.is_share and points is not None and points > 100:
            raise UsageError(Problem(f"{points:g} is not from 0 to 100 points", where="--within-points"))

    @property
    def unit(self) -> str:
        """What points are counted in."""
        return "points" if self.is_share else self.name

    @property
    def long_unit(self) -> str:
        return "percentage points" if self.is_share else self.name

    @property
    def better_text(self) -> str:
        """Which way is better."""
        return f"{'lower' if self.is_lower_better else 'higher'} is better"

    @property
    def heading(self) -> str:
        """With which way is better, where that does not go without saying."""
        return self.name if self.is_share else f"{self.name} ({self.better_text})"

    @property
    def axis_title(self) -> str:
        return "accuracy, %" if self.is_share else self.heading

    @property
    def as_good(self) -> str:
        return "as accurate" if self.is_share else "as good"

    def value_text(self, score: float | None, half: float | None = None) -> str:
        """`97.18 %`, `97.18 ± 0.21 %`; `1.4693`, `1.4693 ± 0.0123`. Of None (not measured) it is empty."""
        if score is None:
            return ""
        if self.is_share:
            spread = "" if half is None else f" ± {100 * half:.2f}"
            return f"{100 * self.turned(score):.2f}{spread} %"
        value = self.turned(score)
        spread = "" if half is None else f" ± {significant_text(half, _VALUE_DIGITS, of=value)}"
        return f"{significant_text(value, _VALUE_DIGITS)}{spread}"

    def range_text(self, low: float, high: float) -> str:
        """`97.18 to 98.12 %`, `1.4693 to 1.5021`: of two scores, the lower value first."""
        ends = self.range(low, high)
        if self.is_share:
            return f"{100 * ends[0]:.2f} to {100 * ends[1]:.2f} %"
        return " to ".join(significant_text(end, _VALUE_DIGITS) for end in ends)

    def spread_text(self, sd: float | None) -> str:
        """A standard deviation of scores."""
        if sd is None:
            return ""
        return f"{100 * sd:.2f}" if self.is_share else significant_text(sd, _DIFFERENCE_DIGITS)

    def signed_text(self, points: float | None, half: float | None = None) -> str:
        """`-0.29 ± 0.17`, with the sign that the metric's own difference has."""
        return "" if points is None else self._difference_text(self.turned(points), half, "+")

    def lead_text(self, points: float, half: float | None = None) -> str:
        """`0.29 ± 0.17`: how many points better, negative where it is worse."""
        return self._difference_text(points, half, "")

    def _difference_text(self, value: float, half: float | None, sign: str) -> str:
        if self.is_share:
            return f"{value:{sign}.2f}{'' if half is None else f' ± {half:.2f}'}"
        size = max(abs(value), half or 0.0)
        spread = "" if half is None else f" ± {significant_text(half, _DIFFERENCE_DIGITS, of=size)}"
        return f"{significant_text(value, _DIFFERENCE_DIGITS, of=size, sign=sign)}{spread}"

    def points_text(self, points: float, half: float | None = None) -> str:
        """`-0.29 ± 0.17 points`, `+0.0123 ± 0.0021 val_loss`."""
        return f"{self.signed_text(points, half)} {self.unit}"

    def amount_text(self, points: float) -> str:
        """`0.29`, without a sign or a unit."""
        return f"{abs(points):.2f}" if self.is_share else significant_text(abs(points), _DIFFERENCE_DIGITS)

    def limit_text(self, points: float) -> str:
        """`0.5 points`, `0.0147 val_loss`: what was asked for."""
        return f"{points:g} points" if self.is_share else f"{points:.3g} {self.name}"


ACCURACY = Metric()
