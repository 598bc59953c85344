"""How long a sweep takes at a speed."""

from dataclasses import replace

import pytest

from sweep.plan.speed import Interval, Speed
from sweep.planning import plan_sweep
from sweep.request import SweepRequest
from sweep.run.duration import sweep_seconds

SPEED = Speed(
    step=Interval(0.9, 1.0, 1.2),
    evaluation=Interval.exactly(10.0),
    stage=Interval.exactly(3.0),
    worker=Interval(4.0, 5.0, 6.0),
)


def plan_of(ratios, **more):
    return plan_sweep(SweepRequest("smoke", ratios, **more))


def test_one_worker_trains_everything_one_after_the_other():
    plan = plan_of("0.5,1.0", share=False)
    steps, evaluations = plan.num_steps, sum(len(stage.eval_steps) for stage in plan.stages)
    assert sweep_seconds(plan, SPEED, 1).value == pytest.approx(steps + 10 * evaluations + 3 * 2 + 5)
    assert sweep_seconds(plan, SPEED, 1).low == pytest.approx(0.9 * steps + 10 * evaluations + 3 * 2 + 4)


def test_two_workers_take_as_long_as_the_longest_trial():
    plan = plan_of("0.5,1.0", share=False)
    [longest] = [stage for stage in plan.stages if stage.num_steps == plan.longest.num_steps]
    assert sweep_seconds(plan, SPEED, 2).high == pytest.approx(SPEED.of(longest).high + 6)


def test_what_a_trial_costs_is_its_steps():
    plan = plan_of("1.0")
    assert SPEED.training(plan.longest) == Interval(0.9, 1.0, 1.2) * plan.longest.num_steps


def test_nothing_takes_no_time():
    plan = plan_of("1.0")
    assert sweep_seconds(replace(plan, stages=()), SPEED, 1) == Interval.exactly(0.0)


def test_in_an_order_that_is_given_two_workers_may_end_later():
    plan = plan_of("0.25,0.5,1.0", share=False)
    cheapest_first = sorted(plan.stages, key=lambda stage: stage.num_steps)
    order = [stage.id for stage in cheapest_first]
    first, _, last = (SPEED.of(stage).value for stage in cheapest_first)
    assert sweep_seconds(plan, SPEED, 2, order).value == pytest.approx(first + last + 5)
    assert sweep_seconds(plan, SPEED, 2).value == pytest.approx(last + 5)
    assert sweep_seconds(plan, SPEED, 1, order) == sweep_seconds(plan, SPEED, 1)
