"""What the loop needs to know of what it trains: model, optimizer, batches, loss, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sweep.recipe.schema import Recipe

# What the model takes, and what the loss compares its outputs with; on the device.
AnyBatch = tuple[Any, Any]


class Trainable(Protocol):
    """A task as the loop sees it: the built-in one of images, or a user's own.

    Whatever a step does depends on (recipe, seed, step) alone, and on the generators that a State holds.
    """

    recipe: Recipe
    device: torch.device

    @property
    def num_train(self) -> int:
        """How many examples there are to train on."""
        ...

    @property
    def num_classes(self) -> int | None:
        """How many classes targets are indices of; None where they are something else, and are not mixed."""
        ...

    def build_model(self, seed: int) -> nn.Module:
        """The network on the device, its weights drawn by `seed`."""
        ...

    def build_optimizer(self, model: nn.Module) -> Optimizer: ...

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[AnyBatch, None, None]:
        """The batches of steps `start` … `stop - 1`, of epochs that draw `num_examples` each.

        A step takes `gradient_accumulation_steps` batches of `batch_size` examples, or what is left of its epoch.

        The waiting is in `next`; `close` gives up whatever was under way.
        """
        ...

    def warm_up_batch(self, seed: int, num_examples: int) -> AnyBatch:
        """A batch as large as any that is trained; what is in it does not matter."""
        ...

    def loss(self, outputs: Any, targets: Any) -> Tensor:
        """The mean loss of a batch, a scalar."""
        ...

    @property
    def num_evaluation_batches(self) -> int | None:
        """How many batches an evaluation takes; None where that is not known beforehand."""
        ...

    def evaluate(self, model: nn.Module, note_progress: Callable[[], None]) -> dict[str, float]:
        """What the model is worth on all evaluation examples, by name; always "loss", which need not be finite.

        Calls `note_progress` after every batch. Leaves no trace: the model goes on in training mode, and no generator
        is drawn from.
        """
        ...
