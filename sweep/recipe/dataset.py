"""What can be known of a dataset without loading it, and what is wrong with its files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.errors import Problem
from sweep.recipe.data_files import DataFile, SystemPackage
from sweep.recipe.image_lists import PARTS, Lister, count_images, list_folders


@dataclass(frozen=True)
class Dataset:
    """`shape` is (channels, height, width) of the uint8 images; mean and sd are per channel, in units of a pixel.

    A dataset of image files names in `images` what lists them; they are of any size, and are cut to the recipe's:
    `shape` is what they are by default. Its numbers are None where they are whatever its folders hold.
    """

    name: str
    num_train: int | None
    num_eval: int | None
    num_classes: int | None
    shape: tuple[int, int, int]
    pixel_mean: tuple[float, ...]
    pixel_sd: tuple[float, ...]
    files: tuple[DataFile, ...]
    root: Callable[[Path], Path | None]
    how_to_get: Callable[[Path], str]  # given the data path, in words or as a command
    images: Lister | None = None
    folder: str = ""  # the folder below `data` that our recipes look for it in
    is_in_torchvision: bool = False  # whether its class of this name downloads it
    splits: tuple[Mapping[str, object], ...] = ({"train": True}, {"train": False})  # how that class is asked for each
    package: SystemPackage | None = None
    white: int = 255  # the brightest pixel that there can be

    @property
    def image_files(self) -> bool:
        """Whether its images are files, which are decoded while training."""
        return self.images is not None

    @property
    def is_open(self) -> bool:
        """Whether only a look at its folders tells how many images and classes it has."""
        return self.num_train is None

    @property
    def classes(self) -> int:
        """How many classes it has; once they are known."""
        assert self.num_classes is not None, "count them first"
        return self.num_classes

    def counted(self, data_path: Path) -> Dataset:
        """The same with its numbers: those of the folders, where they are whatever is there."""
        root = self.root(data_path)
        if not self.is_open or root is None:
            return self
        train, evaluation = (count_images(root / part) for part in PARTS)
        return replace(
            self,
            num_train=sum(train.values()),
            num_eval=sum(evaluation.values()),
            num_classes=len(train),
        )

    def problems(self, data_path: Path) -> list[Problem]:
        """What is wrong with the dataset's files: absent, truncated or altered, each with the command that mends it."""
        fix = self.how_to_get(data_path)
        root = self.root(data_path)
        if root is not None and self.images is not None:
            wrong = _folder_problems if self.images is list_folders else _list_problems
            return [
                Problem(f"dataset {self.name}{message}", str(where), "dataset", fix=fix)
                for where, message in wrong(self, root)
            ]
        if root is None or not any(os.path.exists(root / file.path) for file in self.files):
            return [Problem(f"dataset {self.name} is absent", where=str(root or data_path), key="dataset", fix=fix)]
        found = ((file, file.problem(root)) for file in self.files)
        return [
            Problem(f"dataset {self.name}: {problem}", where=str(root / file.path), key="dataset", fix=fix)
            for file, problem in found
            if problem
        ]


def _folder_problems(dataset: Dataset, root: Path) -> Iterator[tuple[Path, str]]:
    """What is missing of train/CLASS/ and val/CLASS/, and where."""
    folders = [root / part for part in PARTS]
    if not any(os.path.isdir(folder) for folder in folders):
        yield root, " is absent"
        return
    counts = [count_images(folder) for folder in folders]
    numbers = (dataset.num_train, dataset.num_eval)
    wrong = [_count_problem(*of, dataset.num_classes) for of in zip(counts, numbers, strict=True)]
    yield from ((folder, f": {message}") for folder, message in zip(folders, wrong, strict=True) if message)
    if not any(wrong) and (odd := sorted(counts[0].keys() ^ counts[1].keys())):
        yield root, f": train and val hold different classes ({odd[0]} is in one only)"


def _count_problem(images_by_class: dict[str, int], num_images: int | None, num_classes: int | None) -> str | None:
    if num_classes not in (None, len(images_by_class)):
        return f"{len(images_by_class)} folders of classes, of {num_classes}"
    if not images_by_class:
        return "no folder of a class"
    if empty := sorted(name for name, count in images_by_class.items() if not count):
        return f"no image in {empty[0]}" + (f" (and {len(empty) - 1} more)" if len(empty) > 1 else "")
    total = sum(images_by_class.values())
    return f"{total} images, of {num_images}" if num_images not in (None, total) else None


def _list_problems(dataset: Dataset, root: Path) -> Iterator[tuple[Path, str]]:
    """What is missing of the images that the dataset's own lists name."""
    assert dataset.images is not None
    if not os.path.isdir(root):
        yield root, " is absent"
        return
    for part, expected in zip(PARTS, (dataset.num_train, dataset.num_eval), strict=True):
        try:
            listed = dataset.images(root, part)
        except (OSError, ValueError) as error:
            yield root, f": the list of its images cannot be read ({error})"
            continue
        absent = [path for path, _ in listed if not os.path.isfile(root / path)]
        if len(listed) != expected or {number for _, number in listed} != set(range(dataset.classes)):
            wanted = f"{expected} in {dataset.num_classes} classes"
            yield root, f": its list for {part} has {len(listed)} images, of {wanted}"
        elif absent:
            yield root / absent[0], ": the image is absent" + (f" (and {len(absent) - 1} more)" if absent[1:] else "")
