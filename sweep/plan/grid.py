"""Ratios x seeds -> Trials: what is to be measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sweep.plan.timeline import Timeline


@dataclass(frozen=True)
class Trial:
    """One run that is to be measured: a Timeline and a seed."""

    timeline: Timeline
    seed: int

    @cached_property
    def key(self) -> str:
        """What makes two trials the same measurement, whichever grid asked for it."""
        timeline, lengths = self.timeline, self.timeline.lengths
        parts = (timeline.fingerprint, timeline.recipe.method, lengths.num_steps, lengths.num_examples, self.seed)
        return "-".join(str(part) for part in parts)


def make_grid(timelines: Iterable[Timeline], num_seeds: int) -> tuple[Trial, ...]:
    """Every timeline with seeds `seed`, `seed + 1`, … of its recipe: `num_seeds` of them, seed by seed."""
    timelines = tuple(timelines)
    return tuple(Trial(timeline, timeline.recipe.seed + index) for index in range(num_seeds) for timeline in timelines)
