"""Where a sweep's Workers compute: how many at a time, with how many threads each, and on which GPU each of them.

Apple's GPU, `mps`, is one device; it is never taken unasked.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.errors import MachineError, Problem, UsageError

MAX_JOBS = 1024
MAX_JOBS_PER_DEVICE = 64
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_SECONDS_TO_LIST = 30.0


@dataclass(frozen=True)
class Placement:
    """`jobs` Workers at a time, of `threads` CPU threads each, on `device`. `gpus` pins them to these in turn, by the
    value of its CUDA_VISIBLE_DEVICES; where it is empty, none is pinned. `threads_alone` are those of a Worker that
    turns out to be better off alone; None: as many."""

    jobs: int
    threads: int
    device: str = "auto"
    gpus: tuple[str, ...] = ()
    threads_alone: int | None = None

    def at_most(self, jobs: int) -> Placement:
        """The same, with no more Workers than there is work for."""
        return replace(self, jobs=max(1, min(self.jobs, jobs)))

    def environment(self, index: int) -> dict[str, str]:
        """What pins the Worker of this number, from 0 on, to its GPU."""
        return {"CUDA_VISIBLE_DEVICES": self.gpus[index % len(self.gpus)]} if self.gpus else {}

    @property
    def jobs_per_device(self) -> int:
        """How many Workers share a GPU, at most; 1 on the CPU, where each has cores of its own."""
        return 1 if self.device in ("auto", "cpu") else math.ceil(self.jobs / max(1, len(self.gpus)))


def parse_jobs(text: str) -> int | None:
    """The number of jobs, or None for `auto`.

    Raises:
        UsageError: anything else.
    """
    if text == "auto":
        return None
    if re.fullmatch("[1-9][0-9]{0,3}", text) and int(text) <= MAX_JOBS:
        return int(text)
    raise UsageError(
        Problem(f"{text!r} is no number of jobs from 1 to {MAX_JOBS}", where="--jobs", fix="write 2 or auto")
    )


def place(
    jobs: int | None,
    device: str,
    threads: int | None,
    num_cores: int,
    gpus: tuple[str, ...],
    worth: Callable[[int], int] = lambda most: most,
    jobs_per_device: int = 1,
    devices_per_trial: int = 1,
) -> Placement:
    """Place `jobs` Workers (None: as many as fit) on `device`; `gpus` are those that this process may use.

    On GPUs there are `jobs_per_device` at most on each, or on each group of as many as a trial takes, and none has a
    second one before all have one. On the CPU, where a trial takes as many processes of so many threads each, as many
    jobs fit as there are cores for their threads, one each where nobody says how many. Of what fits no more are taken
    than are `worth` it, which finish as soon as all of them would. Unless they are given, the jobs share the cores.

    Raises:
        UsageError: more jobs than fit on the GPUs, or jobs that are to share what is no GPU.
    """
    num_cores = max(1, num_cores // devices_per_trial)
    is_on_cpu = device == "cpu" or (device == "auto" and not gpus)
    if is_on_cpu and jobs_per_device > 1:
        fix = "on the CPU --jobs alone says how many; --device cuda and --device mps name GPUs"
        raise UsageError(Problem("there is no GPU that jobs could share", "--jobs-per-device", fix=fix))
    if jobs == 1:
        return Placement(1, threads or num_cores, device)
    # Several jobs are told where to compute: one that saw no GPU would else go on with the CPU.
    usable: tuple[str, ...]
    if is_on_cpu:
        kind, usable, most = "cpu", (), max(1, num_cores // (threads or 1))
    elif device in ("auto", "cuda"):
        kind, usable = "cuda", _grouped(gpus, devices_per_trial)
        most = len(usable) * jobs_per_device
    else:
        kind, usable, most = device, (), jobs_per_device
    if not is_on_cpu and ((jobs is not None and jobs > most) or (gpus and not most)):
        num_gpus = len(gpus) if kind == "cuda" else 1
        raise _too_many(jobs or 1, kind, num_gpus, jobs_per_device, devices_per_trial)
    jobs = jobs or worth(max(1, most))
    return Placement(jobs, threads or max(1, num_cores // jobs), kind, usable[:jobs])


def _grouped(gpus: tuple[str, ...], size: int) -> tuple[str, ...]:
    """As many of them as make a group of `size`, each group by what CUDA_VISIBLE_DEVICES shows it by."""
    return tuple(",".join(gpus[first : first + size]) for first in range(0, len(gpus) - size + 1, size))


def _too_many(jobs: int, device: str, num_gpus: int, jobs_per_device: int, devices_per_trial: int) -> UsageError:
    wanted = f"{_counted(jobs, 'job')} of {devices_per_trial} GPUs each" if devices_per_trial > 1 else f"{jobs} jobs"
    each = f" with {jobs_per_device} each" if jobs_per_device > 1 else ""
    can_share = num_gpus and devices_per_trial == 1
    fixes = [f"--jobs-per-device {-(-jobs // num_gpus)} lets them share"] if can_share else ["take --device cpu"]
    if device.startswith("cuda:"):
        fixes.append("--device cuda takes all GPUs")
    elif device != "mps":
        fixes.append("CUDA_VISIBLE_DEVICES says which there are")
    return UsageError(Problem(f"{wanted}, but {_counted(num_gpus, 'GPU')}{each}", "--jobs", fix="; ".join(fixes)))


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def num_cores() -> int:
    """The cores that this process may use: those that it may run on, or fewer where a container's quota says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota()))


def _quota() -> int:
    """The whole cores of the control group's quota (`docker run --cpus 2`); as good as none where it has none."""
    try:
        quota, period = _CPU_MAX.read_text(encoding="ascii").split()
        return int(quota) // int(period)
    except (OSError, ValueError):  # no such file, or "max"
        return sys.maxsize


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, each by the value of CUDA_VISIBLE_DEVICES that shows it alone.

    Asked of the environment, else of the driver's own nvidia-smi: torch is not imported here. By UUID, since CUDA
    counts GPUs in another order than the driver.

    Raises:
        MachineError: nvidia-smi is there and gives no answer.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(dict.fromkeys(_up_to_the_first_absent(chosen.split(","))))
    return driver_gpus()


def driver_gpus() -> tuple[str, ...]:
    """The UUIDs of the GPUs that the driver knows; none where there is no driver.

    Raises:
        MachineError: nvidia-smi is there and gives no answer.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        listed = subprocess.run(
            [program, "--query-gpu=uuid", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_SECONDS_TO_LIST,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise MachineError(
            Problem(f"nvidia-smi lists no GPUs: {error}", "--jobs", fix="set CUDA_VISIBLE_DEVICES, or --device cpu")
        ) from error
    return tuple(line.strip() for line in listed.stdout.splitlines() if line.strip())


def _up_to_the_first_absent(names: list[str]) -> list[str]:
    """CUDA's own rule: what stands behind an invalid number is not visible."""
    shown = []
    for name in (name.strip() for name in names):
        if not name or name.startswith("-"):
            break
        shown.append(name)
    return shown
