"""Where a sweep's Workers compute: how many at a time, with how many threads each, and on which GPU each of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, replace

from sweep.errors import MachineError, Problem, UsageError

MAX_JOBS = 1024
_SECONDS_TO_LIST = 30.0


@dataclass(frozen=True)
class Placement:
    """`jobs` Workers at a time, of `threads` CPU threads each. `gpus` pins each of them to one, by the value of its
    CUDA_VISIBLE_DEVICES; where it is empty, none is pinned."""

    jobs: int
    threads: int
    gpus: tuple[str, ...] = ()

    def at_most(self, jobs: int) -> Placement:
        """The same, with no more Workers than there is work for."""
        return replace(self, jobs=max(1, min(self.jobs, jobs)))


def parse_jobs(text: str) -> int | None:
    """The number of jobs, or None for `auto`.

    Raises:
        UsageError: anything else.
    """
    if text == "auto":
        return None
    if text.isascii() and text.isdecimal() and 1 <= int(text[:5]) <= MAX_JOBS:
        return int(text)
    raise UsageError(
        Problem(f"{text!r} is no number of jobs from 1 to {MAX_JOBS}", where="--jobs", fix="write 2 or auto")
    )


def place(jobs: int | None, device: str, threads: int | None, num_cores: int, gpus: tuple[str, ...]) -> Placement:
    """Place `jobs` Workers (None: as many as fit) on `device`; `gpus` are those that this process may use.

    On GPUs there is one job a GPU. On the CPU, as many jobs fit as there are cores for their threads, one each where
    nobody says how many. Unless they are given, the jobs share the cores.

    Raises:
        UsageError: more jobs than GPUs.
    """
    if device.startswith("cuda:") or jobs == 1:
        if jobs not in (None, 1):
            raise _too_many(jobs, 1, "name no single GPU to use several: --device cuda")
        return Placement(1, threads or num_cores)
    if device == "cuda" or (device == "auto" and gpus):
        if jobs is not None and jobs > len(gpus):
            raise _too_many(jobs, len(gpus), "there is one job a GPU; CUDA_VISIBLE_DEVICES says which may be used")
        jobs = jobs or max(1, len(gpus))
        return Placement(jobs, threads or max(1, num_cores // jobs), gpus[:jobs])
    if jobs is None:
        return Placement(max(1, num_cores // (threads or 1)), threads or 1)
    return Placement(jobs, threads or max(1, num_cores // jobs))


def _too_many(jobs: int, num_gpus: int, fix: str) -> UsageError:
    return UsageError(Problem(f"{jobs} jobs, but {num_gpus} GPU{'' if num_gpus == 1 else 's'}", "--jobs", fix=fix))


def num_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, each by the value of CUDA_VISIBLE_DEVICES that shows it alone.

    Asked of the environment, else of the driver's own nvidia-smi: torch is not imported here. By UUID, since CUDA
    counts GPUs in another order than the driver.

    Raises:
        MachineError: nvidia-smi is there and gives no answer.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(_up_to_the_first_absent(chosen.split(",")))
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
