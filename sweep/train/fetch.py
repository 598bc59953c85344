"""Get a dataset's files: from a package of the system where one is installed, else by download through torchvision.

torchvision is imported only where it downloads.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

from sweep.errors import MachineError, Problem
from sweep.recipe.data_files import read_content
from sweep.recipe.dataset import Dataset
from sweep.store.durable import make_folder, remove, write_bytes


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
    _remove_damaged(dataset, data_path)
    if dataset.package is not None and _unpack(dataset, dataset.package.folder, data_path):
        return f"taken from {dataset.package.folder}"
    _download(dataset, data_path)
    if problems := dataset.problems(data_path):
        raise MachineError(replace(problem, fix=_by_hand(dataset, data_path)) for problem in problems)
    return "downloaded"


def _remove_damaged(dataset: Dataset, data_path: Path) -> None:
    """torchvision downloads nothing where files of the right names are, whatever is in them."""
    root = dataset.root(data_path)
    assert root is not None
    for file in dataset.files:
        if (root / file.path).is_file() and file.problem(root):
            remove(root / file.path)


def _unpack(dataset: Dataset, package: Path, data_path: Path) -> bool:
    """Take the files from a package of the system; False where it is not installed, damaged or other data."""
    root = dataset.root(data_path)
    assert root is not None
    try:
        contents = {file: read_content(package / f"{file.path}.gz") for file in dataset.files}
    except (OSError, EOFError, zlib.error):
        return False
    if any(file.content_problem(content) for file, content in contents.items()):
        return False
    make_folder(root)
    for file, content in contents.items():
        write_bytes(root / file.path, content)
    return not dataset.problems(data_path)


def _download(dataset: Dataset, data_path: Path) -> None:
    from torchvision import datasets  # noqa: PLC0415 - seconds that only a download needs

    make_folder(data_path)
    try:
        for split in dataset.splits:
            getattr(datasets, dataset.name)(data_path, **split, download=True)
    # torchvision raises any of them without a network, or when what it was sent is something else.
    except (OSError, EOFError, RuntimeError, ValueError, AssertionError, HTTPException) as error:
        message = f"dataset {dataset.name} cannot be downloaded: {error}"
        raise MachineError(Problem(message, where=str(data_path), fix=_offline(dataset, data_path))) from error


def _by_hand(dataset: Dataset, data_path: Path) -> str:
    """torchvision leaves alone what it takes for a dataset that is there."""
    return f"move what is in {dataset.root(data_path)} away and get it again"


def _offline(dataset: Dataset, data_path: Path) -> str:
    by_hand = f"without a network, copy its files into {dataset.root(data_path)}"
    return f"{by_hand}; or, on Debian, apt install {dataset.package.name}" if dataset.package else by_hand
