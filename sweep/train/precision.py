"""The arithmetic of a step: what it computes in, and how a loss becomes an update.

bf16 and fp16 are torch.autocast's, around the network and its loss, in training and in evaluation; weights and
optimizer stay in float32. The gradients of fp16 are scaled, so that small ones are not lost: a step whose scaled
gradients overflow changes no weight, and is a step still. To find that out, torch waits for the GPU once a step.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from sweep.errors import Problem
from sweep.recipe.schema import Recipe

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_PLAIN = nullcontext()


def precision_problems(recipe: Recipe, device: torch.device) -> list[Problem]:
    """What keeps the recipe from computing on this device as it asks to."""
    if recipe.amp != "fp16" or device.type == "cuda":
        return []
    return [Problem("fp16 trains on a GPU only", key="amp", fix="take amp: bf16, or a device that is a GPU")]


class Precision:
    """The recipe's, on a device. `scaler` is that of fp16's gradients; its scale is part of a run's state."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self._kind = device.type
        self._dtype = _DTYPES.get(recipe.amp)
        self._max_norm = recipe.clip_grad_norm
        self.scaler = GradScaler(device.type) if recipe.amp == "fp16" else None

    def autocast(self) -> AbstractContextManager[Any]:
        """Within it a network, and its loss, are computed in this precision."""
        return _PLAIN if self._dtype is None else torch.autocast(self._kind, self._dtype)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss` to those that there are."""
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def update(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Change the weights by their gradients, whose norm is clipped where the recipe asks for it."""
        if self._max_norm is not None:
            if self.scaler is not None:
                self.scaler.unscale_(optimizer)
            # What the optimizer does not hold is neither emptied nor unscaled: its gradients are sums over all steps.
            held = {parameter for group in optimizer.param_groups for parameter in group["params"]}
            clip_grad_norm_([parameter for parameter in model.parameters() if parameter in held], self._max_norm)
        if self.scaler is None:
            optimizer.step()
        else:
            self.scaler.step(optimizer)
            self.scaler.update()
