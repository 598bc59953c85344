"""Datasets of image files: decoded, cropped and mirrored by processes of their own, ahead of the training.

The crop and the flip of an image are a function of (seed, epoch, example), so neither the number of processes nor the
step that a run starts at changes a bit. Nothing is drawn from the global generators.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, default_collate
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import pil_loader
from torchvision.transforms import v2

from sweep.errors import MachineError, Problem
from sweep.lifetime import end_with_parent
from sweep.plan.lengths import steps_in_epoch
from sweep.recipe.datasets import FOLDERS, IMAGE_SUFFIXES, Dataset
from sweep.recipe.schema import Recipe
from sweep.train.data import Batch, Indices, Normaliser, epoch_order
from sweep.train.memory import is_out_of_memory

# The random stream of one image in one epoch, beside those of data.py.
_CROP = 2


@dataclass(frozen=True)
class ImageFiles:
    """Labelled files in `folder`. `paths`: (n,) below it, encoded; `labels`: (n,) the index of each one's class.

    An array of bytes is shared by the processes that decode; of a list each would end up with a copy.
    """

    folder: Path
    paths: NDArray[np.bytes_]
    labels: Indices

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, example: int) -> Path:
        return self.folder / os.fsdecode(bytes(self.paths[example]))


def find_image_files(data_path: Path) -> tuple[ImageFiles, ImageFiles]:
    """The training and the evaluation images of a dataset whose folders are whole."""
    train, evaluation = (_find(data_path / name) for name in FOLDERS)
    return train, evaluation


def _find(folder: Path) -> ImageFiles:
    found = ImageFolder(folder, is_valid_file=lambda path: path.lower().endswith(IMAGE_SUFFIXES))
    paths = np.array([os.fsencode(os.path.relpath(path, folder)) for path, _ in found.samples])
    return ImageFiles(folder, paths, np.array(found.targets, dtype=np.int64))


@dataclass(frozen=True)
class _Undecodable:
    """In place of an image: an exception would reach the training process without its own first line."""

    path: str
    reason: str


Example = tuple[Tensor, int] | _Undecodable


@dataclass(frozen=True)
class _Decoder:
    """What a decoding process does with an example: the image as (3, height, width) uint8, and its label."""

    files: ImageFiles
    transform: v2.Transform

    def decode(self, example: int) -> Example:
        path = self.files.path(example)
        try:
            return self.transform(pil_loader(path)), int(self.files.labels[example])
        except Exception as error:
            if is_out_of_memory(error):
                raise
            why = str(error).partition(" <")[0]  # PIL goes on with the open file, whose path is named already
            return _Undecodable(str(path), f"{type(error).__name__}: {why}")

    def __getitem__(self, example: int) -> Example:
        return self.decode(example)


@dataclass(frozen=True)
class _RandomDecoder(_Decoder):
    """The same with a random transform; an example comes with its epoch."""

    seed: int

    def __getitem__(self, of_epoch: Any) -> Example:
        epoch, example = of_epoch
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which seeds a GPU's generator as well.
            torch.default_generator.manual_seed(_example_seed(self.seed, epoch, example))
            return self.decode(example)


def _example_seed(seed: int, epoch: int, example: int) -> int:
    return int(np.random.SeedSequence([seed, epoch, _CROP, example]).generate_state(1, np.uint64)[0])


class FolderSource:
    """Batches of image files: see Source."""

    def __init__(
        self, recipe: Recipe, dataset: Dataset, train: ImageFiles, evaluation: ImageFiles, device: torch.device
    ) -> None:
        self._recipe = recipe
        self._dataset = dataset
        self._train = train
        self._evaluation = evaluation
        self._device = device
        self._normaliser = Normaliser(dataset, device)
        # Chosen: as many as the job has threads, since while those compute on a GPU they have nothing else to do.
        self._workers = torch.get_num_threads() if recipe.workers is None else recipe.workers

    @property
    def device(self) -> torch.device:
        return self._device

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[Batch, None, None]:
        """As a Source does. The processes start at once, and work ahead until they have two batches each."""
        decoder = _RandomDecoder(self._train, _train_transform(self._recipe), seed)
        return self._on_device(self._decoded(decoder, self._examples(seed, num_examples, start, stop)))

    def warm_up_batch(self, seed: int, num_examples: int) -> Batch:
        """As a Source does: noise."""
        size, side = min(self._recipe.batch_size, num_examples), self._recipe.train_crop_size
        noise = torch.Generator().manual_seed(seed)
        pixels = torch.randint(256, (size, self._dataset.shape[0], side, side), dtype=torch.uint8, generator=noise)
        labels = torch.arange(size) % self._dataset.num_classes
        return self._normaliser(pixels.to(self._device)), labels.to(self._device)

    def evaluation_batches(self) -> Iterator[Batch]:
        """As a Source does."""
        decoder = _Decoder(self._evaluation, _evaluation_transform(self._recipe))
        examples = torch.arange(len(self._evaluation)).split(self._recipe.batch_size)
        return self._on_device(self._decoded(decoder, (part.tolist() for part in examples)))

    def _examples(self, seed: int, num_examples: int, start: int, stop: int) -> Iterator[list[tuple[int, int]]]:
        """The (epoch, example) of each image of each step's batch."""
        size, step = self._recipe.batch_size, start
        while step < stop:
            epoch, first = divmod(step, steps_in_epoch(num_examples, size))
            order = epoch_order(seed, epoch, num_examples, self._recipe.method, self._train.labels).tolist()
            for at in range(first * size, num_examples, size)[: stop - step]:
                yield [(epoch, example) for example in order[at : at + size]]
                step += 1

    def _decoded(self, decoder: _Decoder, batches: Iterable[list[Any]]) -> Iterator[Any]:
        with warnings.catch_warnings():
            # Of more processes than cores, and from Python 3.12 on of forking beside threads: both are meant.
            warnings.simplefilter("ignore")
            loader: DataLoader[Any] = DataLoader(
                decoder,  # type: ignore[arg-type] # anything that can be indexed will do
                batch_sampler=batches,
                num_workers=self._workers,
                collate_fn=_collate,
                pin_memory=self._device.type == "cuda",
                worker_init_fn=_begin_worker,
                generator=torch.Generator(),  # else it draws from the global one
            )
            return iter(loader)

    def _on_device(self, decoded: Iterator[Any]) -> Generator[Batch, None, None]:
        for batch in decoded:
            if isinstance(batch, _Undecodable):
                raise MachineError(Problem(f"the image cannot be decoded ({batch.reason})", where=batch.path))
            pixels, labels = batch
            yield (
                self._normaliser(pixels.to(self._device, non_blocking=True)),
                labels.to(self._device, non_blocking=True),
            )


def _begin_worker(number: int) -> None:
    end_with_parent()


def _collate(examples: list[Example]) -> Any:
    """The batch, or the first of its images that could not be decoded."""
    return next((example for example in examples if isinstance(example, _Undecodable)), None) or default_collate(
        examples
    )


def _train_transform(recipe: Recipe) -> v2.Transform:
    flips = [v2.RandomHorizontalFlip(recipe.hflip_prob)] if recipe.hflip_prob > 0 else []
    return v2.Compose([v2.RandomResizedCrop(recipe.train_crop_size), *flips, v2.PILToTensor()])


def _evaluation_transform(recipe: Recipe) -> v2.Transform:
    return v2.Compose([v2.Resize(recipe.val_resize_size), v2.CenterCrop(recipe.val_crop_size), v2.PILToTensor()])
