"""Stages as jobs that outlive who submits them, with real training: on submitit's local cluster."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import local_cluster
import pytest
from executor_contract import PREPARE, ExecutorContract, answer, jobs_of, trained_alone
from local_cluster import LocalCluster, end_all, run, task_of, tree

from sweep.api import plan_sweep, run_request
from sweep.errors import Outcome
from sweep.events import Noticed
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.run.executors.slurm import SlurmExecutor
from sweep.run.ledger import stage_job
from sweep.run.placement import Placement
from sweep.run.stop import StopRequest
from sweep.store.history import read_history
from sweep.store.queue import Queue
from sweep.store.workspace import Workspace

pytestmark = pytest.mark.slow

# Lengths of which the longer ones go on from where the shortest one's decay begins.
SHARED = ("lr_scheduler=wsd", "lr_warmup_epochs=0", "min_shared_steps=1")
# Long enough to be met while it trains, on any machine.
LONG = ("epochs=400",)


@pytest.fixture(autouse=True)
def _no_job_is_left():
    yield
    end_all()


@pytest.fixture
def executor(tmp_path):
    workspace = Workspace(tmp_path)
    with SlurmExecutor(workspace, Placement(jobs=2, threads=1), None, LocalCluster(workspace)) as made:
        yield made


class TestSlurm(ExecutorContract):
    @pytest.fixture
    def executor(self, executor):
        return executor


def of_smoke(results):
    return Workspace(Path(results) / "smoke")


def job_id(workspace):
    [ticket] = Queue.of(workspace).tickets()
    return ticket.job_id


def hashes(done):
    return {result.entry.key: result.weights_sha256 for result in done.history.results}


def attempts(workspace):
    return sorted((record.stage, record.attempt) for record in read_history(workspace.journal).attempts)


def trained_here(tmp_path, **asked):
    """What the same sweep comes to in this process."""
    request = SweepRequest(recipe="smoke", results=tmp_path / "here", **asked)
    return run_request(request, make_executor=lambda *placed: InlineExecutor())


def test_a_job_that_is_killed_has_crashed_and_the_next_one_comes_to_the_same_bits(executor, tmp_path, wait_until):
    [job, *_] = jobs_of()
    executor.prepare(PREPARE, StopRequest())
    executor.submit(job)
    workspace = Workspace(tmp_path)
    wait_until(lambda: task_of(job_id(workspace)))
    wait_until(lambda: list(workspace.outbox.glob("*.progress")))
    os.kill(task_of(job_id(workspace)), signal.SIGKILL)
    done, _ = answer(executor)
    assert done.outcome is Outcome.CRASHED
    assert re.fullmatch(r"its job [0-9]+ ended without an answer \(ENDED\)", done.reason)
    executor.submit(job)
    done, _ = answer(executor)
    assert done.measurement.weights_sha256 == trained_alone(job).weights_sha256


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Have Slurm say that a job is in this state."""

    def says(state):
        program = tmp_path / "bin" / "squeue"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho {state}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    return says


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM], ids=["before its time is over", "pre-empted"])
def test_a_job_whose_turn_ends_is_queued_again_and_goes_on_from_its_checkpoint(
    executor, tmp_path, wait_until, squeue, number
):
    squeue("RUNNING")  # as it does of a pre-empted job while its grace lasts
    [stage] = plan_sweep(SweepRequest(recipe="smoke", ratios="1", settings=("epochs=200",))).stages
    job, workspace = stage_job(stage), Workspace(tmp_path)
    kept = PREPARE.model_copy(update={"workspace": str(tmp_path), "checkpoint_every": 1e9})
    executor.prepare(kept, StopRequest())
    executor.submit(job)
    wait_until(lambda: executor.receive(0.1) is not None)  # it trains
    first = task_of(job_id(workspace))
    os.kill(first, number)
    wait_until(lambda: task_of(job_id(workspace)) not in (None, first))
    done, _ = answer(executor)
    assert done.outcome is Outcome.FINISHED
    assert len(done.measurement.resumed_at) == 1
    assert done.measurement.weights_sha256 == trained_alone(job).weights_sha256


def test_a_job_that_somebody_cancels_is_not_queued_again(executor, tmp_path, wait_until, squeue):
    squeue("COMPLETING")
    [stage] = plan_sweep(SweepRequest(recipe="smoke", ratios="1", settings=("epochs=200",))).stages
    executor.prepare(PREPARE.model_copy(update={"workspace": str(tmp_path), "checkpoint_every": 1e9}), StopRequest())
    executor.submit(stage_job(stage))
    wait_until(lambda: executor.receive(0.1) is not None)  # it trains
    os.kill(task_of(job_id(Workspace(tmp_path))), signal.SIGTERM)
    done, _ = answer(executor)
    assert (done.outcome, done.measurement) == (Outcome.CRASHED, None)


def test_a_sweep_whose_parent_is_killed_is_attached_to_again_and_nothing_trains_twice(tmp_path, wait_until):
    asked = {"ratios": "0.5,1.0", "settings": LONG}
    command = [sys.executable, local_cluster.__file__, str(tmp_path), json.dumps(asked)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "Progress\n"
        parent.kill()
    jobs = {ticket.job_id for ticket in Queue.of(of_smoke(tmp_path)).tickets()}
    try:
        told = []
        done = run(tmp_path, told.append, **asked)
        assert done.is_complete
    finally:
        for pid in [pid for job in jobs for pid in tree(int(job))]:
            os.kill(pid, signal.SIGKILL)
    stages = [stage.id for stage in done.plan.stages]
    assert attempts(of_smoke(tmp_path)) == sorted((stage, 1) for stage in stages)
    assert len(jobs) == len(stages)
    records = read_history(of_smoke(tmp_path).journal).attempts
    assert [record.measurement.resumed_at for record in records] == [()] * len(stages)
    assert hashes(done) == hashes(trained_here(tmp_path, **asked))


def test_what_is_left_on_purpose_trains_in_order_by_itself_and_is_collected_later(tmp_path, wait_until):
    asked = {"ratios": "0.5,1.0", "settings": SHARED}
    left = run(tmp_path, detach=True, **asked)
    workspace, told = of_smoke(tmp_path), []
    assert len(left.plan.stages) == 3
    wait_until(lambda: len(list(workspace.outbox.glob("*.answer"))) == 3)
    done = run(tmp_path, told.append, **asked)
    assert done.is_complete
    assert "3 stages ended meanwhile, as jobs of a cluster" in [e.text for e in told if isinstance(e, Noticed)]
    assert attempts(workspace) == sorted((stage.id, 1) for stage in left.plan.stages)
    assert hashes(done) == hashes(trained_here(tmp_path, **asked))


def test_ctrl_c_saves_what_trains_and_the_same_command_goes_on_from_there(tmp_path, wait_until):
    asked = {"ratios": "1.0", "settings": LONG}
    command = [sys.executable, local_cluster.__file__, str(tmp_path), json.dumps(asked)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "Progress\n"
        [job] = [ticket.job_id for ticket in Queue.of(of_smoke(tmp_path)).tickets()]
        parent.send_signal(signal.SIGINT)
    wait_until(lambda: not tree(int(job)))
    done = run(tmp_path, **asked)
    [first, second] = read_history(of_smoke(tmp_path).journal).attempts
    assert (first.outcome, second.outcome) == (Outcome.INTERRUPTED, Outcome.FINISHED)
    assert len(second.measurement.resumed_at) == 1
    assert hashes(done) == hashes(trained_here(tmp_path, **asked))
