"""Plans of cyclic runs: what they cost, what they are refused for, and what they are warned of."""

from collections.abc import Callable
from typing import Any

import pytest

from sweep.errors import RecipeError
from sweep.plan.scaled import scale
from sweep.plan.stages import Plan
from sweep.recipe.duration import Ratio
from sweep.recipe.library import LoadedRecipe

Planner = Callable[..., Plan]
Keys = dict[str, Any]

# 1,000 examples in batches of 10: an epoch is 100 steps, and the cycles are 2, 4 and 8 epochs.
BASE: Keys = {"epochs": 14, "lr_scheduler": "cosineannealinglr", "batch_size": 10, "method": "cyclic"}
ENDS = "1/7,3/7,1"


@pytest.mark.parametrize("min_shared_steps", [1, 100, 10_000])
def test_the_whole_curve_costs_one_baseline_a_seed(plan: Planner, min_shared_steps: int) -> None:
    made = plan(ENDS, num_seeds=2, **BASE, min_shared_steps=min_shared_steps)
    assert made.num_steps == 2 * 1400
    assert made.num_steps_alone == 2 * (200 + 600 + 1400)
    first = [stage for stage in made.stages if stage.trial.seed == 0]
    assert sorted((stage.start_step, stage.stop_step) for stage in first) == [(0, 200), (200, 600), (600, 1400)]
    assert all(len(stage.ends) == 1 and stage.stop_step in stage.eval_steps for stage in first)


def test_without_sharing_each_end_is_trained_alone(plan: Planner) -> None:
    made = plan(ENDS, shares=False, **BASE)
    assert made.num_steps == made.num_steps_alone == 200 + 600 + 1400


def test_a_time_that_does_not_follow_the_run_keeps_the_curve_at_the_cost_of_one_run(plan: Planner) -> None:
    keys = {"mixup_alpha": 0.2, "mixup_off": 5, "model_ema": True, "lr_warmup_epochs": 1}
    made = plan(ENDS, **BASE, **keys)
    assert made.num_steps == 1400
    assert [str(warning) for warning in made.warnings] == [
        "r.yaml:10: lr_warmup_epochs: ratio 1/7: the warm-up is 50 % of the run",
        "r.yaml:8: mixup_off: ratio 1/7: 5ep lies past the end of the run: images are mixed throughout "
        "(give it in dur, or set scale_methods: true)",
    ]


def test_a_decimal_that_rounds_to_the_end_of_a_cycle_is_that_end(plan: Planner) -> None:
    [run] = plan("0.1429", **BASE).timelines
    assert (run.num_steps, run.lengths.ratio.text) == (200, "0.1429")


REFUSALS: dict[str, tuple[str, Keys, list[str]]] = {
    "ratios at which no cycle ends, with those at which one does": (
        "0.25,3/7,2",
        {},
        [
            "--ratios: ratio 0.25: no cycle ends there (take some of 1/7,3/7,1.0, or leave --ratios out)",
            "--ratios: ratio 2: no cycle ends there (take some of 1/7,3/7,1.0, or leave --ratios out)",
        ],
    ),
    "a baseline with no room for three cycles": (
        "1",
        {"epochs": 6},
        ["r.yaml:3: epochs: no room for 3 cycles: the first would have 0.857 epochs (it needs one at least, and twice"],
    ),
    "a warm-up that leaves no room": (
        "1",
        {"lr_warmup_epochs": 1.5},
        ["r.yaml:3: epochs: no room for 3 cycles: the first would have 2 epochs (it needs one at least, and twice"],
    ),
    "a rate that never falls": ("1", {"lr_scheduler": "constantlr"}, ["constantlr makes no cycles: its rate never"]),
    "a schedule that is cycles already": (
        "1",
        {"lr_scheduler": "cosineannealingwarmrestarts", "lr_t_0": 2},
        ["r.yaml:4: lr_scheduler: cosineannealingwarmrestarts makes no cycles: it has cycles of its own (take another"],
    ),
    "a cycle of momentum": ("1", {"lr_scheduler": "onecyclelr"}, ["onecyclelr makes no cycles: it has cycles of its"]),
    "what goes by the end of a run": (
        "1",
        {"swa": True, "layer_freezing": True},
        [
            "r.yaml:7: swa: goes by the end of a run, and a cyclic run stands in for several (turn it off",
            "r.yaml:8: layer_freezing: goes by the end of a run, and a cyclic run stands in for several (turn it off",
        ],
    ),
    "times that follow the run": (
        "1",
        {"progressive_resizing": True, "mixup_alpha": 0.2, "mixup_off": "0.5dur"},
        [
            "r.yaml:9: mixup_off: follows the length of a run, and a cyclic run stands in for several (give an",
            "r.yaml: progressive_resizing_start: follows the length of a run, and a cyclic run stands in for several",
            "r.yaml: progressive_resizing_end: follows the length of a run, and a cyclic run stands in for several",
        ],
    ),
    "one rate an epoch, where cycles begin inside epochs": (
        "1",
        {"epochs": 16, "lr_interval": "epoch"},
        ["r.yaml:7: lr_interval: the rate changes once an epoch, and cycles begin inside epochs (take lr_interval"],
    ),
    "a step interval that one of the cycles has no step for": (
        "1",
        {"lr_scheduler": "steplr", "lr_step_size": "6ba"},
        ["r.yaml:7: lr_step_size: ratio 1/7: an interval of 0.857 steps is under one step"],
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_everything_that_makes_no_sense_is_refused_at_once(case: str, plan: Planner) -> None:
    ratios, keys, texts = REFUSALS[case]
    with pytest.raises(RecipeError) as refused:
        plan(ratios, **BASE | keys)
    problems = [str(problem) for problem in refused.value.problems]
    assert len(problems) == len(texts), problems
    for problem, text in zip(problems, texts, strict=True):
        assert text in problem


def test_with_one_rate_an_epoch_cycles_of_whole_epochs_train(plan: Planner) -> None:
    assert plan(ENDS, **BASE, lr_interval="epoch").num_steps == 1400


def test_a_finding_on_a_cycle_is_told_once_however_many_ends_have_it(plan: Planner) -> None:
    made = plan(ENDS, **BASE | {"lr_scheduler": "multisteplr", "lr_milestones": "[0.5, 7]"}, lr_warmup_epochs=1)
    inside = [str(warning) for warning in made.warnings if "inside the warm-up" in warning.message]
    assert inside == [
        "r.yaml:7: lr_milestones: ratio 1/7: step 7 lies inside the warm-up: it takes effect at its end, step 100"
    ]


def test_no_recipe_can_say_what_a_cyclic_run_is(load: Callable[..., LoadedRecipe]) -> None:
    with pytest.raises(RecipeError, match="no recipe can say that"):
        scale(load(**BASE), Ratio.parse("1"), 1000)
