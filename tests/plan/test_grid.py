"""Trials: every timeline with every seed, and what makes two of them the same."""

from collections.abc import Callable
from typing import Any

from sweep.plan.stages import Plan

Planner = Callable[..., Plan]


def keys(plan: Plan) -> list[str]:
    return [trial.key for trial in plan.trials]


def test_every_ratio_is_tried_with_every_seed_seed_by_seed(plan: Planner) -> None:
    trials = plan("0.5,1", num_seeds=3, epochs=10, seed=7).trials
    assert [(trial.seed, trial.timeline.lengths.ratio.text) for trial in trials] == [
        (7, "0.5"),
        (7, "1"),
        (8, "0.5"),
        (8, "1"),
        (9, "0.5"),
        (9, "1"),
    ]


def test_no_two_trials_of_a_grid_have_one_key(plan: Planner) -> None:
    found = keys(plan("0.1:2:0.1", num_seeds=3, epochs=10))
    assert len(set(found)) == len(found) == 60


def test_a_trials_key_outlives_its_grid(plan: Planner) -> None:
    assert set(keys(plan("0.5", epochs=10))) < set(keys(plan("0.25,1/2,1", num_seeds=2, epochs=10, method="epochs")))


def test_the_same_realised_length_is_the_same_trial_however_the_ratio_was_typed(plan: Planner) -> None:
    assert keys(plan("0.33", epochs=10)) == keys(plan("0.3", epochs=10)) == keys(plan("30%", epochs=10))


def test_whatever_changes_the_training_changes_the_key(plan: Planner) -> None:
    def key(ratio: str = "0.5", examples: int = 1000, **changes: Any) -> str:
        return keys(plan(ratio, examples=examples, **{"epochs": 10} | changes))[0]

    found = [
        key(),
        key("0.6"),
        key(seed=1),
        key(lr=0.2),
        key(method="steps"),
        key(method="samples"),
        key(method="samples", ratio="0.501"),  # as many steps, but one example more
    ]
    assert len(set(found)) == len(found)
