"""Datasets of image files: decoded, cropped, mirrored and augmented by processes, ahead of the training.

What is random about an image is a function of (seed, epoch, example).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from sweep.plan.lengths import epochs_of, examples_per_batch, steps_in_epoch
from sweep.recipe.dataset import Dataset
from sweep.recipe.image_lists import PARTS, Listed
from sweep.recipe.schema import Recipe
from sweep.train.augment import Eraser, auto_augmentation
from sweep.train.data import Batch, Indices, Normaliser, epoch_order
from sweep.train.decoding import Decoding, Example, Undecodable, seeded
from sweep.train.group import ALONE, Group
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

    @property
    def listing(self) -> bytes:
        """Every path and label, one after the other."""
        return self.paths.tobytes() + self.labels.tobytes()

    def path(self, example: int) -> Path:
        return self.folder / os.fsdecode(bytes(self.paths[example]))


def find_image_files(dataset: Dataset, data_path: Path) -> tuple[ImageFiles, ImageFiles]:
    """The training and the evaluation images of a dataset whose folders are whole."""
    root = dataset.root(data_path)
    assert root is not None
    assert dataset.images is not None
    train, evaluation = (_files(root, dataset.images(root, part)) for part in PARTS)
    return train, evaluation


def _files(root: Path, listed: Listed) -> ImageFiles:
    paths = np.array([os.fsencode(path) for path, _ in listed])
    return ImageFiles(root, paths, np.array([number for _, number in listed], dtype=np.int64))


def repeated(dataset: Dataset, folder: Path, names: list[str], num_images: int) -> ImageFiles:
    """So many images that are these files of `folder`, over and over, of each class as many."""
    numbers = np.arange(num_images)
    return ImageFiles(folder, np.array(names, dtype=np.bytes_)[numbers % len(names)], numbers % dataset.classes)


@dataclass(frozen=True)
class _FileDecoder:
    """The image as (3, height, width) uint8, and its label."""

    files: ImageFiles
    transform: v2.Transform
    eraser: Eraser | None = None
    seed: int | None = None  # of a random transform: an example then comes with its epoch

    def __getitem__(self, example: Any) -> Example:
        if self.seed is None:
            return self._decode(example)
        epoch, example = example
        with seeded(self.seed, epoch, _CROP, example):
            return self._decode(example)

    def _decode(self, example: int) -> Example:
        path = self.files.path(example)
        try:
            pixels = self.transform(read_rgb(path))
        except Exception as error:
            if is_out_of_memory(error):
                raise
            why = str(error).partition(" <")[0]  # PIL goes on with the open file, whose path is named already
            return Undecodable(str(path), f"{type(error).__name__}: {why}")
        label = int(self.files.labels[example])
        return (pixels, label, self.eraser.box(pixels)) if self.eraser else (pixels, label)


def read_rgb(path: Path) -> Image.Image:
    """An image file in colour, 8 bits a channel: as torchvision reads it, but for 16 bits of grey.

    Raises:
        Exception: whatever PIL raises of a file that is none, or ValueError for pixels whose white is not known.
    """
    with open(path, "rb") as file:
        image: Image.Image = Image.open(file)
        if image.mode == "RGB":
            image.load()  # convert() would copy it; Measured: 6 % of what reading a JPEG of 300x300 pixels takes
            return image
        if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
            # PIL itself would cut everything brighter than 255 of 65,535 off to white.
            return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
        if image.mode in ("I", "F"):
            raise ValueError("pixels of 32 bits, whose white is not known: save it with 8 or 16")
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")  # else PIL warns; the colours are the same
        return image.convert("RGB")


class FolderSource:
    """Batches of image files: see Source."""

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        train: ImageFiles,
        evaluation: ImageFiles,
        device: torch.device,
        group: Group = ALONE,
    ) -> None:
        self._recipe = recipe
        self._group = group
        self._dataset = dataset
        self._train = train
        self._evaluation = evaluation
        self._device = device
        self._normaliser = Normaliser(dataset, device)
        self._decoding = Decoding(recipe.workers, self._normaliser, device)
        self._is_training = False
        self._evaluation_loader: DataLoader[Any] | None = None  # whose processes serve all evaluations of a run

    @property
    def device(self) -> torch.device:
        return self._device

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[Batch, None, None]:
        """As a Source does. The processes start at once, and work ahead until they have two batches each."""
        eraser = Eraser(self._recipe.random_erase) if self._recipe.random_erase else None
        decoder = _FileDecoder(self._train, _train_transform(self._recipe), eraser, seed)
        return self._trained(self._decoding.once(decoder, self._examples(seed, num_examples, start, stop)))

    def _trained(self, batches: Generator[Batch, None, None]) -> Generator[Batch, None, None]:
        self._is_training = True
        try:
            yield from batches
        finally:
            self._is_training, self._evaluation_loader = False, None

    def warm_up_batch(self, seed: int, num_examples: int) -> Batch:
        """As a Source does: noise."""
        size, side = min(self._recipe.batch_size, num_examples), self._recipe.train_crop_size
        noise = torch.Generator().manual_seed(seed)
        pixels = torch.randint(256, (size, self._dataset.shape[0], side, side), dtype=torch.uint8, generator=noise)
        labels = torch.arange(size) % self._dataset.classes
        return self._normaliser(pixels.to(self._device)), labels.to(self._device)

    @property
    def num_evaluation_batches(self) -> int:
        """As a Source does."""
        return -(-len(self._evaluation) // self._recipe.batch_size)

    def evaluation_batches(self) -> Iterator[Batch]:
        """As a Source does."""
        loader = self._evaluation_loader or self._new_evaluation_loader()
        self._evaluation_loader = loader if self._is_training else None
        return self._decoding.again(loader)

    def _new_evaluation_loader(self) -> DataLoader[Any]:
        decoder = _FileDecoder(self._evaluation, _evaluation_transform(self._recipe))
        examples = torch.arange(len(self._evaluation)).split(self._recipe.batch_size)
        return self._decoding.loader(decoder, [part.tolist() for part in examples])

    def _examples(self, seed: int, num_examples: int, start: int, stop: int) -> Iterator[list[tuple[int, int]]]:
        """The (epoch, example) of each image of each step's batch."""
        size = self._recipe.batch_size
        for epoch, places in epochs_of(start, stop, steps_in_epoch(num_examples, examples_per_batch(self._recipe))):
            of_all = epoch_order(seed, epoch, num_examples, self._recipe.method, self._train.labels)
            order = self._group.own_part(of_all, size).tolist()
            for place in places:
                yield [(epoch, example) for example in order[place * size : (place + 1) * size]]


def _train_transform(recipe: Recipe) -> v2.Transform:
    """In the order of torchvision's reference script."""
    flips = [v2.RandomHorizontalFlip(recipe.hflip_prob)] if recipe.hflip_prob > 0 else []
    changes = [*flips, *auto_augmentation(recipe.auto_augment)]
    return v2.Compose([v2.RandomResizedCrop(recipe.train_crop_size), *changes, v2.PILToTensor()])


def _evaluation_transform(recipe: Recipe) -> v2.Transform:
    return v2.Compose([v2.Resize(recipe.val_resize_size), v2.CenterCrop(recipe.val_crop_size), v2.PILToTensor()])
