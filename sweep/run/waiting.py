"""The Stages that are still to be begun, and those of them that could begin now, in the planned order.

Each change costs the Stages that it concerns, however many others wait.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence

from sweep.plan.stages import Stage


class Waiting:
    """`stages` in the planned order; `children` are those that follow on each one, by its id. `num_steps` are those of
    all that wait."""

    def __init__(self, stages: Iterable[Stage], children: Mapping[str, Sequence[Stage]]) -> None:
        self._stages = {stage.id: stage for stage in stages}
        self._children = children
        self._ranks = {stage: rank for rank, stage in enumerate(self._stages)}
        self._first_rank = 0
        self._ready = [stage.id for stage in self._stages.values() if stage.parent not in self._stages]
        self.num_steps = sum(stage.num_steps for stage in self._stages.values())

    def __len__(self) -> int:
        return len(self._stages)

    @property
    def num_trials(self) -> int:
        """How many Trials end with those that wait."""
        return sum(len(stage.ends) for stage in self._stages.values())

    @property
    def ready(self) -> Sequence[str]:
        """The ids of those whose parents are done."""
        return self._ready

    def take(self, stage: str) -> Stage:
        """Take away one that is ready: it is begun."""
        del self._ready[bisect_left(self._ready, self._ranks[stage], key=self._ranks.__getitem__)]
        taken = self._stages.pop(stage)
        self.num_steps -= taken.num_steps
        return taken

    def put_first(self, stage: Stage) -> None:
        """Put back one that was begun, in front of all others."""
        self._first_rank -= 1
        self._ranks[stage.id] = self._first_rank
        self._stages[stage.id] = stage
        self.num_steps += stage.num_steps
        self._ready.insert(0, stage.id)

    def follow(self, stage: Stage) -> None:
        """One is done: those that follow on it are ready."""
        for child in self._children.get(stage.id, ()):
            insort(self._ready, child.id, key=self._ranks.__getitem__)

    def drop(self, stages: Iterable[Stage]) -> None:
        """Forget those of `stages` that wait: their parent's state never comes."""
        for stage in stages:
            if self._stages.pop(stage.id, None) is not None:
                self.num_steps -= stage.num_steps
