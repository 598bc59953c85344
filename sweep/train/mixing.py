"""mixup and cutmix: a batch mixed with itself, by the formulas of torchvision's transforms (v2).

Each image is mixed with the one before it in the batch, the first with the last; its label becomes what it is made of.
All that is drawn is a function of (seed, step, micro-batch).
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor
from torch.nn.functional import one_hot

from sweep.recipe.schema import Recipe

# Beside the random streams of the data: of an epoch, and of an example in one.
_MIXING = 16


class Mixing:
    """What a recipe asks for. With both, each batch is mixed by one of them, as likely by either."""

    def __init__(self, recipe: Recipe, num_classes: int) -> None:
        methods = ((self._mixup, recipe.mixup_alpha), (self._cutmix, recipe.cutmix_alpha))
        self._methods = [(method, alpha) for method, alpha in methods if alpha > 0]
        self._num_classes = num_classes

    def mix(self, images: Tensor, labels: Tensor, seed: int, step: int, part: int) -> tuple[Tensor, Tensor]:
        """The mixed images, and the share of each class in them: (b, classes). `part` is the micro-batch of the step.

        With `mixup` of lambda from Beta(alpha, alpha) an image is lambda of itself; with `cutmix` a random box of
        1 - lambda of its area, cut off at the edges, is the other one's.
        """
        random = np.random.default_rng([seed, step, _MIXING, part])
        method, alpha = self._methods[random.integers(len(self._methods))]
        shares = one_hot(labels, self._num_classes).to(images.dtype)
        mixed, own = method(images, float(random.beta(alpha, alpha)), random)
        return mixed, _blended(shares, own)

    def _mixup(self, images: Tensor, share: float, random: np.random.Generator) -> tuple[Tensor, float]:
        return _blended(images, share), share

    def _cutmix(self, images: Tensor, share: float, random: np.random.Generator) -> tuple[Tensor, float]:
        height, width = images.shape[-2:]
        x, y = int(random.integers(width)), int(random.integers(height))
        half = 0.5 * math.sqrt(1.0 - share)
        left, right = max(x - int(half * width), 0), min(x + int(half * width), width)
        top, bottom = max(y - int(half * height), 0), min(y + int(half * height), height)
        mixed = images.clone()
        mixed[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
        return mixed, 1.0 - (right - left) * (bottom - top) / (width * height)


def _blended(values: Tensor, share: float) -> Tensor:
    """`share` of each, and the rest of the one before it."""
    return values.roll(1, 0).mul_(1.0 - share).add_(values.mul(share))
