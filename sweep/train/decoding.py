"""Processes that make the images of a batch, ahead of the training: torch's DataLoader, kept deterministic.

What is random about an example is drawn from a generator that is seeded for it alone, so neither the number of
processes nor the step that a run starts at changes a bit. Nothing is drawn from the global generators.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from sweep.errors import MachineError, Problem
from sweep.train.augment import erase
from sweep.train.data import Batch, Normaliser
from sweep.train.prefetch import prefetched
from sweep.train.processes import not_warned, process_options


@dataclass(frozen=True)
class Undecodable:
    """In place of an image: an exception would reach the training process without its own first line."""

    path: str
    reason: str


# The image (channels, height, width) uint8 and its label; with random erasing its rectangle as well, (4,) int64.
Example = tuple[Tensor, int] | tuple[Tensor, int, Tensor] | Undecodable


class Decoder(Protocol):
    """What a process does with an example, whatever names it."""

    def __getitem__(self, example: Any) -> Example: ...


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """torch's global generator is seeded by `key` meanwhile."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which seeds a GPU's generator as well.
        torch.default_generator.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))
        yield


class Decoding:
    """Batches on the device, made by `workers` processes that work ahead; with none, by this one when asked."""

    def __init__(self, workers: int | None, normaliser: Normaliser, device: torch.device) -> None:
        # Chosen: as many as the job has threads, since while those compute on a GPU they have nothing else to do.
        self._workers = torch.get_num_threads() if workers is None else workers
        self._normaliser = normaliser
        self._device = device

    def once(self, decoder: Decoder, batches: Iterable[list[Any]]) -> Generator[Batch, None, None]:
        """The batches of the given examples. The processes start now, and end with the last batch or when closed."""
        with not_warned():
            return prefetched(self._on_device(iter(self._loader(decoder, batches))), self._device)

    def loader(self, decoder: Decoder, batches: list[list[Any]]) -> DataLoader[Any]:
        """For `again`: its processes start at the first use, and end when it is let go of."""
        return self._loader(decoder, batches, is_kept=True)

    def again(self, loader: DataLoader[Any]) -> Generator[Batch, None, None]:
        """All batches of a loader, once more."""
        with not_warned():
            return prefetched(self._on_device(iter(loader)), self._device)

    def _loader(self, decoder: Decoder, batches: Iterable[list[Any]], is_kept: bool = False) -> DataLoader[Any]:
        return DataLoader(
            decoder,  # type: ignore[arg-type] # anything that can be indexed will do
            batch_sampler=batches,
            collate_fn=_collate,
            persistent_workers=is_kept and self._workers > 0,
            **process_options(self._workers, self._device),
        )

    def _on_device(self, decoded: Iterator[Any]) -> Generator[Batch, None, None]:
        for batch in decoded:
            if isinstance(batch, Undecodable):
                raise MachineError(Problem(f"the image cannot be decoded ({batch.reason})", where=batch.path))
            pixels, labels, *boxes = (part.to(self._device, non_blocking=True) for part in batch)
            images = self._normaliser(pixels)
            yield erase(images, *boxes) if boxes else images, labels


def _collate(examples: list[Example]) -> Any:
    """The batch, or the first of its images that could not be decoded."""
    return next((example for example in examples if isinstance(example, Undecodable)), None) or default_collate(
        examples
    )
