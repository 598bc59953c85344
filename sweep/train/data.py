"""Data on the device, and every random choice about it as a function of (seed, epoch, example).

A `Source` gives batches. Small datasets live on the device as one uint8 tensor; crop, flip and normalisation are done
for a whole batch at once. Nothing here has a state: a run that starts in mid-epoch sees the same batches as one that
came there from the start.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from sweep.plan.lengths import epochs_of, examples_per_batch, steps_in_epoch
from sweep.recipe.dataset import Dataset
from sweep.recipe.schema import Recipe
from sweep.train.group import ALONE, Group

Indices = NDArray[np.int64]
# Normalised images (b, channels, height, width) float32 and their labels (b,) int64, on the device.
Batch = tuple[Tensor, Tensor]

# The independent random streams of one epoch.
_ORDER, _AUGMENTATION = 0, 1
# A subset is the same whatever the seed: it is the data that there is.
_SUBSET_SEED = 0
# Chosen: large enough that evaluation costs no more than its arithmetic, small enough for a laptop's memory.
_EVAL_BATCH_SIZE = 1000
# Chosen: what the caches of a processor hold. Of small batches several are made at once, which costs hardly more than
# one. In every dataset an image is a multiple of 64 bytes, so that each of them is aligned as if it were alone.
_BYTES_AT_ONCE = 2**21


class Source(Protocol):
    """Where a task's batches come from. A batch is a function of (recipe, seed, its number) alone, and of a group's
    processes each has its own part of it."""

    @property
    def device(self) -> torch.device: ...

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[Batch, None, None]:
        """The batches `start` … `stop - 1` of a run, counted over its epochs, which draw `num_examples` each.

        The waiting is in `next`; `close` gives up whatever was under way.
        """
        ...

    def warm_up_batch(self, seed: int, num_examples: int) -> Batch:
        """A batch as large as any that is trained; what is in it does not matter."""
        ...

    @property
    def num_evaluation_batches(self) -> int: ...

    def evaluation_batches(self) -> Iterator[Batch]:
        """Every evaluation image once, in the order of the dataset. Draws from no generator."""
        ...


@dataclass(frozen=True)
class Images:
    """Labelled images. `pixels`: (n, channels, height, width) uint8; `labels`: (n,) int64; on one device."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def epoch_order(seed: int, epoch: int, num_examples: int, method: str, labels: Indices) -> Indices:
    """The examples of an epoch in the order of training: (num_examples,) indices into the training set.

    `samples` draws them anew each epoch, without replacement (Arazo et al. 2021, arXiv 2110.13613); `subset` shuffles
    one fixed share of the examples.
    """
    random = np.random.default_rng([seed, epoch, _ORDER])
    if method == "subset":
        return random.permutation(subset(labels, num_examples))
    return random.permutation(len(labels))[:num_examples].astype(np.int64)


def rank_in_class(labels: Indices) -> Indices:
    """The place of each example among those of its class, in their order: (n,), from zero."""
    by_class = np.argsort(labels, kind="stable")
    starts = np.cumsum(np.bincount(labels)) - np.bincount(labels)
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[by_class] = np.arange(len(labels)) - starts[labels[by_class]]
    return ranks


def subset(labels: Indices, num_examples: int) -> Indices:
    """A class-stratified share of the examples, ascending; each is part of every larger one. Fixed for all seeds."""
    random = np.random.default_rng(_SUBSET_SEED)
    shuffled = random.permutation(len(labels))
    # Within a class an example's place is (rank + 1/2) / class size, so any prefix holds the classes' own proportions.
    place = (rank_in_class(labels[shuffled]) + 0.5) / np.bincount(labels)[labels[shuffled]]
    nested = shuffled[np.argsort(place, kind="stable")]
    return np.sort(nested[:num_examples]).astype(np.int64)


@dataclass(frozen=True)
class Draws:
    """One epoch's augmentation by example: crop corners in 0 … 2 x padding, and whether to mirror. Shape (n,) each."""

    top: Tensor
    left: Tensor
    mirrored: Tensor


def draw_augmentation(
    seed: int, epoch: int, num_examples: int, padding: int, hflip_prob: float, device: torch.device
) -> Draws:
    """Every example's crop and flip in one epoch, whether or not the epoch comes to use it."""
    random = np.random.default_rng([seed, epoch, _AUGMENTATION])
    corners = random.integers(0, 2 * padding, size=(2, num_examples), endpoint=True)
    mirrored = random.random(num_examples) < hflip_prob
    top, left = torch.from_numpy(corners).to(device)
    return Draws(top, left, torch.from_numpy(mirrored).to(device))


class Augmenter:
    """Batches of normalised, randomly cropped and mirrored images.

    The images are padded once; all their crops are one strided view, so that a batch is a single gather.
    """

    def __init__(self, images: Images, dataset: Dataset, padding: int, hflip_prob: float) -> None:
        _, _, height, width = images.pixels.shape
        self._frames = pad(images.pixels, [padding] * 4) if padding else images.pixels
        # (n, channels, corners down, corners across, height, width)
        self._crops = self._frames.unfold(2, height, 1).unfold(3, width, 1) if padding else None
        self._normaliser = Normaliser(dataset, images.pixels.device)
        self._mirrors = hflip_prob > 0

    def batch(self, examples: Tensor, draws: Draws) -> Tensor:
        """The training images of `examples`, (b,) indices: (b, channels, height, width) float32."""
        pixels = self._cropped(examples, draws)
        return self._normaliser(_mirrored(pixels, draws.mirrored[examples]) if self._mirrors else pixels)

    def _cropped(self, examples: Tensor, draws: Draws) -> Tensor:
        if self._crops is None:
            return self._frames.index_select(0, examples)  # by whole images: six times as fast as by index
        return self._crops[examples, :, draws.top[examples], draws.left[examples]]


def _mirrored(pixels: Tensor, mirrored: Tensor) -> Tensor:
    """`pixels` (b, channels, height, width), each image mirrored where `mirrored`, (b,) bool, is true."""
    both = torch.cat((pixels, pixels.flip(3)))
    # By whole images again: torch.where takes twice as long as all of this.
    which = torch.arange(len(pixels), device=pixels.device) + len(pixels) * mirrored
    return both.index_select(0, which)


class Normaliser:
    """uint8 images -> float32, to mean 0 and standard deviation 1 over the training set, by channel."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self._mean = torch.tensor(dataset.pixel_mean, device=device).view(1, -1, 1, 1)
        self._sd = torch.tensor(dataset.pixel_sd, device=device).view(1, -1, 1, 1)

    def __call__(self, pixels: Tensor) -> Tensor:
        return pixels.float().sub_(self._mean).div_(self._sd)


class MemorySource:
    """Batches of images that live on the device."""

    def __init__(
        self, recipe: Recipe, dataset: Dataset, train: Images, evaluation: Images, group: Group = ALONE
    ) -> None:
        self._recipe = recipe
        self._group = group
        self._train = train
        self._evaluation = evaluation
        self._augmenter = Augmenter(train, dataset, recipe.random_crop_padding, recipe.hflip_prob)
        self._normaliser = Normaliser(dataset, self.device)
        # Fetched here, so that no epoch waits for the device.
        self._labels: Indices = train.labels.cpu().numpy().astype(np.int64)

    @property
    def device(self) -> torch.device:
        return self._train.pixels.device

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[Batch, None, None]:
        """As a Source does."""
        size = self._recipe.batch_size
        image_bytes = torch.float32.itemsize * self._train.pixels[0].numel()
        num_at_once = max(1, _BYTES_AT_ONCE // (size * image_bytes))
        for _, examples, draws in self.parts(seed, num_examples, start, stop, num_at_once):
            images, labels = self.batch(examples, draws)
            yield from zip(images.split(size), labels.split(size), strict=True)

    def parts(
        self, seed: int, num_examples: int, start: int, stop: int, num_at_once: int = 1
    ) -> Iterator[tuple[int, Tensor, Draws]]:
        """Of each of these batches, or of `num_at_once` that follow each other in an epoch, its epoch, its examples,
        (b,) indices, and the draws of its epoch.
        """
        size = self._recipe.batch_size
        for epoch, places in epochs_of(start, stop, steps_in_epoch(num_examples, examples_per_batch(self._recipe))):
            draws = self.draws(seed, epoch)
            examples = self.order(seed, epoch, num_examples)[places.start * size : places.stop * size]
            for part in examples.split(num_at_once * size):
                yield epoch, part, draws

    def warm_up_batch(self, seed: int, num_examples: int) -> Batch:
        """As a Source does."""
        examples = torch.arange(min(self._recipe.batch_size, num_examples), device=self.device)
        return self.batch(examples, self.draws(seed, 0))

    @property
    def num_evaluation_batches(self) -> int:
        """As a Source does."""
        return -(-len(self._evaluation) // _EVAL_BATCH_SIZE)

    def evaluation_batches(self) -> Iterator[Batch]:
        """As a Source does."""
        parts = (part.split(_EVAL_BATCH_SIZE) for part in (self._evaluation.pixels, self._evaluation.labels))
        for pixels, labels in zip(*parts, strict=True):
            yield self._normaliser(pixels), labels

    def order(self, seed: int, epoch: int, num_examples: int) -> Tensor:
        """The examples of an epoch in the order of training: (num_examples,) int64 on the device; of a group's
        processes this one's."""
        order = epoch_order(seed, epoch, num_examples, self._recipe.method, self._labels)
        return torch.from_numpy(self._group.own_part(order, self._recipe.batch_size)).to(self.device)

    def draws(self, seed: int, epoch: int) -> Draws:
        recipe = self._recipe
        return draw_augmentation(
            seed, epoch, len(self._train), recipe.random_crop_padding, recipe.hflip_prob, self.device
        )

    def batch(self, examples: Tensor, draws: Draws) -> Batch:
        """The training images and labels of `examples`, (b,) indices."""
        return self._augmenter.batch(examples, draws), self._train.labels[examples]
