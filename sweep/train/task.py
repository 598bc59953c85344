"""What a loop needs to know of what it trains: model, data, loss, metric."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from sweep.errors import Problem
from sweep.plan.lengths import batches_before
from sweep.plan.methods import first_side
from sweep.recipe.dataset import Dataset
from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe
from sweep.train.data import Batch, Images, MemorySource, Source
from sweep.train.device import sum_dtype
from sweep.train.group import ALONE, Group
from sweep.train.loading import load_images
from sweep.train.memory import is_out_of_memory
from sweep.train.models import UnknownModelError, build_model
from sweep.train.optimizers import build_optimizer

if TYPE_CHECKING:  # what decodes and changes single images needs torchvision, which takes a while to import
    from sweep.train.folder import ImageFiles


@dataclass(frozen=True)
class Data:
    """A dataset's two parts, once a Worker loaded (image files: found), and shared by all its Stages."""

    dataset: Dataset  # with its numbers
    train: Images | ImageFiles
    evaluation: Images | ImageFiles
    device: torch.device

    @classmethod
    def load(cls, name: str, data_path: Path, device: torch.device) -> Data:
        dataset = DATASETS[name]
        if not dataset.image_files:
            return cls(dataset, *load_images(dataset, data_path, device), device)
        from sweep.train.folder import find_image_files

        train, evaluation = find_image_files(dataset, data_path)
        if dataset.is_open:
            dataset = replace(
                dataset, num_train=len(train), num_eval=len(evaluation), num_classes=int(train.labels.max()) + 1
            )
        return cls(dataset, train, evaluation, device)

    @classmethod
    def made_up(cls, name: str, folder: Path, device: torch.device) -> Data:
        """Random images in place of a known dataset's; those of files are written to `folder`."""
        from sweep.train.made_up import made_up_images, write_files

        dataset = DATASETS[name]
        assert dataset.num_train is not None
        assert dataset.num_eval is not None
        parts = dataset.num_train, dataset.num_eval
        if not dataset.image_files:
            train, evaluation = (made_up_images(dataset, number, device) for number in parts)
            return cls(dataset, train, evaluation, device)
        from sweep.train.folder import repeated

        names = write_files(folder)
        files, others = (repeated(dataset, folder, names, number) for number in parts)
        return cls(dataset, files, others, device)

    @property
    def sha256(self) -> str | None:
        """What tells the images of a user's folders from others; the published datasets are checked by other means."""
        if not DATASETS[self.dataset.name].is_open:
            return None
        assert not isinstance(self.train, Images)
        assert not isinstance(self.evaluation, Images)
        return hashlib.sha256(self.train.listing + self.evaluation.listing).hexdigest()

    def source(self, recipe: Recipe, group: Group) -> Source:
        if isinstance(self.train, Images) and isinstance(self.evaluation, Images):
            return _memory_source(recipe, self.dataset, self.train, self.evaluation, group)
        from sweep.train.folder import FolderSource

        assert not isinstance(self.train, Images)
        assert not isinstance(self.evaluation, Images)
        return FolderSource(recipe, self.dataset, self.train, self.evaluation, self.device, group)


def _memory_source(recipe: Recipe, dataset: Dataset, train: Images, evaluation: Images, group: Group) -> Source:
    if recipe.auto_augment == "none" and not recipe.random_erase:
        return MemorySource(recipe, dataset, train, evaluation, group)
    from sweep.train.augmented import AugmentedSource

    return AugmentedSource(recipe, dataset, train, evaluation, group)


def model_problem(recipe: Recipe) -> Problem | None:
    """What keeps the recipe's network from classifying its images, found with a forward pass on two of their size."""
    dataset = DATASETS[recipe.builtin_dataset].counted(Path(recipe.data_path))
    if not dataset.num_classes:
        return None  # of images that are not there nothing can be said
    try:
        for height, width in _sizes(recipe, dataset):
            _classify_nothing(recipe, dataset, height, width)
    except UnknownModelError as error:
        return Problem(str(error), key="model", fix=error.fix)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        size = "x".join(map(str, (dataset.shape[0], height, width)))
        why = str(error).strip().partition("\n")[0]
        message = f"{recipe.model} does not take images of {size} ({type(error).__name__}: {why})"
        return Problem(message, key="model", fix="take another model, or images of another size")
    return None


def _sizes(recipe: Recipe, dataset: Dataset) -> list[tuple[int, int]]:
    """The heights and widths of what is trained and evaluated on."""
    whole = [dataset.shape[1:]]
    if dataset.image_files:
        whole = [(side, side) for side in dict.fromkeys((recipe.train_crop_size, recipe.val_crop_size))]
    return [*whole, (first_side(recipe), first_side(recipe))] if recipe.progressive_resizing else whole


@torch.inference_mode()
def _classify_nothing(recipe: Recipe, dataset: Dataset, height: int, width: int) -> None:
    logits = _build_model(recipe, dataset, recipe.seed).eval()(torch.zeros(2, dataset.shape[0], height, width))
    if logits.shape != (2, dataset.classes):
        raise ValueError(f"it gives {tuple(logits.shape)} for 2 images of {dataset.classes} classes")


def _build_model(recipe: Recipe, dataset: Dataset, seed: int) -> nn.Module:
    return build_model(recipe.builtin_model, dataset.shape[0], dataset.classes, seed, recipe.stem)


class ImageTask:
    """Classification of a recipe's images, judged by accuracy. Of a `group` each process has its part of them."""

    def __init__(self, recipe: Recipe, data: Data, group: Group = ALONE) -> None:
        self.recipe = recipe
        self.dataset = data.dataset
        self.source = data.source(recipe, group)
        self.device = self.source.device
        self.num_train = len(data.train)
        self.num_classes: int | None = data.dataset.num_classes

    def build_model(self, seed: int) -> nn.Module:
        """The recipe's network on the device, its weights drawn by `seed`."""
        return _build_model(self.recipe, self.dataset, seed).to(self.device)

    def build_optimizer(self, model: nn.Module) -> Optimizer:
        """The recipe's optimizer over every parameter."""
        return build_optimizer(self.recipe, model)

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[Batch, None, None]:
        """As a Trainable does."""
        first, last = (batches_before(self.recipe, num_examples, step) for step in (start, stop))
        return self.source.batches(seed, num_examples, first, last)

    def warm_up_batch(self, seed: int, num_examples: int) -> Batch:
        """A batch to warm up on: see Source."""
        return self.source.warm_up_batch(seed, num_examples)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)

    @property
    def num_evaluation_batches(self) -> int:
        """As a Trainable does."""
        return self.source.num_evaluation_batches

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, note_progress: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Accuracy in 0..1 and mean cross-entropy (without label smoothing) over all evaluation images.

        Calls `note_progress` after every batch. Leaves no trace: the model goes on in training mode, and no generator
        is drawn from.
        """
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        loss = torch.zeros((), dtype=sum_dtype(self.device), device=self.device)
        num_images = 0
        model.eval()
        for images, labels in self.source.evaluation_batches():
            logits = model(images)
            correct += (logits.argmax(1) == labels).sum()
            loss += cross_entropy(logits, labels, reduction="sum")
            num_images += len(labels)
            note_progress()
        model.train()
        return {"accuracy": correct.item() / num_images, "loss": loss.item() / num_images}
