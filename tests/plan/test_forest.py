"""Which steps runs have in common: by comparing every step of every run, and by exact numbers."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sweep.errors import RecipeError
from sweep.plan.forest import find_branches
from sweep.plan.stages import Plan
from sweep.plan.timeline import Rates, Timeline
from sweep.plan.values import step_values
from sweep.recipe.schedule import SCHEDULES, Steps

Planner = Callable[..., Plan]


@st.composite
def recipes(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "epochs": draw(st.sampled_from((6, 10))),
        "batch_size": draw(st.sampled_from((90, 100, 334))),
        "lr_scheduler": draw(st.sampled_from(tuple(SCHEDULES))),
        "lr_warmup_epochs": draw(st.sampled_from((0, 1, 2, "7ba", "0.1dur"))),
        "lr_warmup_method": draw(st.sampled_from(("linear", "constant"))),
        "scale_warmup": draw(st.booleans()),
        "lr_interval": draw(st.sampled_from(("step", "epoch"))),
        "lr_step_origin": draw(st.sampled_from(("start", "warmup"))),
        "lr_step_size": draw(st.sampled_from((1, 3))),
        "lr_milestones": draw(st.sampled_from(("[0.5dur, 0.8dur]", "[2, 5]"))),
        "lr_t_0": 2,
        "lr_div_factor": draw(st.sampled_from((1, 25))),
        "lr_cooldown": draw(st.sampled_from(("0.2dur", "0.5dur", 1))),
        "method": draw(st.sampled_from(("epochs", "steps", "samples", "subset"))),
        "min_shared_steps": 1,
    }


TIMES = st.sampled_from((0, "0.01dur", "3ba", "17ba", 2, 4, "0.2dur", "0.5dur", "0.9dur", "1dur"))
INTERVALS = st.sampled_from(("1ba", "4ba", "1ep", "0.5ep", "0.1dur"))


@st.composite
def methods(draw: st.DrawFn) -> dict[str, Any]:
    """Any set of methods, each with times of its own."""
    chosen = draw(st.sets(st.sampled_from(("mixup", "swa", "progressive_resizing", "layer_freezing"))))
    keys: dict[str, Any] = dict.fromkeys(chosen - {"mixup"}, True)
    if "mixup" in chosen:
        keys |= {"cutmix_alpha": 1.0, "mixup_off": draw(TIMES.filter(bool))}
    if "swa" in chosen:
        keys |= {"swa_start": draw(TIMES), "swa_end": draw(TIMES), "swa_interval": draw(INTERVALS)}
    if "progressive_resizing" in chosen:
        keys |= {f"progressive_resizing_{end}": draw(TIMES) for end in ("start", "end")}
        keys["progressive_resizing_increment"] = draw(st.sampled_from((1, 2, 4)))
    if "layer_freezing" in chosen:
        keys |= {"layer_freezing_start": draw(TIMES), "layer_freezing_level": draw(st.sampled_from((0.5, 1)))}
    return keys | {"scale_methods": draw(st.booleans())}


def shareable_steps(one: Timeline, other: Timeline) -> int:
    """All of the shorter run; with SWA but the last one, on which the pass over the data for its average follows."""
    shorter = min(one.num_steps, other.num_steps)
    return shorter - 1 if one.recipe.swa else shorter


def common_steps(one: Timeline, other: Timeline) -> int:
    """Step by step, in every value; the batches of samples by what is in them."""
    count = 0
    for step in range(shareable_steps(one, other)):
        if step_values(one, step, step + 1) != step_values(other, step, step + 1) or batch(one, step) != batch(
            other, step
        ):
            break
        count += 1
    return count


def batch(timeline: Timeline, step: int) -> tuple[object, ...]:
    """A batch by its epoch and the places, in that epoch's shuffled order, that it takes up."""
    lengths, size = timeline.lengths, timeline.recipe.batch_size
    epoch, index = divmod(step, lengths.steps_per_epoch)
    places = (index * size, min((index + 1) * size, lengths.num_examples))
    return epoch, places, lengths.num_examples if timeline.recipe.method == "subset" else None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=recipes(),
    more=st.one_of(st.just({}), methods()),
    ratios=st.lists(st.sampled_from((0.3, 0.5, 0.61, 0.75, 1)), min_size=2, max_size=4, unique=True),
)
def test_runs_share_what_is_the_same_in_both_and_equal_numbers_mean_equal_steps(
    plan: Planner, keys: dict[str, Any], more: dict[str, Any], ratios: list[float]
) -> None:
    if keys["lr_scheduler"] == "onecyclelr":
        keys = keys | {"lr_warmup_epochs": 0}
    try:
        timelines = plan(",".join(map(str, ratios)), **keys, **more).timelines
    except RecipeError:
        assume(False)
    members = range(len(timelines))
    for first, second in combinations(members, 2):
        common = common_steps(timelines[first], timelines[second])
        branches = find_branches(timelines, (first, second), 0, 1)
        shared = [branch.stop_step for branch in branches if branch.num_members == 2]
        assert shared == ([common] if common else [])
        for stop in range(1, shareable_steps(timelines[first], timelines[second]) + 1):
            if timelines[first].prefix(stop) == timelines[second].prefix(stop):
                assert stop <= common
        plateau = min(timelines[first], timelines[second], key=lambda timeline: timeline.num_steps).plateau_steps
        assert plateau <= common


@pytest.mark.parametrize(
    ("scheduler", "shared"),
    [
        ("wsd", 161),
        ("multisteplr", 100),
        ("steplr", 60),
        ("constantlr", 200),
        ("cosineannealinglr", 21),
        ("linearlr", 21),
    ],
)
def test_how_far_each_schedule_is_shared_with_a_run_twice_as_long(plan: Planner, scheduler: str, shared: int) -> None:
    keys = {"lr_milestones": "[0.5dur]", "lr_step_size": 6, "lr_warmup_epochs": 2, "lr_warmup_method": "linear"}
    made = plan("1,2", lr_scheduler=scheduler, epochs=20, batch_size=100, min_shared_steps=1, **keys)
    short, long = made.timelines
    [branch, *_] = find_branches((short, long), (0, 1), 0, 1)
    # The first step after a warm-up still has the full rate, whatever the schedule then does.
    assert (branch.stop_step, branch.num_members) == (shared, 2)
    assert short.prefix(shared - 1) == long.prefix(shared - 1)
    assert short.plateau_steps in (shared, shared - 1)


def test_runs_are_divided_from_a_step_on(plan: Planner) -> None:
    keys = {"lr_scheduler": "wsd", "epochs": 10, "batch_size": 100, "lr_warmup_epochs": 0, "min_shared_steps": 1}
    timelines = plan("0.5,1,2", **keys).timelines
    found = find_branches(timelines, (1, 2), 41, 1)
    assert [(branch.start_step, branch.stop_step, branch.parent) for branch in found] == [
        (41, 81, None),
        (81, 200, 0),
        (81, 100, 0),
    ]
    assert [branch.ends for branch in found] == [(), (2,), (1,)]


def test_a_thousand_ratios_are_divided_in_no_time(plan: Planner) -> None:
    made = plan("0.1:10:0.01", epochs=100, batch_size=100, lr_scheduler="wsd", lr_warmup_epochs=0, method="steps")
    assert len(made.trials) == 991
    assert made.num_steps < made.num_steps_alone / 4


@pytest.mark.parametrize("scheduler", ["steplr", "multisteplr", "wsd", "cosineannealinglr", "constantlr"])
def test_runs_are_divided_without_computing_the_rates_that_they_share(
    plan: Planner, monkeypatch: pytest.MonkeyPatch, scheduler: str
) -> None:
    num_computed = 0
    rates_at = Timeline.rates_at

    def counted(timeline: Timeline, steps: Steps) -> Rates:
        nonlocal num_computed
        num_computed += len(steps)
        return rates_at(timeline, steps)

    monkeypatch.setattr(Timeline, "rates_at", counted)
    keys = {"lr_milestones": "[0.5dur]", "lr_warmup_epochs": 1, "lr_warmup_method": "linear"}
    made = plan("0.05:2:0.05", epochs=90, batch_size=10, lr_scheduler=scheduler, min_shared_steps=1, **keys)
    assert made.num_steps_alone > 300_000
    assert num_computed < 40 * 100


def test_a_warm_up_that_follows_the_run_leaves_no_plateau_even_where_it_rounds_to_nothing(plan: Planner) -> None:
    keys = {"lr_warmup_epochs": "0.1dur", "lr_warmup_method": "linear", "lr_milestones": "[0.5dur]"}
    made = plan("0.3,0.5", epochs=6, batch_size=334, lr_scheduler="multisteplr", **keys)
    assert [timeline.lengths.warmup_steps for timeline in made.timelines] == [0, 1]
    assert [timeline.plateau_steps for timeline in made.timelines] == [0, 0]


# How a plateau of 80 % of the run is shared with a run twice as long, by the method's times.
@pytest.mark.parametrize(
    ("keys", "shared"),
    [
        ({"swa": True, "swa_start": "0.7dur"}, 139),  # the first average, after 140 steps
        ({"swa": True, "swa_start": 14, "swa_end": 16}, 161),  # the same in both: up to the cool-down
        ({"swa": True, "swa_start": 10, "swa_end": "0.7dur"}, 149),  # what the longer run averages beyond it
        ({"swa": True, "swa_start": 10, "swa_interval": "0.1dur"}, 119),  # the second average
        ({"swa": True, "swa_start": 14, "swa_end": 16, "scale_methods": True}, 139),
        ({"mixup_alpha": 0.2}, 161),
        ({"mixup_alpha": 0.2, "mixup_off": "0.3dur"}, 60),
        ({"mixup_alpha": 0.2, "mixup_off": 6}, 161),
        ({"progressive_resizing": True}, 130),  # 4 pixels to 8, half-way between 0.5dur and 0.8dur
        ({"progressive_resizing": True, "progressive_resizing_start": 3, "progressive_resizing_end": 5}, 161),
        ({"layer_freezing": True}, 110),  # from 0.5dur, at the first epoch after it
        ({"layer_freezing": True, "layer_freezing_start": 4}, 50),
        ({"model_ema": True}, 161),
    ],
)
def test_how_far_a_method_lets_a_plateau_be_shared(plan: Planner, keys: dict[str, Any], shared: int) -> None:
    made = plan("1,2", lr_scheduler="wsd", epochs=20, batch_size=100, min_shared_steps=1, **keys)
    short, _ = made.timelines
    [branch, *_] = find_branches(made.timelines, (0, 1), 0, 1)
    assert (branch.stop_step, branch.num_members) == (shared, 2)
    assert short.plateau_steps == shared
