"""The plan: its Stages, their order, and when they evaluate."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from sweep.errors import RecipeError
from sweep.plan.grid import Trial
from sweep.plan.stages import Plan, Recorded, stage_id
from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe

Planner = Callable[..., Plan]


WSD = {"lr_scheduler": "wsd", "epochs": 10, "batch_size": 100, "min_shared_steps": 1}


def spans(plan: Plan) -> list[tuple[int, int, str, int]]:
    """From where to where each Stage of the first seed reaches, its longest ratio and the number of its Trials."""
    first = plan.trials[0].seed
    return sorted(
        (stage.start_step, stage.stop_step, stage.trial.timeline.lengths.ratio.text, stage.num_trials)
        for stage in plan.stages
        if stage.trial.seed == first
    )


def test_trained_alone_every_trial_is_one_whole_stage(plan: Planner) -> None:
    made = plan("0.5,1", num_seeds=2, shares=False, **WSD)
    assert {(stage.trial.key, stage.start_step, stage.stop_step) for stage in made.stages} == {
        (trial.key, 0, trial.timeline.num_steps) for trial in made.trials
    }
    assert made.num_steps == made.num_steps_alone == 2 * (50 + 100)


def test_a_plateau_is_one_stage_and_each_cool_down_another(plan: Planner) -> None:
    made = plan("0.5,1,2", num_seeds=2, **WSD)
    # The first step of a cool-down is still at the plateau's rate.
    assert spans(made) == [(0, 41, "2", 3), (41, 50, "0.5", 1), (41, 81, "2", 2), (81, 100, "1", 1), (81, 200, "2", 1)]
    assert made.num_steps == 2 * (200 + 9 + 19)
    assert made.num_steps_alone == 2 * (50 + 100 + 200)


def test_a_trials_path_leads_from_the_root_to_its_end(plan: Planner) -> None:
    made = plan("0.5,1,2", num_seeds=2, **WSD)
    stages = {stage.id: stage for stage in made.stages}
    assert made.paths.keys() == {trial.key for trial in made.trials}
    for trial in made.trials:
        way = [stages[stage] for stage, _ in made.paths[trial.key]]
        assert [stop for _, stop in made.paths[trial.key]] == [stage.stop_step for stage in way]
        assert [stage.start_step for stage in way] == [0, *(stage.stop_step for stage in way[:-1])]
        assert [stage.parent for stage in way] == [None, *(stage.id for stage in way[:-1])]
        assert trial in way[-1].ends
        assert all(stage.trial.seed == trial.seed for stage in way)


def test_a_parent_stands_before_its_children_and_one_follows_on_it_at_once(plan: Planner) -> None:
    made = plan("0.2:2:0.2", num_seeds=3, **WSD)
    places = {stage.id: place for place, stage in enumerate(made.stages)}
    for parent, children in made.children.items():
        assert min(places[child.id] for child in children) == places[parent] + 1


def test_a_constant_rate_is_one_way_on_which_every_shorter_trial_ends(plan: Planner) -> None:
    made = plan("0.5,1,2", lr_scheduler="constantlr", epochs=10, batch_size=100, min_shared_steps=50)
    assert spans(made) == [(0, 50, "2", 3), (50, 100, "2", 2), (100, 200, "2", 1)]
    assert [[trial.timeline.num_steps for trial in stage.ends] for stage in made.stages] == [[50], [100], [200]]
    assert made.num_steps == 200


def test_forks_that_save_too_little_are_not_made(plan: Planner) -> None:
    for least, expected in ((41, 3), (42, 2)):
        assert len(plan("0.5,1", **WSD | {"min_shared_steps": least}).stages) == expected
    # One fork for three saves twice its steps.
    cosine = {"lr_scheduler": "cosineannealinglr", "lr_warmup_epochs": 2, "epochs": 10, "batch_size": 100}
    assert len(plan("0.5,1,2", min_shared_steps=42, **cosine).stages) == 4
    assert len(plan("0.5,1,2", min_shared_steps=43, **cosine).stages) == 3


def test_a_stages_id_outlives_its_grid(plan: Planner) -> None:
    small, large = plan("0.5,1", **WSD), plan("0.5,1,2", num_seeds=2, **WSD)
    assert {stage.id for stage in small.stages if stage.ends} - {stage.id for stage in large.stages} == {
        stage.id for stage in small.stages if stage.stop_step == 100
    } - {stage.id for stage in large.stages}
    assert {stage.id for stage in small.stages if stage.stop_step < 100} <= {stage.id for stage in large.stages}
    ids = [stage.id for stage in large.stages]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("keys", "ids"),
    [
        (
            {"lr_scheduler": "wsd", "method": "steps"},
            ["9893b5fa4fe1fae4", "3cdcba571a573a2c", "033141b31d643a8d"],
        ),
        (
            {"lr_scheduler": "multisteplr", "lr_milestones": "[3, 8]", "lr_interval": "epoch", "method": "samples"},
            ["e49bc8ebd6412891", "d07a993c55b71f93", "56372dd68870cecd"],
        ),
    ],
)
def test_stages_have_the_ids_that_they_have_in_old_journals(
    plan: Planner, keys: dict[str, str], ids: list[str]
) -> None:
    made = plan("0.5,1", epochs=10, batch_size=100, min_shared_steps=1, lr_warmup_epochs=1, **keys)
    assert [stage.id for stage in sorted(made.stages, key=lambda stage: (stage.start_step, stage.stop_step))] == ids


def test_what_is_missing_begins_where_there_is_a_state(plan: Planner) -> None:
    small, large = plan("0.5,1", **WSD), plan("0.5,1,2", **WSD)
    stages = {(stage.start_step, stage.stop_step): stage.id for stage in small.stages}
    spans_known = frozenset(stages)
    done = frozenset(trial.key for trial in small.trials)
    for states, start in (({41}, 41), (set(), 0)):
        recorded = Recorded(
            final=done,
            finished=frozenset(stages.values()),
            spans={0: spans_known},
            has_state=lambda stage, step, states=states: step in states and stage == stages[0, 41],
        )
        [stage] = large.missing(recorded).stages
        assert (stage.start_step, stage.stop_step) == (start, 200)
        assert stage.parent == (stages[0, 41] if start else None)
        [path] = large.missing(recorded).paths.values()
        assert [stop for _, stop in path] == ([41, 200] if start else [200])


def test_when_all_is_done_nothing_is_missing(plan: Planner) -> None:
    made = plan("0.5,1", **WSD)
    left = made.missing(Recorded(final=frozenset(trial.key for trial in made.trials)))
    assert (left.stages, left.paths, left.trials) == ((), {}, made.trials)


def test_a_run_is_evaluated_after_every_epoch_and_at_its_end(plan: Planner) -> None:
    (stage,) = plan("0.5", epochs=10, batch_size=100).stages
    assert stage.eval_steps == (10, 20, 30, 40, 50)
    (cut,) = plan("0.25", epochs=10, batch_size=100, method="steps").stages
    assert cut.eval_steps == (10, 20, 25)


def test_a_baseline_is_evaluated_at_every_shorter_length_of_the_grid_too(plan: Planner) -> None:
    made = plan("0.25,0.55,1,1.05", epochs=4, batch_size=100, method="steps", num_seeds=2)
    for stage in made.stages:
        assert stage.start_step == 0
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
from collections import Counter
from sweep.plan.stages import make_plan
from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe
from sweep.recipe.duration import parse_ratios
from sweep.recipe.library import load_recipe
loaded = load_recipe(sys.argv[1])
plan = make_plan(loaded, parse_ratios("0.25,0.5,1"), 3, DATASETS[loaded.recipe.dataset].num_train)
for timeline in plan.timelines:
    list(timeline.spans())
print(plan.num_steps_alone, sorted({"torch", "torchvision", "pandas", "sklearn"} & set(sys.modules)))
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


def test_a_shared_stage_is_evaluated_where_any_of_its_trials_would_be(plan: Planner) -> None:
    made = plan("0.45,1,2", method="steps", **WSD | {"min_shared_steps": 10})
    evaluated: dict[int, set[int]] = {trial.timeline.num_steps: set() for trial in made.trials}
    stages = {stage.id: stage for stage in made.stages}
    for trial in made.trials:
        for stage, _ in made.paths[trial.key]:
            assert all(stages[stage].start_step < step <= stages[stage].stop_step for step in stages[stage].eval_steps)
            evaluated[trial.timeline.num_steps] |= set(stages[stage].eval_steps)
    assert evaluated[45] == {10, 20, 30, 40, 45}
    assert evaluated[100] == {*range(10, 101, 10), 45}
    assert evaluated[200] >= {*range(10, 201, 10)}


def test_a_recipe_is_hashed_once_a_length_however_many_seeds_there_are(
    plan: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_hashed = Counter[int]()
    fingerprint = Recipe.fingerprint.fget
    assert fingerprint is not None

    def counted(recipe: Recipe) -> str:
        num_hashed[num_seeds] += 1
        return fingerprint(recipe)

    monkeypatch.setattr(Recipe, "fingerprint", property(counted))
    for num_seeds in (1, 40):
        made = plan("0.25,0.5,1", num_seeds=num_seeds, **WSD)
        assert len({trial.key for trial in made.missing(Recorded()).trials}) == 3 * num_seeds
    assert num_hashed[1] == num_hashed[40]


def test_what_another_seed_has_finished_is_not_tried_with_a_trial(
    plan: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan("0.25,0.5,0.75,1", num_seeds=5, **WSD)
    done = [stage for stage in made.stages if stage.trial.seed == 0]
    recorded = Recorded(
        final=frozenset(trial.key for trial in made.trials if trial.seed == 0),
        finished=frozenset(stage.id for stage in done),
        spans={0: {(stage.start_step, stage.stop_step) for stage in done}},
        has_state=lambda stage, step: True,
    )
    num_ids = Counter[int]()

    def counted(trial: Trial, start: int, stop: int, is_end: bool) -> str:
        num_ids[trial.seed] += 1
        return stage_id(trial, start, stop, is_end)

    monkeypatch.setattr("sweep.plan.stages.stage_id", counted)
    left = made.missing(recorded)
    assert left.stages == tuple(stage for stage in made.stages if stage.trial.seed != 0)
    assert num_ids == dict.fromkeys(range(1, 5), len(done))
