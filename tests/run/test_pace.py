"""The pilot's speed, and what becomes of it when Stages have ended."""

import pytest

from sweep.plan.speed import Interval, Speed
from sweep.run.pace import Pace
from sweep.store.records import Evaluations, Measurement

PILOT = Speed(Interval(0.5, 1.0, 2.0), Interval(4.0, 5.0, 6.0), Interval(0.0, 0.0, 0.0), Interval(7.0, 8.0, 9.0))


def measured(steps, train_seconds, eval_seconds=0.0, num_evaluations=1):
    return Measurement(
        steps=steps,
        images=None,
        train_seconds=train_seconds,
        data_wait_seconds=None,
        eval_seconds=eval_seconds,
        startup_seconds=None,
        contention=None,
        evaluations=Evaluations(steps=tuple(range(num_evaluations)), loss=(None,) * num_evaluations),
        weights_sha256=None,
    )


def test_until_a_stage_has_ended_it_is_the_pilots():
    assert Pace(PILOT).speed == PILOT


def test_then_it_is_that_of_all_steps_that_were_trained_as_uncertain_as_the_pilot():
    pace = Pace(PILOT)
    pace.note(measured(10, 30.0, 8.0, 2), wall_seconds=40.0, num_steps=10)
    assert pace.speed == Speed(
        Interval(1.5, 3.0, 6.0), Interval(3.2, 4.0, 4.8), Interval.exactly(2.0), Interval(7.0, 8.0, 9.0)
    )
    pace.note(measured(90, 70.0, 1.0), wall_seconds=75.0, num_steps=90)
    assert pace.speed.step == Interval(0.5, 1.0, 2.0)
    assert pace.speed.evaluation.value == pytest.approx(3.0)
    assert pace.speed.stage == Interval.exactly(3.0)


def test_of_a_stage_that_went_on_from_a_checkpoint_only_its_share_was_this_attempts():
    pace = Pace(PILOT)
    pace.note(measured(100, 200.0), wall_seconds=57.0, num_steps=25)
    assert pace.speed.step.value == 2.0
    assert pace.speed.stage == Interval.exactly(7.0)


def test_an_evaluation_that_is_not_known_apart_leaves_the_pilots():
    pace = Pace(PILOT)
    pace.note(measured(10, 30.0, None), wall_seconds=30.0, num_steps=10)
    assert pace.speed.evaluation == PILOT.evaluation
