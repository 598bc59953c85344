"""Real sweeps whose Worker really runs out of memory: at a limit of its own, or ended by the kernel."""

import os
import subprocess
from pathlib import Path

import pytest
from processes import check_invariants, is_alive

from sweep.store.journal import replay
from sweep.store.records import StageRecord

pytestmark = pytest.mark.slow

ARGUMENTS = ("--set", "epochs=40", "--ratios", "0.5,1.0", "--checkpoint-every", "0.05")

# The first Worker that has come so far takes more than it can have; each Worker leaves its process id.
TAKES_TOO_MUCH = """
import os, pathlib, resource, torch
from sweep.train.task import ImageTask

loss, calls = ImageTask.loss, 0
with open({pids!r}, "a") as file:
    file.write(f"{{os.getpid()}}\\n")

def greedy_loss(*arguments):
    global calls
    calls += 1
    if calls == 300 and not pathlib.Path({mark!r}).exists():
        pathlib.Path({mark!r}).touch()
        if {is_limited}:
            held = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (held + 2**28, resource.RLIM_INFINITY))
        taken = [torch.ones(2**22) for _ in range(100)]  # of 16 MB each
    return loss(*arguments)

ImageTask.loss = greedy_loss
"""


@pytest.fixture
def take_too_much(tmp_path, in_every_worker):
    """Have a Worker do so, once; returns how to read the process ids of all Workers there were."""
    pids, mark = tmp_path / "pids", tmp_path / "mark"

    def arrange(is_limited):
        in_every_worker(TAKES_TOO_MUCH.format(pids=str(pids), mark=str(mark), is_limited=is_limited))
        return lambda: [int(line) for line in pids.read_text().split()]

    return arrange


def attempts(results):
    records = replay(results / "smoke" / "journal.jsonl").records
    return [(record.attempt, record.outcome.value) for record in records if isinstance(record, StageRecord)]


def test_a_trial_that_runs_out_of_memory_is_a_row_and_the_others_go_on_in_a_fresh_worker(
    start, tmp_path, take_too_much, sweep
):
    pids_of_workers = take_too_much(is_limited=True)
    stdout, stderr = (running := start(*ARGUMENTS)).communicate(timeout=100)
    assert running.returncode == 1, stderr
    assert "seed 0: out of memory (peak " in stdout
    assert "); lower batch_size" in stdout
    assert "trying again" not in stderr
    assert "Traceback" not in stdout + stderr
    assert attempts(tmp_path) == [(1, "out_of_memory"), (1, "finished")]
    [first, second] = pids_of_workers()
    assert first != second
    assert not is_alive(first)
    log = (tmp_path / "smoke" / "logs" / "worker-1.log").read_text()
    assert "can't allocate memory" in log
    again = sweep("run", "smoke", "--results", tmp_path, *ARGUMENTS)
    assert again.returncode == 0, again.stderr
    assert sorted(attempts(tmp_path)) == [(1, "finished"), (1, "out_of_memory"), (2, "finished")]
    resumed = [result for result in check_invariants(tmp_path).stages.values() if result.measurement.resumed_at]
    assert [record.attempt for record in resumed] == [2]


FILLS_MEMORY_WITH_DATA = """
import resource, torch
from sweep.train import task

def load_images(*arguments):
    resource.setrlimit(resource.RLIMIT_AS, (2**28, resource.RLIM_INFINITY))
    return torch.ones(2**28)

task.load_images = load_images
"""


def test_data_that_does_not_fit_is_an_error_of_the_machine_before_anything_trains(start, tmp_path, in_every_worker):
    in_every_worker(FILLS_MEMORY_WITH_DATA)
    stdout, stderr = (running := start(*ARGUMENTS)).communicate(timeout=100)
    assert running.returncode == 3
    assert "error: out of memory (peak " in stderr
    assert "before anything trained (take a machine with more, or fewer --jobs)" in stderr
    assert "Traceback" not in stdout + stderr
    assert not (tmp_path / "smoke" / "journal.jsonl").exists()


@pytest.fixture
def control_group():
    """A control group that may hold 1.5 GB and not swap, where this system lets us make one."""
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    [inside] = [path for _, controllers, path in own if controllers == "memory"] or ["/"]
    parent = Path("/sys/fs/cgroup/memory") / inside.lstrip("/")
    if not (parent / "memory.oom_control").exists() or not os.access(parent, os.W_OK):
        pytest.skip("needs to make a control group (version 1) below its own")
    folder = parent / f"sweep-test-{os.getpid()}"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text("1500000000")
    (folder / "memory.swappiness").write_text("0")
    yield folder
    folder.rmdir()


def test_a_worker_that_the_kernel_ends_for_its_memory_ran_out_of_it(command, tmp_path, take_too_much, control_group):
    take_too_much(is_limited=False)
    into_the_group = f'echo $$ > {control_group}/cgroup.procs; exec "$@"'
    words = ["sh", "-c", into_the_group, "sh", command, "run", "smoke", "--results", tmp_path, *ARGUMENTS]
    running = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert running.returncode == 1, running.stderr
    assert "seed 0: out of memory (ended by the kernel; 1.5 GB in all); lower batch_size" in running.stdout
    assert attempts(tmp_path) == [(1, "out_of_memory"), (1, "finished")]
    assert "SIGKILL" not in running.stdout
