"""The networks that recipes name: our small ones, torchvision's classification networks and timm's, without weights."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

from sweep.recipe.models import OWN, TIMM
from sweep.recipe.spelling import nearest

# What torchvision's networks are written for: their first convolution is the one that takes so many channels.
_RGB = 3
_OTHER = "take another model"


class UnknownModelError(ValueError):
    """There is no network of that name; `fix` says what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def build_model(name: str, in_channels: int, num_classes: int, seed: int, stem: str = "default") -> nn.Module:
    """The network called `name`, on the CPU, its weights drawn by `seed`: leaves torch's generators seeded by it.

    Raises:
        UnknownModelError: the torchvision or the timm that is installed has no such network, or there is no timm.
    """
    own: dict[str, Callable[[int, int], nn.Module]] = {"small_cnn": SmallCNN, "small_resnet": SmallResNet}
    assert tuple(own) == OWN
    torch.manual_seed(seed)
    if name in own:
        return own[name](in_channels, num_classes)
    if name.startswith(TIMM):
        return _build_timm(name.removeprefix(TIMM), in_channels, num_classes)
    return _build_torchvision(name, in_channels, num_classes, small_stem=stem == "small")


def _build_torchvision(name: str, in_channels: int, num_classes: int, small_stem: bool) -> nn.Module:
    import torchvision

    # Without the auxiliary classifiers these two have one output, in training too.
    settings = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise UnknownModelError(f"torchvision {torchvision.__version__} has no network {name!r}", _OTHER)
    with _first_convolution(in_channels, small_stem):
        model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=num_classes, **settings)
    if small_stem:
        _remove_first_pooling(model)
    return model


def _build_timm(name: str, in_channels: int, num_classes: int) -> nn.Module:
    try:
        import timm  # not everybody has it
    except ImportError as error:
        command = f"{shlex.quote(sys.executable)} -m pip install timm"
        raise UnknownModelError(f"timm cannot be imported ({error})", f"get it with: {command}") from error
    if not timm.is_model(name):
        message = f"timm {timm.__version__} has no network {name!r}{nearest(name, timm.list_models())}"
        raise UnknownModelError(message, _OTHER)
    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=num_classes, in_chans=in_channels)
    return model


@contextmanager
def _first_convolution(in_channels: int, small: bool) -> Iterator[None]:
    """The network that is built meanwhile gets another first convolution, where it needs one.

    It is replaced as it is registered, so that the network itself initialises it, as it does every layer.
    """
    is_built = False

    def replace(parent: nn.Module, name: str, layer: nn.Module | None) -> nn.Module | None:
        nonlocal is_built
        if is_built or not isinstance(layer, nn.Conv2d) or layer.in_channels != _RGB:
            return None
        is_built = True
        return _like(layer, in_channels, small) if small or in_channels != _RGB else None

    handle = register_module_module_registration_hook(replace)  # type: ignore[arg-type] # torch forgets what it returns
    try:
        yield
    finally:
        handle.remove()


def _like(layer: nn.Conv2d, in_channels: int, small: bool) -> nn.Conv2d:
    size: Any = 3 if small else layer.kernel_size
    stride: Any = 1 if small else layer.stride
    padding: Any = 1 if small else layer.padding
    return nn.Conv2d(in_channels, layer.out_channels, size, stride, padding, bias=layer.bias is not None)


def _remove_first_pooling(model: nn.Module) -> None:
    """The max-pooling of a ResNet's or a DenseNet's stem: small images have no pixels to spare."""
    from torchvision.models import DenseNet

    parent, name = (model.features, "pool0") if isinstance(model, DenseNet) else (model, "maxpool")
    assert isinstance(getattr(parent, name), nn.MaxPool2d)
    setattr(parent, name, nn.Identity())


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
