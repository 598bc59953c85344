"""What a loop needs to know of what it trains: model, data, loss, metric."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, AdamW, Optimizer

from sweep.errors import Problem
from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe
from sweep.train.data import Batch, Images, MemorySource, Source, load_images
from sweep.train.folder import FolderSource, ImageFiles, find_image_files
from sweep.train.memory import is_out_of_memory
from sweep.train.models import build_model


@dataclass(frozen=True)
class Data:
    """A dataset's two parts, once a Worker loaded (image files: found), and shared by all its Stages."""

    name: str
    train: Images | ImageFiles
    evaluation: Images | ImageFiles
    device: torch.device

    @classmethod
    def load(cls, name: str, data_path: Path, device: torch.device) -> Data:
        dataset = DATASETS[name]
        if dataset.image_files:
            return cls(name, *find_image_files(data_path), device)
        return cls(name, *load_images(dataset, data_path, device), device)

    def source(self, recipe: Recipe) -> Source:
        dataset = DATASETS[self.name]
        if isinstance(self.train, ImageFiles) and isinstance(self.evaluation, ImageFiles):
            return FolderSource(recipe, dataset, self.train, self.evaluation, self.device)
        assert isinstance(self.train, Images)
        assert isinstance(self.evaluation, Images)
        return MemorySource(recipe, dataset, self.train, self.evaluation)


def model_problem(recipe: Recipe) -> Problem | None:
    """What keeps the recipe's network from classifying its images, found with a forward pass on two of their size."""
    try:
        for height, width in _sizes(recipe):
            _classify_nothing(recipe, height, width)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        size = "x".join(map(str, (DATASETS[recipe.dataset].shape[0], height, width)))
        why = str(error).strip().partition("\n")[0]
        message = f"{recipe.model} does not take images of {size} ({type(error).__name__}: {why})"
        return Problem(message, key="model", fix="take another model, or images of another size")
    return None


def _sizes(recipe: Recipe) -> list[tuple[int, int]]:
    """The heights and widths of what is trained and evaluated on."""
    dataset = DATASETS[recipe.dataset]
    if not dataset.image_files:
        return [dataset.shape[1:]]
    return [(side, side) for side in dict.fromkeys((recipe.train_crop_size, recipe.val_crop_size))]


@torch.inference_mode()
def _classify_nothing(recipe: Recipe, height: int, width: int) -> None:
    dataset = DATASETS[recipe.dataset]
    logits = _build_model(recipe, recipe.seed).eval()(torch.zeros(2, dataset.shape[0], height, width))
    if logits.shape != (2, dataset.num_classes):
        raise ValueError(f"it gives {tuple(logits.shape)} for 2 images of {dataset.num_classes} classes")


def _build_model(recipe: Recipe, seed: int) -> nn.Module:
    dataset = DATASETS[recipe.dataset]
    return build_model(recipe.model, dataset.shape[0], dataset.num_classes, seed, recipe.stem)


class ImageTask:
    """Classification of a recipe's images, judged by accuracy."""

    def __init__(self, recipe: Recipe, data: Data) -> None:
        self.recipe = recipe
        self.source = data.source(recipe)
        self.device = self.source.device

    def build_model(self, seed: int) -> nn.Module:
        """The recipe's network on the device, its weights drawn by `seed`."""
        return _build_model(self.recipe, seed).to(self.device)

    def build_optimizer(self, model: nn.Module) -> Optimizer:
        """The recipe's optimizer over every parameter. foreach equals the plain loop bit for bit; fused does not."""
        recipe = self.recipe
        if recipe.opt == "adamw":
            return AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, foreach=True)
        return SGD(
            model.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.opt == "sgd_nesterov",
            foreach=True,
        )

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[Batch, None, None]:
        """The batches of steps `start` … `stop - 1`: see Source."""
        return self.source.batches(seed, num_examples, start, stop)

    def warm_up_batch(self, seed: int, num_examples: int) -> Batch:
        """A batch to warm up on: see Source."""
        return self.source.warm_up_batch(seed, num_examples)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, note_progress: Callable[[], None] = lambda: None) -> tuple[float, float]:
        """Accuracy in 0..1 and mean cross-entropy (without label smoothing) over all evaluation images.

        Calls `note_progress` after every batch. Leaves no trace: the model goes on in training mode, and no generator
        is drawn from.
        """
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        num_images = 0
        model.eval()
        for images, labels in self.source.evaluation_batches():
            logits = model(images)
            correct += (logits.argmax(1) == labels).sum()
            loss += cross_entropy(logits, labels, reduction="sum")
            num_images += len(labels)
            note_progress()
        model.train()
        return correct.item() / num_images, loss.item() / num_images
