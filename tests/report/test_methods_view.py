"""When methods act, as a table and as JSON."""

import json

from test_plan_view import a_plan

from sweep.report.methods_view import methods_grid
from sweep.report.plan_view import plan_to_json

ALL = {
    "lr_scheduler": "onecyclelr",
    "swa": True,
    "progressive_resizing": True,
    "progressive_resizing_increment": 1,
    "layer_freezing": True,
    "mixup_alpha": 0.2,
    "mixup_off": 12,
}


def test_a_plan_without_methods_has_no_table_of_them() -> None:
    plan = a_plan(mixup_off=3, cutmix_alpha=0)
    assert methods_grid(plan) is None
    assert all("methods" not in run for run in json.loads(plan_to_json(plan))["runs"])


def test_every_method_has_a_row_for_each_ratio_in_steps_of_that_run() -> None:
    grid = methods_grid(a_plan("0.5,1", **ALL))
    assert grid is not None
    assert grid.rows == (
        ("mixup", "0.5", "throughout"),
        ("mixup", "1", "until step 120"),
        ("swa", "0.5", "after steps 70 to 90, every 10: 3 times"),
        ("swa", "1", "after steps 140 to 190, every 10: 6 times"),
        (
            "progressive_resizing",
            "0.5",
            "4 px, 5 px from step 54, 6 px from step 61, 7 px from step 69, 8 px from step 76",
        ),
        (
            "progressive_resizing",
            "1",
            "4 px, 5 px from step 108, 6 px from step 123, 7 px from step 138, 8 px from step 153",
        ),
        ("layer_freezing", "0.5", "0 %, 20 % from step 60, 40 % from step 70, 60 % from step 80, 80 % from step 90"),
        ("layer_freezing", "1", "0 %, in 9 changes from step 110 to 90 % from step 190"),
        ("momentum", "0.5", "0.95, 0.85 at step 30, 0.95 at the end"),
        ("momentum", "1", "0.95, 0.85 at step 60, 0.95 at the end"),
    )


def test_what_never_happens_or_once_is_told() -> None:
    keys = {"mixup_alpha": 0.2, "mixup_off": "0.002dur", "swa": True}
    never = methods_grid(a_plan("0.1", **keys, swa_start=0, swa_end="0.4dur"))
    assert never is not None
    assert [row[2] for row in never.rows] == ["never", "never"]
    once = methods_grid(a_plan("0.05", **keys))
    assert once is not None
    assert once.rows[1] == ("swa", "0.05", "after step 7")


def test_json_has_the_values_of_each_run() -> None:
    half, _ = json.loads(plan_to_json(a_plan("0.5,1", **ALL)))["runs"]
    assert half["methods"] == {
        "image_size": [[0, 4.0], [54, 5.0], [61, 6.0], [69, 7.0], [76, 8.0]],
        "frozen_share": [[0, 0.0], [60, 0.2], [70, 0.4], [80, 0.6], [90, 0.8]],
        "mixup": [[0, 1.0]],
        "swa": {"first_step": 70, "last_step": 90, "count": 3, "every_steps": 10.0},
        "momentum": {"highest": 0.95, "lowest": 0.85, "lowest_at_step": 30.0},
    }
