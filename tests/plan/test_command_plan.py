"""The plan of a command: whole epochs, what its lengths become, and what is refused or warned of."""

import json
import re
from pathlib import Path

import pytest

from sweep.api import plan_sweep, scale_recipe, write_rates
from sweep.errors import RecipeError, UsageError
from sweep.plan.command import EXAMPLES_OF_A_COMMAND
from sweep.report.plan_view import plan_grid, plan_to_json
from sweep.request import SweepRequest


@pytest.fixture
def planned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def planned(text, ratios="0.25,0.5,1.0", **asked):
        Path("r.yaml").write_text(text)
        return plan_sweep(SweepRequest("./r.yaml", ratios, **asked))

    return planned


@pytest.fixture
def refusals(planned):
    def refusals(text, ratios, **asked):
        with pytest.raises(RecipeError) as refused:
            planned(text, ratios, **asked)
        return [str(problem) for problem in refused.value.problems]

    return refusals


TRAIN = "command: train --epochs {epochs} --step {lr_step_size} --warm {lr_warmup_epochs} --seed {seed}\nepochs: 90\n"


def texts(plan):
    return [str(warning) for warning in plan.warnings]


def test_the_plan_warns_of_each_length_that_is_rounded_with_the_shift(planned):
    plan = planned(TRAIN + "lr_step_size: 30\nlr_warmup_epochs: 5\n", "11/45,0.5,1")
    assert texts(plan) == ["r.yaml:3: lr_step_size: ratio 11/45: rounded to whole epochs: 7.33 → 7"]
    assert [row[2:] for row in plan_grid(plan).rows] == [("22", "7", "5"), ("45", "15", "5"), ("90", "30", "5")]


def test_the_plan_warns_of_milestones_that_rounding_merges_or_loses(planned):
    text = "command: train {epochs} {lr_milestones} {seed}\nepochs: 90\nlr_milestones: [30, 31, 89, 120]\n"
    place = "r.yaml:3: lr_milestones: ratio"
    assert texts(planned(text, "0.1,1")) == [
        f"{place} 0.1: rounded to whole epochs: 3.1 → 3, 8.9 → 9",
        f"{place} 0.1: 2 milestones merge at epoch 3: the rate decays 2 times at once",
        f"{place} 0.1: epoch 9 is not within the run: it is never reached",
        f"{place} 0.1: epoch 12 is not within the run: it is never reached",
        f"{place} 1: epoch 120 is not within the run: it is never reached",
    ]


def test_an_exact_length_that_is_not_whole_is_refused_with_ratios_near_it_that_work(refusals, planned):
    text = "command: train {epochs} {lr_step_size:exact}\nepochs: 90\nlr_step_size: 30\n"
    assert refusals(text, "11/45,0.5,1") == [
        "r.yaml:3: lr_step_size: ratio 11/45: {lr_step_size:exact} is 7.33: no whole number of epochs "
        "(ratios near it that work: 7/30 and 4/15)"
    ]
    assert len(planned(text, "7/30,4/15").trials) == 2


def test_where_no_ratio_makes_it_whole_that_is_said(refusals):
    text = "command: train {epochs} {lr_warmup_epochs:exact}\nepochs: 90\nlr_warmup_epochs: 2.5\n"
    [problem] = refusals(text, "0.5")
    assert "no ratio near it makes it whole: change the recipe, or let it be rounded without :exact" in problem


def test_everything_that_cannot_be_trained_is_named_at_once(refusals):
    found = refusals(TRAIN + "lr_warmup_epochs: 30\n", "0.01,0.251,1/4,0.3")
    assert [problem.split(" (")[0] for problem in found] == [
        "r.yaml:2: epochs: ratio 0.01: of 90 epochs that is none",
        "r.yaml:3: lr_warmup_epochs: ratio 1/4: the warm-up of 30 epochs fills the run of 22",
        "r.yaml:3: lr_warmup_epochs: ratio 0.251: the warm-up of 30 epochs fills the run of 22",
        "r.yaml:3: lr_warmup_epochs: ratio 0.3: the warm-up of 30 epochs fills the run of 27",
        "--ratios: 1/4 and 0.251 are runs of the same length",
    ]
    assert "at most 1000000000 epochs" in refusals("command: train {epochs}\nepochs: 2000000000\n", "1")[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lr_milestones: [30, 60]", "lr_milestones: not scaled: the command does not use {lr_milestones}"),
        ("lr: 0.2", "lr: ignored: the command does not use {lr}"),
        ("lr_scheduler: exponentiallr\nlr_gamma: 0.9", "lr_gamma: not scaled: the command does not use {lr_gamma}"),
        ("stem: small", "stem: ignored: no command is told it"),
        ("mixup_off: 0.8dur", "mixup_off: not scaled: the command does not use {mixup_off}"),
    ],
)
def test_a_key_that_the_command_does_not_use_is_warned_of(planned, line, words):
    assert any(words in text for text in texts(planned(TRAIN + f"lr_step_size: 30\nlr_warmup_epochs: 0\n{line}\n")))


def test_a_warm_up_of_the_scripts_own_is_no_reason_to_warn_unless_it_is_scaled(planned):
    text = "command: train {epochs} {seed}\nepochs: 90\nlr_warmup_epochs: 5\n"
    assert texts(planned(text)) == []
    [warning] = texts(planned(text + "scale_warmup: true\n"))
    assert warning.endswith("lr_warmup_epochs: not scaled: the command does not use {lr_warmup_epochs}")


def test_a_length_that_only_the_default_gives_is_warned_of(planned):
    found = texts(planned(TRAIN + "lr_warmup_epochs: 0\n", "1"))
    assert found == [
        "r.yaml: lr_step_size: the recipe does not set it, and the command is told {lr_step_size}: "
        "its default is 30 epochs"
    ]


def test_seeds_that_the_command_is_not_told_are_warned_of(planned):
    text = "command: train {epochs}\nepochs: 90\n"
    assert texts(planned(text)) == []
    [warning] = texts(planned(text, seeds=3))
    assert "it does not use {seed}: 3 seeds differ only by what the command draws itself" in warning


@pytest.mark.parametrize(
    ("file", "is_shared"),
    [("m.json", True), ("{seed}.json", True), ("{seed}-{epochs}.json", False), ("{output_dir}/m.json", False)],
)
def test_a_file_of_figures_that_is_no_trials_own_is_warned_of(planned, file, is_shared):
    text = f"command: train {{epochs}} {{seed}} {{output_dir}}\nepochs: 90\nmetrics: {{json: '{file}'}}\n"
    found = texts(planned(text))
    assert len(found) == is_shared
    assert all("every trial writes this file, and with --jobs one may read the figures of another" in w for w in found)


def test_a_trial_is_one_stage_that_shares_nothing_and_is_evaluated_at_its_end(planned):
    plan = planned("command: train {epochs} {seed}\nepochs: 400\nlr_scheduler: constantlr\n", seeds=2)
    assert len(plan.stages) == len(plan.trials) == 6
    assert {stage.eval_steps for stage in plan.stages} == {(100,), (200,), (400,)}
    assert all(stage.parent is None and stage.num_trials == 1 for stage in plan.stages)
    assert len({stage.id for stage in plan.stages}) == 6


def test_a_plan_of_a_command_says_nothing_of_steps_or_rates(planned):
    plan = planned(TRAIN + "lr_step_size: 30\nlr_warmup_epochs: 5\n", "0.5,1")
    grid = plan_grid(plan)
    assert grid.headers == ("ratio", "realised", "epochs", "{lr_step_size}", "{lr_warmup_epochs}")
    assert grid.notes[-3:] == (
        "2 ratios: 2 trials, 135 epochs",
        "each trial runs the command from its beginning: what it trains cannot be shared",
        "at ratio 1: train --epochs 90 --step 30 --warm 5 --seed {seed}",
    )
    document = json.loads(plan_to_json(plan))
    assert (document["total_steps"], document["steps_alone"], document["stages"]) == (None, None, [])
    run = document["runs"][0]
    assert {key for key, value in run.items() if value is None} == {
        *("steps", "steps_per_epoch", "examples_per_epoch", "warmup_steps", "decay_epochs"),
        *("lr_first", "lr_peak", "lr_last"),
    }
    assert (run["epochs"], run["arguments"]) == (
        45.0,
        [*("train", "--epochs", "45", "--step", "15"), *("--warm", "5", "--seed", "{seed}")],
    )
    assert plan.timelines[0].lengths.dataset_examples == EXAMPLES_OF_A_COMMAND


def test_what_makes_no_sense_of_a_command_is_refused(planned, tmp_path):
    plan = planned(TRAIN)
    with pytest.raises(UsageError, match="the rates of a command are its own"):
        write_rates(plan, tmp_path / "rates.csv")
    assert not (tmp_path / "rates.csv").exists()
    with pytest.raises(UsageError, match="a command is no recipe that can be written at a ratio") as refused:
        scale_recipe("./r.yaml", "0.5")
    assert refused.value.exit_code == 2


def test_iterations_serve_as_epochs(planned):
    text = "command: train --max_iters={epochs} --warmup_iters={lr_warmup_epochs}\nepochs: 600000\n"
    plan = planned(text + "lr_warmup_epochs: 2000\n", "0.5,1")
    assert json.loads(plan_to_json(plan))["runs"][0]["arguments"] == [
        *("train", "--max_iters=300000", "--warmup_iters=2000")
    ]


PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
RECIPES = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", RECIPES)
def test_every_recipe_of_the_page_on_commands_can_be_planned(planned, text):
    assert len(RECIPES) == 4
    plan = planned(text, "1/10,0.2,1", seeds=2)
    assert all("rounded to whole epochs" in text or "it does not use {seed}" in text for text in texts(plan))


def test_a_shipped_recipe_runs_no_code_of_its_own(tmp_path, monkeypatch):
    from sweep.recipe import library

    for path in library.shipped_recipes().values():
        assert library.load_recipe(str(path)).recipe.kind == "builtin"
    (tmp_path / "bad.yaml").write_text("command: touch {epochs}\n")
    monkeypatch.setattr(library, "shipped_folder", lambda: tmp_path)
    with pytest.raises(UsageError, match="runs only from a recipe that is given by its path") as refused:
        plan_sweep(SweepRequest("bad"))
    assert refused.value.exit_code == 2
    assert plan_sweep(SweepRequest(str(tmp_path / "bad.yaml"))).trials
