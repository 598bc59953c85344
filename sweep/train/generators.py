"""The generators that people's code draws from: torch's on the CPU and on a GPU, numpy's and Python's own global ones.

A user's dataset, collate function or loader may draw from them: they are seeded for it by what it is asked for, and put
back afterwards, so that neither the training nor another batch notices.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import numpy as np
import torch

# Of torch, numpy and Python.
States = tuple[torch.Tensor, dict[str, Any], tuple[Any, ...]]


def read_generators() -> States:
    return torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate()


def write_generators(states: States) -> None:
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])


def seed_generators(*numbers: int) -> None:
    """Seed all three by `numbers`, which are not negative."""
    seeds = np.random.SeedSequence(numbers).generate_state(3, np.uint32).tolist()
    torch.default_generator.manual_seed(seeds[0])  # not torch.manual_seed, which seeds a GPU's generator as well
    np.random.seed(seeds[1])
    random.seed(seeds[2])


def read_device_generator(device: torch.device) -> torch.Tensor | None:
    """The state of torch's generator on a GPU; None on the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else None


def write_device_generator(device: torch.device, state: torch.Tensor) -> None:
    """Go on from `state`; nothing happens where it is of another kind of device, whose numbers are others anyway."""
    now = read_device_generator(device)
    if now is None or now.shape != state.shape:
        return
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.mps.set_rng_state(state)


@contextmanager
def set_aside(device: torch.device | None = None) -> Iterator[None]:
    """Whatever is drawn meanwhile, these generators go on as if nothing had been; so does that of `device`, a GPU."""
    states = read_generators()
    of_device = read_device_generator(device) if device is not None else None
    try:
        yield
    finally:
        write_generators(states)
        if device is not None and of_device is not None:
            write_device_generator(device, of_device)


class OwnGenerators:
    """Generators for one consumer, seeded by `numbers`: within `with own:` the global ones are its own, and go on from
    where they were left the last time."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers
        self._own: States | None = None

    def __enter__(self) -> None:
        self._others = read_generators()
        if self._own is None:
            seed_generators(*self._numbers)
        else:
            write_generators(self._own)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._own = read_generators()
        write_generators(self._others)
