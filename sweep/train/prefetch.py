"""Batches that are copied to a GPU while it computes: the next one's copy is under way before a step begins.

A copy among the GPU's other work would wait for its turn there, and the step behind it for the copy: on a stream of its
own it goes on beside the step before. From memory that is not pinned it takes the processor's time as well.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

import torch

from sweep.train.trainable import AnyBatch


def prefetched(batches: Generator[AnyBatch, None, None], device: torch.device) -> Generator[AnyBatch, None, None]:
    """The same batches, each asked for one ahead, on a stream of its own; on the CPU they are `batches` themselves.

    `batches` puts its tensors on `device`, whatever holds them. To close this closes `batches`.
    """
    return _ahead(batches, device) if device.type == "cuda" else batches


def _ahead(batches: Generator[AnyBatch, None, None], device: torch.device) -> Generator[AnyBatch, None, None]:
    computing, copying = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    with closing(batches):
        upcoming = _next(batches, computing, copying)
        while upcoming is not None:
            batch = upcoming
            computing.wait_stream(copying)
            upcoming = _next(batches, computing, copying)
            yield batch


def _next(
    batches: Generator[AnyBatch, None, None], computing: torch.cuda.Stream, copying: torch.cuda.Stream
) -> AnyBatch | None:
    # Memory of earlier batches that is free by now is written anew here: not before the steps so far have read it.
    copying.wait_stream(computing)
    with torch.cuda.stream(copying):
        return next(batches, None)
