"""Training images made smaller on the device, behind their augmentation (progressive resizing)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate


def resized(images: Tensor, side: int) -> Tensor:
    """Images whose shorter side is `side` pixels, the other one in proportion. (b, c, height, width) -> (b, c, …)."""
    height, width = images.shape[-2:]
    shorter = min(height, width)
    if side == shorter:
        return images
    size = [max(1, round(length * side / shorter)) for length in (height, width)]
    return interpolate(images, size, mode="bilinear", antialias=True)
