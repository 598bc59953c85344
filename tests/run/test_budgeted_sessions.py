"""Sweeps within a budget, run again: what was chosen stays chosen, and what is done costs nothing."""

import os
import signal

import pytest
from fake_executor import FakeExecutor, lengths_and_seeds
from timed_executor import TimedExecutor, standing_clock

from sweep.api import run_request
from sweep.errors import Outcome, UsageError
from sweep.events import Noticed
from sweep.plan.speed import Interval, Speed
from sweep.request import SweepRequest
from sweep.store.history import read_history


def speed_of(step_seconds):
    step = Interval.exactly(step_seconds)
    return Speed(step, Interval.exactly(0.1), Interval.exactly(0.1), Interval.exactly(1.0))


def run(tmp_path, executor, step_seconds=1.0, tell=lambda event: None, **request):
    def measure(asked, plan, seconds, tell):
        if step_seconds is None:
            raise AssertionError("a pilot was trained")
        return speed_of(step_seconds)

    asked = SweepRequest(**{"recipe": "smoke", "results": tmp_path, "within": "400s", **request})
    return run_request(asked, tell, make_executor=lambda *placed: executor, measure=measure)


def stop_at(call):
    calls = []

    def on_receive():
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGINT)

    return on_receive


def lengths(executor):
    return [length for length, _ in lengths_and_seeds(executor)]


def test_what_was_interrupted_goes_on_with_the_same_grid_however_fast_it_is_now(tmp_path):
    first = FakeExecutor(on_receive=stop_at(2))
    done = run(tmp_path, first)
    assert done.stopped_by == signal.SIGINT
    grid = [trial.timeline.num_steps for trial in done.plan.trials]
    assert lengths(first) == grid[:2]
    second, events = FakeExecutor(), []
    again = run(tmp_path, second, step_seconds=0.01, tell=events.append)
    assert lengths(second) == grid[2:]
    assert again.is_complete
    assert events[0].text == f"--within 400s: {texts(done)}, as chosen before"


def texts(done):
    return "ratios " + ", ".join(timeline.lengths.ratio.text for timeline in done.plan.timelines)


def test_what_is_done_is_neither_trained_nor_tried_out_again(tmp_path):
    first = run(tmp_path, FakeExecutor())
    journal = first.workspace.journal.read_bytes()
    executor = FakeExecutor()
    assert run(tmp_path, executor, step_seconds=None).is_complete
    assert not executor.submitted
    assert first.workspace.journal.read_bytes() == journal


def test_what_was_left_is_begun_by_the_next_call_which_has_a_budget_of_its_own(tmp_path):
    request = {"ratios": "0.25,0.5,1.0", "within": "400s", "tell": (events := []).append}
    with standing_clock() as hands:
        first, second = (TimedExecutor(hands, lambda job: 2.0 * job.stop_step) for _ in range(2))
        done = run(tmp_path, first, **request)
        assert (lengths(first), done.num_left) == ([46, 92], 1)  # 276 s have gone, and the last one takes 368
        assert run(tmp_path, second, **request).is_complete
    assert lengths(second) == [184]
    assert "1 of 3 trials was not begun: it would not fit in what is left of 400s" in [
        event.text for event in events if isinstance(event, Noticed)
    ]


def test_another_budget_chooses_anew_and_keeps_what_is_done(tmp_path):
    small, large = FakeExecutor(), FakeExecutor()
    run(tmp_path, small)
    done = run(tmp_path, large, within="10h")
    assert len(done.plan.trials) == 15
    assert set(lengths_and_seeds(small)) | set(lengths_and_seeds(large)) >= {
        (trial.timeline.num_steps, trial.seed) for trial in done.plan.trials
    }
    assert not set(lengths_and_seeds(small)) & set(lengths_and_seeds(large))


@pytest.mark.parametrize("change", [{"seeds": 2}, {"method": "steps"}, {"settings": ("seed=7",)}, {"jobs": 2}])
def test_so_does_another_request_with_the_same_budget(tmp_path, change):
    run(tmp_path, FakeExecutor())
    run(tmp_path, FakeExecutor(), within="10h", **change)
    purposes = [start.chosen_for for start in read_history(tmp_path / "smoke" / "journal.jsonl").starts]
    assert purposes[0] == "400 s, method epochs, seed 0, seeds as fit, jobs 1"
    assert purposes[1] not in (None, purposes[0])


def test_a_grid_that_was_asked_for_is_chosen_for_nothing(tmp_path):
    run(tmp_path, FakeExecutor(), ratios="0.5")
    assert read_history(tmp_path / "smoke" / "journal.jsonl").last_start.chosen_for is None
    done = run(tmp_path, FakeExecutor())
    assert len(done.plan.timelines) > 1


def test_fresh_chooses_anew(tmp_path):
    run(tmp_path, FakeExecutor(), step_seconds=2.0)
    executor = FakeExecutor()
    done = run(tmp_path, executor, step_seconds=0.01, fresh=True)
    assert len(done.plan.trials) == 15
    assert len(executor.submitted) == 15


def test_another_recipe_is_refused_before_a_pilot(tmp_path):
    run(tmp_path, FakeExecutor())
    with pytest.raises(UsageError, match=r"lr was 0\.1, now 0\.3"):
        run(tmp_path, FakeExecutor(), step_seconds=None, settings=("lr=0.3",), within="1h")


def test_a_trial_that_fails_runs_again(tmp_path):
    first = run(tmp_path, FakeExecutor(endings={(92, 0): Outcome.FAILED}), within="10h", seeds=1)
    assert (first.is_as_asked, first.num_left) == (False, 0)
    executor = FakeExecutor()
    assert run(tmp_path, executor, within="10h", seeds=1).is_complete
    assert lengths(executor) == [92]
