"""The recipe's optimizer over a network's parameters, and the values of a step set in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.optim import SGD, AdamW, Optimizer

from sweep.recipe.schema import Recipe

# torchvision's list, and RMSNorm, which its networks have none of.
_NORMALISATION = (_BatchNorm, nn.LayerNorm, nn.GroupNorm, _InstanceNorm, nn.LocalResponseNorm, nn.RMSNorm)


def build_optimizer(recipe: Recipe, model: nn.Module) -> Optimizer:
    """The recipe's optimizer over every parameter. foreach equals the plain loop bit for bit; fused does not."""
    parameters = _parameters(recipe, model)
    if recipe.opt == "adamw":
        return AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, foreach=True)
    return SGD(
        parameters,
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.opt == "sgd_nesterov",
        foreach=True,
    )


def _parameters(recipe: Recipe, model: nn.Module) -> Any:
    """All of them; with `norm_weight_decay` in two groups, those of normalisation layers with a decay of their own."""
    if recipe.norm_weight_decay is None:
        return model.parameters()
    normalising = {parameter for layer in _normalisations(model) for parameter in layer.parameters(recurse=False)}
    groups = (
        {"params": [p for p in model.parameters() if p not in normalising]},
        {"params": [p for p in model.parameters() if p in normalising], "weight_decay": recipe.norm_weight_decay},
    )
    return [group for group in groups if group["params"]]


def _normalisations(model: nn.Module) -> Iterator[nn.Module]:
    return (module for module in model.modules() if isinstance(module, _NORMALISATION))


def set_values(optimizer: Optimizer, rate: float, momentum: float | None) -> None:
    """Set a step's learning rate, times a group's own `lr_scale`, and its momentum, which for AdamW is its first beta.

    None: momentum is not scheduled.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)
        if momentum is not None:
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum
