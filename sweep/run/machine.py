"""Where a command computes, without torch: the device that it is pinned to, and what the journal says of it."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sweep.errors import MachineError, Problem
from sweep.processor import cpu_name
from sweep.run.placement import driver_gpus, visible_gpus
from sweep.store.records import Environment

_SECONDS_TO_ANSWER = 30.0


@dataclass(frozen=True)
class Device:
    """`kind` is torch's word for it; `visible` is what CUDA_VISIBLE_DEVICES is to be, None where it stays as it is."""

    kind: str
    name: str
    visible: str | None


def find_device(wanted: str) -> Device:
    """The device called `wanted`: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`, which is CUDA's GPUs where there are any.

    Raises:
        MachineError: this machine has no such device.
    """
    if wanted == "mps":
        return _apple_gpu()
    gpus = visible_gpus() if wanted != "cpu" and driver_gpus() else ()
    if wanted == "cpu" or (wanted == "auto" and not gpus):
        return Device("cpu", cpu_name(), "" if wanted == "cpu" else None)
    index = int(wanted.partition(":")[2] or 0)
    if index >= len(gpus):
        message = f"there is no device {wanted}: nvidia-smi and CUDA_VISIBLE_DEVICES show {len(gpus)} GPUs"
        raise MachineError(Problem(message, where="--device", fix="take --device cpu"))
    return Device("cuda", _gpu_name(gpus[index]), gpus[index] if ":" in wanted else None)


def _apple_gpu() -> Device:
    if (platform.system(), platform.machine()) != ("Darwin", "arm64"):
        raise MachineError(
            Problem(
                "there is no device mps: this is no Mac of Apple's own processors", "--device", fix="take --device cpu"
            )
        )
    return Device("mps", cpu_name(), None)


def _gpu_name(gpu: str) -> str:
    program = shutil.which("nvidia-smi")
    command = [str(program), "--query-gpu=name", "--format=csv,noheader", "--id", gpu]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS_TO_ANSWER, check=True)
        return asked.stdout.strip().splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "a GPU"


def read_environment(device: Device, threads: int, program: str) -> Environment:
    """What a command that begins with `program` is given to compute with.

    Which torch it uses is known only where it belongs to the Python that runs this tool: they lie in one folder.
    """
    found = shutil.which(program)
    is_beside_us = found is not None and Path(found).absolute().parent == Path(sys.executable).absolute().parent
    return Environment(
        sweep=version("budget-sweep"),
        python=platform.python_version(),
        platform=platform.platform(),
        device_kind=device.kind,
        device_name=device.name,
        threads=threads,
        torch=_version("torch") if is_beside_us else None,
        torchvision=_version("torchvision") if is_beside_us else None,
        numpy=version("numpy"),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
