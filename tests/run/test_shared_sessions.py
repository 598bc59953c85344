"""A sweep whose trials share Stages, with an executor that answers from a table: what is trained, told and kept."""

import pytest
from fake_executor import ENVIRONMENT, FakeExecutor, run, spans

from sweep.errors import MachineError, Outcome, UsageError
from sweep.events import Noticed, StageStarted, SweepStarted, TrialEnded
from sweep.store.states import StageStates

# Three lengths of 46, 92 and 184 steps with a plateau in common, up to steps 38 and 75.
FOREST = ("lr_scheduler=wsd", "lr_warmup_epochs=0", "min_shared_steps=1")


def run_forest(tmp_path, executor, tell=lambda event: None, **request):
    return run(tmp_path, executor, tell, **{"ratios": "0.25,0.5,1.0", "settings": FOREST, **request})


def test_a_forest_is_trained_from_its_root_and_each_trial_is_told_of_when_it_ends(tmp_path):
    events, executor = [], FakeExecutor()
    done = run_forest(tmp_path, executor, events.append)
    assert done.is_complete
    assert sorted(spans(executor)) == [(0, 38), (38, 46), (38, 75), (75, 92), (75, 184)]
    parents = {job.stage: job.parent for job in executor.submitted}
    seen = set()
    for stage, parent in parents.items():
        assert parent is None or parent in seen
        seen.add(stage)
    ended = [event for event in events if isinstance(event, TrialEnded)]
    # What each of them costs alone: two seconds a Stage on its way.
    assert {(event.ratio, event.train_seconds) for event in ended} == {("0.25", 4.0), ("0.5", 6.0), ("1.0", 6.0)}
    [started] = [event for event in events if isinstance(event, SweepStarted)]
    assert (started.num_steps, started.num_shared) == (46 + 92 + 184 - 38 - 75, 38 + 75)
    roots = [event.num_trials for event in events if isinstance(event, StageStarted)]
    assert sorted(roots) == [1, 1, 1, 2, 3]


def test_a_seed_is_a_tree_of_its_own(tmp_path):
    executor = FakeExecutor(capacity=3)
    assert run_forest(tmp_path, executor, seeds=2).is_complete
    assert len(executor.submitted) == 10
    assert len({job.stage for job in executor.submitted}) == 10
    assert executor.most_at_once == 3


def test_a_failure_is_the_outcome_of_every_trial_below_it_and_recorded_once(tmp_path):
    events, executor = [], FakeExecutor(endings={(75, 0): Outcome.FAILED})
    done = run_forest(tmp_path, executor, events.append)
    assert not done.is_complete
    assert sorted(spans(executor)) == [(0, 38), (38, 46), (38, 75)]
    assert {result.entry.ratio: result.outcome.value for result in done.history.results} == {
        "0.25": "finished",
        "0.5": "failed",
        "1.0": "failed",
    }
    assert sum(record.outcome is Outcome.FAILED for record in done.history.attempts) == 1
    told = {event.ratio: event.reason for event in events if isinstance(event, TrialEnded)}
    assert told == {"0.25": None, "0.5": "failed for a test", "1.0": "failed for a test"}
    again = FakeExecutor()
    assert run_forest(tmp_path, again).is_complete
    assert sorted(spans(again)) == [(38, 75), (75, 92), (75, 184)]


def test_what_diverged_in_a_shared_stage_is_not_trained_again_by_a_grid_that_divides_it_otherwise(tmp_path):
    run(tmp_path, FakeExecutor(endings={(184, 0): Outcome.DIVERGED}), ratios="1.0", settings=FOREST)
    executor = FakeExecutor()
    done = run_forest(tmp_path, executor, ratios="0.5,1.0")
    assert spans(executor) == [(0, 92)]
    assert {r.entry.ratio: r.outcome.value for r in done.history.results} == {"0.5": "finished", "1.0": "diverged"}


def test_a_retry_trains_only_the_stage_that_was_lost(tmp_path):
    executor = FakeExecutor(endings={(75, 0): [Outcome.CRASHED, Outcome.FINISHED]})
    done = run_forest(tmp_path, executor)
    assert done.is_complete
    assert spans(executor).count((38, 75)) == 2
    assert len(executor.submitted) == 6


def test_a_state_that_is_lost_is_trained_once_more(tmp_path):
    events, executor = [], FakeExecutor(loses={75: 1})
    done = run_forest(tmp_path, executor, events.append)
    assert done.is_complete
    assert spans(executor).count((38, 75)) == 2
    assert any("a state that others go on from is gone (missing)" in e.text for e in events if isinstance(e, Noticed))
    assert {r.entry.ratio: r.train_seconds for r in done.history.results} == {"0.25": 4.0, "0.5": 6.0, "1.0": 6.0}


def test_a_state_that_can_never_be_kept_ends_the_sweep_with_what_helps(tmp_path):
    with pytest.raises(MachineError) as caught:
        run_forest(tmp_path, FakeExecutor(loses={75: 100}))
    assert "--no-share" in str(caught.value)
    done = run_forest(tmp_path, FakeExecutor(), share=False)
    assert done.is_complete


def test_states_that_were_deleted_cost_only_steps(tmp_path):
    run_forest(tmp_path, FakeExecutor(endings={(184, 0): Outcome.CRASHED}), retries=0)
    for states in (tmp_path / "smoke" / "states").iterdir():
        StageStates(states).remove_all_but(())
    executor = FakeExecutor()
    assert run_forest(tmp_path, executor).is_complete
    assert spans(executor) == [(0, 184)]


def test_trained_alone_each_trial_is_one_stage(tmp_path):
    executor = FakeExecutor()
    assert run_forest(tmp_path, executor, share=False).is_complete
    assert sorted(spans(executor)) == [(0, 46), (0, 92), (0, 184)]


@pytest.mark.parametrize("keep", ["forks", "none"])
def test_while_it_runs_a_fork_is_kept_as_long_as_somebody_needs_it(tmp_path, keep):
    executor = FakeExecutor(endings={(184, 0): Outcome.CRASHED})
    run_forest(tmp_path, executor, retries=0, keep=keep)
    kept = {int(path.stem) for path in (tmp_path / "smoke" / "states").glob("*/*.state")}
    assert kept == ({38, 75} if keep == "forks" else {75})
    assert run_forest(tmp_path, FakeExecutor(), keep=keep).is_complete
    kept = {int(path.stem) for path in (tmp_path / "smoke" / "states").glob("*/*.state")}
    assert kept == ({38, 75, 148} if keep == "forks" else set())


def test_a_sweep_that_is_refused_lets_go_of_no_state(tmp_path):
    run_forest(tmp_path, FakeExecutor(endings={(184, 0): Outcome.CRASHED}), retries=0)
    kept = sorted((tmp_path / "smoke" / "states").glob("*/*.state"))
    assert kept
    other = FakeExecutor(environment=ENVIRONMENT.model_copy(update={"threads": 7}))
    with pytest.raises(UsageError, match="another set-up"):
        run_forest(tmp_path, other, keep="none")
    assert sorted((tmp_path / "smoke" / "states").glob("*/*.state")) == kept
