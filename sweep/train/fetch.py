"""Get a dataset's files: from a package of the system where one is installed, else by download through torchvision.

torchvision is imported only where it downloads.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from sweep.errors import MachineError, Problem
from sweep.recipe.datasets import Dataset, read_content
from sweep.store.durable import make_folder, write_bytes


def fetch(dataset: Dataset, data_path: Path) -> str:
    """Put the files under `data_path`, and check them; says in a few words where they came from.

    Raises:
        MachineError: they cannot be had or written, or are not whole.
    """
    problems = dataset.problems(data_path)
    if not problems:
        return "is there already"
    if not dataset.is_in_torchvision:
        raise MachineError(problems)
    if _unpack(dataset, data_path) and not dataset.problems(data_path):
        assert dataset.package is not None
        return f"taken from {dataset.package.folder}"
    _download(dataset, data_path)
    if problems := dataset.problems(data_path):
        raise MachineError(problems)
    return "downloaded"


def _unpack(dataset: Dataset, data_path: Path) -> bool:
    """Take the files from a package of the system; False where it is not installed, or damaged."""
    root = dataset.root(data_path)
    if dataset.package is None or root is None or not dataset.package.folder.is_dir():
        return False
    make_folder(root)
    for file in dataset.files:
        try:
            content = read_content(dataset.package.folder / f"{file.path}.gz")
        except (OSError, EOFError, zlib.error):
            return False
        write_bytes(root / file.path, content)
    return True


def _download(dataset: Dataset, data_path: Path) -> None:
    from torchvision import datasets  # noqa: PLC0415 - seconds that only a download needs

    make_folder(data_path)
    try:
        for train in (True, False):
            getattr(datasets, dataset.name)(data_path, train=train, download=True)
    except (OSError, EOFError, RuntimeError) as error:  # torchvision raises any of them without a network
        message = f"dataset {dataset.name} cannot be downloaded: {error}"
        raise MachineError(Problem(message, where=str(data_path), fix=_offline(dataset, data_path))) from error


def _offline(dataset: Dataset, data_path: Path) -> str:
    by_hand = f"without a network, copy its files into {dataset.root(data_path)}"
    return f"{by_hand}; or, on Debian, apt install {dataset.package.name}" if dataset.package else by_hand
