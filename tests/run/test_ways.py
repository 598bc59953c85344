"""What lies between a Stage and the nearest end of a Trial, and in which order Stages begin within a budget."""

import pytest

from sweep.plan.speed import Interval, Speed
from sweep.planning import plan_sweep
from sweep.request import SweepRequest
from sweep.run.ways import Way, in_turn, ways_to_an_end

WSD = ("lr_scheduler=wsd", "min_shared_steps=1")
SPEED = Speed(Interval(1.0, 2.0, 3.0), Interval.exactly(10.0), Interval.exactly(0.5), Interval.exactly(100.0))


def plan_of(ratios="0.25,0.5,1.0", **more):
    return plan_sweep(SweepRequest("smoke", ratios, **more))


def test_of_trials_that_share_nothing_it_is_the_whole_trial():
    plan = plan_of(share=False)
    assert {way.num_steps for way in ways_to_an_end(plan).values()} == {46, 92, 184}
    assert {way.num_stages for way in ways_to_an_end(plan).values()} == {1}


def test_of_steps_that_are_shared_it_leads_on_to_the_nearest_end():
    plan = plan_of(settings=WSD)
    ways, by_id = ways_to_an_end(plan), {stage.id: stage for stage in plan.stages}
    [root] = [stage for stage in plan.stages if stage.parent is None]
    assert ways[root.id].num_steps == 46
    for stage in plan.stages:
        ends = [end for end in plan.below(stage) if end.ends]
        nearest = min(ends, key=lambda end: end.stop_step)
        assert ways[stage.id].num_steps == nearest.stop_step - stage.start_step
        length = 1
        while nearest.id != stage.id:
            nearest, length = by_id[nearest.parent], length + 1
        assert ways[stage.id].num_stages == length


def test_steps_that_a_checkpoint_has_are_left_out():
    plan = plan_of("1.0")
    [way] = ways_to_an_end(plan, lambda stage: 100).values()
    assert way.num_steps == 84


def test_its_seconds_are_of_steps_evaluations_and_stages():
    assert Way(7, 2, 3).seconds(SPEED) == Interval(7 + 20 + 1.5, 14 + 20 + 1.5, 21 + 20 + 1.5)


@pytest.mark.parametrize("settings", [(), WSD])
def test_it_is_seed_by_seed_and_of_one_seed_the_cheapest_first(settings):
    plan = plan_of("0.25,0.5,0.75,1.0", seeds=3, settings=settings)
    ways = ways_to_an_end(plan)
    by_id = {stage.id: stage for stage in plan.stages}
    keys = [(by_id[stage].trial.seed, ways[stage].num_steps) for stage in in_turn(plan, ways)]
    assert keys == sorted(keys)
    assert len(keys) == len(plan.stages)
