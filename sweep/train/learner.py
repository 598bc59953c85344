"""A network while it learns: model and optimizer, and what the recipe's methods keep beside them.

It takes the values of a step and its batches, and knows neither a schedule nor where they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from sweep.train.averaging import Ema, Swa
from sweep.train.checkpoint import Part, State
from sweep.train.compiling import compiled
from sweep.train.freezing import Freezing
from sweep.train.generators import set_aside
from sweep.train.group import ALONE, Group
from sweep.train.optimizers import set_values
from sweep.train.precision import Precision
from sweep.train.trainable import Trainable


class Learner:
    """One optimizer step is `begin`, `learn` for each of its batches, and `update`. The processes of a `group` all do,
    each with batches of its own."""

    def __init__(self, task: Trainable, model: nn.Module, group: Group = ALONE) -> None:
        recipe = task.recipe
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model) if recipe.sync_bn else model
        self._task = task
        self._group = group
        self._channels_last = recipe.channels_last
        self.model = model.to(memory_format=torch.channels_last) if recipe.channels_last else model
        self.optimizer = task.build_optimizer(self.model)
        self.precision = Precision(recipe, task.device)
        self._together = None if group.is_alone else group.wrapped(self.model, task.device)
        self._forward: Callable[..., Any] = self._together or (compiled(self.model) if recipe.compile else self.model)
        self._freezing = Freezing(self.model) if recipe.layer_freezing else None
        self.ema: Ema | None = None
        self.swa: Swa | None = None

    def keep_averages(self, swa_steps: Iterable[int]) -> None:
        """Begin the averages that the recipe asks for: SWA's after the steps `swa_steps`."""
        recipe = self._task.recipe
        self.ema = Ema(recipe, self._task.num_train, self.model) if recipe.model_ema else None
        self.swa = Swa(self.model, swa_steps) if recipe.swa else None

    @property
    def parts(self) -> dict[str, Part]:
        """What has a state of its own, by name."""
        parts = {"ema": self.ema, "swa": self.swa, "scaler": self.precision.scaler}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def judged(self) -> nn.Module:
        """The network that is evaluated meanwhile: EMA's, once it has begun, else the one that learns."""
        return self.ema.module if self.ema and self.ema.count else self.model

    def capture(self, step: int) -> State:
        """The state after `step` steps; whole on rank 0 alone."""
        state = State.capture(step, self.model, self.optimizer, self._task.device, self.parts)
        return replace(state, other_generators=self._group.gathered(state.generators)[1:])

    def restore(self, state: State) -> None:
        state = state.of_rank(self._group.rank)
        state.restore(self.model, self.optimizer, self._task.device, self.parts)

    def begin(self, rate: float, momentum: float | None, frozen_share: float | None) -> None:
        """Take the values of a step; None: the optimizer's own momentum, and no layer is frozen."""
        set_values(self.optimizer, rate, momentum)
        if self._freezing and frozen_share is not None:
            self._freezing.freeze(frozen_share)
        self.optimizer.zero_grad(set_to_none=True)

    def learn(self, inputs: Any, targets: Any, share: float = 1.0, is_last: bool = True) -> Tensor:
        """Add the gradients of a batch that is `share` of the step's examples; returns its part of the step's loss.

        With the step's last batch the processes of a group add up theirs.
        """
        with self._adding_up(is_last):
            with self.precision.autocast():
                loss = self._task.loss(self._forward(self._laid_out(inputs)), targets)
            weight = share * self._group.size  # of the gradients of several processes torch takes the mean
            self.precision.backward(loss * weight if weight != 1 else loss)
        return loss.detach() * share  # a copy: a task may write over its own, before it is read

    def _adding_up(self, is_last: bool) -> AbstractContextManager[Any]:
        return nullcontext() if self._together is None or is_last else self._together.no_sync()

    @torch.no_grad()
    def rescale(self, factor: float) -> None:
        """Multiply the gradients that there are."""
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(factor)

    def update(self) -> None:
        """Change the weights by their gradients."""
        self.precision.update(self.model, self.optimizer)

    def average(self, steps_done: int) -> None:
        """Take the weights after a step into the averages that are due."""
        if self.ema:
            self.ema.after_step(steps_done, self.model)
        if self.swa:
            self.swa.after_step(steps_done, self.model)

    def evaluate(self, model: nn.Module, note_progress: Callable[[], None]) -> dict[str, float]:
        """What `model` is worth, in the precision of the training."""
        with self.precision.autocast():
            return self._task.evaluate(model, note_progress)

    @property
    def has_averaged(self) -> bool:
        """Whether SWA has taken in any weights: then it has a network to deploy."""
        return self.swa is not None and self.swa.count > 0

    def averaged(self, inputs: Iterable[Any]) -> nn.Module:
        """The network that SWA deploys, its BatchNorm statistics those of `inputs`."""
        assert self.swa is not None
        with set_aside(self._task.device), self.precision.autocast():
            deployed = self.swa.deployed(map(self._laid_out, inputs))
        self._group.average_statistics(deployed)
        return deployed

    def _laid_out(self, inputs: Any) -> Any:
        if self._channels_last and isinstance(inputs, Tensor) and inputs.dim() == 4:
            return inputs.contiguous(memory_format=torch.channels_last)
        return inputs
