"""The networks that recipes name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def build_model(name: str, in_channels: int, num_classes: int, seed: int) -> nn.Module:
    """The network called `name`, on the CPU, its weights drawn by `seed`: leaves torch's generators seeded by it."""
    builders: dict[str, Callable[[int, int], nn.Module]] = {
        "small_cnn": SmallCNN,
        "small_resnet": SmallResNet,
    }
    torch.manual_seed(seed)
    return builders[name](in_channels, num_classes)


def _conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


class SmallCNN(nn.Sequential):
    """Three convolutions of width 16 with BatchNorm, for images of 8x8 pixels. (b, c, h, w) -> (b, classes)."""

    def __init__(self, in_channels: int, num_classes: int, width: int = 16) -> None:
        super().__init__(
            _conv(in_channels, width),
            _conv(width, width),
            _conv(width, width, stride=2),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * width, num_classes),
        )


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(images + self.body(images))


class SmallResNet(nn.Sequential):
    """About 29,500 parameters, for images of 28x28 pixels. (b, c, h, w) -> (b, classes)."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(
            _conv(in_channels, 8),
            _conv(8, 16, stride=2),
            _Residual(16),
            _conv(16, 32, stride=2),
            _Residual(32),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, num_classes),
        )
