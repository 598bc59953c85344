"""What the trials of a plan have in common: how much that saves, and where they part. Without pandas."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sweep.plan.forest import find_branches
from sweep.plan.stages import Plan, Stage
from sweep.printable import one_line
from sweep.report.grid import Grid

# Chosen: what a terminal shows at once below the plan's own table.
_MAX_LISTED = 20
# Words short enough for a terminal of 40 columns.
_HEADERS = ("stage", "after", "from step", "to step", "to epoch", "trials")


def steps_notes(plan: Plan) -> list[str]:
    """How many steps the trials have alone, how many are trained, and why it is not fewer."""
    alone, trained = plan.num_steps_alone, plan.num_steps
    small = f"forks that save under {plan.min_shared_steps} steps are not made (min_shared_steps)"
    if trained < alone:
        saved = f"steps: {alone} alone, {trained} shared ({100 * (alone - trained) / alone:.0f} % saved)"
        return [saved, small] if _has_small_forks(plan) else [saved]
    if not plan.shares:
        return [f"steps: {alone}, every trial alone (--no-share)"]
    if len(plan.timelines) == 1:
        return [f"steps: {alone}"]
    reason = small if _has_small_forks(plan) else "the trials of a seed have no steps in common"
    return [f"steps: {alone}, none shared: {reason}"]


def _has_small_forks(plan: Plan) -> bool:
    """Whether more steps would be shared if it were not for `min_shared_steps`."""
    if not plan.shares or plan.min_shared_steps == 1:
        return False
    branches = find_branches(plan.timelines, range(len(plan.timelines)), 0, 1)
    fewest = sum(branch.stop_step - branch.start_step for branch in branches)
    return fewest < sum(stage.num_steps for stage in _one_seeds(plan))


def forest_grid(plan: Plan) -> Grid | None:
    """The Stages of one seed, along the run; of many those that are shared. None where nothing is."""
    stages = _one_seeds(plan)
    shared = [stage for stage in stages if stage.num_trials > 1]
    if not shared:
        return None
    if len(stages) <= _MAX_LISTED:
        return _grid(stages, "ratio that ends", _ratios_text)
    left = len(shared[_MAX_LISTED:])
    more = f"… and {left} more that are shared, and" if left else "… and"
    note = f"{more} {len(stages) - len(shared)} that are not (--format json has all)"
    return _grid(shared[:_MAX_LISTED], "ratio that leaves", lambda stage: _leaving_text(stage, plan), note)


def _grid(stages: list[Stage], last_header: str, last_cell: Callable[[Stage], str], *notes: str) -> Grid:
    """A row for each of `stages`, which hold the parents of all of them."""
    places = {stage.id: str(place) for place, stage in enumerate(stages, 1)}
    rows = [
        (
            places[stage.id],
            places[stage.parent] if stage.parent is not None else "",
            str(stage.start_step),
            str(stage.stop_step),
            f"{float(stage.trial.timeline.lengths.in_epochs(stage.stop_step)):.4g}",
            str(stage.num_trials),
            one_line(last_cell(stage)),
        )
        for stage in stages
    ]
    title = "stages of one seed: steps that trials have in common are trained once"
    return Grid(title, (*_HEADERS, last_header), tuple(rows), notes, texts=frozenset({last_header}))


def _ratios_text(*stages: Stage) -> str:
    return ", ".join(_ratios(stages))


def _leaving_text(stage: Stage, plan: Plan) -> str:
    """The trials that end with a shared Stage, or share nothing more."""
    return _ratios_text(stage, *(child for child in plan.children.get(stage.id, ()) if child.num_trials == 1))


def _one_seeds(plan: Plan) -> list[Stage]:
    """The Stages of the first seed by where they begin, and so a parent before its children: every seed's are alike."""
    stages = [stage for stage in plan.stages if stage.trial.seed == plan.trials[0].seed]
    return sorted(stages, key=lambda stage: (stage.start_step, stage.stop_step))


def _ratios(stages: Iterable[Stage]) -> list[str]:
    """The ratios of the trials that end with `stages`, the shortest first."""
    ends = [trial.timeline.lengths for stage in stages for trial in stage.ends]
    return [lengths.ratio.text for lengths in sorted(ends, key=lambda lengths: lengths.num_steps)]


def stages_document(plan: Plan) -> list[dict[str, Any]]:
    """The Stages of one seed for a program: `ratios` share it, `ends` are over with it, `parent` is a place in the
    list."""
    stages = _one_seeds(plan)
    places = {stage.id: place for place, stage in enumerate(stages)}
    return [
        {
            "start_step": stage.start_step,
            "stop_step": stage.stop_step,
            "ratios": _ratios(plan.below(stage)),
            "ends": _ratios((stage,)),
            "parent": places[stage.parent] if stage.parent is not None else None,
        }
        for stage in stages
    ]
