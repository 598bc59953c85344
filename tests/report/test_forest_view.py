import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from histories import RECIPE

from sweep.plan.stages import Plan, make_plan
from sweep.recipe.duration import parse_ratios
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.schema import Recipe
from sweep.report.forest_view import forest_grid, stages_document, steps_notes
from sweep.report.grid import Grid, draw
from sweep.report.plan_view import plan_to_json
from sweep.report.screen import Screen

WSD = {"lr_scheduler": "wsd", "lr_cooldown": "0.2dur", "min_shared_steps": 1}


def a_plan(ratios: str = "0.25,0.5,1.0", num_seeds: int = 1, shares: bool = True, **keys: Any) -> Plan:
    """Of 640 examples in batches of 64: ten steps an epoch, 200 at ratio 1. A plateau lasts for 4/5 of a run."""
    recipe = Recipe.model_validate(RECIPE.model_dump(exclude_unset=True) | WSD | keys)
    return make_plan(LoadedRecipe(recipe, "mine", Path("mine.yaml"), {}), parse_ratios(ratios), num_seeds, 640, shares)


def grid_of(plan: Plan) -> Grid:
    grid = forest_grid(plan)
    assert grid is not None
    return grid


def test_the_stages_of_one_seed_stand_along_the_run_with_what_they_follow_on_and_what_ends() -> None:
    grid = grid_of(a_plan(num_seeds=3))
    assert grid.headers == ("stage", "after", "from step", "to step", "to epoch", "trials", "ratio that ends")
    # Plateaus of 40, 80 and 160 steps; the step on which a cool-down begins still has the plateau's rate.
    assert grid.rows == (
        ("1", "", "0", "41", "4.1", "3", ""),
        ("2", "1", "41", "50", "5", "1", "0.25"),
        ("3", "1", "41", "81", "8.1", "2", ""),
        ("4", "3", "81", "100", "10", "1", "0.5"),
        ("5", "3", "81", "200", "20", "1", "1.0"),
    )
    assert grid.notes == ()


def test_trials_that_end_where_others_go_on_end_with_a_shared_stage() -> None:
    rows = grid_of(a_plan(lr_scheduler="constantlr")).rows
    assert [row[-2:] for row in rows] == [("3", "0.25"), ("2", "0.5"), ("1", "1.0")]


def test_of_many_stages_only_the_shared_ones_are_listed_with_what_leaves_them() -> None:
    grid = grid_of(a_plan("0.05:0.6:0.05"))  # 12 trials, 11 forks
    assert grid.headers[-1] == "ratio that leaves"
    assert [row[-1] for row in grid.rows[:2]] == ["0.05", "0.1"]
    assert grid.rows[-1][-2:] == ("2", "0.55, 0.6")
    assert [row[:2] for row in grid.rows] == [("1", "")] + [(str(n), str(n - 1)) for n in range(2, 12)]
    assert grid.notes == ("… and 12 that are not (--format json has all)",)


def test_of_very_many_the_first_twenty_are_listed() -> None:
    plan = a_plan("0.05:2:0.05")  # 40 trials, 39 forks
    assert len(grid_of(plan).rows) == 20
    assert grid_of(plan).notes == ("… and 19 more that are shared, and 40 that are not (--format json has all)",)


def test_where_nothing_is_shared_there_is_no_second_table() -> None:
    for plan in (a_plan(shares=False), a_plan(min_shared_steps=100), a_plan(method="subset"), a_plan("1")):
        assert forest_grid(plan) is None


def test_steps_alone_and_shared_are_told_over_all_seeds() -> None:
    # Of each seed: 50 + 100 + 200 alone; 41 and 40 of them are in three and in two trials.
    assert steps_notes(a_plan()) == ["steps: 350 alone, 228 shared (35 % saved)"]
    assert steps_notes(a_plan(num_seeds=2)) == ["steps: 700 alone, 456 shared (35 % saved)"]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"shares": False}, "steps: 350, every trial alone (--no-share)"),
        ({"ratios": "1"}, "steps: 200"),
        (
            {"ratios": "0.5,1", "method": "subset"},
            "steps: 300, none shared: the trials of a seed have no steps in common",
        ),
        (
            {"min_shared_steps": 100},
            "steps: 350, none shared: forks that save under 100 steps are not made (min_shared_steps)",
        ),
    ],
)
def test_where_nothing_is_saved_the_reason_is_told(changes: dict[str, Any], note: str) -> None:
    assert steps_notes(a_plan(**changes)) == [note]


def test_forks_that_are_not_made_are_told_beside_those_that_are() -> None:
    # Where the shortest leaves would save 41 steps; where the next one does, 81.
    plan = a_plan(min_shared_steps=81)
    assert [(row[2], row[3], row[5]) for row in grid_of(plan).rows][:2] == [("0", "50", "1"), ("0", "81", "2")]
    assert steps_notes(plan) == [
        "steps: 350 alone, 269 shared (23 % saved)",
        "forks that save under 81 steps are not made (min_shared_steps)",
    ]


def test_json_has_the_stages_of_one_seed_for_a_program_to_draw() -> None:
    plan = a_plan(num_seeds=2)
    document = json.loads(plan_to_json(plan))
    assert (document["steps_alone"], document["steps_shared"], document["total_steps"]) == (700, 456, 456)
    assert document["stages"] == stages_document(plan)
    assert document["stages"] == [
        {"start_step": 0, "stop_step": 41, "ratios": ["0.25", "0.5", "1.0"], "ends": [], "parent": None},
        {"start_step": 41, "stop_step": 50, "ratios": ["0.25"], "ends": ["0.25"], "parent": 0},
        {"start_step": 41, "stop_step": 81, "ratios": ["0.5", "1.0"], "ends": [], "parent": 0},
        {"start_step": 81, "stop_step": 100, "ratios": ["0.5"], "ends": ["0.5"], "parent": 2},
        {"start_step": 81, "stop_step": 200, "ratios": ["1.0"], "ends": ["1.0"], "parent": 2},
    ]


def test_json_has_every_trial_as_a_stage_where_nothing_is_shared() -> None:
    stages = stages_document(a_plan(shares=False))
    assert [(stage["stop_step"], stage["ratios"], stage["parent"]) for stage in stages] == [
        (50, ["0.25"], None),
        (100, ["0.5"], None),
        (200, ["1.0"], None),
    ]


@pytest.mark.parametrize("width", [40, 80, 160])
@pytest.mark.parametrize("ratios", ["0.25,0.5,1.0", "0.05:2:0.05"])
def test_the_table_fits_and_loses_nothing(ratios: str, width: int) -> None:
    grid = grid_of(a_plan(ratios))
    text = StringIO()
    draw(grid, Screen(file=text, force_terminal=True, color_system=None, width=width))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert all(cell in text.getvalue() for row in grid.rows for cell in row)
