"""A real sweep that is interrupted, or whose Worker is killed: nothing recorded is lost, and no process is left."""

import os
import re
import signal

import pytest
from processes import check_invariants, cpu_ticks, is_alive, open_files, wait_for_line, workers_of

# Long enough that it never finishes by itself while a test looks.
LONG = ("--set", "epochs=100000", "--ratios", "0.5,1.0")


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_worker_and_prints_the_partial_table(start_training, tmp_path, number, exit_code):
    sweep, worker = start_training(*LONG)
    sweep.send_signal(number)
    stdout, stderr = sweep.communicate(timeout=50)
    assert sweep.returncode == exit_code
    assert not is_alive(worker)
    assert "interrupted" in stdout
    assert "missing" in stdout
    assert "the same command goes on" in stderr
    assert "Traceback" not in stdout + stderr
    history = check_invariants(tmp_path)
    assert {result.outcome.value for result in history.results} == {"interrupted", "missing"}


@pytest.mark.slow
def test_a_signal_ends_the_workers_of_all_jobs(start, tmp_path, wait_until):
    sweep = start(*LONG, "--jobs", "2")
    wait_for_line(sweep.stderr, "steps to train")
    workers = workers_of(sweep.pid)
    assert len(workers) == 2
    idle_ticks = {worker: cpu_ticks(worker) for worker in workers}
    wait_until(lambda: all(cpu_ticks(worker) >= idle_ticks[worker] + 30 for worker in workers))
    sweep.send_signal(signal.SIGINT)
    sweep.communicate(timeout=50)
    assert sweep.returncode == 130
    assert not any(map(is_alive, workers))
    assert [result.outcome.value for result in check_invariants(tmp_path).results] == ["interrupted"] * 2


@pytest.mark.slow
def test_a_signal_while_the_worker_still_starts_ends_it_too(start, wait_until):
    sweep = start(*LONG)
    wait_until(lambda: workers_of(sweep.pid))
    [worker] = workers_of(sweep.pid)
    sweep.send_signal(signal.SIGINT)
    stdout, stderr = sweep.communicate(timeout=50)
    assert sweep.returncode == 130
    assert not is_alive(worker)
    assert "Traceback" not in stdout + stderr


@pytest.mark.slow
def test_an_interrupted_sweep_is_finished_by_running_it_again(start, tmp_path, sweep):
    arguments = ("--set", "epochs=40", "--ratios", "0.1,0.2,1.0")
    first = start(*arguments)
    wait_for_line(first.stderr, "seed 0: finished")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=50)
    before = {r.entry.key: r for r in check_invariants(tmp_path).results if r.outcome == "finished"}
    assert before
    again = sweep("run", "smoke", "--results", tmp_path, *arguments)
    assert again.returncode == 0, again.stderr
    after = {result.entry.key: result for result in check_invariants(tmp_path).results}
    assert {result.outcome.value for result in after.values()} == {"finished"}
    for key, result in before.items():
        assert after[key].weights_sha256 == result.weights_sha256
        assert after[key].train_seconds == result.train_seconds  # recorded once, never measured again


@pytest.mark.slow
def test_a_killed_worker_is_a_row_and_the_other_trials_go_on(start_training, tmp_path, sweep):
    arguments = ("--set", "epochs=40", "--ratios", "0.1,0.2,1.0")
    running, worker = start_training(*arguments, "--retries", "0")
    os.kill(worker, signal.SIGKILL)
    stdout, _ = running.communicate(timeout=50)
    assert running.returncode == 1
    assert not is_alive(worker)
    assert "crashed (SIGKILL; perhaps out of host memory)" in stdout
    outcomes = sorted(result.outcome.value for result in check_invariants(tmp_path).results)
    assert outcomes == ["crashed", "finished", "finished"]
    assert sweep("run", "smoke", "--results", tmp_path, *arguments).returncode == 0
    assert {result.outcome.value for result in check_invariants(tmp_path).results} == {"finished"}


def test_no_worker_outlives_a_killed_sweep(start_training, tmp_path, wait_until):
    sweep, worker = start_training(*LONG)
    os.kill(worker, signal.SIGSTOP)  # even one that cannot notice by itself
    sweep.kill()
    sweep.communicate(timeout=50)
    wait_until(lambda: not is_alive(worker))
    check_invariants(tmp_path)


def test_a_second_sweep_on_the_same_folder_is_refused_while_the_first_runs(start, tmp_path, sweep):
    first = start(*LONG)
    wait_for_line(first.stderr, "steps to train")
    lock = str(tmp_path / "smoke" / "lock")
    assert lock in open_files(first.pid)
    [worker] = workers_of(first.pid)
    assert lock not in open_files(worker)
    second = sweep("run", "smoke", "--results", tmp_path, *LONG)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=50)
    assert second.returncode == 3
    assert re.search(rf"in use by process {first.pid} on \S+ since \d\d:\d\d \(wait for it, or", second.stderr)
    assert second.stdout == ""
