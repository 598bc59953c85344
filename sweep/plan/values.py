"""Every scheduled value of a Timeline, step by step, as columns for a table."""

from __future__ import annotations

from itertools import pairwise

from sweep.plan.methods import is_on
from sweep.plan.timeline import Timeline

Column = list[float] | list[int]


def column_names(timeline: Timeline) -> tuple[str, ...]:
    """What is scheduled: `lr`, and what a method adds."""
    return tuple(step_values(timeline, 0, 0))


def step_values(timeline: Timeline, start: int, stop: int) -> dict[str, Column]:
    """The values at steps `start` … `stop - 1` by name, those that are scheduled; with `swa` 1 where the weights are
    averaged after the step, else 0."""
    columns: dict[str, Column] = {"lr": timeline.rates(start, stop).tolist()}
    if (momenta := timeline.momenta(start, stop)) is not None:
        columns["momentum"] = momenta.tolist()
    for name, track in timeline.methods.tracks.items():
        if name != "mixup" or is_on(timeline.recipe, "mixup_off"):
            values = _spread(track.between(start, stop), stop)
            columns[name] = values if name == "frozen_share" else [int(value) for value in values]
    if timeline.recipe.swa:
        averaged = set(timeline.methods.swa_steps_of(start, stop))
        columns["swa"] = [int(step + 1 in averaged) for step in range(start, stop)]
    return columns


def _spread(changes: tuple[tuple[int, float], ...], stop: int) -> list[float]:
    """Each value as often as it holds."""
    ends = (*(step for step, _ in changes), stop)
    held = zip((value for _, value in changes), pairwise(ends), strict=True)
    return [value for value, (first, end) in held for value in [value] * (end - first)]
