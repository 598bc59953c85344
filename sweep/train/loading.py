"""Load a dataset that fits into memory: its images as uint8, and their labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.recipe.data_files import read_content
from sweep.recipe.dataset import Dataset
from sweep.train.data import Images, Indices, rank_in_class

# Pixels (n, channels, height, width) uint8 and labels (n,).
_Part = tuple[Tensor, Tensor]
_Loader = Callable[[Path], tuple[_Part, _Part]]


def load_images(dataset: Dataset, data_path: Path, device: torch.device) -> tuple[Images, Images]:
    """The training and the evaluation images of a dataset whose files are whole."""
    root = dataset.root(data_path)
    assert root is not None
    loaders: dict[str, _Loader] = {
        "digits": lambda path: _load_digits(root / dataset.files[0].path),
        "MNIST": lambda path: _load_idx(root, ""),
        "FashionMNIST": lambda path: _load_idx(root, ""),
        # From the archives: what torchvision has unpacked beside them has no published checksum.
        "KMNIST": lambda path: _load_idx(root, ".gz"),
        "CIFAR10": lambda path: _load_cifar("CIFAR10", path),
        "CIFAR100": lambda path: _load_cifar("CIFAR100", path),
        "SVHN": _load_svhn,
        "STL10": lambda path: _load_stl10(path / "stl10_binary"),
    }
    train, evaluation = loaders[dataset.name](data_path)
    return _on_device(*train, device), _on_device(*evaluation, device)


def _on_device(pixels: Tensor, labels: Tensor, device: torch.device) -> Images:
    return Images(pixels.to(device), labels.to(device, torch.int64))


def _load_digits(file: Path) -> tuple[_Part, _Part]:
    """A line is the pixels of an image and its label. scikit-learn itself would take half a second to import."""
    values = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    held_out = every_fifth(values[:, -1].astype(np.int64))
    pixels = torch.from_numpy(values[:, :-1].reshape(-1, 1, 8, 8).copy())
    labels = torch.from_numpy(values[:, -1].copy())
    mask = torch.from_numpy(held_out)
    return (pixels[~mask], labels[~mask]), (pixels[mask], labels[mask])


def every_fifth(labels: Indices) -> NDArray[np.bool_]:
    """The stated split of `digits`: True for the fifth, tenth, … image of each class, in the order of the file."""
    held_out: NDArray[np.bool_] = rank_in_class(labels) % 5 == 4
    return held_out


def _load_idx(raw: Path, suffix: str) -> tuple[_Part, _Part]:
    train, evaluation = (
        (
            _read_idx(raw / f"{part}-images-idx3-ubyte{suffix}").unsqueeze(1),
            _read_idx(raw / f"{part}-labels-idx1-ubyte{suffix}"),
        )
        for part in ("train", "t10k")
    )
    return train, evaluation


def _read_idx(path: Path) -> Tensor:
    """Two zero bytes, 8 for uint8, the number of axes, each axis's size in four bytes, and the values."""
    content = read_content(path)
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, offset=4).tolist()
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape).copy())


def _load_cifar(name: str, data_path: Path) -> tuple[_Part, _Part]:
    from torchvision import datasets

    kind = getattr(datasets, name)
    train, evaluation = (kind(data_path, train=part) for part in (True, False))
    return _channels_first(train.data, train.targets), _channels_first(evaluation.data, evaluation.targets)


def _channels_first(pixels: NDArray[np.uint8], labels: list[int]) -> _Part:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def _load_svhn(data_path: Path) -> tuple[_Part, _Part]:
    from torchvision import datasets

    train, evaluation = (datasets.SVHN(data_path, split=part) for part in ("train", "test"))
    return _contiguous(train.data, train.labels), _contiguous(evaluation.data, evaluation.labels)


def _load_stl10(folder: Path) -> tuple[_Part, _Part]:
    """The labelled images alone: torchvision's class wants the 2.7 GB of unlabelled ones to be there as well.

    An image is stored column by column, and labels count from one.
    """
    train, evaluation = (
        _contiguous(
            np.fromfile(folder / f"{part}_X.bin", np.uint8).reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2),
            np.fromfile(folder / f"{part}_y.bin", np.uint8).astype(np.int64) - 1,
        )
        for part in ("train", "test")
    )
    return train, evaluation


def _contiguous(pixels: NDArray[np.uint8], labels: Indices) -> _Part:
    return torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels)
