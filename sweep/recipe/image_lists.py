"""Which image files a dataset has, and of which class each one is: found in the folders, or read from its own lists.

Files are counted, and none is opened.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

# Whatever else lies in a folder of images is not one; as torchvision's ImageFolder has it.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
# The two parts of a dataset of image files, as torchvision's reference scripts name them.
PARTS = ("train", "val")

# The path below the dataset's root and the number of the class of each image of a part.
Listed = list[tuple[str, int]]
# Given the root and one of PARTS; raises an OSError or a ValueError where there is no list, or another one.
Lister = Callable[[Path, str], Listed]


def classes_in(folder: Path) -> list[str]:
    """The names of the folders in `folder`, each a class, in the order of their numbers; none where it is no folder."""
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return []


def list_folders(root: Path, part: str) -> Listed:
    """The images of train/CLASS/ or val/CLASS/, at any depth below it; classes are numbered by their sorted names."""
    return [
        (path, number)
        for number, name in enumerate(classes_in(root / part))
        for path in _images_below(root, os.path.join(part, name))
    ]


def _images_below(root: Path, folder: str) -> list[str]:
    """In the order in which torchvision's ImageFolder has them."""
    walked = sorted(os.walk(root / folder, followlinks=True))
    return [
        os.path.join(os.path.relpath(place, root), name)
        for place, _, names in walked
        for name in sorted(names)
        if name.lower().endswith(IMAGE_SUFFIXES)
    ]


def count_images(folder: Path) -> dict[str, int]:
    """How many images each folder in `folder` holds, at any depth; none where there is no such folder."""
    return {name: sum(map(_num_images, os.walk(folder / name, followlinks=True))) for name in classes_in(folder)}


def _num_images(walked: tuple[str, list[str], list[str]]) -> int:
    return sum(name.lower().endswith(IMAGE_SUFFIXES) for name in walked[2])


def list_food101(root: Path, part: str) -> Listed:
    """Food-101's own lists: meta/train.json and meta/test.json hold the images of each class."""
    file = root / "meta" / ("train.json" if part == "train" else "test.json")
    images_by_class = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(images_by_class, dict):
        raise ValueError(f"{file} holds no classes")
    numbered = enumerate(sorted(images_by_class))
    return [(f"images/{image}.jpg", number) for number, name in numbered for image in images_by_class[name]]


def list_pets(root: Path, part: str) -> Listed:
    """The lists of Oxford-IIIT Pet: a line holds an image's name and its class, counted from one, of the 37 breeds."""
    file = root / "annotations" / ("trainval.txt" if part == "train" else "test.txt")
    lines = (line.split() for line in file.read_text(encoding="utf-8").splitlines())
    return [(f"images/{name}.jpg", int(breed) - 1) for name, breed, _, _ in lines]
