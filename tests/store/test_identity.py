from typing import Any, Literal

import pytest
from histories import ENVIRONMENT, RECIPE, a_start, a_trial, ended, finished

from sweep.errors import UsageError
from sweep.recipe.schema import Recipe
from sweep.store.identity import check_environment, check_recipe, mixed_stages
from sweep.store.records import ChosenPrecision, Environment

START = a_start([a_trial()])


def other_recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate(RECIPE.model_dump(exclude_unset=True) | changes)


def test_a_new_workspace_takes_any_recipe_and_set_up() -> None:
    check_recipe(None, RECIPE, "results/mine", {})
    check_environment(None, ENVIRONMENT, "results/mine")


def test_the_same_sweep_goes_on() -> None:
    check_recipe(START, RECIPE, "results/mine", {})
    check_environment(START, ENVIRONMENT, "results/mine")


@pytest.mark.parametrize(
    "changes", [{"seed": 3}, {"method": "steps"}, {"threads": 2}, {"price": 2.0}, {"data_path": "elsewhere"}]
)
def test_what_may_differ_between_runs_of_a_sweep_is_not_refused(changes: dict[str, object]) -> None:
    check_recipe(START, other_recipe(**changes), "results/mine", {})


def test_other_code_of_a_task_is_another_set_up() -> None:
    first = a_start([a_trial()]).model_copy(
        update={"environment": ENVIRONMENT.model_copy(update={"code_sha256": "ab" * 32})}
    )
    check_environment(first, first.environment, "results/mine")
    other = ENVIRONMENT.model_copy(update={"code_sha256": "cd" * 32})
    with pytest.raises(UsageError, match="another set-up: the task's code was abababababab, now cdcdcdcdcdcd"):
        check_environment(first, other, "results/mine")
    assert check_environment(first, ENVIRONMENT, "results/mine", allow_mixed=True) == [
        "the task's code was abababababab, now not there"
    ]


def test_another_choice_of_precision_is_another_set_up() -> None:
    def chosen(amp: Literal["bf16", "none"], why: str = "") -> Environment:
        return ENVIRONMENT.model_copy(update={"precision": ChosenPrecision(amp=amp, why=why)})

    first = START.model_copy(update={"environment": chosen("bf16")})
    check_environment(first, chosen("bf16", "for another reason"), "results/mine")
    with pytest.raises(UsageError, match=r"another set-up: amp: auto was bf16, now none .*--allow-mixed"):
        check_environment(first, chosen("none"), "results/mine")
    trained = finished(a_trial()).model_copy(update={"environment": chosen("none")})
    assert mixed_stages([first, trained]) == {trained.stage: ("amp: auto was bf16, now none",)}


def test_another_recipe_is_refused_with_each_key_that_differs() -> None:
    other = other_recipe(lr=0.2, epochs=30, lr_scheduler="cosineannealinglr", seed=9)
    with pytest.raises(UsageError) as caught:
        check_recipe(START, other, "results/mine", {"lr": "--set", "epochs": "mine.yaml:3", "seed": "--set"})
    assert caught.value.exit_code == 2
    assert [
        problem.message.removeprefix("these results are of another recipe: ") for problem in caught.value.problems
    ] == [
        "epochs was 20ep, now 30ep (mine.yaml:3)",
        "lr was 0.1, now 0.2 (--set)",
        "lr_scheduler was steplr, now cosineannealinglr (not given)",
    ]
    assert all(problem.where == "results/mine" for problem in caught.value.problems)
    assert all("--name" in str(problem.fix) and "--fresh" in str(problem.fix) for problem in caught.value.problems)


def test_a_recorded_key_that_is_gone_is_named() -> None:
    start = START.model_copy(update={"fingerprint": "0" * 16, "recipe": START.recipe | {"old_key": 5}})
    with pytest.raises(UsageError, match="old_key was 5, now None"):
        check_recipe(start, RECIPE, "results/mine", {})


def test_a_default_that_another_version_has_changed_is_another_recipe_although_its_fingerprint_is_not() -> None:
    start = START.model_copy(update={"recipe": START.recipe | {"lr_gamma": 0.2, "momentum": 0.8}})
    assert start.fingerprint == RECIPE.fingerprint
    with pytest.raises(UsageError) as caught:
        check_recipe(start, RECIPE, "results/mine", {})
    assert [problem.message.partition(": ")[2] for problem in caught.value.problems] == [
        "lr_gamma was 0.2, now 0.1 (not given)",
        "momentum was 0.8, now 0.9 (not given)",
    ]


def test_another_recipe_is_refused_even_where_no_difference_can_be_named() -> None:
    with pytest.raises(UsageError, match="these results are of another recipe"):
        check_recipe(START.model_copy(update={"fingerprint": "0" * 16}), RECIPE, "results/mine", {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threads": 2}, "threads was 1, now 2"),
        ({"device_kind": "cuda"}, "device was cpu, now cuda"),
        ({"torch": "2.7.0"}, "torch was 2.6.0, now 2.7.0"),
    ],
)
def test_another_set_up_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_environment(START, ENVIRONMENT.model_copy(update=changes), "results/mine")
    (problem,) = caught.value.problems
    assert problem.message == f"these results were measured on another set-up: {message}"
    assert problem.where == "results/mine"
    assert "--allow-mixed" in str(problem.fix)
    other = ENVIRONMENT.model_copy(update=changes)
    assert check_environment(START, other, "results/mine", allow_mixed=True) == [message]
    assert check_environment(START, ENVIRONMENT, "results/mine", allow_mixed=True) == []


THERE = {"environment": ENVIRONMENT.model_copy(update={"threads": 2})}
MARK = ("threads was 1, now 2",)


def test_a_stage_that_was_trained_elsewhere_is_mixed_and_no_other() -> None:
    here, there = a_trial("0.5"), a_trial("1.0")
    records = [START, finished(here), a_start([there], **THERE), finished(there).model_copy(update=THERE), START]
    assert mixed_stages(records) == {there.stages[0]: MARK}
    assert mixed_stages([START, finished(here)]) == {}
    assert mixed_stages([]) == {}


def test_one_that_went_on_from_a_checkpoint_that_may_be_from_elsewhere_is_mixed_too() -> None:
    trial = a_trial()
    resumed = finished(trial, resumed_at=(5,))
    assert mixed_stages([START, resumed, a_start([trial], **THERE)]) == {}
    assert mixed_stages([START, a_start([trial], **THERE), START, resumed]) == {trial.stages[0]: MARK}
    assert mixed_stages([START, a_start([trial], **THERE), START, finished(trial)]) == {}


def test_one_that_went_on_on_its_own_machine_is_not_mixed_by_another_part_of_a_merged_sweep() -> None:
    own, others = a_trial("0.5"), a_trial("1.0")
    resumed = finished(own, resumed_at=(5,))
    assert mixed_stages([START, a_start([others], **THERE), a_start([own]), resumed]) == {}
    assert mixed_stages([START, a_start([own], **THERE), a_start([own]), resumed]) == {own.stages[0]: MARK}


def test_only_the_record_that_counts_marks_a_stage() -> None:
    trial = a_trial()
    lost = ended(trial).model_copy(update=THERE)
    assert mixed_stages([START, lost, finished(trial)]) == {}
    assert mixed_stages([START, finished(trial), finished(trial).model_copy(update=THERE)]) == {}


def test_all_that_differs_in_a_set_up_is_reported_at_once() -> None:
    other = ENVIRONMENT.model_copy(update={"threads": 2, "device_kind": "cuda", "torch": "2.7.0"})
    with pytest.raises(UsageError) as caught:
        check_environment(START, other, "results/mine")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("changes", [{"python": "3.12.1"}, {"git_commit": "abc"}, {"platform": "Darwin"}])
def test_what_does_not_touch_the_training_may_change(changes: dict[str, object]) -> None:
    check_environment(START, ENVIRONMENT.model_copy(update=changes), "results/mine")
