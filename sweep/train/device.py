"""Where tensors live, and what the machine is: the CPU, a GPU of CUDA's, or Apple's (`mps`)."""

from __future__ import annotations

import platform
from importlib.metadata import version

import numpy as np
import torch

from sweep.errors import MachineError, Problem
from sweep.processor import cpu_name
from sweep.store.records import Environment


def choose_device(name: str) -> torch.device:
    """The device called `name`; `auto` is the first GPU of CUDA's, else the CPU.

    Never `mps`, which has to be named: it has no float64, and its results are no other device's to the last digits.

    Raises:
        MachineError: this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    # torch.device keeps an index in eight bits: "cuda:256" would be the first GPU.
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise _absent(name, f"torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise _absent(name, f"torch {torch.__version__} finds no Apple GPU")
    return torch.device(kind, int(index)) if index else torch.device(kind)


def _absent(name: str, why: str) -> MachineError:
    return MachineError(Problem(f"there is no device {name}: {why}", where="--device", fix="take --device cpu"))


def set_threads(threads: int) -> None:
    """Compute with `threads` CPU threads. The environment has said so already; this holds where it could not."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that a clock read next tells the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def sum_dtype(device: torch.device) -> torch.dtype:
    """What sums over a whole evaluation are kept in: float64 where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def choose_kernels(device: torch.device) -> None:
    """Let cuDNN try its algorithms on every size of batch that it meets, as torchvision's reference script does."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True


def read_environment(device: torch.device) -> Environment:
    """What this process trains with."""
    return Environment(
        sweep=version("budget-sweep"),
        python=platform.python_version(),
        torch=torch.__version__,
        torchvision=version("torchvision"),
        numpy=np.__version__,
        platform=platform.platform(),
        device_kind=device.type,
        device_name=_device_name(device),
        threads=torch.get_num_threads(),
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
