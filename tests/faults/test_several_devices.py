"""Real sweeps of trials that take two processes each: none of them is left, and none of what they have done is lost."""

import os
import re
import signal
from pathlib import Path

import pytest
from processes import check_invariants, is_alive, wait_for_line, workers_of

from sweep.process_tree import descendants
from sweep.store.history import read_history

pytestmark = pytest.mark.slow

TWO = ("--ratios", "1.0", "--threads", "1", "--checkpoint-every", "0.2", "--set", "devices_per_trial=2")
LONG = (*TWO, "--set", "batch_size=32", "--set", "epochs=100000")
SHORT = (*TWO, "--set", "batch_size=32", "--set", "epochs=150")


@pytest.fixture
def start_together(start, tmp_path, wait_until):
    """Start a sweep, and wait until the processes below its Worker train: it, the Worker, and both of them."""

    def start_together(*arguments):
        sweep = start(*arguments)
        before = checkpoints(tmp_path)
        wait_for_line(sweep.stderr, "to train")
        [worker] = workers_of(sweep.pid)
        wait_until(lambda: checkpoints(tmp_path) - before)
        ranks = [pid for pid in descendants(worker) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(ranks) == 2
        return sweep, worker, sorted(ranks)  # they are started in their order

    return start_together


def checkpoints(results):
    return {path.name for path in results.glob("smoke/states/*/*.state")}


def test_no_process_outlives_a_killed_worker(start_together, tmp_path, wait_until):
    sweep, worker, ranks = start_together(*LONG, "--retries", "0")
    os.kill(ranks[1], signal.SIGSTOP)  # even one that cannot notice by itself
    os.kill(worker, signal.SIGKILL)
    stdout, _ = sweep.communicate(timeout=50)
    assert sweep.returncode == 1
    assert "crashed (SIGKILL; perhaps out of host memory)" in stdout
    wait_until(lambda: not any(map(is_alive, ranks)))
    check_invariants(tmp_path)


def test_no_process_outlives_a_killed_sweep(start_together, tmp_path, wait_until):
    sweep, worker, ranks = start_together(*LONG)
    os.kill(ranks[0], signal.SIGSTOP)
    sweep.kill()
    sweep.communicate(timeout=50)
    wait_until(lambda: not any(map(is_alive, (worker, *ranks))))
    check_invariants(tmp_path)


def test_stopped_and_killed_on_the_way_it_goes_on_to_the_same_weights(start_together, tmp_path, wait_until, sweep):
    running, _, ranks = start_together(*SHORT)
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=50)
    assert running.returncode == 130
    assert "interrupted" in stdout  # and at which step it goes on, where the machine has let them write that in time
    assert "Traceback" not in stdout + stderr
    wait_until(lambda: not any(map(is_alive, ranks)))
    again, _, ranks = start_together(*SHORT)
    os.kill(ranks[1], signal.SIGKILL)
    stdout, stderr = again.communicate(timeout=200)
    assert again.returncode == 0, stderr
    assert re.search(r"rank 1: crashed \(SIGKILL; perhaps out of host memory\); trying again", stderr)
    whole = sweep("run", "smoke", "--results", tmp_path, "--name", "whole", *SHORT)
    assert whole.returncode == 0, whole.stderr
    [expected] = read_history(tmp_path / "whole" / "journal.jsonl").results
    [result] = check_invariants(tmp_path).results
    assert result.weights_sha256 == expected.weights_sha256
    assert result.images == expected.images
