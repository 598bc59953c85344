"""What a loop needs to know of what it trains: model, data, loss, metric."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, AdamW, Optimizer

from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe
from sweep.train.data import (
    Augmenter,
    Draws,
    Images,
    Indices,
    Normaliser,
    draw_augmentation,
    epoch_order,
    load_images,
)
from sweep.train.models import build_model

# Chosen: large enough that evaluation costs no more than its arithmetic, small enough for a laptop's memory.
_EVAL_BATCH_SIZE = 1000


@dataclass(frozen=True)
class Data:
    """A dataset's two parts, loaded once a Worker and shared by all its Stages."""

    name: str
    train: Images
    evaluation: Images

    @classmethod
    def load(cls, name: str, data_path: Path, device: torch.device) -> Data:
        return cls(name, *load_images(DATASETS[name], data_path, device))


class ImageTask:
    """Classification of a recipe's images, judged by accuracy."""

    def __init__(self, recipe: Recipe, data: Data) -> None:
        self.recipe = recipe
        self.data = data
        self.device = data.train.pixels.device
        self._dataset = DATASETS[data.name]
        self._augmenter = Augmenter(data.train, self._dataset, recipe.random_crop_padding, recipe.hflip_prob)
        # Fetched here, so that no epoch waits for the device.
        self._labels: Indices = data.train.labels.cpu().numpy().astype(np.int64)

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

    def order(self, seed: int, epoch: int, num_examples: int) -> Tensor:
        """The examples of an epoch in the order of training: (num_examples,) int64 on the device."""
        order = epoch_order(seed, epoch, num_examples, self.recipe.method, self._labels)
        return torch.from_numpy(order).to(self.device)

    def draws(self, seed: int, epoch: int) -> Draws:
        recipe = self.recipe
        return draw_augmentation(
            seed, epoch, len(self.data.train), recipe.random_crop_padding, recipe.hflip_prob, self.device
        )

    def batch(self, examples: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Images (b, c, h, w) and labels (b,) of `examples`, (b,) indices."""
        return self._augmenter.batch(examples, draws), self.data.train.labels[examples]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)

    @torch.inference_mode()
    def evaluate(self, model: nn.Module) -> tuple[float, float]:
        """Accuracy in 0..1 and mean cross-entropy (without label smoothing) over all evaluation images.

        Leaves no trace: the model goes on in training mode, and no generator is drawn from.
        """
        images = self.data.evaluation
        normalise = Normaliser(self._dataset, self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        model.eval()
        for pixels, labels in zip(
            images.pixels.split(_EVAL_BATCH_SIZE), images.labels.split(_EVAL_BATCH_SIZE), strict=True
        ):
            logits = model(normalise(pixels))
            correct += (logits.argmax(1) == labels).sum()
            loss += cross_entropy(logits, labels, reduction="sum")
        model.train()
        return correct.item() / len(images), loss.item() / len(images)
