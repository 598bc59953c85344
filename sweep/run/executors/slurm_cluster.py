"""A Slurm cluster: jobs are submitted through submitit, and asked after with Slurm's own commands."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from sweep.errors import MachineError, Problem
from sweep.run.executors.cluster import After
from sweep.run.executors.queued import Errand
from sweep.run.slurm_options import job_parameters
from sweep.store.queue import Queue, Slip
from sweep.store.workspace import Workspace

_COMMANDS = ("sbatch", "srun", "squeue", "scancel")
_WHERE = "--executor slurm"
_SECONDS_TO_ANSWER = 60.0
# Chosen: a job is queued again as often as its time ends; one that gets nowhere ends by itself.
_MOST_TIMES = 10_000
_ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}
_FORGOTTEN = "no longer known to Slurm"
# Why a job waits for what its partition, account or nodes will never give it; other reasons pass.
_NEVER = {
    *("AccountNotAllowed", "BadConstraints", "InvalidAccount", "InvalidQOS", "PartitionConfig"),
    *("PartitionNodeLimit", "PartitionTimeLimit", "QOSNotAllowed"),
}


class SlurmCluster:
    """The cluster that this machine submits to; `options` are those of `--slurm`."""

    # Chosen: a look is one listing of a folder on a disk that many share.
    seconds_between_looks = 1.0
    # Chosen: the controller answers everybody on the cluster.
    seconds_between_asking = 30.0
    # Chosen: NFS may show an old listing of a folder for so long (its acdirmax).
    seconds_to_appear = 60.0

    def __init__(self, workspace: Workspace, options: Mapping[str, str]) -> None:
        self._queue = Queue.of(workspace)
        self._parameters = job_parameters(options)

    def check(self) -> None:
        if missing := [command for command in _COMMANDS if shutil.which(command) is None]:
            fix = "start it on a machine that jobs are submitted from"
            raise MachineError(Problem(f"there is no {missing[0]} here", _WHERE, fix=fix))
        if "%" in str(self._queue.folder.absolute()):
            raise MachineError(
                Problem("Slurm reads a % as a pattern", str(self._queue.folder), fix="another --results")
            )

    def submit(self, errand: Errand, after: After) -> str:
        from submitit import SlurmExecutor

        folder = self._queue.of_cluster(Slip(errand.name, errand.attempt)).absolute()
        # -P: a folder called `sweep` where the user stands is not imported in our place.
        try:
            executor = SlurmExecutor(folder, _MOST_TIMES, python=f"{shlex.quote(sys.executable)} -P")
            executor.update_parameters(**self._submitted_with(errand, after))
            return executor.submit(errand).job_id
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            fix = "see --slurm; what is done is kept, and the same command goes on"
            raise MachineError(Problem(f"no job can be submitted: {reason}", _WHERE, fix=fix)) from error

    def _submitted_with(self, errand: Errand, after: After) -> dict[str, object]:
        own, more = self._parameters, {"kill-on-invalid-dep": "yes", "requeue": True}
        waits = [*(f"afterany:{job}" for job in after.ended), *(f"afterok:{job}" for job in after.good)]
        # srun takes no sbatch's word for it.
        cores = [f"--cpus-per-task={own['cpus_per_task']}"] if "cpus_per_task" in own else []
        for name in ("gpus", "reservation"):  # submitit has no word for them
            more |= {name: own[name]} if name in own else {}
        return {name: value for name, value in own.items() if name not in more} | {
            "job_name": f"{Path(errand.workspace).name}-{errand.name.lstrip('~')[:8]}",
            "dependency": ",".join(waits) or None,
            "stderr_to_stdout": True,
            "srun_args": cores,
            "additional_parameters": more,
        }

    def ended(self, jobs: Collection[str]) -> Mapping[str, str]:
        command = ["squeue", "--noheader", "--states=all", "--format=%i|%T|%r", f"--user={os.getuid()}"]
        try:
            listed = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS_TO_ANSWER, check=True)
        except (OSError, subprocess.SubprocessError):
            return {}  # not to be had just now
        lines = [line.strip().split("|") for line in listed.stdout.splitlines() if line.count("|") == 2]
        states = {job: _end(state, reason) for job, state, reason in lines}
        found = {job: states.get(job, _FORGOTTEN) for job in jobs}
        return {job: end for job, end in found.items() if end is not None}

    def cancel(self, jobs: Collection[str]) -> None:
        if jobs:
            try:
                subprocess.run(["scancel", *jobs], capture_output=True, timeout=_SECONDS_TO_ANSWER, check=False)
            except (OSError, subprocess.SubprocessError) as error:
                raise MachineError(Problem(f"jobs cannot be cancelled: {error}", _WHERE, fix="scancel them")) from error


def _end(state: str, reason: str) -> str | None:
    """What the cluster calls the end of a job; None where it has not ended, or may begin yet."""
    if state == "PENDING" and reason in _NEVER:
        return f"it can never begin: {reason}"
    return state if state in _ENDED else None
