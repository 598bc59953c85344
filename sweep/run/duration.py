"""How long a whole sweep takes, at a speed that was measured."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.plan.speed import Interval, Speed
from sweep.plan.stages import Plan
from sweep.run.makespan import Forest, Situation

# A forest counts in whole numbers.
_UNITS_PER_SECOND = 1_000_000


def sweep_seconds(plan: Plan, speed: Speed, jobs: int, order: Sequence[str] | None = None) -> Interval:
    """From the command to the table, with `jobs` Stages at a time; nothing where nothing is left to train. `order` is
    that in which Stages begin, by their ids; None: the one that ends soonest."""
    if not plan.stages:
        return Interval.exactly(0.0)
    stages = {stage.id: speed.of(stage) for stage in plan.stages}
    low, value, high = (
        _end(plan, {stage: getattr(seconds, which) for stage, seconds in stages.items()}, jobs, order)
        for which in ("low", "value", "high")
    )
    return Interval(low, value, high) + speed.worker


def _end(plan: Plan, seconds: dict[str, float], jobs: int, order: Sequence[str] | None) -> float:
    steps = {stage: round(_UNITS_PER_SECOND * each) for stage, each in seconds.items()}
    children = {parent: [stage.id for stage in below] for parent, below in plan.children.items() if parent in steps}
    first = frozenset(stage.id for stage in plan.stages if stage.parent not in steps)
    forest, begin = Forest(steps, children), Situation(0, (), first, jobs)
    end = forest.end_by_rule(begin) if order is None else forest.end_in_order(begin, order)
    return end / _UNITS_PER_SECOND
