"""A sweep with an executor that answers from a table: what is trained, in which order, and what is written down."""

import os
import signal

import pytest
from fake_executor import ENVIRONMENT, FakeExecutor, begin, lengths_and_seeds, run, spans

from sweep.api import plan_sweep, run_request
from sweep.errors import MachineError, Outcome, Problem, SweepError, UsageError
from sweep.events import Noticed, Progress, StageEnded, StageStarted, SweepEnded, SweepStarted, TrialEnded
from sweep.plan.stages import Recorded
from sweep.request import SweepRequest
from sweep.run.messages import Progressed
from sweep.run.stop import StopRequest
from sweep.store.history import read_history
from sweep.store.journal import replay
from sweep.store.records import StageRecord
from sweep.store.states import StageStates


def test_every_trial_is_trained_once_seed_by_seed_in_the_planned_order(tmp_path):
    executor = FakeExecutor()
    done = run(tmp_path, executor, ratios="0.25,0.5,0.75,1.0", seeds=3)
    assert lengths_and_seeds(executor) == [(s.stop_step, s.trial.seed) for s in done.plan.stages]
    assert [seed for _, seed in lengths_and_seeds(executor)] == [0] * 4 + [1] * 4 + [2] * 4
    orders = {tuple(length for length, seed in lengths_and_seeds(executor) if seed == n) for n in range(3)}
    assert len(orders) > 1  # shuffled anew for each seed
    assert all(sorted(order) == [46, 92, 138, 184] for order in orders)
    assert done.is_complete
    assert not executor.is_open


def test_the_order_is_the_same_whenever_the_recipe_is_planned():
    request = SweepRequest(recipe="smoke", ratios="0.25,0.5,0.75,1.0", seeds=3)
    first, second = (plan_sweep(request) for _ in range(2))
    assert [stage.id for stage in first.stages] == [stage.id for stage in second.stages]
    assert first.order_seed == second.order_seed


def test_a_result_is_in_the_journal_before_it_is_told(tmp_path):
    seen = []

    def tell(event):
        if isinstance(event, StageEnded):
            stages = read_history(tmp_path / "smoke" / "journal.jsonl").stages
            seen.append(stages[event.stage].outcome == event.outcome)

    run(tmp_path, FakeExecutor(endings={(92, 0): Outcome.CRASHED}), tell)
    assert seen == [True] * 3


def test_events_tell_the_whole_story(tmp_path):
    events = []
    run(tmp_path, FakeExecutor(), events.append, ratios="0.5,1.0")
    kinds = [type(event) for event in events]
    assert kinds == [SweepStarted, *[StageStarted, StageEnded, TrialEnded] * 2, SweepEnded]
    assert events[0] == SweepStarted("smoke", num_trials=2, num_done=0, num_steps=276)
    assert events[-1] == SweepEnded("smoke", num_trials=2, num_finished=2, stopped_by=None)


def test_a_failed_trial_does_not_stop_the_others_and_runs_again_next_time(tmp_path):
    first = run(tmp_path, FakeExecutor(endings={(92, 0): Outcome.CRASHED, (46, 0): Outcome.FAILED}), retries=0)
    assert not first.is_complete
    assert sorted(result.outcome.value for result in first.history.results) == ["crashed", "failed", "finished"]
    executor = FakeExecutor()
    second = run(tmp_path, executor)
    assert sorted(lengths_and_seeds(executor)) == [(46, 0), (92, 0)]
    assert second.is_complete
    assert {record.attempt for record in second.history.stages.values()} == {1, 2}


def outcomes_by_attempt(tmp_path, num_steps):
    """What the journal holds of the trial of so many steps, an entry an attempt."""
    whole = replay(tmp_path / "smoke" / "journal.jsonl")
    [stages] = {entry.stages for entry in whole.records[0].trials if entry.num_steps == num_steps}
    records = [record for record in whole.records if isinstance(record, StageRecord) and record.stage in stages]
    return [(record.attempt, record.outcome.value) for record in records]


def test_a_trial_whose_worker_is_lost_is_trained_again_at_once_each_attempt_recorded(tmp_path):
    events, executor = [], FakeExecutor(endings={(92, 0): [Outcome.CRASHED, Outcome.FINISHED]})
    assert run(tmp_path, executor, events.append).is_complete
    lengths = [length for length, _ in lengths_and_seeds(executor)]
    assert lengths[lengths.index(92) :][:2] == [92, 92]
    assert outcomes_by_attempt(tmp_path, 92) == [(1, "crashed"), (2, "finished")]
    ended = [event for event in events if isinstance(event, StageEnded)]
    assert [event.outcome.value for event in ended] == ["finished"] * 3
    assert "ratio 0.5, seed 0: crashed for a test; trying again" in [e.text for e in events if isinstance(e, Noticed)]


class ProgressingExecutor(FakeExecutor):
    """Tells of 30 steps before each Stage's end."""

    def receive(self, timeout_seconds):
        if self.waiting and self.told is not self.waiting[0]:
            self.told = self.waiting[0]
            return Progressed(progress=Progress(self.told.stage, 30, 1.0, None, None, 100.0))
        return super().receive(timeout_seconds)

    told = None


def test_how_far_a_lost_attempt_had_come_is_on_record(tmp_path):
    ways = [Outcome.CRASHED, Outcome.STALLED, Outcome.FINISHED]
    executor = ProgressingExecutor(
        endings={(92, 0): ways, (46, 0): Outcome.FAILED, (184, 0): Outcome.OUT_OF_MEMORY},
    )
    run(tmp_path, executor, retries=2)
    records = [r for r in replay(tmp_path / "smoke" / "journal.jsonl").records if isinstance(r, StageRecord)]
    reached = {(record.outcome.value, record.reached_step) for record in records}
    lost = {("crashed", 30), ("stalled", 30), ("out_of_memory", 30)}
    assert reached == {*lost, ("finished", None), ("failed", None)}


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_it_is_trained_so_many_times_more_and_no_more(tmp_path, retries):
    done = run(tmp_path, FakeExecutor(endings={(92, 0): Outcome.CRASHED}), retries=retries)
    assert not done.is_complete
    assert outcomes_by_attempt(tmp_path, 92) == [(n + 1, "crashed") for n in range(retries + 1)]
    run(tmp_path, FakeExecutor(endings={(92, 0): Outcome.CRASHED}), retries=0)
    assert outcomes_by_attempt(tmp_path, 92)[-1] == (retries + 2, "crashed")


@pytest.mark.parametrize("outcome", [Outcome.DIVERGED, Outcome.FAILED])
def test_a_trial_that_diverged_or_failed_is_not_tried_again(tmp_path, outcome):
    run(tmp_path, FakeExecutor(endings={(92, 0): outcome}), retries=5)
    assert outcomes_by_attempt(tmp_path, 92) == [(1, outcome.value)]


def test_three_trials_whose_first_attempts_crash_alike_stop_the_sweep_with_the_cause(tmp_path):
    again = [Outcome.CRASHED, Outcome.FINISHED]
    executor = FakeExecutor(endings={(length, 0): list(again) for length in (46, 92, 138, 184)})
    with pytest.raises(SweepError, match="first attempts at 3 trials ended alike: crashed for a test") as stopped:
        run(tmp_path, executor, ratios="0.25,0.5,0.75,1.0")
    assert stopped.value.exit_code == 1
    assert not executor.is_open
    history = read_history(tmp_path / "smoke" / "journal.jsonl")
    assert history.damaged_lines == ()
    assert sorted(r.outcome.value for r in history.results) == ["crashed", "finished", "finished", "missing"]
    assert run(tmp_path, FakeExecutor(), ratios="0.25,0.5,0.75,1.0").is_complete


def test_what_is_under_way_when_a_sweep_gives_up_is_stopped_with_a_checkpoint(tmp_path):
    endings = {(length, 0): Outcome.CRASHED for length in (46, 92, 138)} | {(184, 0): Outcome.INTERRUPTED}
    executor = FakeExecutor(capacity=4, endings=endings)
    with pytest.raises(SweepError, match="ended alike"):
        run(tmp_path, executor, ratios="0.25,0.5,0.75,1.0", retries=0)
    history = read_history(tmp_path / "smoke" / "journal.jsonl")
    assert executor.was_asked_to_stop
    assert [r.outcome.value for r in history.results] == ["crashed", "crashed", "crashed", "interrupted"]


def signals(*at):
    """An `on_receive` that sends this process SIGINT at these calls (from 1)."""
    calls = []

    def on_receive():
        calls.append(1)
        for _ in range(at.count(len(calls))):
            os.kill(os.getpid(), signal.SIGINT)

    return on_receive


def test_a_signal_asks_for_a_checkpoint_and_hears_how_each_trial_ends(tmp_path):
    events = []
    executor = FakeExecutor(capacity=2, on_receive=signals(1))
    done = run(tmp_path, executor, events.append, ratios="0.25,0.5,0.75,1.0")
    assert done.stopped_by == signal.SIGINT
    assert executor.was_asked_to_stop
    assert sorted(r.outcome.value for r in done.history.results) == ["finished", "finished", "missing", "missing"]
    assert Noticed("stopping after a checkpoint, again to stop now") in events


def test_without_checkpoints_none_is_promised(tmp_path):
    events = []
    run(tmp_path, FakeExecutor(capacity=3, on_receive=signals(1)), events.append, checkpoint_every="never")
    assert Noticed("stopping, again to stop now") in events


def test_a_second_signal_waits_for_nothing(tmp_path):
    executor = FakeExecutor(capacity=2, on_receive=signals(1, 1))
    done = run(tmp_path, executor, ratios="0.25,0.5,0.75,1.0")
    assert done.stopped_by == signal.SIGINT
    outcomes = sorted(r.outcome.value for r in done.history.results)
    assert outcomes == ["finished", "interrupted", "missing", "missing"]


def test_a_trial_that_crashes_while_the_sweep_stops_is_not_tried_again(tmp_path):
    executor = FakeExecutor(on_receive=signals(1), endings={(n, 0): Outcome.CRASHED for n in (46, 92, 184)})
    done = run(tmp_path, executor, retries=5)
    assert len(executor.submitted) == 1
    assert sorted(r.outcome.value for r in done.history.results) == ["crashed", "missing", "missing"]


def test_a_third_signal_is_for_a_sweep_that_looks_at_none():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert (stop.signal_number, stop.is_urgent) == (signal.SIGTERM, False)
        os.kill(os.getpid(), signal.SIGINT)
        assert (stop.signal_number, stop.is_urgent) == (signal.SIGTERM, True)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_sweep_that_goes_on_says_what_is_done_and_what_was_interrupted(tmp_path):
    run(tmp_path, FakeExecutor(), ratios="0.5")
    whole = plan_sweep(SweepRequest(recipe="smoke", ratios="0.5,0.75,1.0"))
    done = frozenset(trial.key for trial in whole.trials if trial.timeline.num_steps == 92)
    plan = whole.missing(Recorded(final=done))
    begin(tmp_path, plan, 0)
    events = []
    run(tmp_path, FakeExecutor(), events.append, ratios="0.5,0.75,1.0")
    [started] = [event for event in events if isinstance(event, SweepStarted)]
    assert (started.num_trials, started.num_done, started.num_interrupted) == (3, 1, 1)
    # The first five steps are the same in both: the other one can go on from them as well.
    assert started.num_steps == 138 + 184 - 2 * 5
    begun = {event.stage: event.steps_done for event in events if isinstance(event, StageStarted)}
    # … unless the one that it is of is done by then.
    assert begun == {plan.stages[0].id: 5, plan.stages[1].id: 0}
    other = StageStates(tmp_path / "smoke" / "states" / plan.stages[0].id)
    assert not other.is_begun


def test_one_that_was_stopped_counts_as_interrupted_and_one_that_crashed_does_not(tmp_path):
    run(tmp_path, FakeExecutor(endings={(46, 0): Outcome.CRASHED, (92, 0): Outcome.INTERRUPTED}), retries=0)
    events = []
    run(tmp_path, FakeExecutor(), events.append)
    [started] = [event for event in events if isinstance(event, SweepStarted)]
    assert (started.num_done, started.num_interrupted) == (1, 1)


def test_when_a_trial_is_done_its_checkpoints_go_and_the_others_stay(tmp_path):
    plan = plan_sweep(SweepRequest(recipe="smoke"))
    begin(tmp_path, plan, 0, 1, 2)
    lengths = [(stage.stop_step, 0) for stage in plan.stages]
    run(tmp_path, FakeExecutor(endings={lengths[0]: Outcome.CRASHED, lengths[1]: Outcome.DIVERGED}), retries=0)
    folders = [path.name for path in (tmp_path / "smoke" / "states").iterdir()]
    assert folders == [plan.stages[0].id]


def test_checkpoints_that_a_killed_sweep_left_of_a_trial_that_is_done_go(tmp_path):
    plan = run(tmp_path, FakeExecutor()).plan
    begin(tmp_path, plan, 0, 1, 2)
    run(tmp_path, FakeExecutor())
    assert list((tmp_path / "smoke" / "states").iterdir()) == []


def test_workers_are_told_where_checkpoints_are_kept_and_how_often(tmp_path):
    told = []
    for name, every in (("a", "60"), ("b", "0.25"), ("c", "never"), ("d", "0")):
        executor = FakeExecutor()
        run(tmp_path, executor, name=name, checkpoint_every=every)
        told.append([(job.workspace, job.checkpoint_every) for job in executor.prepared])
    assert told == [[(str(tmp_path / name), every)] for name, every in zip("abcd", (60, 0.25, None, None), strict=True)]


@pytest.mark.parametrize("every", ["", "-1", "1e3", "nan", "inf", "1_0", "٣", "60s", " 60", "soon", "Never", "1" * 10])
def test_what_is_no_number_of_seconds_is_refused_with_every_other_mistake(every):
    with pytest.raises(UsageError) as refused:
        plan_sweep(SweepRequest("smoke", checkpoint_every=every, stall_timeout=every, retries=-1, seeds=0))
    places = ["--checkpoint-every", "--stall-timeout", "--seeds", "--retries"]
    assert [problem.where for problem in refused.value.problems] == places


def test_a_stall_timeout_is_a_second_at_least():
    for seconds in ("0.001", "0.9"):
        with pytest.raises(UsageError, match=rf"--stall-timeout: {seconds} s is too short .*write 600 or never"):
            plan_sweep(SweepRequest("smoke", stall_timeout=seconds))


def test_the_executor_is_told_when_a_worker_hangs(tmp_path):
    told = []

    def make_executor(workspace, placement, stall_timeout):
        told.append(stall_timeout)
        return FakeExecutor()

    for name, request in (("a", {}), ("b", {"stall_timeout": "1.5"}), ("c", {"stall_timeout": "never"})):
        run_request(SweepRequest("smoke", "0.25", results=tmp_path, name=name, **request), make_executor=make_executor)
    assert told == [600, 1.5, None]


def test_a_diverged_trial_is_not_trained_again(tmp_path):
    run(tmp_path, FakeExecutor(endings={(92, 0): Outcome.DIVERGED}))
    executor = FakeExecutor()
    assert not run(tmp_path, executor).is_complete
    assert not executor.prepared


def test_a_finished_sweep_starts_no_worker(tmp_path):
    run(tmp_path, FakeExecutor())
    executor = FakeExecutor()
    assert run(tmp_path, executor).is_complete
    assert not executor.prepared


def test_no_more_stages_are_handed_out_than_the_executor_takes(tmp_path):
    executor = FakeExecutor(capacity=3)
    assert run(tmp_path, executor, seeds=4).is_complete
    assert executor.most_at_once == 3


def test_with_several_workers_the_longest_begins_in_time(tmp_path):
    executor = FakeExecutor(capacity=2)
    run(tmp_path, executor, ratios="0.25,0.5,1.0")
    assert 184 in [job.stop_step for job in executor.submitted[:2]]


def test_the_number_of_jobs_is_recorded_and_training_nothing_changes_none(tmp_path):
    assert run(tmp_path, FakeExecutor(capacity=3)).history.last_start.jobs == 3
    assert [start.jobs for start in run(tmp_path, FakeExecutor(capacity=1)).history.starts] == [3]
    assert [start.jobs for start in run(tmp_path, FakeExecutor(), seeds=2).history.starts] == [3, 1]


def test_a_sweep_keeps_its_number_of_threads_unless_another_one_is_asked_for(tmp_path):
    def threads_of(**request):
        executor = FakeExecutor(environment=ENVIRONMENT.model_copy(update={"threads": 5}))
        run(tmp_path, executor, recipe=str(recipe), data_path=str(tmp_path), **request)
        return [job.threads for job in executor.prepared]

    recipe = tmp_path / "smoke.yaml"
    recipe.write_text("model: small_cnn\ndataset: digits\nepochs: 8\n")  # leaves the threads open
    assert threads_of(ratios="0.25", threads=5) == [5]
    assert threads_of(ratios="0.25,0.5") == [5]
    assert threads_of(ratios="0.25,0.5,1.0", jobs="2") == [5]
    assert threads_of(ratios="0.25", threads=3, fresh=True) == [3]


def test_the_recipes_own_threads_do_not_change_those_that_a_sweep_began_with(tmp_path):
    with_two = ENVIRONMENT.model_copy(update={"threads": 2})
    run(tmp_path, FakeExecutor(environment=with_two), ratios="0.25", threads=2)  # smoke itself says 1
    executor, told = FakeExecutor(environment=with_two), []
    run(tmp_path, executor, told.append, ratios="0.25,0.5")
    assert [job.threads for job in executor.prepared] == [2]
    assert Noticed("threads: 2, as in this sweep's first run (the recipe says 1)") in told


def test_fresh_sets_nothing_aside_where_nothing_was_recorded(tmp_path):
    for _ in range(2):
        with pytest.raises(MachineError):
            run(tmp_path, FakeExecutor(environment=MachineError("no such device")), fresh=True)
    assert [path.name for path in tmp_path.iterdir()] == ["smoke"]


def test_more_threads_than_cores_are_warned_of(tmp_path):
    from sweep.run.placement import num_cores

    for jobs, is_crowded in ((1, False), (2, True)):
        events = []
        run(tmp_path, FakeExecutor(), events.append, jobs=str(jobs), threads=num_cores(), name=f"with-{jobs}")
        warned = [event.text for event in events if isinstance(event, Noticed) and "--jobs" in event.text]
        assert bool(warned) == is_crowded


def test_that_jobs_share_a_gpu_is_warned_of_unless_it_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("sweep.placing.visible_gpus", lambda: ("GPU-a", "GPU-b"))
    for jobs, jobs_per_device, is_warned in (("2", 2, False), ("3", 2, True), ("4", 2, True), ("auto", 2, False)):
        events, executor = [], FakeExecutor()
        options = {"jobs": jobs, "jobs_per_device": jobs_per_device, "threads": 1}
        run(tmp_path, executor, events.append, name=f"of-{jobs}", seeds=2, **options)
        assert executor.prepared[0].shares_device == (jobs != "2")  # with two, each has a GPU of its own
        warned = [event.text for event in events if isinstance(event, Noticed) and "jobs on a GPU" in event.text]
        assert bool(warned) == is_warned
    assert warned == []
    with pytest.raises(UsageError, match="5 jobs, but 2 GPUs with 2 each"):
        run(tmp_path, FakeExecutor(), jobs="5", jobs_per_device=2)


def test_a_kept_reference_is_not_trained_in(tmp_path):
    for request in ({"name": "reference-mine"}, {"name": "reference-mine", "fresh": True}):
        with pytest.raises(UsageError, match="read-only"):
            run(tmp_path, FakeExecutor(), **request)
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_with_the_machine_stops_the_sweep_before_anything_is_recorded(tmp_path):
    executor = FakeExecutor(environment=MachineError(Problem("no data", fix="get it")))
    with pytest.raises(MachineError, match="no data"):
        run(tmp_path, executor)
    assert not (tmp_path / "smoke" / "journal.jsonl").exists()
    assert not executor.is_open


@pytest.mark.parametrize(
    "change", [{"threads": 2}, {"device_kind": "cuda"}, {"torch": "2.7"}], ids=["threads", "device", "torch"]
)
def test_another_set_up_is_refused_once_something_was_measured(tmp_path, change):
    run(tmp_path, FakeExecutor(), ratios="0.5")
    journal = (tmp_path / "smoke" / "journal.jsonl").read_bytes()
    executor = FakeExecutor(environment=ENVIRONMENT.model_copy(update=change))
    with pytest.raises(UsageError, match=r"another set-up.*--allow-mixed"):
        run(tmp_path, executor, ratios="0.5,1.0")
    assert not executor.submitted
    assert (tmp_path / "smoke" / "journal.jsonl").read_bytes() == journal


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threads": 2}, "threads was 1, now 2"),
        ({"device_kind": "cuda"}, "device was cpu, now cuda"),
        ({"torch": "2.7"}, "torch was 2.6, now 2.7"),
    ],
    ids=["threads", "device", "torch"],
)
def test_another_set_up_that_is_allowed_trains_and_marks_what_it_trained(tmp_path, change, said):
    run(tmp_path, FakeExecutor(), ratios="0.5")
    executor, told = FakeExecutor(environment=ENVIRONMENT.model_copy(update=change)), []
    run(tmp_path, executor, told.append, ratios="0.5,1.0", allow_mixed=True)
    assert lengths_and_seeds(executor) == [(184, 0)]
    warned = [event.text for event in told if isinstance(event, Noticed)]
    assert warned == [f"warning: another set-up than this sweep began with ({said}): its trials are marked"]
    done = run(tmp_path, FakeExecutor(), ratios="0.5,0.75,1.0")  # on the first set-up again, nothing is to be allowed
    marks = {result.entry.num_steps: result.other_set_up for result in done.history.results}
    assert marks == {92: (), 138: (), 184: (said,)}


def test_allowing_what_does_not_happen_changes_nothing(tmp_path):
    told = []
    run(tmp_path, FakeExecutor(), ratios="0.5")
    done = run(tmp_path, FakeExecutor(), told.append, ratios="0.5,1.0", allow_mixed=True)
    assert not [event for event in told if isinstance(event, Noticed)]
    assert {result.other_set_up for result in done.history.results} == {()}


def test_another_recipe_is_refused_with_each_difference(tmp_path):
    run(tmp_path, FakeExecutor())
    journal, executor = (tmp_path / "smoke" / "journal.jsonl").read_bytes(), FakeExecutor()
    with pytest.raises(UsageError, match=r"lr was 0\.1, now 0\.3 \(--set\)") as refused:
        run(tmp_path, executor, settings=("lr=0.3", "epochs=16"))
    assert len(refused.value.problems) == 2
    assert not executor.prepared
    assert (tmp_path / "smoke" / "journal.jsonl").read_bytes() == journal


def test_a_recipe_that_was_changed_under_its_name_is_refused_with_the_line_and_what_is_left_out(tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("model: small_cnn\ndataset: digits\nepochs: 8\nlr: 0.1\nlr_gamma: 0.5\nlr_step_size: 4\n")
    run(tmp_path, FakeExecutor(), recipe=str(recipe))
    recipe.write_text("model: small_cnn\ndataset: digits\nepochs: 8\nlr: 0.2\nlr_step_size: 4\n")
    with pytest.raises(UsageError) as refused:
        run(tmp_path, FakeExecutor(), recipe=str(recipe))
    assert [problem.message.partition("recipe: ")[2] for problem in refused.value.problems] == [
        f"lr was 0.1, now 0.2 ({recipe}:4)",
        "lr_gamma was 0.5, now 0.1 (not given)",
    ]
    executor = FakeExecutor()
    assert run(tmp_path, executor, recipe=str(recipe), name="changed").is_complete
    assert len(executor.submitted) == 3
    assert {p.name for p in tmp_path.iterdir()} == {"mine", "changed", "mine.yaml"}


def test_a_damaged_record_is_noticed_and_only_its_trial_runs_again(tmp_path):
    run(tmp_path, FakeExecutor())
    journal = tmp_path / "smoke" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], lines[2].replace(b'"steps":', b'"stepz":'), *lines[3:]]))
    events, executor = [], FakeExecutor()
    assert run(tmp_path, executor, events.append).is_complete
    assert len(executor.submitted) == 1
    assert any(isinstance(event, Noticed) and "journal.jsonl:3" in event.text for event in events)


def test_a_damaged_start_record_is_written_anew_and_nothing_trains_again(tmp_path):
    run(tmp_path, FakeExecutor())
    journal = tmp_path / "smoke" / "journal.jsonl"
    first, *rest = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([first.replace(b'"order_seed":', b'"order_sead":'), *rest]))
    executor = FakeExecutor()
    done = run(tmp_path, executor)
    assert done.is_complete
    assert not executor.submitted
    assert len(done.history.results) == 3


def test_a_recipe_whose_file_name_is_no_text_still_has_a_name(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.yaml"
    with open(path, "wb") as file:
        file.write(b"model: small_cnn\ndataset: digits\nepochs: 8\n")
    done = run(tmp_path, FakeExecutor(), recipe=os.fsdecode(path), name="odd")
    assert done.history.last_start.recipe_name == r"caf\udce9"


def test_warnings_are_told_before_anything_trains(tmp_path):
    events = []
    run(tmp_path, FakeExecutor(), events.append, settings=("lr_gamma=0.5",), ratios="1.0")
    assert isinstance(events[0], Noticed)
    assert "lr_gamma" in events[0].text


def test_threads_come_from_the_option_then_the_recipe_then_the_machine(tmp_path):
    from sweep.run.placement import num_cores

    threads = []
    for name, request in {
        "a": {"threads": 3},
        "b": {},
        "c": {"recipe": "fashion_mnist"},
    }.items():
        executor = FakeExecutor(environment=MachineError("enough"))
        with pytest.raises(MachineError):
            run(tmp_path, executor, name=name, **request)
        threads.append(executor.prepared[0].threads)
    assert threads == [3, 1, num_cores()]


def test_the_start_record_holds_the_whole_recipe_the_plan_and_the_environment(tmp_path):
    done = run(tmp_path, FakeExecutor(), ratios="0.33,1.0", seeds=2, price=1.5)
    start = done.history.last_start
    assert start.recipe == done.plan.loaded.recipe.model_dump(mode="json")
    assert [(t.ratio, t.realised, t.seed, t.num_steps) for t in start.trials] == [
        ("0.33", "1/4", 0, 46),
        ("1.0", "1", 0, 184),
        ("0.33", "1/4", 1, 46),
        ("1.0", "1", 1, 184),
    ]
    assert start.order_seed == done.plan.order_seed
    assert start.price == 1.5
    assert start.environment.torch == "2.6"


def test_baselines_are_evaluated_at_every_shorter_length_of_the_grid(tmp_path):
    executor = FakeExecutor()
    run(tmp_path, executor, ratios="0.31,0.5,1.0", method="steps")
    jobs = {job.stop_step: job for job in executor.submitted}
    assert jobs[57].eval_steps == (23, 46, 57)
    assert set(jobs[184].eval_steps) == {*range(23, 185, 23), 57}


def test_a_damaged_record_is_told_with_what_runs_again(tmp_path):
    first = run(tmp_path, FakeExecutor())
    journal = first.workspace.journal
    [half] = [result.entry for result in first.history.results if result.entry.ratio == "0.5"]
    lines = journal.read_bytes().split(b"\n")
    [number] = [n for n, line in enumerate(lines, 1) if half.stages[0].encode() in line and b'"kind":"stage"' in line]
    for damage, told in ((b"0.5]", "ratio 0.5, seed 0"), (half.stages[0].encode(), "what it held")):
        lines_now = list(lines)
        lines_now[number - 1] = lines[number - 1].replace(damage, b"?" * len(damage), 1)
        journal.write_bytes(b"\n".join(lines_now))
        executor, events = FakeExecutor(), []
        assert run(tmp_path, executor, events.append).is_complete
        assert spans(executor) == [(0, 92)]
        [notice] = [event.text for event in events if isinstance(event, Noticed)]
        assert notice == f"ignored 1 damaged record ({journal}:{number}); {told} runs again"


def test_a_checkpoint_of_another_stage_that_has_gone_meanwhile_is_not_asked_for(tmp_path):
    """Two trials could go on from the same one; it goes when the one that it is of is done."""
    plan = plan_sweep(SweepRequest(recipe="smoke", ratios="0.75,1.0"))
    begin(tmp_path, plan, 0)
    executor = FakeExecutor()
    assert run(tmp_path, executor, ratios="0.75,1.0").is_complete
    assert [job.stage for job in executor.submitted] == [stage.id for stage in plan.stages]
    assert [job.checkpoint for job in executor.submitted] == [None, None]
