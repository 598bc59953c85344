"""What happens to a single training image beside its crop and flip, by torchvision's own transforms: an automatic
augmentation of its pixels, and a rectangle that is erased.

All of it is drawn from torch's global generator: whoever calls it has seeded that for the image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

# Those of torchvision's reference script (presets.py), as are its magnitudes.
_INTERPOLATION = InterpolationMode.BILINEAR
_RANDAUGMENT_MAGNITUDE = 9
_AUGMIX_SEVERITY = 3


def auto_augmentation(name: str) -> list[v2.Transform]:
    """The recipe key `auto_augment` as the transforms that it stands for, of a PIL image: one, or none of them."""
    match name:
        case "none":
            return []
        case "ra":
            return [v2.RandAugment(magnitude=_RANDAUGMENT_MAGNITUDE, interpolation=_INTERPOLATION)]
        case "ta_wide":
            return [v2.TrivialAugmentWide(interpolation=_INTERPOLATION)]
        case "augmix":
            return [v2.AugMix(severity=_AUGMIX_SEVERITY, interpolation=_INTERPOLATION)]
    return [v2.AutoAugment(v2.AutoAugmentPolicy(name), interpolation=_INTERPOLATION)]


class Eraser:
    """Draws the rectangles of v2.RandomErasing, whose zero is put into the normalised image: see `erase`."""

    def __init__(self, probability: float) -> None:
        self._erasing = v2.RandomErasing(probability)

    def box(self, pixels: Tensor) -> Tensor:
        """Top, left, height and width of what is to be erased of an image (channels, height, width); else zeros."""
        if torch.rand(1) < self._erasing.p:
            found = self._erasing.make_params([pixels])
            if found["v"] is not None:
                return torch.tensor([found["i"], found["j"], found["h"], found["w"]])
        return torch.zeros(4, dtype=torch.int64)


def erase(images: Tensor, boxes: Tensor) -> Tensor:
    """`images` (b, channels, height, width), each with zeros in its own rectangle of `boxes`, (b, 4), in place."""
    height, width = images.shape[2:]
    down = _within(height, boxes[:, 0], boxes[:, 2])
    across = _within(width, boxes[:, 1], boxes[:, 3])
    return images.masked_fill_((down[:, :, None] & across[:, None, :])[:, None], 0.0)


def _within(length: int, first: Tensor, count: Tensor) -> Tensor:
    """(b, length): whether each position is one of the `count` from `first` on."""
    at = torch.arange(length, device=first.device)
    return (at >= first[:, None]) & (at < (first + count)[:, None])
