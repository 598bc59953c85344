"""Where the batches of a user's own task come from: tensors, a map-style Dataset, or a function that makes loaders.

A training batch is a function of (recipe, seed, step) alone. Of tensors and Datasets the order is drawn here, by (seed,
epoch); a Dataset's own random draws are seeded by (seed, epoch, example), whichever process fetches it. A loader is
made anew for every epoch, and one that a run comes back to in mid-epoch is read up to there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, default_collate

from sweep.errors import SweepError
from sweep.plan.lengths import epochs_of, examples_per_batch, steps_in_epoch
from sweep.recipe.schema import Recipe
from sweep.train.blame import blame
from sweep.train.data import epoch_order
from sweep.train.generators import OwnGenerators, seed_generators, set_aside
from sweep.train.group import ALONE, Group
from sweep.train.memory import is_out_of_memory
from sweep.train.nested import tensors, to_device
from sweep.train.processes import not_warned, process_options
from sweep.train.trainable import AnyBatch

# The random streams of an epoch, beside those of the tool's own data.
_EXAMPLE, _COLLATE, _LOADER = 3, 4, 5
# Evaluation draws the same whatever the seed and the epoch.
_EVALUATION = (0, 0)


class Feed(Protocol):
    """One of a task's two parts, for training or for evaluation. `num_examples` is of an epoch."""

    num_examples: int

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[AnyBatch, None, None]:
        """As a Trainable gives them."""
        ...

    def in_order(self) -> Generator[AnyBatch, None, None]:
        """Every example once, always in the same order."""
        ...

    def first(self, size: int) -> AnyBatch:
        """A batch of the first `size` examples; of loaders their first batch."""
        ...


def make_feed(
    name: str,
    data: Any,
    recipe: Recipe,
    collate: Callable[[list[Any]], Any] | None,
    device: torch.device,
    group: Group = ALONE,
) -> Feed:
    """The feed of `data`, the task's `name` (train_data or eval_data), which `data_problem` has nothing against.

    Of tensors and Datasets each process of a `group` trains on its part."""
    if type(data) is TensorDataset and len(data.tensors) == 2 and collate is None:
        data = data.tensors  # the same batches, without asking for one example after the other
    if isinstance(data, DataLoader) or (callable(data) and not hasattr(data, "__getitem__")):
        return LoaderFeed(name, data, recipe, device)
    if is_tensors(data):
        return TensorFeed(data, recipe, device, group)
    return DatasetFeed(name, data, recipe, collate, device, group)


def data_problem(name: str, data: Any) -> str | None:
    """What is wrong with `data` as such, before anything is asked of it."""
    if isinstance(data, DataLoader) and name == "train_data":
        return (
            "a DataLoader's order cannot be repeated from the middle: give its dataset, or a function (seed, epoch) "
            "that makes the loader of an epoch"
        )
    if isinstance(data, DataLoader):
        return None
    if is_tensors(data):
        return _tensors_problem(data)
    if isinstance(data, IterableDataset):
        return "an IterableDataset has no order to draw: give a function that makes a DataLoader of it"
    if isinstance(data, tuple):
        return f"a tuple is (inputs, targets), each of tensors, not {described(data)}"
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return None if len(data) else "is empty"
    if callable(data):
        return None
    return f"is no pair of tensors, no Dataset and no function that makes a loader, but {described(data)}"


def is_tensors(data: Any) -> bool:
    """Whether it is (inputs, targets), each a tensor or a structure of nothing but tensors."""
    return isinstance(data, tuple) and len(data) == 2 and all(_is_of_tensors(part) for part in data)


def _is_of_tensors(part: Any) -> bool:
    if isinstance(part, dict | list | tuple):
        items = part.values() if isinstance(part, dict) else part
        return len(part) > 0 and all(_is_of_tensors(item) for item in items)
    return isinstance(part, Tensor)


def _tensors_problem(data: Any) -> str | None:
    lengths = {len(tensor) if tensor.dim() else None for tensor in tensors(data)}
    if None in lengths or len(lengths) > 1:
        return f"inputs and targets are not of one length: {described(data)}"
    return "is empty" if lengths == {0} else None


def described(value: Any) -> str:
    """A structure by its shapes: `{ids: (2, 16) int64}`."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {described(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple) and len(value) <= 4:
        left, right = "[]" if isinstance(value, list) else "()"
        return left + ", ".join(described(item) for item in value) + right
    return f"a {type(value).__name__}"


def _spans(num_batches: int, per_step: int, start: int, stop: int) -> Iterator[tuple[int, range]]:
    """The batches of steps `start` … `stop - 1`, an epoch at a time: its number, and which of its batches."""
    for epoch, steps in epochs_of(start, stop, steps_in_epoch(num_batches, per_step)):
        yield epoch, range(steps.start * per_step, min(steps.stop * per_step, num_batches))


class _Ordered:
    """What the tool draws the order of, by (seed, epoch)."""

    def __init__(self, num_examples: int, recipe: Recipe, group: Group) -> None:
        self.num_examples = num_examples
        self._recipe = recipe
        self._group = group
        # Examples of no known class: a subset of them is a random share.
        self._labels = np.zeros(num_examples, dtype=np.int64)

    def _parts(self, seed: int, num_examples: int, start: int, stop: int) -> Iterator[tuple[int, int, list[int]]]:
        """Of each batch its epoch, its place in it, and its examples."""
        size = self._recipe.batch_size
        per_step = self._recipe.gradient_accumulation_steps
        num_batches = steps_in_epoch(num_examples, examples_per_batch(self._recipe))
        for epoch, places in _spans(num_batches, per_step, start, stop):
            of_all = epoch_order(seed, epoch, num_examples, self._recipe.method, self._labels)
            order = self._group.own_part(of_all, size).tolist()
            for place in places:
                yield epoch, place, order[place * size : (place + 1) * size]

    def _parts_in_order(self) -> Iterator[tuple[int, int, list[int]]]:
        size = self._recipe.batch_size
        for place, first in enumerate(range(0, self.num_examples, size)):
            yield 0, place, list(range(first, min(first + size, self.num_examples)))


class TensorFeed(_Ordered):
    """Batches of tensors that live on the device."""

    def __init__(self, pair: AnyBatch, recipe: Recipe, device: torch.device, group: Group = ALONE) -> None:
        self._pair = to_device(pair, device)
        self._device = device
        super().__init__(len(next(tensors(pair))), recipe, group)

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[AnyBatch, None, None]:
        """As a Feed does."""
        for _, _, examples in self._parts(seed, num_examples, start, stop):
            yield self._batch(torch.tensor(examples, device=self._device))

    def in_order(self) -> Generator[AnyBatch, None, None]:
        """As a Feed does."""
        for _, _, examples in self._parts_in_order():
            yield self._batch(slice(examples[0], examples[-1] + 1))

    def first(self, size: int) -> AnyBatch:
        """As a Feed does."""
        return self._batch(slice(0, size))

    def _batch(self, examples: Tensor | slice) -> AnyBatch:
        inputs, targets = (_indexed(part, examples) for part in self._pair)
        return inputs, targets


def _indexed(value: Any, examples: Tensor | slice) -> Any:
    if isinstance(value, Tensor):
        return value[examples]
    if isinstance(value, dict):
        return {key: _indexed(item, examples) for key, item in value.items()}
    return [_indexed(item, examples) for item in value]


@dataclass(frozen=True)
class _Failure:
    """In place of a batch: an exception would reach the training process without its own first line."""

    reason: str


# Seed and epoch, the batch's place in the epoch, and its examples.
_Order = tuple[int, int, int, list[int]]


@dataclass(frozen=True)
class _Fetcher:
    """What makes a batch of a Dataset's examples, in whichever process."""

    name: str
    dataset: Any
    collate: Callable[[list[Any]], Any]

    def __getitem__(self, order: _Order) -> Any:
        seed, epoch, place, examples = order
        with set_aside():
            try:
                fetched = [self._fetch(seed, epoch, example) for example in examples]
            except _Wrong as wrong:
                return _Failure(str(wrong))
            seed_generators(seed, epoch, _COLLATE, place)
            try:
                return self.collate(fetched)
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                return _Failure(f"a batch of {self.name} cannot be made: {blame(error)}")

    def _fetch(self, seed: int, epoch: int, example: int) -> Any:
        seed_generators(seed, epoch, _EXAMPLE, example)
        try:
            return self.dataset[example]
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise _Wrong(f"{self.name}[{example}] raises {blame(error)}") from error


class _Wrong(Exception):
    pass


class DatasetFeed(_Ordered):
    """Batches of a map-style Dataset's examples, fetched here or by `workers` processes ahead of the training."""

    def __init__(
        self,
        name: str,
        dataset: Any,
        recipe: Recipe,
        collate: Callable[[list[Any]], Any] | None,
        device: torch.device,
        group: Group = ALONE,
    ) -> None:
        super().__init__(len(dataset), recipe, group)
        self._fetcher = _Fetcher(name, dataset, collate or default_collate)
        self._device = device
        self._workers = recipe.workers or 0

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[AnyBatch, None, None]:
        """As a Feed does."""
        parts = self._parts(seed, num_examples, start, stop)
        return self._fetched((seed, *part) for part in parts)

    def in_order(self) -> Generator[AnyBatch, None, None]:
        """As a Feed does."""
        return self._fetched((_EVALUATION[0], *part) for part in self._parts_in_order())

    def first(self, size: int) -> AnyBatch:
        """As a Feed does."""
        return self._moved(self._fetcher[(*_EVALUATION, 0, list(range(min(size, self.num_examples))))])

    def _fetched(self, orders: Iterable[_Order]) -> Generator[AnyBatch, None, None]:
        if not self._workers:
            return (self._moved(self._fetcher[order]) for order in orders)
        with not_warned():
            loader: DataLoader[Any] = DataLoader(
                self._fetcher,  # type: ignore[arg-type] # anything that can be indexed will do
                batch_size=None,
                sampler=orders,
                collate_fn=_as_it_is,
                **process_options(self._workers, self._device),
            )
            fetched = iter(loader)
        return (self._moved(batch) for batch in fetched)

    def _moved(self, batch: Any) -> AnyBatch:
        if isinstance(batch, _Failure):
            raise SweepError(batch.reason)
        return _pair_on_device(self._fetcher.name, batch, self._device)


def _as_it_is(batch: Any) -> Any:
    return batch


def _pair_on_device(name: str, batch: Any, device: torch.device) -> AnyBatch:
    if not isinstance(batch, list | tuple) or len(batch) != 2:
        raise SweepError(
            f"a batch of {name} is no pair (inputs, targets), but {described(batch)}: a collate_fn can make one of it"
        )
    return to_device(batch[0], device), to_device(batch[1], device)


class LoaderFeed:
    """Batches of loaders: one for every epoch of training, made by `make(seed, epoch)`; for evaluation a DataLoader, or
    one that `make()` gives.

    A loader is made and read with generators of its own, which (seed, epoch) seeds: one that shuffles needs no
    generator, and its draws are the same whatever happens between two batches.
    """

    def __init__(self, name: str, make: Any, recipe: Recipe, device: torch.device) -> None:
        self._name = name
        self._make = make
        self._recipe = recipe
        self._device = device
        self._is_training = name == "train_data"
        self._first: AnyBatch | None = None
        self._num_batches, self.num_examples = self._counted() if self._is_training else (0, 0)

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[AnyBatch, None, None]:
        """As a Feed does."""
        for epoch, places in _spans(self._num_batches, self._recipe.gradient_accumulation_steps, start, stop):
            with closing(self._read(seed, epoch)) as read:
                count = 0
                for batch in itertools.islice(read, places.start, places.stop):
                    count += 1
                    yield _pair_on_device(self._name, batch, self._device)
            if count < len(places):
                raise SweepError(
                    f"{self._name}({seed}, {epoch}) gives {places.start + count} batches, and epoch 0 "
                    f"{self._num_batches}: every epoch must have as many"
                )

    def in_order(self) -> Generator[AnyBatch, None, None]:
        """As a Feed does."""
        with closing(self._read(*_EVALUATION)) as read:
            for batch in read:
                yield _pair_on_device(self._name, batch, self._device)

    def first(self, size: int) -> AnyBatch:
        """As a Feed does."""
        if self._first is None:
            with closing(self._read(*_EVALUATION)) as read:
                batch = next(read, None)
            if batch is None:
                raise SweepError(f"{self._name} is empty")
            self._first = _pair_on_device(self._name, batch, self._device)
        return self._first

    def _counted(self) -> tuple[int, int]:
        """How many batches an epoch has, and how many examples; as many as fill them where the loader does not tell."""
        with OwnGenerators(*_EVALUATION, _LOADER):
            loader = self._made(*_EVALUATION)
        try:
            count = len(loader)
        except TypeError:
            raise SweepError(
                f"{self._name} must give loaders with a length, its number of batches, not {described(loader)}"
            ) from None
        own_size = getattr(loader, "batch_size", None)
        if own_size not in (None, self._recipe.batch_size):
            raise SweepError(f"its loader makes batches of {own_size}, and batch_size is {self._recipe.batch_size}")
        if count == 0:
            raise SweepError(f"{self._name} is empty")
        size = self._recipe.batch_size
        with suppress(TypeError, AttributeError):
            if -(-len(loader.dataset) // size) == count:
                return count, len(loader.dataset)
        return count, count * size

    def _made(self, seed: int, epoch: int) -> Any:
        try:
            if not self._is_training:
                return self._make if isinstance(self._make, DataLoader) else self._make()
            return self._make(seed, epoch)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            call = f"{self._name}({seed}, {epoch})" if self._is_training else f"{self._name}()"
            raise SweepError(f"{call} raises {blame(error)}") from error

    def _read(self, seed: int, epoch: int) -> Generator[Any, None, None]:
        own = OwnGenerators(seed, epoch, _LOADER)
        try:
            with own:
                batches = iter(self._made(seed, epoch))
            while True:
                with own:
                    batch = next(batches, _END)
                if batch is _END:
                    return
                yield batch
        except SweepError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise SweepError(f"{self._name} raises {blame(error)}") from error


_END = object()
