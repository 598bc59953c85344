"""Tensors in tuples, lists and dicts: whatever a batch is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def to_device(value: Any, device: torch.device) -> Any:
    """The same structure with every tensor on `device`, and every other object that knows how to go there."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if callable(getattr(value, "to", None)):  # such as Hugging Face's BatchEncoding, a mapping of its own kind
        return value.to(device)
    if isinstance(value, Mapping):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(to_device(item, device) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(to_device(item, device) for item in value)
    return value


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor of a structure, in its order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from tensors(item)


def num_examples(batch: Any) -> int:
    """How many examples a batch holds: the length of its first tensor that is no single number; 0 without one."""
    return next((len(tensor) for tensor in tensors(batch) if tensor.dim()), 0)


def head(batch: Any, count: int) -> Any:
    """The same structure with the first `count` examples of every tensor that holds some."""
    if isinstance(batch, Tensor):
        return batch[:count] if batch.dim() else batch
    if isinstance(batch, Mapping):
        return {key: head(item, count) for key, item in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(head(item, count) for item in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(head(item, count) for item in batch)
    return batch
