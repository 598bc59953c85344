"""How fast a recipe trains where it was tried out, and what that makes of a Stage and of a Trial.

What is uncertain is the same for all of them: a step that takes longer does so in every Stage. So the ends of the
intervals add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a report, which plans nothing, starts faster without them
    from sweep.plan.stages import Stage
    from sweep.plan.timeline import Timeline


@dataclass(frozen=True)
class Interval:
    """`value`, which lies between `low` and `high` in 95 of 100 cases. Seconds, wherever nothing else is said."""

    low: float
    value: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Interval:
        return cls(value, value, value)

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.value + other.value, self.high + other.high)

    def __mul__(self, factor: float) -> Interval:
        return Interval(self.low * factor, self.value * factor, self.high * factor)


@dataclass(frozen=True)
class Speed:
    """Seconds of an optimizer step, the waiting for its data included; of an evaluation; of a Stage beside both, from
    being handed out to being written down; and of a Worker before it can train, once a sweep. To find that out,
    `tried_seconds` were trained just now: none where it was known."""

    step: Interval
    evaluation: Interval
    stage: Interval
    worker: Interval
    tried_seconds: float = 0.0

    def training(self, timeline: Timeline) -> Interval:
        """What a run's training takes, as it is recorded: its steps and nothing beside."""
        return self.step * timeline.num_steps

    def of(self, stage: Stage) -> Interval:
        """What a Stage takes by the clock on the wall."""
        return self.step * stage.num_steps + self.evaluation * len(stage.eval_steps) + self.stage
