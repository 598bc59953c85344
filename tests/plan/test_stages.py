"""The plan: its Stages, their order, and when they evaluate."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from sweep.errors import RecipeError
from sweep.plan.stages import Plan
from sweep.recipe.datasets import DATASETS

Planner = Callable[..., Plan]


def test_every_trial_is_one_whole_stage(plan: Planner) -> None:
    made = plan("0.5,1", num_seeds=2, epochs=10, batch_size=100)
    assert {(stage.trial.key, stage.start_step, stage.stop_step) for stage in made.stages} == {
        (trial.key, 0, trial.timeline.num_steps) for trial in made.trials
    }
    assert made.num_steps == 2 * (50 + 100)


def test_a_trials_path_is_its_stage(plan: Planner) -> None:
    made = plan("0.5,1", num_seeds=2, epochs=10)
    assert made.paths == {stage.trial.key: (stage.id,) for stage in made.stages}
    assert len({stage.id for stage in made.stages}) == len(made.trials) == 4


def test_a_stages_id_outlives_its_grid(plan: Planner) -> None:
    small, large = plan("0.5", epochs=10), plan("0.25,0.5,1", num_seeds=2, epochs=10)
    assert {stage.id for stage in small.stages} < {stage.id for stage in large.stages}


def test_a_run_is_evaluated_after_every_epoch_and_at_its_end(plan: Planner) -> None:
    (stage,) = plan("0.5", epochs=10, batch_size=100).stages
    assert stage.eval_steps == (10, 20, 30, 40, 50)
    (cut,) = plan("0.25", epochs=10, batch_size=100, method="steps").stages
    assert cut.eval_steps == (10, 20, 25)


def test_a_baseline_is_evaluated_at_every_shorter_length_of_the_grid_too(plan: Planner) -> None:
    made = plan("0.25,0.55,1,1.05", epochs=4, batch_size=100, method="steps", num_seeds=2)
    for stage in made.stages:
        epochs = {*range(10, stage.stop_step, 10), stage.stop_step}
        shorter = {10, 22} if stage.stop_step == 40 else set()
        assert stage.eval_steps == tuple(sorted(epochs | shorter))


def test_stages_are_trained_seed_by_seed(plan: Planner) -> None:
    seeds = [stage.trial.seed for stage in plan("0.1:1:0.1", num_seeds=3, epochs=10).stages]
    assert seeds == [0] * 10 + [1] * 10 + [2] * 10


def test_a_seeds_ratios_are_shuffled_the_same_way_whenever_they_are_planned(plan: Planner) -> None:
    first, again = (plan("0.1:1:0.1", num_seeds=2, epochs=10) for _ in range(2))
    assert first.order_seed == again.order_seed
    assert [stage.id for stage in first.stages] == [stage.id for stage in again.stages]
    orders = [[stage.stop_step for stage in first.stages if stage.trial.seed == seed] for seed in (0, 1)]
    assert orders[0] != sorted(orders[0])
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_the_plan_keeps_its_warnings(plan: Planner) -> None:
    assert plan(epochs=10).warnings == ()
    (warning,) = plan(epochs=10, lr_power=2).warnings
    assert warning.key == "lr_power"


PLAN_WITHOUT_TORCH = """
import sys
from sweep.plan.stages import make_plan
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import parse_ratios
from sweep.recipe.library import load_recipe
loaded = load_recipe(sys.argv[1])
plan = make_plan(loaded, parse_ratios("0.25,0.5,1"), 3, DATASETS[loaded.recipe.dataset].num_train)
for timeline in plan.timelines:
    list(timeline.spans())
print(plan.num_steps, sorted({"torch", "torchvision", "pandas", "sklearn"} & set(sys.modules)))
"""


def test_a_shipped_recipe_is_planned_without_torch_or_the_data() -> None:
    for recipe, dataset, epochs, batch_size in (
        ("digits", "digits", 20, 64),
        ("fashion_mnist", "FashionMNIST", 16, 128),
    ):
        command = [sys.executable, "-c", PLAN_WITHOUT_TORCH, recipe]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        steps_per_epoch = -(-DATASETS[dataset].num_train // batch_size)
        assert done.stdout == f"{3 * steps_per_epoch * epochs * 7 // 4} []\n"


def test_seeds_beyond_the_largest_are_refused_beside_other_mistakes(plan) -> None:
    plan("1", num_seeds=2, epochs=20, seed=2**32 - 2)
    with pytest.raises(RecipeError) as caught:
        plan("0.01,1", num_seeds=3, epochs=20, seed=2**32 - 2)
    assert [problem.key for problem in caught.value.problems] == ["seed", "epochs"]
