"""A budget where a device has its price: how many seconds it buys, and what seconds come to.

Time is wall clock, of the whole command. Dollars are price x devices x train_seconds / 3600: what trains counts, the
pilot too; start-up, evaluation and checkpoints do not.
"""

from __future__ import annotations

from dataclasses import dataclass

from sweep.budget import Budget
from sweep.clock import Stopwatch
from sweep.plan.speed import Interval, Speed
from sweep.recipe.schema import Recipe
from sweep.report.cells import duration_text
from sweep.run.allowance import Allowance

# Chosen: a minute tells a speed to a few percent; of a short budget it is a small part.
_PILOT_SECONDS = (1.0, 60.0)
_PILOT_SHARE = 0.05


@dataclass(frozen=True)
class Limit:
    """`dollars_per_second` is what a trial's training costs, on all of its devices; None where there is no price."""

    budget: Budget
    dollars_per_second: float | None

    @classmethod
    def of(cls, budget: Budget, recipe: Recipe) -> Limit:
        price = recipe.price
        return cls(budget, None if price is None else price * recipe.devices_per_trial / 3600)

    @property
    def is_time(self) -> bool:
        return self.budget.dollars is None

    @property
    def seconds(self) -> float:
        """Of wall clock, or of training."""
        if self.budget.seconds is not None:
            return self.budget.seconds
        assert self.budget.dollars is not None
        assert self.dollars_per_second
        return self.budget.dollars / self.dollars_per_second

    @property
    def pilot_seconds(self) -> float:
        """For how long a pilot may train."""
        least, most = _PILOT_SECONDS
        return max(least, min(most, _PILOT_SHARE * self.seconds))

    def allowance(self, speed: Speed, watch: Stopwatch) -> Allowance:
        """What is left of it after a pilot, since `watch` was started."""
        if self.is_time:
            return Allowance(self.budget.text, speed, watch, wall_seconds=self.seconds)
        return Allowance(self.budget.text, speed, watch, train_seconds=self.seconds - speed.tried_seconds)

    def text(self, seconds: float) -> str:
        """In what the budget counts."""
        if self.is_time:
            return duration_text(max(0.0, seconds))
        return f"${max(0.0, seconds) * (self.dollars_per_second or 0.0):.3g}"

    def interval_text(self, seconds: Interval) -> str:
        return f"{self.text(seconds.value)} ({self.text(seconds.low)} to {self.text(seconds.high)})"
