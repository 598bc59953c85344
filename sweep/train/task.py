"""What a loop needs to know of what it trains: model, data, loss, metric."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, AdamW, Optimizer

from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe
from sweep.train.data import Batch, Images, MemorySource, Source, load_images
from sweep.train.models import build_model


@dataclass(frozen=True)
class Data:
    """A dataset's two parts, loaded once a Worker and shared by all its Stages."""

    name: str
    train: Images
    evaluation: Images

    @classmethod
    def load(cls, name: str, data_path: Path, device: torch.device) -> Data:
        return cls(name, *load_images(DATASETS[name], data_path, device))

    def source(self, recipe: Recipe) -> Source:
        return MemorySource(recipe, DATASETS[self.name], self.train, self.evaluation)


class ImageTask:
    """Classification of a recipe's images, judged by accuracy."""

    def __init__(self, recipe: Recipe, data: Data) -> None:
        self.recipe = recipe
        self.source = data.source(recipe)
        self.device = self.source.device
        self._dataset = DATASETS[data.name]

    def build_model(self, seed: int) -> nn.Module:
        channels = self._dataset.shape[0]
        return build_model(self.recipe.model, channels, self._dataset.num_classes, seed).to(self.device)

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
    def evaluate(self, model: nn.Module) -> tuple[float, float]:
        """Accuracy in 0..1 and mean cross-entropy (without label smoothing) over all evaluation images.

        Leaves no trace: the model goes on in training mode, and no generator is drawn from.
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
        model.train()
        return correct.item() / num_images, loss.item() / num_images
