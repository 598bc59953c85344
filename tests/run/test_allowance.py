"""A budget is never exceeded by more than the Stages in hand, whatever they take."""

import tempfile
from pathlib import Path

import pytest
from fake_executor import FakeExecutor
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from timed_executor import TimedExecutor, standing_clock

from sweep.api import run_request
from sweep.errors import Outcome, UsageError
from sweep.events import Noticed
from sweep.plan.speed import Interval, Speed
from sweep.request import SweepRequest

SPEED = Speed(Interval(0.5, 1.0, 2.0), Interval.exactly(0.0), Interval.exactly(0.0), Interval.exactly(0.0))
WSD = ("lr_scheduler=wsd", "min_shared_steps=1")
GRID = {"ratios": "0.25,0.5,0.75,1.0", "seeds": 2}
SECONDS = st.floats(0.01, 1000)


def told(speed):
    return lambda asked, plan, seconds, tell: speed


def trained(hands, seconds_of, tell=lambda event: None, speed=SPEED, jobs=1, executor=None, **request):
    executor = executor or TimedExecutor(hands, seconds_of, capacity=jobs)
    with tempfile.TemporaryDirectory() as folder:
        asked = SweepRequest(**{"recipe": "smoke", "results": Path(folder), "jobs": jobs, **GRID, **request})
        done = run_request(asked, tell, make_executor=lambda *placed: executor, measure=told(speed))
    return done, executor


@st.composite
def sweeps(draw):
    """A request, with how long a pilot has said that a step takes, and how long each Stage really takes."""
    seconds = draw(st.dictionaries(st.tuples(st.sampled_from([46, 92, 138, 184]), st.sampled_from([0, 1])), SECONDS))
    low, value, high = sorted(draw(st.tuples(*[st.floats(0.001, 10)] * 3)))
    request = {
        "jobs": draw(st.integers(1, 3)),
        "settings": draw(st.sampled_from([(), WSD])),
        "speed": Speed(Interval(low, value, high), SPEED.evaluation, SPEED.stage, SPEED.worker),
    }
    return request, lambda job: seconds.get((job.stop_step, job.seed), 5.0)


@settings(max_examples=60)
@given(sweeps(), st.integers(50, 4000))
def test_no_stage_begins_when_the_time_is_over_and_what_began_is_trained_to_its_end(sweep, budget):
    request, seconds_of = sweep
    with standing_clock() as hands:
        try:
            done, executor = trained(hands, seconds_of, within=f"{budget}s", **request)
        except UsageError:
            reject()
        assert all(begun < budget for begun, _ in executor.spans)
        in_hand = [end - begun for begun, end in executor.spans if end > budget]
        assert hands.seconds - executor.made_at <= budget + max(in_hand, default=0.0)
        assert len(in_hand) <= request["jobs"]
        assert not executor.waiting
        assert done.num_finished + done.num_left == 8
        assert done.is_as_asked


@settings(max_examples=60)
@given(sweeps(), st.integers(50, 4000))
def test_no_stage_begins_when_the_dollars_are_spent(sweep, budget):
    request, seconds_of = sweep
    with standing_clock() as hands:
        try:
            done, executor = trained(hands, seconds_of, within=f"${budget}", price=3600, **request)
        except UsageError:
            reject()
        lengths = [end - begun for begun, end in executor.spans]
        over = max(0.0, sum(lengths) - budget)
        assert over <= sum(sorted(lengths)[-request["jobs"] :])
        assert done.is_as_asked


@pytest.mark.parametrize("unit", ["s", "$"])
@settings(max_examples=40)
@given(st.floats(0.5, 2.0), st.integers(140, 3000), st.integers(1, 3), st.sampled_from([(), WSD]))
def test_where_steps_take_what_the_pilot_has_allowed_for_it_is_not_exceeded_at_all(unit, step, budget, jobs, settings):
    request = {"jobs": jobs, "settings": settings, "price": 3600}
    request["within"] = f"{budget}s" if unit == "s" else f"${budget}"
    with standing_clock() as hands:
        _, executor = trained(hands, lambda job: step * (job.stop_step - job.start_step), **request)
    spent = max(end for _, end in executor.spans) if unit == "s" else sum(end - start for start, end in executor.spans)
    assert spent <= budget


def test_the_cheapest_is_trained_first_seed_by_seed():
    with standing_clock() as hands:
        _, executor = trained(hands, lambda job: 1.0, within="1000h")
    assert [(job.seed, job.stop_step) for job in executor.submitted] == [
        (seed, length) for seed in (0, 1) for length in (46, 92, 138, 184)
    ]


def test_what_does_not_fit_any_more_is_left_and_said():
    events = []
    with standing_clock() as hands:
        done, executor = trained(hands, lambda job: job.stop_step * 1.0, events.append, within="10m", seeds=1)
    # 46 + 92 + 138 s have gone, and the last one would take 184 s, or twice as long.
    assert [job.stop_step for job in executor.submitted] == [46, 92, 138]
    said = "1 of 4 trials was not begun: it would not fit in what is left of 10m"
    assert [event.text for event in events if isinstance(event, Noticed)][-1] == said
    assert (done.num_finished, done.num_left, done.is_as_asked, done.is_complete) == (3, 1, True, False)
    outcomes = {result.entry.num_steps: result.outcome for result in done.history.results}
    assert outcomes[184] is Outcome.MISSING


def test_steps_that_take_longer_than_the_pilot_said_are_believed():
    events = []
    with standing_clock() as hands:
        _, executor = trained(hands, lambda job: job.stop_step * 5.0, events.append, within="20m", seeds=1)
    # 230 s for the first, 460 for the second: by the pilot a third one would take 276 s, by these 690, or 1,380.
    assert [job.stop_step for job in executor.submitted] == [46, 92]
    assert "2 of 4 trials were not begun: they would not fit" in events[-2].text


def test_a_trial_that_fails_is_no_trial_that_was_left():
    with standing_clock() as hands:
        executor = TimedExecutor(hands, lambda job: 1.0, endings={(92, 0): Outcome.DIVERGED})
        done, _ = trained(hands, None, within="10h", executor=executor)
    assert (done.num_finished, done.num_left, done.is_as_asked) == (7, 0, False)


def test_a_retry_has_to_fit_as_well():
    with standing_clock() as hands:
        ends = {(92, 0): [Outcome.CRASHED, Outcome.FINISHED], (138, 0): [Outcome.CRASHED, Outcome.FINISHED]}
        executor = TimedExecutor(hands, lambda job: job.stop_step * 1.0, endings=ends)
        done, _ = trained(hands, None, within="10m", seeds=1, executor=executor)
    # 46 + 92 + 92 + 138 s, and then 276 more do not fit.
    assert [job.stop_step for job in executor.submitted] == [46, 92, 92, 138]
    assert (done.num_finished, done.num_left) == (2, 2)


def test_a_shared_stage_is_not_begun_for_trials_of_which_none_would_be_done_in_time():
    with standing_clock() as hands:
        _, executor = trained(
            hands,
            lambda job: 1.0 * (job.stop_step - job.start_step),
            within="460s",
            ratios="0.75,1.0",
            settings=WSD,
        )
    [shared, *ends] = executor.submitted
    assert (shared.seed, shared.is_end, len(ends)) == (0, False, 2)
    # What both of the second seed have in common would fit, by the high end, into what is left; an end of them not.
    left = 460 - executor.spans[-1][1]
    assert 2 * shared.stop_step < left < 2 * 138


def test_without_a_budget_nothing_is_left():
    with standing_clock() as hands:
        done, executor = trained(hands, lambda job: 1e6, seeds=1)
    assert len(executor.submitted) == 4
    assert done.is_complete
    assert isinstance(executor, FakeExecutor)
