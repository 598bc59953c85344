"""The energy that training takes, by the GPU's own counter; None wherever it cannot be known, never 0.

The counter is NVML's: millijoules of the whole GPU since its driver was loaded, at rest and for other processes too.
It moves every 20 to 100 ms (PETSc's manual, PetscLogGpuEnergyMeter): that much at either end of a span is rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

# Gives millijoules that only grow.
Counter = Callable[[], int]


class EnergyMeter:
    """Adds up the joules of spans: `with meter: …` counts, what lies between does not.

    The counter is read where a span begins and where it ends. `joules` is None for good once a span was not measured.
    """

    def __init__(self, counter: Counter | None) -> None:
        self.joules: float | None = 0.0
        self._counter = counter
        self._started: int | None = None

    def __enter__(self) -> EnergyMeter:
        self._started = self._read()
        return self

    def __exit__(self, *error: object) -> None:
        span = _growth(self._started, self._read())
        self.joules = self.joules + span / 1000 if self.joules is not None and span is not None else None

    def _read(self) -> int | None:
        try:
            return self._counter() if self._counter is not None else None
        except Exception:  # a GPU that fell off the bus, say: training is what finds that out
            return None


def _growth(before: int | None, now: int | None) -> int | None:
    """None where either is not known, or where it began anew meanwhile: the GPU was reset."""
    return now - before if before is not None and now is not None and now >= before else None


def gpu_counter(*devices: torch.device) -> Counter | None:
    """The counter of the very GPUs that these are, together; None where one has none, or none that may be read.

    A slice of a GPU (MIG) has none: the counter is of all slices together.
    """
    counters = [_counter(device) for device in devices]
    known = [counter for counter in counters if counter is not None]
    return (lambda: sum(counter() for counter in known)) if len(known) == len(counters) else None


def _counter(device: torch.device) -> Counter | None:
    if device.type != "cuda":
        return None
    try:
        counter = _nvml_counter(device)
        counter()
    except Exception:  # no package, no library, no permission, a GPU older than Volta: no reason not to train
        return None
    return counter


def _nvml_counter(device: torch.device) -> Counter:
    import pynvml

    pynvml.nvmlInit()
    # By UUID: CUDA counts only the GPUs that it is shown, and in another order than NVML.
    uuid = torch.cuda.get_device_properties(device).uuid
    handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    if _is_sliced(pynvml, handle):
        raise ValueError("a slice has no counter of its own")
    return partial(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle)


def _is_sliced(pynvml: Any, handle: Any) -> bool:
    """Whether it is divided by MIG. What CUDA calls a slice's UUID can be that of the whole GPU."""
    try:
        current, _ = pynvml.nvmlDeviceGetMigMode(handle)
    except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):  # a GPU, or a driver, without MIG
        return False
    return bool(current == pynvml.NVML_DEVICE_MIG_ENABLE)
