import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from histories import RECIPE

from sweep.plan.stages import Plan, make_plan
from sweep.recipe.duration import parse_ratios
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.schema import Recipe
from sweep.report.grid import draw
from sweep.report.plan_view import plan_grid, plan_to_json, sparkline
from sweep.report.screen import Screen


def a_plan(ratios: str = "0.5,1.0", num_seeds: int = 1, name: str = "mine", **keys: Any) -> Plan:
    """Of 640 examples in batches of 64: ten steps an epoch."""
    recipe = Recipe.model_validate(RECIPE.model_dump(exclude_unset=True) | keys)
    loaded = LoadedRecipe(recipe, name, Path("mine.yaml"), dict.fromkeys(keys, "mine.yaml:3"))
    return make_plan(loaded, parse_ratios(ratios), num_seeds, 640)


def drawn(plan: Plan) -> str:
    text = StringIO()
    draw(plan_grid(plan), Screen(file=text, width=200))
    return text.getvalue()


def row_of(plan: Plan, ratio: str) -> list[str]:
    (row,) = (line.split() for line in drawn(plan).splitlines() if line.split()[:1] == [ratio])
    return row


COSINE = {"lr_scheduler": "cosineannealinglr", "lr_warmup_epochs": 1, "lr_warmup_method": "linear"}


def test_a_plan_shows_what_will_run_at_each_ratio() -> None:
    plan = a_plan("0.52,1", **COSINE)
    *numbers, spark = row_of(plan, "0.52")
    assert numbers == ["0.52", "0.5", "10", "100", "10", "0.001", "0.1", "3.046e-05"]
    assert spark == sparkline(plan.timelines[0])
    assert row_of(plan, "1")[:5] == ["1", "1.0", "20", "200", "10"]


def test_the_numbers_of_trials_and_steps_stand_below() -> None:
    assert plan_grid(a_plan("1", lr_step_size=4)).notes[-1] == "steps: 200"
    assert plan_grid(a_plan("0.5,1", 3, lr_step_size=4)).notes[0] == "2 ratios x 3 seeds: 6 trials"
    assert plan_grid(a_plan("0.5,1", 3, lr_step_size=4)).notes[1].startswith("steps: 900, none shared: ")


@pytest.mark.parametrize(("instructions", "here"), [("avx512_bf16", "avx512_bf16"), (None, "this one is not known to")])
def test_what_amp_auto_will_be_decided_by_is_said(
    instructions: str | None, here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.report.plan_view.bf16_instructions", lambda: instructions)
    assert plan_grid(a_plan("1", amp="auto")).notes[-1] == (
        "amp: auto is decided where it trains: bf16 on a GPU or, with large enough batches, on a processor that "
        f"computes in it ({here})"
    )
    assert "amp" not in "".join(plan_grid(a_plan("1", amp="bf16")).notes)


def test_every_decay_is_listed_in_the_runs_own_epochs() -> None:
    plan = a_plan("0.5,1", lr_scheduler="multisteplr", lr_milestones=[10, 15])
    assert "5, 7.5" in drawn(plan)
    assert "10, 15" in drawn(plan)


def test_a_decay_at_the_very_end_is_not_shown() -> None:
    plan = a_plan("1", lr_scheduler="multisteplr", lr_milestones=[10, 20])
    assert json.loads(plan_to_json(plan))["runs"][0]["decay_epochs"] == [10.0]


def test_many_even_decays_are_counted() -> None:
    text = drawn(a_plan("0.77,1", lr_step_size=2))
    assert "9, every 2" in text
    assert "9, every 1.5" in text  # 15 of 20 epochs, each decay rounded to a whole step


def test_many_uneven_decays_are_not_called_even() -> None:
    plan = a_plan("1", lr_scheduler="multisteplr", lr_milestones=[1, 2, 3, 4, 5, 9, 17])
    assert "7, from 1 to 17" in drawn(plan)
    assert "every" not in drawn(plan)


def test_a_warning_stands_below_with_its_place() -> None:
    plan = a_plan("0.1,1", **COSINE)
    assert "warning: mine.yaml:3: lr_warmup_epochs: ratio 0.1: " in drawn(plan)
    (warning,) = json.loads(plan_to_json(plan))["warnings"]
    assert (warning["where"], warning["key"], warning["ratio"]) == ("mine.yaml:3", "lr_warmup_epochs", "0.1")


def test_json_carries_every_run() -> None:
    document = json.loads(plan_to_json(a_plan("0.5,1", 2, lr_step_size=6, seed=4)))
    assert (document["format"], document["total_steps"], document["seeds"]) == (1, 600, [4, 5])
    assert (document["steps_alone"], document["steps_shared"]) == (600, 600)
    assert document["recipe"]["lr_step_size"] == "6ep"
    assert document["runs"][0] == {
        "ratio": 0.5,
        "ratio_text": "0.5",
        "realised_ratio": 0.5,
        "epochs": 10.0,
        "steps": 100,
        "steps_per_epoch": 10,
        "examples_per_epoch": 640,
        "warmup_steps": 0,
        "decay_epochs": [3.0, 6.0, 9.0],
        "lr_first": 0.1,
        "lr_peak": 0.1,
        "lr_last": pytest.approx(1e-4),
    }
    assert [run["steps"] for run in document["runs"]] == [100, 200]


def test_a_share_of_the_examples_is_told() -> None:
    run = json.loads(plan_to_json(a_plan("0.5,1", method="subset", lr_step_size=4)))["runs"][0]
    assert (run["examples_per_epoch"], run["steps_per_epoch"], run["epochs"], run["steps"]) == (320, 5, 20.0, 100)


def test_a_sparkline_is_highest_at_the_peak() -> None:
    assert sparkline(a_plan("1", lr_scheduler="constantlr").timelines[0]) == "█" * 16
    rising_and_falling = sparkline(a_plan("1", **COSINE).timelines[0])
    assert rising_and_falling[0] == rising_and_falling[-1] == "▁"
    assert "█" in rising_and_falling
    assert len(rising_and_falling) == 16


def test_a_short_run_has_a_short_sparkline() -> None:
    plan = a_plan("0.05,1", lr_scheduler="linearlr")
    assert sparkline(plan.timelines[0]) == "██▇▆▅▅▄▃▂▁"


def test_a_step_down_is_a_step_down_in_the_sparkline() -> None:
    plan = a_plan("1", lr_scheduler="multisteplr", lr_milestones=[10], lr_gamma=0.5)
    assert sparkline(plan.timelines[0]) == "█" * 8 + "▅" * 8


def test_a_hostile_name_is_harmless() -> None:
    plan = a_plan("1", name="x[/y]\x1b[31m\nratio\u202e", lr_scheduler="constantlr")
    text = drawn(plan)
    assert "x[/y]\\x1b[31m ratio\\u202e: constantlr" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_planning_is_shown_without_pandas_and_without_torch() -> None:
    code = "import sys, sweep.report.plan_view; print(sorted({'pandas', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
