"""The processes that make batches ahead of the training: how torch's DataLoader is to start them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sweep.lifetime import end_with_parent

# Chosen: enough that one slow example holds up nobody, little enough for a laptop's memory.
_BATCHES_AHEAD = 2


def process_options(workers: int, device: torch.device) -> dict[str, Any]:
    """A DataLoader's options for `workers` processes (0: none) that end with this one and draw from no generator of
    its own; their batches are pinned where the device is a GPU."""
    return {
        "num_workers": workers,
        "pin_memory": device.type == "cuda",
        "worker_init_fn": _begin_worker,
        "generator": torch.Generator(),  # else it draws from the global one
        "prefetch_factor": _BATCHES_AHEAD if workers else None,
    }


@contextmanager
def not_warned() -> Iterator[None]:
    """While processes start: of more of them than cores, and from Python 3.12 on of forking beside threads. Both are
    meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _begin_worker(number: int) -> None:
    end_with_parent()
