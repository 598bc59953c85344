"""Real sweeps that are killed, are stopped or hang in mid-training, and go on from their checkpoints: the weights are,
bit for bit, those of a sweep that nothing happened to."""

import os
import signal
import time

import pytest
from processes import check_invariants, is_alive, wait_for_line, workers_of

from sweep.store.journal import replay
from sweep.store.records import StageRecord

pytestmark = pytest.mark.slow

# Seconds of training, so that there are many checkpoints on the way.
ARGUMENTS = ("--set", "epochs=60", "--ratios", "0.5,1.0", "--checkpoint-every", "0.05")


@pytest.fixture(scope="module")
def untouched(sweep, tmp_path_factory):
    """The results, by trial, of a sweep that nothing happens to, and that writes no checkpoint."""
    results = tmp_path_factory.mktemp("untouched")
    run = sweep("run", "smoke", "--results", results, *ARGUMENTS[:-1], "never")
    assert run.returncode == 0, run.stderr
    assert not (results / "smoke" / "states").exists()
    return {result.entry.key: result for result in check_invariants(results).results}


def checkpoints(results):
    return sorted((results / "smoke" / "states").glob("*/*.state"))


def measurements(results):
    """Of the Stages that finished: Stage -> (attempt, measurement)."""
    records = replay(results / "smoke" / "journal.jsonl").records
    stages = [record for record in records if isinstance(record, StageRecord)]
    finished = {record.stage: (record.attempt, record.measurement) for record in stages if record.measurement}
    assert len(finished) == sum(record.measurement is not None for record in stages)
    return finished


def check_equal(results, untouched):
    """Everything is done, as if nothing had happened, times apart; and no checkpoint is left."""
    found = {result.entry.key: result for result in check_invariants(results).results}
    assert found.keys() == untouched.keys()
    for key, result in found.items():
        as_ever = untouched[key]
        assert (result.outcome, result.weights_sha256) == ("finished", as_ever.weights_sha256)
        assert (result.accuracy, result.loss, result.images) == (as_ever.accuracy, as_ever.loss, as_ever.images)
        assert result.truncated_quality == as_ever.truncated_quality
        assert result.train_seconds > 0
    assert list((results / "smoke" / "states").iterdir()) == []


def test_a_killed_worker_is_replaced_and_its_trial_goes_on_from_its_checkpoint(start, tmp_path, wait_until, untouched):
    running = start(*ARGUMENTS)
    wait_until(lambda: checkpoints(tmp_path))
    [worker] = workers_of(running.pid)
    os.kill(worker, signal.SIGKILL)
    _, stderr = running.communicate(timeout=100)
    assert running.returncode == 0, stderr
    assert not is_alive(worker)
    assert "crashed (SIGKILL; perhaps out of host memory); trying again" in stderr
    check_equal(tmp_path, untouched)
    assert sorted((attempt, len(m.resumed_at)) for attempt, m in measurements(tmp_path).values()) == [(1, 0), (2, 1)]


def test_a_killed_sweep_goes_on_from_its_checkpoints(start, tmp_path, wait_until, untouched, sweep):
    """Killed at one checkpoint of each of its trials, wherever that is."""
    resumed = 0
    for _ in range(2):
        running = start(*ARGUMENTS)
        before = set(checkpoints(tmp_path))
        wait_until(lambda before=before: set(checkpoints(tmp_path)) - before)
        workers = workers_of(running.pid)
        running.kill()
        _, stderr = running.communicate(timeout=50)
        wait_until(lambda workers=workers: not any(map(is_alive, workers)))
        check_invariants(tmp_path)
        resumed += "resuming: 0 of 2 done, 1 interrupted" in stderr
    assert resumed == 1
    again = sweep("run", "smoke", "--results", tmp_path, *ARGUMENTS)
    assert again.returncode == 0, again.stderr
    assert "resuming: " in again.stderr
    check_equal(tmp_path, untouched)
    assert sum(len(m.resumed_at) for _, m in measurements(tmp_path).values()) == 2


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_after_a_checkpoint_and_a_rerun_goes_on(
    start_training, tmp_path, untouched, sweep, number, exit_code
):
    """No checkpoint is due for hours: the one there is was asked for."""
    arguments = (*ARGUMENTS[:-1], "10000")
    running, worker = start_training(*arguments)
    running.send_signal(number)
    stdout, stderr = running.communicate(timeout=50)
    assert running.returncode == exit_code
    assert not is_alive(worker)
    assert "stopping after a checkpoint, again to stop now" in stderr
    assert "interrupted; goes on at step" in stdout
    assert len(checkpoints(tmp_path)) == 1
    again = sweep("run", "smoke", "--results", tmp_path, *arguments)
    assert again.returncode == 0, again.stderr
    assert "1 interrupted" in again.stderr
    check_equal(tmp_path, untouched)
    assert max(len(m.resumed_at) for _, m in measurements(tmp_path).values()) == 1


def test_a_second_signal_stops_at_once_even_where_no_checkpoint_comes(start_training, tmp_path, untouched, sweep):
    running, worker = start_training(*ARGUMENTS[:-1], "10000")
    os.kill(worker, signal.SIGSTOP)
    running.send_signal(signal.SIGINT)
    wait_for_line(running.stderr, "again to stop now")
    running.send_signal(signal.SIGINT)
    stdout, _ = running.communicate(timeout=50)
    assert running.returncode == 130
    assert not is_alive(worker)
    assert "interrupted" in stdout
    assert checkpoints(tmp_path) == []
    assert sweep("run", "smoke", "--results", tmp_path, *ARGUMENTS).returncode == 0
    check_equal(tmp_path, untouched)


def test_a_worker_that_does_not_answer_is_gone_all_the_same_after_one_signal(start_training, tmp_path):
    running, worker = start_training(*ARGUMENTS)
    os.kill(worker, signal.SIGSTOP)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=50)
    assert running.returncode == 143
    assert not is_alive(worker)
    check_invariants(tmp_path)


def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(start, tmp_path, wait_until, untouched, sweep):
    running = start(*ARGUMENTS)
    wait_until(lambda: len(checkpoints(tmp_path)) == 2)
    running.kill()
    running.communicate(timeout=50)
    older, newer = sorted(checkpoints(tmp_path), key=lambda path: int(path.stem))[-2:]
    newer.write_bytes(newer.read_bytes()[:-100])
    again = sweep("run", "smoke", "--results", tmp_path, *ARGUMENTS)
    assert again.returncode == 0, again.stderr
    assert f"checkpoint damaged, using the one before (step {older.stem})" in again.stderr
    check_equal(tmp_path, untouched)


def test_two_jobs_are_both_stopped_with_a_checkpoint(start, tmp_path, wait_until, untouched, sweep):
    running = start(*ARGUMENTS, "--jobs", "2")
    wait_until(lambda: len({path.parent for path in checkpoints(tmp_path)}) == 2)
    workers = workers_of(running.pid)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=50)
    assert running.returncode == 130
    assert not any(map(is_alive, workers))
    for result in check_invariants(tmp_path).results:
        assert result.outcome == "finished" or result.reason.startswith("interrupted; goes on at step ")
    again = sweep("run", "smoke", "--results", tmp_path, *ARGUMENTS)
    assert again.returncode == 0, again.stderr
    check_equal(tmp_path, untouched)


def test_a_stopped_worker_is_a_row_and_a_rerun_goes_on_from_its_checkpoint(
    start, tmp_path, wait_until, untouched, sweep
):
    running = start(*ARGUMENTS, "--stall-timeout", "3", "--retries", "0")
    wait_until(lambda: checkpoints(tmp_path))
    [worker] = workers_of(running.pid)
    os.kill(worker, signal.SIGSTOP)
    stdout, stderr = running.communicate(timeout=100)
    assert running.returncode == 1, stderr
    assert not is_alive(worker)
    assert "seed 0: no progress for 3 s, stopped" in stderr
    assert "seed 0: no progress for 3 s, stopped" in stdout
    assert "1 failed" in sweep("list", "--results", tmp_path).stdout
    outcomes = sorted(result.outcome.value for result in check_invariants(tmp_path).results)
    assert outcomes == ["finished", "stalled"]
    again = sweep("run", "smoke", "--results", tmp_path, *ARGUMENTS)
    assert again.returncode == 0, again.stderr
    check_equal(tmp_path, untouched)
    assert sorted((attempt, len(m.resumed_at)) for attempt, m in measurements(tmp_path).values()) == [(1, 0), (2, 1)]


# The first Worker that has come so far begins a process and waits for ever, deep inside a step.
HANGS_ONCE = """
import pathlib, subprocess, threading
from sweep.train.task import ImageTask

loss, calls = ImageTask.loss, 0

def hanging_loss(*arguments):
    global calls
    calls += 1
    if calls == 400 and not pathlib.Path({mark!r}).exists():
        child = subprocess.Popen(["sleep", "1000"])
        pathlib.Path({mark!r}).write_text(str(child.pid))
        threading.Event().wait()
    return loss(*arguments)

ImageTask.loss = hanging_loss
"""


def test_a_worker_that_hangs_is_ended_with_its_children_and_its_trial_goes_on_from_its_checkpoint(
    start, tmp_path, in_every_worker, untouched
):
    mark = tmp_path / "pid of the child"
    in_every_worker(HANGS_ONCE.format(mark=str(mark)))
    running = start(*ARGUMENTS, "--stall-timeout", "3")
    _, stderr = running.communicate(timeout=100)
    assert running.returncode == 0, stderr
    assert not is_alive(int(mark.read_text()))
    assert "no progress for 3 s, stopped; trying again" in stderr
    check_equal(tmp_path, untouched)
    assert sorted((attempt, len(m.resumed_at)) for attempt, m in measurements(tmp_path).values()) == [(1, 0), (2, 1)]


def test_a_sweep_that_was_suspended_itself_holds_no_worker_to_hang(start, tmp_path, wait_until, untouched):
    running = start(*ARGUMENTS, "--stall-timeout", "3")
    wait_until(lambda: checkpoints(tmp_path))
    suspended = [running.pid, *workers_of(running.pid)]
    for pid in suspended:
        os.kill(pid, signal.SIGSTOP)
    woken_at = time.monotonic() + 5
    wait_until(lambda: time.monotonic() > woken_at)
    for pid in suspended:
        os.kill(pid, signal.SIGCONT)
    _, stderr = running.communicate(timeout=100)
    assert running.returncode == 0, stderr
    assert "no progress" not in stderr
    check_equal(tmp_path, untouched)
    assert [attempt for attempt, _ in measurements(tmp_path).values()] == [1, 1]
