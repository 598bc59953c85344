"""submitit's local cluster in the place of Slurm: a job is a tree of processes of this machine, and outlives whoever
submits it.

As a program it is a sweep whose jobs run there (`python local_cluster.py RESULTS KEY=VALUE…`), or the wait of a job for
others, which is Slurm's to do and not that cluster's (`python local_cluster.py wait …`).
"""

import json
import os
import pickle
import shlex
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

import submitit

from sweep.api import run_request
from sweep.events import Progress, SweepEnded
from sweep.request import SweepRequest
from sweep.run.executors.slurm import SlurmExecutor
from sweep.store.queue import Queue, Slip

_PYTHON = f"{shlex.quote(sys.executable)} -P"
_CONTROLLER, _TASK = b"submitit.local._local", b"submitit.core._submit"
_processes = []  # kept, so that none is found unwaited for when it is forgotten


class LocalCluster:
    seconds_between_looks = 0.1
    seconds_between_asking = 0.3
    seconds_to_appear = 1.0

    def __init__(self, workspace):
        self._queue = Queue.of(workspace)

    def check(self):
        pass

    def submit(self, errand, after):
        executor = submitit.LocalExecutor(self._queue.of_cluster(Slip(errand.name, errand.attempt)), python=_PYTHON)
        executor.update_parameters(timeout_min=30, stderr_to_stdout=True, setup=self._waits(after))
        job = executor.submit(errand)
        _processes.append(job._process)
        return job.job_id

    def _waits(self, after):
        if not after.ended and not after.good:
            return []
        words = ["wait", str(self._queue.folder), json.dumps(after.ended), json.dumps(after.good)]
        return [f"{_PYTHON} {shlex.join([__file__, *words])}"]

    def ended(self, jobs):
        for process in _processes:
            process.poll()
        return {job: "ENDED" for job in jobs if not is_alive(int(job))}

    def cancel(self, jobs):
        for job in jobs:
            found = tree(int(job))
            running = [pid for pid in found if _TASK in command_of(pid)]
            for pid in running or found:
                kill(pid, signal.SIGTERM if running else signal.SIGKILL)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def tree(pid):
    """A process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(below for child in children for below in tree(int(child)))]


def kill(pid, number):
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def task_of(job_id):
    """The process that does an errand, once it is there."""
    return next((pid for pid in tree(int(job_id)) if _TASK in command_of(pid)), None)


def end_all():
    """End what is left of the jobs that this process has submitted."""
    for process in _processes:
        for pid in tree(process.pid):
            kill(pid, signal.SIGKILL)
        process.wait()


def wait_for(queue, ended, good):
    """Wait until jobs have ended; ends badly where one of `good` has not ended well."""
    while any(is_alive(int(job)) for job in (*ended, *good)):
        threading.Event().wait(0.05)
    for job in good:
        results = list(Path(queue).glob(f"*/{job}_0_result.pkl"))
        if not results or pickle.loads(results[0].read_bytes())[0] != "success":
            sys.exit(1)


def run(results, tell=lambda event: None, **asked):
    """A sweep of the recipe `smoke` as jobs of this cluster."""
    given = {"recipe": "smoke", "jobs": "auto", "results": Path(results), "executor": "slurm", "slurm": "time=30"}
    request = SweepRequest(**given | asked)

    def make(workspace, placement, stall_timeout):
        return SlurmExecutor(workspace, placement, stall_timeout, LocalCluster(workspace), request.detach)

    return run_request(request, tell, make)


def _print(event):
    if isinstance(event, Progress | SweepEnded):
        print(type(event).__name__, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "wait":
        wait_for(sys.argv[2], *map(json.loads, sys.argv[3:]))
    else:
        run(sys.argv[1], _print, **json.loads(sys.argv[2]))
