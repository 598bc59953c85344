"""Which states of a sweep are kept once they have served: what `--keep` means."""

from __future__ import annotations

from enum import StrEnum

from sweep.plan.stages import Plan, Stage


class Keep(StrEnum):
    """`FORKS`: where Stages part, and where a longer run would leave the longest one. `EPOCHS`: after every epoch too.
    `MODELS`: each Trial's final weights, and no states. `NONE`: nothing."""

    FORKS = "forks"
    EPOCHS = "epochs"
    MODELS = "models"
    NONE = "none"


def kept_steps(keep: Keep, stage: Stage, plan: Plan) -> tuple[int, ...]:
    """The steps of a Stage whose states stay after the sweep; ascending."""
    if keep in (Keep.MODELS, Keep.NONE):
        return ()
    steps = range(stage.start_step + 1, stage.stop_step + 1)
    found = {stage.stop_step} if stage.id in plan.children else set()
    if _is_longest(stage, plan):
        found |= {stage.trial.timeline.plateau_steps} & set(steps)
    if keep is Keep.EPOCHS:
        found |= {step for step in stage.trial.timeline.epoch_ends if step in steps}
    return tuple(sorted(found))


def _is_longest(stage: Stage, plan: Plan) -> bool:
    """Whether it is on the way of the longest run, with a plateau that is worth sharing."""
    is_worth_it = plan.longest.plateau_steps >= plan.min_shared_steps
    return is_worth_it and stage.trial.timeline is plan.longest
