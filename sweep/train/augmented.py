"""Images in memory that are changed one by one, by processes: for what cannot be done to a whole batch at once.

Crop and flip are those of `MemorySource`; what comes after them is a function of (seed, epoch, example) too.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms import v2

from sweep.recipe.dataset import Dataset
from sweep.recipe.schema import Recipe
from sweep.train.augment import Eraser, auto_augmentation
from sweep.train.data import Batch, Images, MemorySource
from sweep.train.decoding import Decoding, Example, seeded
from sweep.train.group import ALONE, Group

# The random stream of one image in one epoch, beside those of data.py and folder.py.
_CHANGES = 3

# Epoch and example; the top and left of its crop, and whether it is mirrored.
_Item = tuple[int, int, int, int, bool]


@dataclass(frozen=True)
class _Changer:
    """Cuts an image out of its padded frame, and changes it. `frames`: (n, channels, height, width) uint8."""

    frames: Tensor
    labels: Tensor
    size: tuple[int, int]
    changes: v2.Transform | None  # of a PIL image
    eraser: Eraser | None
    seed: int

    def __getitem__(self, item: Any) -> Example:
        epoch, example, top, left, is_mirrored = item
        height, width = self.size
        pixels = self.frames[example, :, top : top + height, left : left + width]
        pixels = pixels.flip(2) if is_mirrored else pixels
        with seeded(self.seed, epoch, _CHANGES, example):
            if self.changes is not None:
                # As a PIL image, which for one of 32x32 pixels is several times faster than as a tensor.
                pixels = v2.functional.pil_to_tensor(self.changes(v2.functional.to_pil_image(pixels)))
            label = int(self.labels[example])
            return (pixels, label, self.eraser.box(pixels)) if self.eraser else (pixels, label)


class AugmentedSource(MemorySource):
    """Batches of images that live in memory, with auto-augmentation and random erasing: see Source."""

    def __init__(
        self, recipe: Recipe, dataset: Dataset, train: Images, evaluation: Images, group: Group = ALONE
    ) -> None:
        super().__init__(recipe, dataset, train, evaluation, group)
        pixels = train.pixels.cpu()
        self._frames = pad(pixels, [recipe.random_crop_padding] * 4)
        self._size = (pixels.shape[2], pixels.shape[3])
        self._decoding = Decoding(recipe.workers, self._normaliser, self.device)

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[Batch, None, None]:
        """As a Source does. The processes start at once, and work ahead until they have two batches each."""
        changes = auto_augmentation(self._recipe.auto_augment)
        changer = _Changer(
            self._frames,
            self._train.labels.cpu(),
            self._size,
            changes[0] if changes else None,
            Eraser(self._recipe.random_erase) if self._recipe.random_erase else None,
            seed,
        )
        return self._decoding.once(changer, self._items(seed, num_examples, start, stop))

    def _items(self, seed: int, num_examples: int, start: int, stop: int) -> Iterator[list[_Item]]:
        """What each step's batch is made of."""
        for epoch, part, draws in self.parts(seed, num_examples, start, stop):
            columns = (part, draws.top[part], draws.left[part], draws.mirrored[part])
            rows = zip(*(column.tolist() for column in columns), strict=True)
            yield [(epoch, *row) for row in rows]
