"""The arithmetic of a step: what it computes in, and how a loss becomes an update.

bf16 and fp16 are torch.autocast's, around the network and its loss, in training and in evaluation; weights and
optimizer stay in float32. The gradients of fp16 are scaled, so that small ones are not lost: a step whose scaled
gradients overflow changes no weight, and is a step still. To find that out, torch waits for the GPU once a step.

What `amp: auto` comes to is a function of the recipe and the machine: nothing is timed for it, so that all Workers of a
sweep, and all its later runs, choose alike.
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
from sweep.processor import bf16_instructions
from sweep.recipe.schema import Recipe
from sweep.store.records import ChosenPrecision
from sweep.train.blame import blame
from sweep.train.generators import set_aside
from sweep.train.memory import is_out_of_memory
from sweep.train.nested import num_examples
from sweep.train.trainable import Trainable

_DTYPES = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}
_PLAIN = nullcontext()
_FEW = 2
# Measured: with fewer for a batch, forward, casting costs what bfloat16 saves (docs/methods.md).
_FEWEST_FLOP = 1e8


def precision_problems(recipe: Recipe, device: torch.device) -> list[Problem]:
    """What keeps the recipe from computing on this device as it asks to."""
    if device.type == "mps" and recipe.amp in ("bf16", "fp16"):
        return [Problem(f"{recipe.amp} is not for mps, where training is in float32", key="amp", fix="take amp: none")]
    if device.type == "cpu" and recipe.amp == "fp16":
        return [Problem("fp16 trains on a GPU only", key="amp", fix="take amp: bf16, or a device that is a GPU")]
    return []


def choose_precision(task: Trainable) -> ChosenPrecision:
    """What `amp: auto` comes to for a task: bf16 where its device computes in that and its batches are large enough."""
    if task.device.type == "cuda":
        return _on_a_gpu(task.device)
    if task.device.type == "mps":
        return ChosenPrecision(amp="none", why="on mps training is in float32")
    instructions = bf16_instructions()
    if instructions is None:
        return ChosenPrecision(amp="none", why="the processor is not known to compute in bfloat16")
    try:
        flop = forward_flop(task)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return ChosenPrecision(amp="none", why=f"what the network computes cannot be counted ({blame(error)})")
    size = f"the network takes {flop / 1e9:.2g} GFLOP for a batch"
    if flop < _FEWEST_FLOP:
        return ChosenPrecision(amp="none", why=f"{size}, and below {_FEWEST_FLOP / 1e9:g} nothing is gained")
    return ChosenPrecision(amp="bf16", why=f"the processor computes in bfloat16 ({instructions}), and {size}")


def _on_a_gpu(device: torch.device) -> ChosenPrecision:
    name = torch.cuda.get_device_name(device)
    with torch.cuda.device(device):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return ChosenPrecision(amp="bf16", why=f"{name} computes in bfloat16")
    return ChosenPrecision(amp="none", why=f"{name} does not compute in bfloat16")


@torch.no_grad()
def forward_flop(task: Trainable) -> int:
    """The floating-point operations of a batch's way through the network in training, counted on a few examples.

    Not in evaluation: torch then puts a whole layer of a Transformer into one operation, which it does not count.
    """
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415 - a third of a second, and hardly ever needed

    recipe = task.recipe
    with set_aside(task.device):
        model = task.build_model(recipe.seed).train()
        inputs, targets = task.warm_up_batch(recipe.seed, _FEW)
        with FlopCounterMode(display=False) as counter:
            model(inputs)
    return int(counter.get_total_flops()) * recipe.batch_size // num_examples((inputs, targets))


class Precision:
    """The recipe's, which is not `auto`. `scaler` is that of fp16's gradients; its scale is part of a run's state."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self._kind = device.type
        self._dtype = _DTYPES[recipe.amp]
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
