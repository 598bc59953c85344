"""How many jobs `--jobs auto` takes, told by made-up times of a step."""

import math
import random
import signal
from itertools import count

import pytest
from commands import write_recipe
from fake_executor import FakeExecutor, run
from hypothesis import given
from hypothesis import strategies as st

from sweep.api import plan_sweep
from sweep.errors import Interrupted
from sweep.events import Noticed
from sweep.request import SweepRequest
from sweep.run import auto_jobs
from sweep.run.auto_jobs import Unmeasured, choose_jobs, end_of, jobs_worth
from sweep.run.distortion import MAX_DISTORTION, MAX_ROUNDS, MIN_ROUNDS, measure
from sweep.run.messages import Probed
from sweep.store.history import read_history

LONG = 1_000_000  # steps: nobody minds some more seconds


class Machine:
    """Steps take `alone` seconds, and so many times as long beside others; each burst `noise` more or less."""

    def __init__(self, factor, alone=1.0, noise=0.0, seed=0):
        self.factor, self.alone, self.noise = factor, alone, noise
        self.random = random.Random(seed)
        self.bursts = []

    def __call__(self, num_workers, seconds):
        self.bursts.append((num_workers, seconds))
        factor = self.factor(num_workers) if num_workers > 1 else 1.0
        return [self.alone * factor * (1 + self.noise * self.random.uniform(-1, 1)) for _ in range(num_workers)]


def shared_by(jobs):
    return math.ceil(LONG / jobs)


@given(most=st.integers(1, 64), per_job=st.floats(0, 0.2), noise=st.floats(0, 0.2), seed=st.integers(0, 1000))
def test_what_is_taken_distorts_no_time_by_more_than_a_twentieth_and_its_double_does(most, per_job, noise, seed):
    machine = Machine(lambda jobs: 1 + per_job * (jobs - 1), noise=noise, seed=seed)
    chosen = choose_jobs(machine, shared_by, most)
    assert 1 <= chosen.jobs <= most
    if noise == 0:
        expected = max(jobs for jobs in range(1, most + 1) if per_job * (jobs - 1) <= MAX_DISTORTION + 1e-12)
        assert chosen.jobs in (expected, max(1, expected - 1))  # a float's last bit may decide
    elif noise < 0.01 and chosen.jobs > 1:
        assert per_job * (chosen.jobs - 1) <= MAX_DISTORTION + 2 * noise
    # By bisection, and each in so many rounds at most.
    tried = {jobs for jobs, seconds in machine.bursts if seconds and jobs > 1}
    assert len(tried) <= 1 + math.ceil(math.log2(most))
    assert all(machine.bursts.count((jobs, seconds)) <= MAX_ROUNDS for jobs, seconds in machine.bursts if jobs > 1)


def test_alone_and_beside_others_take_turns_and_neither_is_always_first():
    machine = Machine(lambda jobs: 1.01)
    distortion = measure(machine, 3)
    assert distortion.share == pytest.approx(0.01)
    numbers = [number for number, _ in machine.bursts]
    assert numbers == [3, 1, 1, 3] * (MIN_ROUNDS // 2)


@pytest.mark.parametrize("factor", [1.01, 1.2])
def test_clear_cases_are_settled_in_few_rounds(factor):
    machine = Machine(lambda jobs: factor, noise=0.01)
    assert measure(machine, 2).is_settled
    assert len(machine.bursts) == 2 * MIN_ROUNDS


def test_a_busy_machine_is_measured_for_longer_and_then_the_times_are_kept_safe():
    turns = count()
    machine = Machine(lambda jobs: 1.3 if next(turns) % 2 else 1.0)  # in every other round
    distortion = measure(machine, 2)
    assert len(machine.bursts) == 2 * MAX_ROUNDS
    assert not distortion.is_settled
    chosen = choose_jobs(machine, shared_by, 2)
    assert (chosen.jobs, "2 " in chosen.why) == (1, True)


def test_the_choice_says_what_was_measured():
    slight = choose_jobs(Machine(lambda jobs: 1.02), shared_by, 2)
    assert (slight.jobs, slight.why) == (
        2,
        "beside each other a step takes 1.02 times as long as alone (measured for 0 s)",
    )
    heavy = choose_jobs(Machine(lambda jobs: 1.09), shared_by, 2)
    assert (heavy.jobs, heavy.why) == (1, "2 would record times 9% too long (measured for 0 s)")
    some = choose_jobs(Machine(lambda jobs: 1.02 if jobs < 4 else 1.3), shared_by, 8)
    assert some.jobs == 3
    assert some.why.endswith("(measured for 0 s); 4 would record times 30% too long")


def test_a_sweep_that_is_shorter_than_ten_probes_does_not_wait_for_one():
    machine = Machine(lambda jobs: 1.0, alone=0.01)
    chosen = choose_jobs(machine, lambda jobs: 2999 // jobs, 2)  # 29.99 s
    assert (chosen.jobs, len(machine.bursts)) == (1, 2)
    assert chosen.why.startswith("too short a sweep")
    assert choose_jobs(machine, lambda jobs: 3001 // jobs, 2).jobs == 2


def test_steps_longer_than_a_burst_make_the_probe_longer():
    machine = Machine(lambda jobs: 1.0, alone=30.0)
    assert choose_jobs(machine, lambda jobs: 119 // jobs, 2).jobs == 1
    assert choose_jobs(machine, lambda jobs: 121 // jobs, 2).jobs == 2


def test_more_jobs_than_finish_sooner_are_not_tried():
    machine = Machine(lambda jobs: 1.0)
    assert choose_jobs(machine, lambda jobs: max(LONG // jobs, LONG // 2), 8).jobs == 2
    assert max(number for number, _ in machine.bursts) == 2
    assert choose_jobs(machine, lambda jobs: LONG, 8).why == "more would finish no sooner"
    assert jobs_worth(lambda jobs: max(12 // jobs, 3), 5) == 4
    # Half a hundredth less work for each, and steps that take a hundredth longer.
    assert choose_jobs(Machine(lambda jobs: 1.01), lambda jobs: LONG - 5000 * (jobs - 1), 2).jobs == 1


@pytest.mark.parametrize(("share", "jobs"), [(0.5, 1), (0.6, 1), (0.63, 2), (1.2, 2)])
def test_a_single_one_with_all_cores_is_taken_where_it_finishes_sooner(share, jobs):
    machine = Machine(lambda jobs: 1.02)
    # Two jobs take 0.6 of the time, times 1.02.
    chosen = choose_jobs(machine, lambda jobs: 600_000 if jobs == 2 else LONG, 2, wide=lambda seconds: share)
    assert (chosen.jobs, chosen.is_alone) == (jobs, jobs == 1)
    assert ("one with all cores finishes sooner than 2" in chosen.why) == (jobs == 1)


def test_a_single_one_that_cannot_be_tried_changes_nothing():
    def wide(seconds):
        raise Unmeasured("a worker crashed (SIGSEGV)")

    chosen = choose_jobs(Machine(lambda jobs: 1.02), shared_by, 2, wide)
    assert (chosen.jobs, chosen.is_alone) == (2, False)


def test_what_cannot_be_measured_is_no_reason_for_several():
    def burst(num_workers, seconds):
        raise Unmeasured("a worker crashed (SIGSEGV)")

    chosen = choose_jobs(burst, shared_by, 2)
    assert chosen.jobs == 1
    assert "could not be measured (a worker crashed (SIGSEGV))" in chosen.why


def test_the_end_of_a_plan_is_that_of_its_longest_way():
    alone = plan_sweep(SweepRequest("smoke", ratios="0.5,1.0", seeds=2))  # 92 and 184 steps, twice
    assert [end_of(alone)(jobs) for jobs in (1, 2, 3, 4)] == [552, 276, 184, 184]
    shared = plan_sweep(SweepRequest("smoke", ratios="0.5,1.0", settings=("lr_scheduler=wsd", "min_shared_steps=1")))
    assert len(shared.stages) == 3  # what both have in common, and what either has of its own
    assert end_of(shared)(1) == sum(stage.num_steps for stage in shared.stages)
    assert end_of(shared)(8) == 184


def told(tmp_path, executor, **request):
    """What was said of the jobs before anything was trained, and how many the journal has."""
    events = []
    done = run(tmp_path, executor, events.append, jobs="auto", **request)
    assert done.is_complete
    [said] = [event.text for event in events if isinstance(event, Noticed) and "--jobs" in event.text]
    return said, read_history(done.workspace.journal).last_start.jobs


def test_the_workers_that_are_too_many_are_let_go_and_the_journal_has_those_that_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(auto_jobs, "_TIMES_WORTH", 1)
    monkeypatch.setattr("sweep.placing.num_cores", lambda: 2)
    executor = FakeExecutor(2, probes=lambda number: [Probed(step_seconds=1.0 if number == 1 else 1.5)] * number)
    said, jobs = told(tmp_path, executor, seeds=2)
    assert said.startswith("--jobs auto: 1 job of 1 thread: 2 would record times 50% too long")
    assert (jobs, executor.most_at_once, executor.capacity) == (1, 1, 1)
    executor = FakeExecutor(2)
    said, jobs = told(tmp_path / "other", executor, seeds=2)
    assert said.startswith("--jobs auto: 2 jobs of 1 thread: beside each other a step takes 1.00 times as long")
    assert (jobs, executor.most_at_once) == (2, 2)


def test_ctrl_c_meanwhile_ends_it_with_nothing_recorded(tmp_path):
    def interrupted(number):
        raise Interrupted(signal.SIGINT)

    executor = FakeExecutor(2, probes=interrupted)
    done = run(tmp_path, executor, jobs="auto", seeds=2)
    assert (done.history.starts, executor.submitted, executor.is_open) == ((), [], False)


def test_a_command_is_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("sweep.placing.num_cores", lambda: 2)
    recipe = write_recipe(tmp_path, "")
    said, jobs = told(tmp_path, FakeExecutor(2, probes=None), recipe=str(recipe), seeds=2)
    assert said.startswith("--jobs auto: 2 jobs of 1 thread; how much a command's trials distort")
    assert jobs == 2


def test_a_worker_without_an_answer_leaves_one(tmp_path):
    executor = FakeExecutor(2, probes=lambda number: [Probed(reason="a worker crashed (SIGKILL)")] * number)
    said, jobs = told(tmp_path, executor, seeds=2)
    assert said.endswith("could not be measured (a worker crashed (SIGKILL))")
    assert jobs == 1


def test_one_that_is_better_off_alone_starts_anew_with_all_cores_where_nobody_has_said_how_many(tmp_path, monkeypatch):
    monkeypatch.setattr("sweep.placing.num_cores", lambda: 2)
    for threads, expected in ((None, [1, 2]), (1, [1])):
        executor = FakeExecutor(2, probes=lambda number: [Probed(step_seconds=1.0 if number == 1 else 1.5)] * number)
        said, _ = told(tmp_path / str(threads), executor, recipe="fashion_mnist", seeds=2, threads=threads)
        assert [job.threads for job in executor.prepared] == expected
        counted = f"{expected[-1]} thread{'s' if threads is None else ''}"
        assert said.startswith(f"--jobs auto: 1 job of {counted}: 2 would record times 50% too long")


def test_one_job_has_all_cores_and_is_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("sweep.placing.num_cores", lambda: 4)
    executor = FakeExecutor(1, probes=None)
    said, jobs = told(tmp_path, executor, recipe="fashion_mnist", ratios="1")
    assert (said, jobs) == ("--jobs auto: 1 job of 4 threads", 1)
    assert executor.prepared[0].threads == 4
