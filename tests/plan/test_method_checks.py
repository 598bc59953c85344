"""Every refusal and every warning that methods and a scheduled momentum give: where it points and what it says."""

from collections.abc import Callable
from typing import Any

import pytest

from sweep.errors import Problem, RecipeError
from sweep.plan.stages import Plan

Planner = Callable[..., Plan]
Keys = dict[str, Any]

# 1,000 examples in batches of 10: an epoch is 100 steps.
BASE: Keys = {"epochs": 20, "lr_scheduler": "constantlr", "batch_size": 10}
DUR = "give it in dur, or set scale_methods: true"
SWA: Keys = {"swa": True}
RESIZING: Keys = {"progressive_resizing": True}
FREEZING: Keys = {"layer_freezing": True}
MIXUP: Keys = {"mixup_alpha": 0.2}

REFUSALS: dict[str, tuple[str, Keys, Problem]] = {
    "an average that ends before it begins": (
        "0.4,1",
        {**SWA, "swa_start": 7, "swa_end": "0.5dur"},
        Problem(
            "step 700 lies after swa_end, step 400",
            "r.yaml:7",
            "swa_start",
            "0.4",
            "give both in dur, or both in epochs",
        ),
    ),
    "images that are full-sized before they begin to grow": (
        "1",
        {**RESIZING, "progressive_resizing_start": "0.81dur"},
        Problem(
            "step 1620 lies after progressive_resizing_end, step 1600",
            "r.yaml:7",
            "progressive_resizing_start",
            "1",
            "give both in dur, or both in epochs",
        ),
    ),
    "an interval of less than a step": (
        "0.5,1",
        {**SWA, "swa_interval": "1ba", "scale_methods": True},
        Problem(
            "an interval of 0.5 steps is under one step",
            "r.yaml:7",
            "swa_interval",
            "0.5",
            "take a longer one, or a larger ratio",
        ),
    ),
    "a warm-up beside onecyclelr": (
        "0.5,1",
        {"lr_scheduler": "onecyclelr", "lr_warmup_epochs": 1},
        Problem(
            "onecyclelr has a warm-up of its own: the first lr_pct_start of the run",
            "r.yaml:6",
            "lr_warmup_epochs",
            None,
            "leave it out",
        ),
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_method_is_refused_with_its_place_key_ratio_and_advice(plan: Planner, case: str) -> None:
    ratios, keys, expected = REFUSALS[case]
    with pytest.raises(RecipeError) as caught:
        plan(ratios, **BASE | keys)
    assert caught.value.problems == (expected,)


# Each: the ratio, the recipe's keys, and the one warning.
WARNINGS: dict[str, tuple[str, Keys, Problem]] = {
    "mixup that ends past the end": (
        "0.2",
        {**MIXUP, "mixup_off": 5},
        Problem("5ep lies past the end of the run: images are mixed throughout", "r.yaml:7", "mixup_off", "0.2", DUR),
    ),
    "mixup that ends past the end of every run": (
        "0.2",
        {**MIXUP, "mixup_off": 21, "scale_methods": True},
        Problem("21ep lies past the end of the run: images are mixed throughout", "r.yaml:7", "mixup_off", "0.2"),
    ),
    "mixup that ends at the end": (
        "0.25",
        {**MIXUP, "mixup_off": 5},
        Problem(
            "5ep falls on the end of the run, step 500: images are mixed throughout", "r.yaml:7", "mixup_off", "0.25"
        ),
    ),
    "mixup that ends where rounding puts the end": (
        "0.05",
        {**MIXUP, "mixup_off": "0.996dur"},
        Problem(
            "0.996dur falls on the end of the run, step 100: images are mixed throughout",
            "r.yaml:7",
            "mixup_off",
            "0.05",
        ),
    ),
    "mixup that is never on": (
        "0.05",
        {**MIXUP, "mixup_off": "0.004dur"},
        Problem("falls on step 0: images are never mixed", "r.yaml:7", "mixup_off", "0.05"),
    ),
    "an average that begins past the end": (
        "0.25",
        {**SWA, "swa_start": 6},
        Problem("6ep lies past the end of the run: no weights are averaged", "r.yaml:7", "swa_start", "0.25", DUR),
    ),
    "an average that ends past the end": (
        "0.25",
        {**SWA, "swa_start": 1, "swa_end": 6},
        Problem(
            "6ep lies past the end of the run: weights are averaged up to that end", "r.yaml:8", "swa_end", "0.25", DUR
        ),
    ),
    "an average of one": (
        "0.1",
        {**SWA},
        Problem("1ep: the weights after step 140 are alone in their average", "r.yaml", "swa_interval", "0.1"),
    ),
    "an average of the untrained weights alone": (
        "0.05",
        {**SWA, "swa_start": 0, "swa_end": "0.5dur"},
        Problem("1ep: no weights are averaged", "r.yaml", "swa_interval", "0.05"),
    ),
    "images that begin to grow past the end": (
        "0.25",
        {**RESIZING, "progressive_resizing_start": 6},
        Problem(
            "6ep lies past the end of the run: images keep their first size",
            "r.yaml:7",
            "progressive_resizing_start",
            "0.25",
            DUR,
        ),
    ),
    "images that are full-sized past the end": (
        "0.25",
        {**RESIZING, "progressive_resizing_start": 1, "progressive_resizing_end": 6},
        Problem(
            "6ep lies past the end of the run: images do not reach their full size before it",
            "r.yaml:8",
            "progressive_resizing_end",
            "0.25",
            DUR,
        ),
    ),
    "images of one size": (
        "1",
        {**RESIZING, "progressive_resizing_increment": 8},
        Problem("every image has one size", "r.yaml:6", "progressive_resizing", "1"),
    ),
    "layers that freeze past the end": (
        "0.25",
        {**FREEZING, "layer_freezing_start": 6},
        Problem(
            "6ep lies past the end of the run: no layer is frozen", "r.yaml:7", "layer_freezing_start", "0.25", DUR
        ),
    ),
    "layers that freeze in the last epoch": (
        "0.25",
        {**FREEZING, "layer_freezing_start": "0.9dur"},
        Problem("no epoch begins with a layer frozen", "r.yaml:6", "layer_freezing", "0.25"),
    ),
    "no layers to freeze": (
        "1",
        {**FREEZING, "layer_freezing_level": 0},
        Problem("no epoch begins with a layer frozen", "r.yaml:6", "layer_freezing", "1"),
    ),
    "an average whose first update comes after the end": (
        "0.05",
        {"model_ema": True, "model_ema_steps": 101},
        Problem(
            "the run of 100 steps ends before the first update of the average", "r.yaml:7", "model_ema_steps", "0.05"
        ),
    ),
    "a key of a method that is off": (
        "1",
        {"layer_freezing_level": 0.5},
        Problem("ignored: layer_freezing is off", "r.yaml:6", "layer_freezing_level"),
    ),
    "the end of mixup where nothing is mixed": (
        "1",
        {"mixup_off": 3},
        Problem("ignored: no images are mixed", "r.yaml:6", "mixup_off"),
    ),
    "absolute times where there are none": (
        "1",
        {**MIXUP, "mixup_off": "0.5dur", "scale_methods": True},
        Problem("ignored: no method has an absolute time", "r.yaml:8", "scale_methods"),
    ),
    "a momentum that is cycled": (
        "1",
        {"lr_scheduler": "onecyclelr", "momentum": 0.8},
        Problem("ignored: lr_scheduler onecyclelr cycles it", "r.yaml:6", "momentum"),
    ),
    "a momentum that AdamW does not have": (
        "1",
        {"lr_scheduler": "onecyclelr", "momentum": 0.8, "opt": "adamw"},
        Problem("ignored: opt adamw does not use it", "r.yaml:6", "momentum"),
    ),
    "the momenta of a cycle that is off": (
        "1",
        {"lr_scheduler": "onecyclelr", "lr_cycle_momentum": False, "lr_base_momentum": 0.8},
        Problem("ignored: lr_cycle_momentum is off", "r.yaml:7", "lr_base_momentum"),
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_a_plan_warns_of_a_method_with_its_place_key_and_ratio(plan: Planner, case: str) -> None:
    ratio, keys, expected = WARNINGS[case]
    assert plan(ratio, **BASE | keys).warnings == (expected,)


@pytest.mark.parametrize(
    "keys",
    [
        {**SWA, **RESIZING, **FREEZING, **MIXUP, "mixup_off": "0.9dur"},
        {**RESIZING, **FREEZING, "model_ema": True},
        {**SWA, "swa_start": 2, "swa_end": 4, "swa_interval": "10ba"},
        {**SWA, "swa_end": "1dur"},
        {**SWA, "swa_start": 10, "swa_end": 18, "scale_methods": True},
        {**RESIZING, "progressive_resizing_start": 0, "progressive_resizing_end": "1dur"},
        {**FREEZING, "layer_freezing_start": 0},
        {"cutmix_alpha": 1.0, "mixup_off": 4},
        {"lr_scheduler": "onecyclelr", "lr_cycle_momentum": False, "momentum": 0.8},
        {"lr_scheduler": "onecyclelr", "opt": "adamw", "lr_base_momentum": 0.8},
    ],
)
def test_methods_that_are_all_well_are_warned_of_nothing(plan: Planner, keys: Keys) -> None:
    assert plan("0.25,0.5,1,2", **BASE | keys).warnings == ()


def test_each_ratio_that_a_time_does_not_fit_is_told(plan: Planner) -> None:
    warnings = plan("0.25,0.5,1", **BASE | SWA | {"swa_start": 11, "swa_end": 15}).warnings
    assert [(warning.key, warning.ratio) for warning in warnings] == [("swa_start", "0.25"), ("swa_start", "0.5")]
