"""In which order Stages are trained where a budget may end before all of them are: seed by seed, and of one seed the
cheapest first, so that whatever is done is a usable curve.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sweep.plan.speed import Interval, Speed
from sweep.plan.stages import Plan, Stage


@dataclass(frozen=True)
class Way:
    """What is to be trained from the beginning of a Stage to the nearest end of a Trial."""

    num_steps: int
    num_evaluations: int
    num_stages: int

    def seconds(self, speed: Speed) -> Interval:
        """By the clock on the wall."""
        training = speed.step * self.num_steps + speed.evaluation * self.num_evaluations
        return training + speed.stage * self.num_stages

    def __add__(self, other: Way) -> Way:
        return Way(
            self.num_steps + other.num_steps,
            self.num_evaluations + other.num_evaluations,
            self.num_stages + other.num_stages,
        )


def ways_to_an_end(plan: Plan, steps_saved: Callable[[Stage], int] = lambda stage: 0) -> dict[str, Way]:
    """The Way of every Stage, by its id; `steps_saved` are those in a checkpoint that it goes on from."""
    ways: dict[str, Way] = {}
    for stage in reversed(plan.stages):  # what follows on a Stage stands behind it
        own = Way(stage.num_steps - steps_saved(stage), len(stage.eval_steps), 1)
        following = [ways[child.id] for child in plan.children.get(stage.id, ())]
        ways[stage.id] = own if stage.ends else own + min(following, key=lambda way: way.num_steps)
    return ways


def in_turn(plan: Plan, ways: dict[str, Way]) -> list[str]:
    """The Stages' ids in the order in which they begin, once they can."""
    places = {stage.id: place for place, stage in enumerate(plan.stages)}
    turns = {stage.id: (stage.trial.seed, ways[stage.id].num_steps, places[stage.id]) for stage in plan.stages}
    return sorted(turns, key=turns.__getitem__)
