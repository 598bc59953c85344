"""The executors of this machine: the contract of all, and what Workers that are processes bring with them."""

import os
import signal
from pathlib import Path

import pytest
import torch
from executor_contract import PREPARE, ExecutorContract, answer, jobs_of, prepare_job, trained_alone

from sweep import host_memory
from sweep.api import plan_sweep
from sweep.errors import Interrupted, MachineError, Outcome
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.run.executors.local import LocalExecutor
from sweep.run.ledger import stage_job
from sweep.run.messages import Probed, Progressed, StageDone
from sweep.run.placement import Placement
from sweep.run.stop import StopRequest
from sweep.store.records import ProbeJob
from sweep.store.workspace import Workspace

ONE_JOB = Placement(jobs=1, threads=1)
TWO_JOBS = Placement(jobs=2, threads=1)
KILLED = "crashed (SIGKILL; perhaps out of host memory)"


class TestInline(ExecutorContract):
    @pytest.fixture
    def executor(self):
        with InlineExecutor() as made:
            yield made


class TestLocal(ExecutorContract):
    @pytest.fixture
    def executor(self, tmp_path):
        with LocalExecutor(Workspace(tmp_path), ONE_JOB) as made:
            yield made


@pytest.mark.slow
class TestLocalWithTwoJobs(ExecutorContract):
    @pytest.fixture
    def executor(self, tmp_path):
        with LocalExecutor(Workspace(tmp_path), TWO_JOBS) as made:
            yield made


@pytest.fixture
def jobs():
    return jobs_of()


@pytest.mark.slow
def test_two_jobs_train_at_once_each_in_its_own_process_with_the_same_bits(jobs, tmp_path):
    hashes = []
    for placement in (ONE_JOB, TWO_JOBS):
        with LocalExecutor(Workspace(tmp_path), placement) as executor:
            executor.prepare(PREPARE, StopRequest())
            assert executor.capacity == placement.jobs
            done = []
            for batch in [jobs[:2]] if placement.jobs == 2 else [jobs[:1], jobs[1:2]]:
                for job in batch:
                    executor.submit(job)
                done += [answer(executor)[0] for _ in batch]
            hashes.append({message.stage: message.measurement.weights_sha256 for message in done})
            logs = {message.log for message in done}
    assert hashes[0] == hashes[1]
    assert logs == {"logs/worker-1.log", "logs/worker-2.log"}


@pytest.mark.slow
def test_of_two_jobs_a_lost_one_leaves_the_other_alone(jobs, tmp_path):
    with LocalExecutor(Workspace(tmp_path), TWO_JOBS) as executor:
        executor.prepare(PREPARE, StopRequest())
        for job in jobs[:2]:
            executor.submit(job)
        os.kill(worker_of(executor), signal.SIGKILL)
        outcomes = {message.stage: message.outcome for message in (answer(executor)[0] for _ in jobs[:2])}
        assert outcomes == {jobs[0].stage: Outcome.CRASHED, jobs[1].stage: Outcome.FINISHED}
        executor.submit(jobs[0])
        assert answer(executor)[0].outcome is Outcome.FINISHED


@pytest.mark.slow
def test_workers_that_were_timed_beside_each_other_train_as_if_they_had_not_been(jobs, tmp_path):
    """And those that are let go are gone; one that dies over it says so."""
    probe = ProbeJob(like=jobs[0], seconds=0.01)
    with LocalExecutor(Workspace(tmp_path), TWO_JOBS) as executor:
        executor.prepare(PREPARE, StopRequest())
        for num_workers in (1, 2, 1):
            answers = executor.probe(probe, num_workers, StopRequest())
            assert [probed.step_seconds > 0 for probed in answers] == [True] * num_workers
        leaving = executor._seats[1]._child.process
        executor.keep(1)
        assert (executor.capacity, leaving.returncode) == (1, 0)
        executor.submit(jobs[0])
        done, _ = answer(executor)
        os.kill(worker_of(executor), signal.SIGKILL)
        assert executor.probe(probe, 1, StopRequest()) == [Probed(reason="a worker " + KILLED)]
        executor.submit(jobs[0])  # in one that replaces it
        assert answer(executor)[0].measurement.weights_sha256 == done.measurement.weights_sha256
    assert trained_alone(jobs[0]).weights_sha256 == done.measurement.weights_sha256


def test_ctrl_c_is_heard_while_workers_are_timed(jobs, tmp_path):
    stop = StopRequest()
    with LocalExecutor(Workspace(tmp_path), ONE_JOB) as executor:
        executor.prepare(PREPARE, stop)
        worker = executor._seats[0]._child.process
        stop.signal_number = signal.SIGINT
        with pytest.raises(Interrupted):
            executor.probe(ProbeJob(like=jobs[0], seconds=1e6), 1, stop)
    assert worker.returncode is not None


def worker_of(executor):
    return executor._seats[0]._child.process.pid


def test_a_lost_worker_is_told_with_its_signal_and_replaced(jobs, tmp_path):
    with LocalExecutor(Workspace(tmp_path), ONE_JOB) as executor:
        executor.prepare(PREPARE, StopRequest())
        executor.submit(jobs[0])
        os.kill(worker_of(executor), signal.SIGSEGV)
        done, _ = answer(executor)
        assert (done.outcome, done.reason) == (Outcome.CRASHED, "crashed (SIGSEGV)")
        assert (tmp_path / done.log).is_file()
        executor.submit(jobs[1])
        assert answer(executor)[0].outcome is Outcome.FINISHED


@pytest.mark.parametrize(
    ("kills", "outcome", "reason"),
    [
        ((3, 4), Outcome.OUT_OF_MEMORY, "out of memory (ended by the kernel; 8.0 GB in all); lower batch_size"),
        ((3, 3), Outcome.CRASHED, "crashed (SIGKILL; perhaps out of host memory)"),
        ((None, None), Outcome.CRASHED, "crashed (SIGKILL; perhaps out of host memory)"),
    ],
)
def test_a_killed_worker_ran_out_of_memory_where_the_kernel_has_counted_it(
    jobs, tmp_path, monkeypatch, kills, outcome, reason
):
    before, after = kills
    monkeypatch.setattr(host_memory, "num_oom_kills", lambda: before)
    monkeypatch.setattr(host_memory, "total_bytes", lambda: 8 * 10**9)
    with LocalExecutor(Workspace(tmp_path), ONE_JOB) as executor:
        executor.prepare(PREPARE, StopRequest())
        monkeypatch.setattr(host_memory, "num_oom_kills", lambda: after)
        os.kill(worker_of(executor), signal.SIGKILL)
        executor.submit(jobs[0])
        done, _ = answer(executor)
        assert (done.outcome, done.reason) == (outcome, reason)


@pytest.mark.slow
def test_after_a_worker_that_could_not_prepare_again_the_next_stage_gets_a_new_one(jobs, tmp_path, monkeypatch):
    with LocalExecutor(Workspace(tmp_path), ONE_JOB) as executor:
        executor.prepare(PREPARE, StopRequest())
        os.kill(worker_of(executor), signal.SIGKILL)
        executor.submit(jobs[0])
        assert answer(executor)[0].outcome is Outcome.CRASHED
        [seat] = executor._seats
        whole, seat._prepare_job = seat._prepare_job, prepare_job(f"data_path={tmp_path}", recipe="fashion_mnist")
        executor.submit(jobs[0])
        done, _ = answer(executor)
        assert (done.outcome, "FashionMNIST is absent" in done.reason) == (Outcome.FAILED, True)
        seat._prepare_job = whole
        executor.submit(jobs[0])
        assert answer(executor)[0].outcome is Outcome.FINISHED


def test_a_worker_that_replaces_another_computes_where_that_one_did(tmp_path):
    with LocalExecutor(Workspace(tmp_path), ONE_JOB) as executor:
        executor.prepare(PREPARE.model_copy(update={"device": "auto"}), StopRequest())
        assert executor._seats[0]._prepare_job.device == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_worker_that_dies_while_it_prepares_is_an_error_that_shows_its_log(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))  # no standard library: Python itself does not start
    with LocalExecutor(Workspace(tmp_path), ONE_JOB) as executor:
        with pytest.raises(MachineError, match="the worker did not start") as failed:
            executor.prepare(PREPARE, StopRequest())
        assert "encodings" in str(failed.value)


def test_a_request_to_stop_is_heard_while_a_worker_prepares(tmp_path):
    stop = StopRequest()
    stop.signal_number = signal.SIGINT
    with LocalExecutor(Workspace(tmp_path), ONE_JOB) as executor, pytest.raises(Interrupted) as interrupted:
        executor.prepare(PREPARE, stop)
    assert interrupted.value.exit_code == 130


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_leaving_ends_the_worker_even_one_that_is_stopped(jobs, tmp_path, wait_until):
    with LocalExecutor(Workspace(tmp_path), ONE_JOB) as executor:
        executor.prepare(PREPARE, StopRequest())
        process = executor._seats[0]._child.process
        executor.submit(jobs[0])
        os.kill(process.pid, signal.SIGSTOP)
        wait_until(lambda: state_of(process.pid) == "T")
    assert process.returncode == -signal.SIGKILL


# Hangs, by a clock that only the test moves


@pytest.fixture
def long_job():
    [stage] = plan_sweep(SweepRequest(recipe="smoke", ratios="1", settings=("epochs=5000",))).stages
    return stage_job(stage)


def submit_and_wait_for_progress(executor, job, wait_until):
    executor.submit(job)
    wait_until(lambda: isinstance(executor.receive(0.1), Progressed))


def is_progress_of(stage, message):
    return isinstance(message, Progressed) and message.progress.stage == stage


def look(executor, hands, seconds, times):
    """What is said while the clock moves on by so many seconds between looks."""
    said = []
    for _ in range(times):
        hands.seconds += seconds
        said.append(executor.receive(0.02))
    return [message for message in said if message is not None]


def test_a_worker_that_makes_no_progress_is_ended_told_and_replaced(jobs, long_job, tmp_path, hands, wait_until):
    with LocalExecutor(Workspace(tmp_path), ONE_JOB, stall_timeout=7.0) as executor:
        executor.prepare(PREPARE, StopRequest())
        submit_and_wait_for_progress(executor, long_job, wait_until)
        pid = worker_of(executor)
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: state_of(pid) == "T")
        wait_until(lambda: executor.receive(0) is None)  # what it had said before
        assert look(executor, hands, 0.5, 13) == []
        [done] = look(executor, hands, 0.5, 1)
        assert (done.stage, done.outcome, done.reason) == (
            long_job.stage,
            Outcome.STALLED,
            "no progress for 7 s, stopped",
        )
        assert done.log == "logs/worker-1.log"
        assert not Path(f"/proc/{pid}").exists()
        executor.submit(jobs[0])
        assert answer(executor)[0].outcome is Outcome.FINISHED


@pytest.mark.slow
def test_of_two_jobs_the_one_that_hangs_is_noticed_while_the_other_talks(long_job, tmp_path, hands, wait_until):
    other = long_job.model_copy(update={"stage": "other"})
    with LocalExecutor(Workspace(tmp_path), TWO_JOBS, stall_timeout=7.0) as executor:
        executor.prepare(PREPARE, StopRequest())
        submit_and_wait_for_progress(executor, long_job, wait_until)
        executor.submit(other)
        wait_until(lambda: is_progress_of("other", executor.receive(0.1)))
        os.kill(worker_of(executor), signal.SIGSTOP)
        heard = []

        def is_noticed():
            hands.seconds += 0.1
            heard.append(executor.receive(0.1))
            return isinstance(heard[-1], StageDone)

        wait_until(is_noticed)
        assert (heard[-1].stage, heard[-1].outcome) == (long_job.stage, Outcome.STALLED)
        assert any(is_progress_of("other", message) for message in heard)


def test_a_worker_is_not_held_to_hang_while_this_process_was_suspended(long_job, tmp_path, hands, wait_until):
    with LocalExecutor(Workspace(tmp_path), ONE_JOB, stall_timeout=7.0) as executor:
        executor.prepare(PREPARE, StopRequest())
        submit_and_wait_for_progress(executor, long_job, wait_until)
        pid = worker_of(executor)
        os.kill(pid, signal.SIGSTOP)  # the lid is closed over both
        wait_until(lambda: state_of(pid) == "T")
        wait_until(lambda: executor.receive(0) is None)
        assert look(executor, hands, 8 * 3600.0, 3) == []
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: isinstance(executor.receive(0.1), Progressed))


@pytest.mark.slow
def test_a_worker_that_still_starts_or_has_nothing_to_do_is_not_held_to_hang(jobs, tmp_path, hands):
    with LocalExecutor(Workspace(tmp_path), ONE_JOB, stall_timeout=7.0) as executor:
        executor.prepare(PREPARE, StopRequest())
        assert look(executor, hands, 1.0, 1000) == []
        os.kill(worker_of(executor), signal.SIGKILL)
        executor.submit(jobs[0])
        assert answer(executor)[0].outcome is Outcome.CRASHED
        executor.submit(jobs[0])
        assert look(executor, hands, 1.0, 20) == []  # far from ready: Python alone takes longer to start
        assert answer(executor)[0].outcome is Outcome.FINISHED
