"""A real sweep that is interrupted, or whose Worker is killed: nothing recorded is lost, and no process is left."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from sweep.store.history import read_history
from sweep.store.journal import replay

# Long enough that it never finishes by itself while a test looks.
LONG = ("--set", "epochs=100000", "--ratios", "0.5,1.0")


@pytest.fixture
def start(command, tmp_path):
    """Start a sweep whose results lie in `tmp_path`."""

    def start(*arguments):
        words = [command, "run", "smoke", "--results", tmp_path, *arguments]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


@pytest.fixture
def start_training(start, wait_until):
    """Start a sweep, and wait until its Worker is in the middle of a Stage: it uses the processor, having been idle."""

    def start_training(*arguments):
        sweep = start(*arguments)
        wait_for_line(sweep.stderr, "steps to train")
        [worker] = workers_of(sweep.pid)
        idle_ticks = cpu_ticks(worker)
        wait_until(lambda: cpu_ticks(worker) >= idle_ticks + 30)
        return sweep, worker

    return start_training


def workers_of(pid):
    """The process ids of a sweep's Workers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"sweep.run.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]


def is_alive(pid):
    """Whether a process runs: one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_line(stream, pattern):
    for line in stream:
        if re.search(pattern, line):
            return line
    raise AssertionError(f"the program ended without printing {pattern}")


def cpu_ticks(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def check_invariants(results):
    """Done + missing = plan, no trial counted twice, no damaged line, and no measurement without an end."""
    journal = results / "smoke" / "journal.jsonl"
    assert not replay(journal).damaged_lines
    history = read_history(journal)
    keys = [result.entry.key for result in history.results]
    planned = {entry.key for record in history.starts for entry in record.trials}
    assert len(keys) == len(set(keys))
    assert set(keys) == planned
    for result in history.results:
        assert (result.accuracy is not None) == (result.outcome == "finished")
    return history


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


def test_a_signal_while_the_worker_still_starts_ends_it_too(start, wait_until):
    sweep = start(*LONG)
    wait_until(lambda: workers_of(sweep.pid))
    [worker] = workers_of(sweep.pid)
    sweep.send_signal(signal.SIGINT)
    stdout, stderr = sweep.communicate(timeout=50)
    assert sweep.returncode == 130
    assert not is_alive(worker)
    assert "Traceback" not in stdout + stderr


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


def test_a_killed_worker_is_a_row_and_the_other_trials_go_on(start_training, tmp_path, sweep):
    arguments = ("--set", "epochs=40", "--ratios", "0.1,0.2,1.0")
    running, worker = start_training(*arguments)
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
    second = sweep("run", "smoke", "--results", tmp_path, *LONG)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=50)
    assert second.returncode == 3
    assert f"in use by process {first.pid}" in second.stderr
