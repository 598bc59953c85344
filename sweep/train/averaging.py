"""An average of a network's weights over its steps, kept in a network of its own: that of EMA, and that of SWA."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from sweep.plan.lengths import baseline_warmup_steps, examples_per_step, steps_in_epoch
from sweep.recipe.duration import Unit
from sweep.recipe.schema import Recipe


class Average:
    """Of a network's parameters and, with `buffers`, its buffers; what is not averaged, whole numbers too, is copied.

    `module` is the network that holds it, and `count` how many times it was updated: the first time is a copy.
    """

    def __init__(self, model: nn.Module, buffers: bool) -> None:
        self.module = copy.deepcopy(model).requires_grad_(False)
        self.count = 0
        self._buffers = buffers

    @torch.no_grad()
    def update(self, model: nn.Module, weight: float) -> None:
        """Move the average towards `model`, by `weight` of the way."""
        moved: list[Tensor] = []
        towards: list[Tensor] = []
        for mine, its in zip(_tensors(self.module), _tensors(model), strict=True):
            if self.count > 0 and weight < 1 and self._averages(mine):
                moved.append(mine)
                towards.append(its)
            else:
                mine.copy_(its)
        if moved:
            torch._foreach_lerp_(moved, towards, weight)
        self.count += 1

    def _averages(self, tensor: Tensor) -> bool:
        return tensor.is_floating_point() and (self._buffers or isinstance(tensor, nn.Parameter))

    def state_dict(self) -> dict[str, Any]:
        """One that has not begun has nothing to keep."""
        return {"count": self.count, "module": self.module.state_dict() if self.count else {}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]
        if self.count:
            self.module.load_state_dict(state["module"])


def _tensors(model: nn.Module) -> Iterable[Tensor]:
    return chain(model.parameters(), model.buffers())


class Ema(Average):
    """The exponential moving average of weights and buffers that torchvision's reference script keeps (model_ema).

    Updated after every `model_ema_steps`-th step. Of each update it takes alpha = (1 - model_ema_decay) x batch_size x
    model_ema_steps / epochs, at most 1: by the baseline's epochs, whatever the run's. Until the baseline's warm-up is
    over it is a copy.
    """

    def __init__(self, recipe: Recipe, num_train: int, model: nn.Module) -> None:
        super().__init__(model, buffers=True)
        self._interval = recipe.model_ema_steps
        steps_per_epoch = steps_in_epoch(num_train, examples_per_step(recipe))
        epochs = recipe.epochs.amount / (steps_per_epoch if recipe.epochs.unit is Unit.STEP else 1)
        adjust = examples_per_step(recipe) * self._interval / float(epochs)
        self._alpha = min(1.0, (1.0 - recipe.model_ema_decay) * adjust)
        self._warmup_steps = baseline_warmup_steps(recipe, num_train)

    def after_step(self, steps_done: int, model: nn.Module) -> None:
        """Take in the weights after a step, if it is one of those."""
        if steps_done % self._interval == 0:
            # torchvision begins anew with each update of the warm-up, so that the first one behind it is a copy too.
            is_copy = steps_done - self._interval <= self._warmup_steps
            self.update(model, 1.0 if is_copy else self._alpha)


class Swa(Average):
    """The average of the weights after chosen steps, each of which counts the same (SWA, arXiv 1803.05407)."""

    def __init__(self, model: nn.Module, steps: Iterable[int]) -> None:
        super().__init__(model, buffers=False)
        self._steps = frozenset(steps)

    def after_step(self, steps_done: int, model: nn.Module) -> None:
        """Take in the weights after a step, if it is one of those."""
        if steps_done in self._steps:
            self.update(model, 1 / (self.count + 1))

    def deployed(self, inputs: Iterable[Any]) -> nn.Module:
        """A copy of the network whose BatchNorm statistics are those of its own activations on `inputs`, batches of
        training data: those of the weights that were averaged fit none of them. Reads none where there is no BatchNorm.
        """
        model = copy.deepcopy(self.module)
        update_bn(((batch,) for batch in inputs), model)
        return model
