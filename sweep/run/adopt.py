"""Checkpoints that other Stages have left, and that a Stage can go on from as well: those of a run that was divided
otherwise, or of another length, and that is the same computation up to there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sweep.plan.grid import Trial
from sweep.plan.lengths import measure
from sweep.plan.stages import Plan, Stage, stage_id
from sweep.plan.timeline import Timeline
from sweep.recipe.duration import Ratio
from sweep.store.records import KeptState
from sweep.store.states import Origin, StageStates, all_states
from sweep.store.workspace import Workspace


@dataclass(frozen=True)
class _Found:
    """A checkpoint, the step from which its Stage began, and a run that came its way."""

    state: KeptState
    start_step: int
    trial: Trial


class Checkpoints:
    """Every checkpoint in a sweep's folder, as far as the recipe of `plan` explains it."""

    def __init__(self, workspace: Workspace, plan: Plan) -> None:
        self._folder = workspace.states
        self._found: dict[tuple[int, int], list[_Found]] = {}  # by the seed and the step from which they began
        for found in _find(workspace, plan):
            self._found.setdefault((found.trial.seed, found.start_step), []).append(found)

    def usable(self, stage: Stage) -> KeptState | None:
        """The furthest one of another Stage that `stage` can go on from, of those that are still there."""
        alike = self._found.get((stage.trial.seed, stage.start_step), [])
        usable = [found.state for found in alike if found.state.stage != stage.id and _serves(found, stage)]
        there = [state for state in usable if state.step in StageStates(self._folder / state.stage).steps()]
        return max(there, key=lambda state: state.step, default=None)


def _find(workspace: Workspace, plan: Plan) -> Iterator[_Found]:
    for states in all_states(workspace.states):
        for step in states.steps():
            origin = states.origin(step)
            if origin is not None and plan.loaded.recipe.swa and origin.is_end and step == origin.stop_step:
                continue  # the averaged network's costs and evaluation are in it: see Timeline.shareable_steps
            trial = _trial(origin, plan) if origin is not None else None
            if origin is not None and trial is not None:
                yield _Found(KeptState(stage=origin.stage, step=step), origin.start_step, trial)


def _trial(origin: Origin, plan: Plan) -> Trial | None:
    """The run that a checkpoint says it is of; None unless its Stage's id, which is made of exact numbers, agrees."""
    recipe = plan.loaded.recipe
    if origin.method != recipe.method:
        return None
    try:
        ratio = Ratio.parse(origin.ratio)
    except ValueError:
        return None
    examples = plan.timelines[0].lengths.dataset_examples
    trial = Trial(Timeline(recipe, measure(recipe, ratio, examples)), origin.seed)
    is_explained = stage_id(trial, origin.start_step, origin.stop_step, origin.is_end) == origin.stage
    return trial if is_explained else None


def _serves(found: _Found, stage: Stage) -> bool:
    step = found.state.step
    is_inside = stage.start_step < step <= stage.stop_step
    return is_inside and found.trial.timeline.prefix(step) == stage.trial.timeline.prefix(step)
