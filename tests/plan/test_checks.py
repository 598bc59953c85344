"""Every refusal and every warning of a plan: where it points, what it says, and that its advice helps."""

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import Problem, RecipeError
from sweep.plan.checks import refusals
from sweep.plan.lengths import measure
from sweep.plan.stages import Plan, make_plan
from sweep.recipe.duration import Ratio, parse_ratios
from sweep.recipe.library import LoadedRecipe, load_recipe, parse_settings
from sweep.recipe.schema import Recipe

Planner = Callable[..., Plan]
Keys = dict[str, Any]
MULTISTEP: Keys = {"lr_scheduler": "multisteplr"}
RESTARTS: Keys = {"lr_scheduler": "cosineannealingwarmrestarts"}


def refused(plan: Planner, ratios: str, **keys: Any) -> tuple[Problem, ...]:
    with pytest.raises(RecipeError) as caught:
        plan(ratios, **keys)
    assert caught.value.exit_code == 2
    return caught.value.problems


# Each: the ratios, the recipe's keys (the first stands on line 3), and where, key, ratio, message and advice.
REFUSALS: dict[str, tuple[str, Keys, Problem]] = {
    "no whole epoch": (
        "0.04,1",
        {"epochs": 20},
        Problem(
            "of 20 epochs that is none",
            "r.yaml:3",
            "epochs",
            "0.04",
            "take a ratio of at least 1/20, or use --method steps",
        ),
    ),
    "no step": (
        "4%,1",
        {"method": "steps", "epochs": "20ba"},
        Problem("of 20 steps that is none", "r.yaml:4", "epochs", "4%", "take a ratio of at least 1/20"),
    ),
    "no example drawn": (
        "0.0009,1",
        {"epochs": 20, "method": "samples"},
        Problem("of 1000 examples that is none", "r.yaml:3", "epochs", "0.0009", "take a ratio of at least 2/1000"),
    ),
    "no example kept": (
        "0.0009,1",
        {"epochs": 20, "method": "subset"},
        Problem("of 1000 examples that is none", "r.yaml:3", "epochs", "0.0009", "take a ratio of at least 2/1000"),
    ),
    "more examples drawn than there are": (
        "1,3/2",
        {"epochs": 20, "method": "samples"},
        Problem("there are no more than 1000 examples to draw", "r.yaml:4", "method", "3/2", "take ratios up to 1"),
    ),
    "more examples kept than there are": (
        "1,3/2",
        {"method": "subset"},
        Problem("there are no more than 1000 examples to draw", "r.yaml:3", "method", "3/2", "take ratios up to 1"),
    ),
    "a last batch of one": (
        "1",
        {"epochs": 20, "batch_size": 999},
        Problem(
            "the last batch of 1000 examples would hold one, and BatchNorm cannot train on it",
            "r.yaml:4",
            "batch_size",
            "1",
            "take batch_size 1000 or 998",
        ),
    ),
    "a last batch of one in a step of several": (
        "1",
        {"epochs": 20, "batch_size": 37, "gradient_accumulation_steps": 4},
        Problem(
            "the last batch of 1000 examples would hold one, and BatchNorm cannot train on it",
            "r.yaml:4",
            "batch_size",
            "1",
            "take batch_size 38 or 36",
        ),
    ),
    "a last batch of less than two for each of several devices": (
        "1",
        {"epochs": 20, "batch_size": 83, "devices_per_trial": 4},
        Problem(
            "the last batch of 1000 examples would hold 4, and each of 4 devices needs two, for BatchNorm",
            "r.yaml:4",
            "batch_size",
            "1",
            "take batch_size 84 or 82",
        ),
    ),
    "a last batch that leaves a device without any": (
        "1",
        {"epochs": 20, "batch_size": 1, "devices_per_trial": 3},
        Problem(
            "the last batch of 1000 examples would hold 1, and each of 3 devices needs one",
            "r.yaml:4",
            "batch_size",
            "1",
            "take batch_size 5",
        ),
    ),
    "a last batch of too few drawn for several devices": (
        "0.502,1",
        {"batch_size": 50, "devices_per_trial": 2, "method": "samples"},
        Problem(
            "the last batch of 502 examples would hold 2, and each of 2 devices needs two, for BatchNorm",
            "r.yaml:3",
            "batch_size",
            "0.502",
            "the nearest ratio that works is 0.504",
        ),
    ),
    "a last batch of one drawn": (
        "0.501,1",
        {"batch_size": 10, "method": "samples"},
        Problem(
            "the last batch of 501 examples would hold one, and BatchNorm cannot train on it",
            "r.yaml:3",
            "batch_size",
            "0.501",
            "the nearest ratio that works is 0.502",
        ),
    ),
    "a last batch of one kept": (
        "0.501,1",
        {"batch_size": 10, "method": "subset"},
        Problem(
            "the last batch of 501 examples would hold one, and BatchNorm cannot train on it",
            "r.yaml:3",
            "batch_size",
            "0.501",
            "the nearest ratio that works is 0.502",
        ),
    ),
    "a warm-up that fills the run": (
        "0.25,1",
        {"epochs": 20, "batch_size": 10, "lr_warmup_epochs": 5},
        Problem(
            "the warm-up of 500 steps fills the run of 500",
            "r.yaml:5",
            "lr_warmup_epochs",
            "0.25",
            "shorten it, set scale_warmup: true, or take a larger ratio",
        ),
    ),
    "a warm-up that fills the baseline": (
        "2",
        {"epochs": 5, "batch_size": 10, "lr_warmup_epochs": 5, **RESTARTS, "lr_t_0": 1},
        Problem(
            "the warm-up fills the baseline of 500 steps: there is nothing to scale",
            "r.yaml:5",
            "lr_warmup_epochs",
            "2",
            "shorten it",
        ),
    ),
    "a step size under a step": (
        "0.5,1",
        {"epochs": 20, "lr_step_size": "1ba"},
        Problem(
            "an interval of 0.5 steps is under one step",
            "r.yaml:4",
            "lr_step_size",
            "0.5",
            "take a longer one, or a larger ratio",
        ),
    ),
    "a step size under a step of what follows the warm-up": (
        "0.5,1",  # 12 of 52 steps are warm-up, and of 26: the rest shrinks to 14/40
        {
            "lr_step_size": "2ba",
            "epochs": "52ba",
            "method": "steps",
            "lr_warmup_epochs": "12ba",
            "lr_step_origin": "warmup",
        },
        Problem(
            "an interval of 0.7 steps is under one step",
            "r.yaml:3",
            "lr_step_size",
            "0.5",
            "take a longer one, or a larger ratio",
        ),
    ),
    "a first cycle under a step": (
        "0.5,1",
        {**RESTARTS, "lr_t_0": "1ba"},
        Problem(
            "an interval of 0.5 steps is under one step",
            "r.yaml:4",
            "lr_t_0",
            "0.5",
            "take a longer one, or a larger ratio",
        ),
    ),
    "a cool-down under a step": (
        "0.5,1",
        {"lr_scheduler": "wsd", "lr_cooldown": "1ba"},
        Problem(
            "an interval of 0.5 steps is under one step",
            "r.yaml:4",
            "lr_cooldown",
            "0.5",
            "take a longer one, or a larger ratio",
        ),
    ),
    "two ratios of one length": (
        "0.5,0.51,1",
        {"epochs": 20, "batch_size": 10},
        Problem(
            "0.5 and 0.51 are runs of the same length (1000 steps)",
            "--ratios",
            None,
            "0.51",
            "keep one of them, or use --method steps",
        ),
    ),
    "two ratios of one length in steps": (
        "0.5,0.51,1",
        {"epochs": "20ba", "method": "steps"},
        Problem("0.5 and 0.51 are runs of the same length (10 steps)", "--ratios", None, "0.51", "keep one of them"),
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_plan_is_refused_with_its_place_key_ratio_and_advice(plan: Planner, case: str) -> None:
    ratios, keys, expected = REFUSALS[case]
    assert refused(plan, ratios, **keys) == (expected,)


@pytest.mark.parametrize("case", REFUSALS)
def test_a_plan_is_refused_together_with_a_second_mistake(plan: Planner, case: str) -> None:
    ratios, keys, expected = REFUSALS[case]
    found = refused(plan, f"{ratios},1/1000000", **keys)
    assert len(found) == 2
    assert expected in found
    assert any(problem.ratio == "1/1000000" and "that is none" in problem.message for problem in found)


def test_two_mistakes_of_one_ratio_are_both_refused(plan: Planner) -> None:
    found = refused(plan, "1", epochs=20, batch_size=999, lr_warmup_epochs=20)
    assert [problem.key for problem in found] == ["batch_size", "lr_warmup_epochs"]


def test_every_ratio_that_is_wrong_is_refused(plan: Planner) -> None:
    found = refused(plan, "0.1,0.2,0.3,1", epochs=20, lr_warmup_epochs=5)
    assert [problem.ratio for problem in found] == ["0.1", "0.2"]


def test_a_key_of_an_option_is_refused_with_the_option(load: Callable[..., LoadedRecipe]) -> None:
    load(epochs=20, batch_size=10)
    loaded = load_recipe("r.yaml", parse_settings(("batch_size=999",)))
    with pytest.raises(RecipeError) as caught:
        make_plan(loaded, parse_ratios("1"), 1, 1000)
    (problem,) = caught.value.problems
    assert (problem.where, problem.key, problem.ratio) == ("--set", "batch_size", "1")


def test_a_key_left_at_its_default_is_refused_with_the_file(plan: Planner) -> None:
    (problem,) = refused(plan, "0.01")
    assert (problem.where, problem.key, problem.ratio) == ("r.yaml", "epochs", "0.01")  # 90 epochs


@pytest.mark.parametrize(
    ("method", "epochs", "ratio"), [("epochs", 20, "1/20"), ("steps", "20ba", "1/20"), ("samples", 20, "2/1000")]
)
def test_the_least_ratio_that_is_advised_trains_and_is_the_least(
    plan: Planner, method: str, epochs: object, ratio: str
) -> None:
    assert plan(ratio, method=method, epochs=epochs).num_steps > 0
    over, under = ratio.split("/")
    assert refused(plan, f"{over}/{int(under) + 1}", method=method, epochs=epochs)


def loaded_and_checked(ratio: Ratio, examples: int, **keys: Any) -> tuple[int, list[Problem]]:
    """How many examples an epoch draws, and what is refused."""
    fixed = {"model": "small_cnn", "dataset": "digits", "method": "samples"}
    recipe = Recipe.model_validate(fixed | keys)
    run = measure(recipe, ratio, examples)
    return run.num_examples, refusals(LoadedRecipe(recipe, "r", Path("r.yaml"), {}), (run,))


@given(batch_size=st.integers(2, 300), batches=st.integers(0, 1000), rest=st.integers(1, 100_000))
def test_the_nearest_ratio_that_is_advised_draws_one_example_more(batch_size: int, batches: int, rest: int) -> None:
    drawn = batches * batch_size + 1
    ratio = Fraction(drawn, drawn + rest)
    _, (problem,) = loaded_and_checked(Ratio(ratio, str(ratio)), drawn + rest, batch_size=batch_size)
    assert problem.fix is not None
    advised = Ratio.parse(problem.fix.removeprefix("the nearest ratio that works is "))
    assert loaded_and_checked(advised, drawn + rest, batch_size=batch_size) == (drawn + 1, [])


@given(batch_size=st.integers(2, 100), batches=st.integers(1, 100))
def test_the_batch_sizes_that_are_advised_work(batch_size: int, batches: int) -> None:
    examples = batches * batch_size + 1
    _, (problem,) = loaded_and_checked(Ratio.parse("1"), examples, batch_size=batch_size)
    assert problem.fix is not None
    advised = [int(number) for number in re.findall("[0-9]+", problem.fix)]
    assert advised
    for size in advised:
        assert loaded_and_checked(Ratio.parse("1"), examples, batch_size=size)[1] == []


def test_a_last_batch_of_one_that_the_run_never_reaches_is_no_matter(plan: Planner) -> None:
    keys = {"epochs": 1, "batch_size": 37, "method": "steps"}  # 27 x 37 + 1
    assert plan("27/28", **keys).num_steps == 27
    assert refused(plan, "1", **keys)[0].key == "batch_size"


def test_swa_passes_over_a_last_batch_of_one_whatever_the_run_reaches(plan: Planner) -> None:
    keys = {"epochs": 1, "batch_size": 37, "method": "steps", "swa": True, "swa_interval": "1ba"}
    assert refused(plan, "27/28", **keys)[0].key == "batch_size"


def test_batches_of_one_are_trained_where_the_recipe_asks_for_them(plan: Planner) -> None:
    assert plan("1", epochs=1, batch_size=1).num_steps == 1000


def test_a_warm_up_may_leave_a_single_step(plan: Planner) -> None:
    keys = {"epochs": "100ba", "method": "steps", "lr_warmup_epochs": "49ba"}
    assert plan("0.5", **keys).num_steps == 50
    assert refused(plan, "0.49", **keys)[0].key == "lr_warmup_epochs"


def test_an_interval_of_one_step_is_allowed(plan: Planner) -> None:
    assert plan("0.5", epochs="100ba", method="steps", lr_step_size="2ba").timelines[0].positions == tuple(range(1, 51))


def test_an_interval_counts_from_where_the_schedule_does(plan: Planner) -> None:
    keys = {"lr_step_size": "2ba", "epochs": "52ba", "method": "steps", "lr_warmup_epochs": "12ba"}
    assert len(plan("0.5", **keys).timelines[0].positions) == 26  # a step each from the start, 0.7 from the warm-up


def test_as_many_steps_from_other_examples_are_another_length(plan: Planner) -> None:
    assert len(plan("0.5,0.502", epochs=2, batch_size=100, method="samples", examples=990).trials) == 2


# Each: the ratio, the recipe's keys, and where, key, ratio (None: of the recipe) and message of the one warning.
# 1,000 examples in batches of 10: an epoch is 100 steps.
WARNINGS: dict[str, tuple[str, Keys, Problem]] = {
    "a milestone inside the warm-up": (
        "0.5",
        {**MULTISTEP, "lr_milestones": "[3, 10]", "epochs": 20, "lr_warmup_epochs": 2},
        Problem(
            "step 150 lies inside the warm-up: it takes effect at its end, step 200", "r.yaml:4", "lr_milestones", "0.5"
        ),
    ),
    "a step inside the warm-up": (
        "0.5",
        {"lr_step_size": 3, "epochs": 20, "lr_warmup_epochs": 2},
        Problem(
            "step 150 lies inside the warm-up: it takes effect at its end, step 200", "r.yaml:3", "lr_step_size", "0.5"
        ),
    ),
    "merged milestones": (
        "0.1",
        {**MULTISTEP, "lr_milestones": "['100ba', '103ba', '104ba', '110ba']", "epochs": 20},
        Problem("3 milestones merge at step 10: the rate decays 3 times at once", "r.yaml:4", "lr_milestones", "0.1"),
    ),
    "milestones merged into one epoch": (
        "0.25",
        {**MULTISTEP, "lr_milestones": "[14, 16]", "epochs": 20, "lr_interval": "epoch"},
        Problem("2 milestones merge at step 400: the rate decays 2 times at once", "r.yaml:4", "lr_milestones", "0.25"),
    ),
    "a warm-up over a third": (
        "0.25",
        {"epochs": 20, "lr_warmup_epochs": 2},
        Problem("the warm-up is 40 % of the run", "r.yaml:4", "lr_warmup_epochs", "0.25"),
    ),
    "a milestone past the end": (
        "0.5",
        {**MULTISTEP, "lr_milestones": "[10, 21]", "epochs": 20},
        Problem("21ep lies past the end of the run", "r.yaml:4", "lr_milestones", "0.5"),
    ),
    "a milestone past the end, counted from the warm-up": (
        "0.5",
        {**MULTISTEP, "lr_milestones": "[10, 19]", "epochs": 20, "lr_warmup_epochs": 2, "lr_step_origin": "warmup"},
        Problem("19ep lies past the end of the run", "r.yaml:4", "lr_milestones", "0.5"),
    ),
    "a milestone rounded to the end": (
        "0.1",
        {**MULTISTEP, "lr_milestones": "[10, '1995ba']", "epochs": 20},
        Problem(
            "1995ba falls on the end of the run, step 200: it is never reached", "r.yaml:4", "lr_milestones", "0.1"
        ),
    ),
    "a milestone rounded to the start": (
        "0.1",
        {**MULTISTEP, "lr_milestones": "[4ba, 10]", "epochs": 20},
        Problem("falls on step 0: the run starts with it", "r.yaml:4", "lr_milestones", "0.1"),
    ),
    "a milestone in the last epoch": (
        "0.1",
        {**MULTISTEP, "lr_milestones": "[10, 15]", "epochs": 20, "lr_interval": "epoch"},
        Problem(
            "step 150 lies in the last epoch: with lr_interval epoch it is never reached",
            "r.yaml:4",
            "lr_milestones",
            "0.1",
        ),
    ),
    "a cool-down inside the warm-up": (
        "0.5",
        {"lr_scheduler": "wsd", "lr_cooldown": "0.9dur", "epochs": 20, "lr_warmup_epochs": 2},
        Problem(
            "the cool-down reaches into the warm-up: it starts at its end, step 200", "r.yaml:4", "lr_cooldown", "0.5"
        ),
    ),
    "a key of another scheduler": (
        "0.5",
        {"lr_scheduler": "cosineannealinglr", "lr_step_size": 5},
        Problem("ignored: lr_scheduler cosineannealinglr does not use it", "r.yaml:4", "lr_step_size"),
    ),
    "the shape of no warm-up": (
        "0.5",
        {"lr_warmup_method": "linear"},
        Problem("ignored: there is no warm-up", "r.yaml:3", "lr_warmup_method"),
    ),
    "the start of no warm-up": (
        "0.5",
        {"lr_warmup_epochs": 0, "lr_warmup_decay": 0.5},
        Problem("ignored: there is no warm-up", "r.yaml:4", "lr_warmup_decay"),
    ),
    "the scaling of no warm-up": (
        "0.5",
        {"scale_warmup": True},
        Problem("ignored: there is no warm-up", "r.yaml:3", "scale_warmup"),
    ),
    "the momentum of adamw": (
        "0.5",
        {"opt": "adamw", "momentum": 0.8},
        Problem("ignored: opt adamw does not use it", "r.yaml:4", "momentum"),
    ),
    "the crop of image files": (
        "0.5",
        {"train_crop_size": 176},
        Problem("ignored: dataset digits is not read from image files", "r.yaml:3", "train_crop_size"),
    ),
    "the processes that decode image files": (
        "0.5",
        {"workers": 4},
        Problem("ignored: dataset digits is in memory, and not augmented", "r.yaml:3", "workers"),
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_a_plan_warns_with_its_place_key_and_ratio(plan: Planner, case: str) -> None:
    ratio, keys, expected = WARNINGS[case]
    assert plan(ratio, **keys, batch_size=10).warnings == (expected,)


def test_the_padding_of_small_images_is_ignored_for_image_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = "random_crop_padding: 4\nval_resize_size: 232\nval_crop_size: 200\ntrain_crop_size: 176\nworkers: 8\n"
    Path("r.yaml").write_text(f"model: resnet50\ndataset: ImageNet\n{keys}")
    [warning] = make_plan(load_recipe("./r.yaml"), parse_ratios("1"), 1, 1000).warnings
    assert warning == Problem("ignored: dataset ImageNet is read from image files", "r.yaml:3", "random_crop_padding")


def test_two_warnings_are_both_given(plan: Planner) -> None:
    keys = {"epochs": 20, "lr_warmup_epochs": 3, "lr_power": 2}
    found = [(warning.key, warning.ratio) for warning in plan("0.25,0.4,1", **keys).warnings]
    assert found == [("lr_power", None), ("lr_warmup_epochs", "0.25"), ("lr_warmup_epochs", "0.4")]


@pytest.mark.parametrize(
    "keys",
    [
        {"epochs": 20},
        {"epochs": 24, "lr_warmup_epochs": 2, "lr_warmup_method": "linear", "lr_warmup_decay": 0},  # a third at 0.25
        {"epochs": 20, **MULTISTEP, "lr_milestones": "[10, 15, 20]", "lr_gamma": 0.2, "lr_step_origin": "start"},
        {"epochs": 20, **MULTISTEP, "lr_milestones": "[8, 12, 16]", "lr_interval": "epoch"},
        {
            "epochs": 20,
            **MULTISTEP,
            "lr_milestones": "[8]",
            "lr_warmup_epochs": 1,
        },  # at 0.25 at 2 epochs, after the warm-up
        {"epochs": 20, "lr_scheduler": "wsd", "lr_cooldown": "0.5dur", "lr_cooldown_shape": "1-sqrt", "lr_min": 0.01},
        {"epochs": 24, "lr_scheduler": "wsd", "lr_warmup_epochs": 2, "lr_cooldown": "22ep"},  # no plateau at all
        {"epochs": 20, "lr_scheduler": "polynomiallr", "lr_power": 2, "momentum": 0.8},
    ],
)
def test_a_recipe_that_is_all_well_is_warned_of_nothing(plan: Planner, keys: Keys) -> None:
    assert plan("0.25,0.5,1,2", **keys).warnings == ()


def test_a_scaled_warm_up_is_as_long_a_share_at_every_ratio(plan: Planner) -> None:
    assert plan("0.25,0.5,1", epochs=20, lr_warmup_epochs=6, scale_warmup=True).warnings == ()
    assert plan("0.25,0.5,1", epochs=20, lr_warmup_epochs="0.3dur").warnings == ()


@pytest.mark.parametrize(("ratios", "epochs"), [("1", 99999999999999999), ("99999999", 10), ("0.0001", 10**9)])
def test_a_run_of_absurd_length_is_refused_at_once(plan: Planner, ratios: str, epochs: int) -> None:
    with pytest.raises(RecipeError) as caught:
        plan(ratios, epochs=epochs)
    (problem,) = caught.value.problems
    assert (problem.where, problem.key, problem.ratio) == ("r.yaml:3", "epochs", ratios)
    assert "a run has at most 100000000" in problem.message


def test_a_long_run_is_planned(plan: Planner) -> None:
    assert plan("1", epochs=10**6, batch_size=50).num_steps == 20_000_000
