"""A simulated sweep ends when its Stages say, and what orders them is never far from what no order can beat."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from simulate import RECIPES, Case, simulate
from simulated import MILLISECONDS_A_STEP, Pace, SimulatedExecutor

from sweep.api import plan_sweep
from sweep.run.messages import Progressed, StageDone
from sweep.store.records import StageJob

EVEN, UNEVEN = Pace(), Pace(spread=0.2, milliseconds_to_begin=3000)


def played(case, pace, tmp_path):
    return simulate(case, plan_sweep(case.request(tmp_path)), pace, tmp_path / "results")


@pytest.mark.parametrize("pace", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("schedule", RECIPES)
@pytest.mark.parametrize("num_devices", [3, 7])
def test_no_sweep_ends_sooner_than_any_can_or_later_by_more_than_a_stage(schedule, num_devices, pace, tmp_path):
    done = played(Case(schedule, 10, 3, num_devices), pace, tmp_path)
    assert done.limit <= done.end <= done.limit + done.longest_stage


@pytest.mark.parametrize("schedule", RECIPES)
def test_one_device_has_all_the_work_and_where_there_are_enough_the_longest_way_is_all(schedule, tmp_path):
    plan = plan_sweep(Case(schedule, 10, 1, 1).request(tmp_path))
    alone = played(Case(schedule, 10, 1, 1), EVEN, tmp_path / "one")
    assert alone.end == alone.limit == MILLISECONDS_A_STEP * plan.num_steps
    many = played(Case(schedule, 10, 1, 100), EVEN, tmp_path / "many")
    assert many.end == many.limit == MILLISECONDS_A_STEP * max(trial.timeline.num_steps for trial in plan.trials)


def job(stage, num_steps):
    fields = {"recipe": {}, "ratio": "1", "seed": 0, "num_examples": 640, "eval_steps": (), "rates": ""}
    return StageJob(stage=stage, start_step=0, stop_step=num_steps, **fields)


def test_what_happens_next_is_told_next_and_before_it_how_far_the_others_are():
    executor = SimulatedExecutor(2, Pace(milliseconds_to_begin=1000))
    executor.submit(job("a", 100))
    executor.submit(job("b", 50))
    assert executor.receive(0) is None
    said = [executor.receive(0.1), executor.receive(0), executor.receive(0)]
    assert isinstance(said[0], Progressed)
    assert (said[0].progress.stage, said[0].progress.steps_done) == ("a", 50)
    assert isinstance(said[1], StageDone)
    assert (said[1].stage, said[1].measurement.train_seconds, said[2]) == ("b", 5.0, None)
    assert executor.now == 6000
    executor.submit(job("c", 10))
    assert [executor.receive(0.1).progress.stage, executor.receive(0).stage, executor.now] == ["a", "c", 8000]
    assert [executor.receive(0.1).stage, executor.now, executor.receive(0.1)] == ["a", 11_000, None]


def test_a_stage_takes_the_same_time_whoever_asks():
    assert EVEN.milliseconds("a", 30) == 30 * MILLISECONDS_A_STEP
    times = [UNEVEN.milliseconds(stage, 1000) for stage in ("a", "b", "a")]
    assert times[0] == times[2] != times[1]
    assert all(abs(time - 103_000) <= 20_000 for time in times)
