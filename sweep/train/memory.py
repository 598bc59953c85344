"""Whether an error says that memory ran out, on the host or on the device, and how much of it there was."""

from __future__ import annotations

import torch

from sweep import host_memory
from sweep.host_memory import size_text

# torch's CPU allocator raises a plain RuntimeError, and so do a GPU's own libraries.
_ON_THE_HOST = "can't allocate memory"
_ON_THE_DEVICE = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "MPS backend out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    return _is_of_the_host(error) or _is_of_the_device(error)


def out_of_memory(error: BaseException, device: str) -> str | None:
    """`out of memory (peak 7.9 GB of 8.0 GB)`; None for any other error.

    The peak is what was held at most, without what could not be had any more. `device` is the one computed on.
    """
    if _is_of_the_device(error) and device.startswith(("cuda", "mps")):
        return _text(*_device_bytes(device))
    if is_out_of_memory(error):
        return _text(*_host_bytes())
    return None


def peak_and_total_bytes(device: str) -> tuple[int, int]:
    """The most that this process has held at a time where it computes, and what there is of that."""
    return _device_bytes(device) if device.startswith(("cuda", "mps")) else _host_bytes()


def _is_of_the_host(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _ON_THE_HOST in str(error))


def _is_of_the_device(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _ON_THE_DEVICE)


def _host_bytes() -> tuple[int, int]:
    return host_memory.peak_bytes(), host_memory.total_bytes()


def _device_bytes(device: str) -> tuple[int, int]:
    if device.startswith("mps"):  # of which torch keeps no peak: what it held when there was no more
        return torch.mps.driver_allocated_memory(), torch.mps.recommended_max_memory()
    return torch.cuda.max_memory_reserved(device), torch.cuda.get_device_properties(device).total_memory


def _text(peak_bytes: int, total_bytes: int) -> str:
    return f"out of memory (peak {size_text(peak_bytes)} of {size_text(total_bytes)})"
