"""A task of the user's own: `sweep.Task`, and how the loop sees it."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sweep.errors import SweepError
from sweep.recipe.schema import Recipe
from sweep.train.device import sum_dtype
from sweep.train.feeds import make_feed
from sweep.train.generators import set_aside
from sweep.train.group import ALONE, Group
from sweep.train.nested import num_examples
from sweep.train.optimizers import build_optimizer
from sweep.train.prefetch import prefetched
from sweep.train.trainable import AnyBatch


@dataclass(frozen=True)
class Task:
    """What a function named by a recipe's `task` returns: what is trained, on what, and how it is judged.

    `model` gives the network anew, on the CPU; it is called with torch's, numpy's and Python's generators seeded, so
    that each seed has weights of its own.

    `train_data` and `eval_data` are each `(inputs, targets)`, two tensors (or dicts or lists of tensors) with an
    example a row; or a map-style Dataset of such pairs; or a function that makes a DataLoader of such batches: of
    training `(seed, epoch)`, of evaluation without arguments, where a DataLoader itself will do as well.
    `collate_fn` makes a batch of a Dataset's examples, torch's own unless given.

    `loss` takes the model's outputs and the targets and gives the mean over a batch, which is trained on and, over all
    of `eval_data`, the metric `loss`. `metrics` are functions of the same two that give the mean of each further metric
    over a batch, by name; one called `accuracy` is a share in 0..1.

    `optimizer` makes the optimizer of a model; without it the recipe's keys do. The recipe's rates are set in all its
    groups, times a group's `lr_scale` where it has one.
    """

    model: Callable[[], nn.Module]
    train_data: Any
    eval_data: Any
    loss: Callable[[Any, Any], Tensor]
    metrics: Mapping[str, Callable[[Any, Any], Any]] = field(default_factory=dict)
    optimizer: Callable[[nn.Module], Optimizer] | None = None
    collate_fn: Callable[[list[Any]], Any] | None = None


class UserTask:
    """A Task on a device, as the loop sees it: see Trainable. Nothing that it calls may have a problem: see
    task_checks.

    Raises:
        SweepError: its loaders cannot be made, or have no length.
    """

    def __init__(self, recipe: Recipe, task: Task, device: torch.device, group: Group = ALONE) -> None:
        self.recipe = recipe
        self.task = task
        self.device = device
        self.num_classes: int | None = None  # its targets may be anything
        self.train = make_feed("train_data", task.train_data, recipe, task.collate_fn, device, group)
        self.evaluation = make_feed("eval_data", task.eval_data, recipe, task.collate_fn, device)

    @property
    def num_train(self) -> int:
        """How many examples an epoch of the whole training data has; of loaders as many as fill their batches."""
        return self.train.num_examples

    def build_model(self, seed: int) -> nn.Module:
        """The network on the device, its weights drawn by `seed`: leaves torch's generators seeded by it."""
        with set_aside():
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            model = self.task.model().to(self.device)
        torch.manual_seed(seed)
        return model

    def build_optimizer(self, model: nn.Module) -> Optimizer:
        """The task's optimizer, or the recipe's."""
        return self.task.optimizer(model) if self.task.optimizer else build_optimizer(self.recipe, model)

    def batches(self, seed: int, num_examples: int, start: int, stop: int) -> Generator[AnyBatch, None, None]:
        """As a Trainable does."""
        return prefetched(self.train.batches(seed, num_examples, start, stop), self.device)

    def warm_up_batch(self, seed: int, num_examples: int) -> AnyBatch:
        """As a Trainable does: of the first examples."""
        return self.train.first(min(self.recipe.batch_size, num_examples))

    def loss(self, outputs: Any, targets: Any) -> Tensor:
        """As a Trainable does."""
        return self.task.loss(outputs, targets)

    @property
    def num_evaluation_batches(self) -> int | None:
        """As a Trainable does: of loaders it is not known."""
        return -(-self.evaluation.num_examples // self.recipe.batch_size) or None

    @torch.no_grad()  # not inference_mode: a Dataset may keep what it has made here for the training
    def evaluate(self, model: nn.Module, note_progress: Callable[[], None] = lambda: None) -> dict[str, float]:
        """As a Trainable does: loss and metrics, each the mean over its batches, weighted by their examples.

        Raises:
            SweepError: an accuracy is not in 0..1.
        """
        functions = {"loss": self.task.loss, **self.task.metrics}
        dtype = sum_dtype(self.device)
        totals = {name: torch.zeros((), dtype=dtype, device=self.device) for name in functions}
        count = 0
        with set_aside(self.device):
            model.eval()
            for inputs, targets in prefetched(self.evaluation.in_order(), self.device):
                outputs, size = model(inputs), num_examples((inputs, targets))
                for name, function in functions.items():
                    value = torch.as_tensor(function(outputs, targets)).detach()
                    totals[name] += size * value.to(dtype).to(self.device)
                count += size
                note_progress()
            model.train()
        return _checked({name: total.item() / count if count else float("nan") for name, total in totals.items()})


def _checked(values: dict[str, float]) -> dict[str, float]:
    accuracy = values.get("accuracy", 0.0)
    if not -1e-9 <= accuracy <= 1 + 1e-9 and np.isfinite(values["loss"]):
        raise SweepError(f"the metric accuracy is {accuracy:g}: it is a share in 0..1, or has another name")
    return values | {"accuracy": min(max(accuracy, 0.0), 1.0)} if "accuracy" in values else values
