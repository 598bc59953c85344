"""What is known of each dataset without loading it: its size, its shape, its files with their checksums, and the
command that gets them.

Names are torchvision's class names; `digits` is scikit-learn's.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import shlex
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import Problem

# The interpreter that we run in: the one on the path may be another.
_PYTHON = shlex.quote(sys.executable)


# Whatever else lies in a folder of images is not one; as torchvision's ImageFolder has it.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
# The two parts of a dataset of image files, as torchvision's reference scripts name them.
FOLDERS = ("train", "val")


@dataclass(frozen=True)
class DataFile:
    """A file by its path under the dataset's root, with a checksum of its content (unpacked, where it is a .gz).

    `num_bytes` is of the content too. What its publisher did not publish is None; one checksum there is.
    """

    path: str
    num_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None

    def __post_init__(self) -> None:
        assert self.sha256 or self.md5, f"{self.path} has no checksum"

    def problem(self, root: Path) -> str | None:
        """What is wrong with the file below `root`: absent, damaged, truncated or altered."""
        path = root / self.path
        if not os.path.isfile(path):
            return "the file is absent"
        try:
            content = read_content(path)
        except (OSError, EOFError, zlib.error) as error:
            return f"the file is damaged ({error})"
        return self.content_problem(content)

    def content_problem(self, content: bytes) -> str | None:
        """Why `content` is not this file's."""
        if self.num_bytes is not None and len(content) < self.num_bytes:
            return f"the file is truncated ({len(content)} of {self.num_bytes} bytes)"
        if self.sha256 is not None and hashlib.sha256(content).hexdigest() != self.sha256:
            return "the file was altered (its sha256 differs)"
        # Against damage, not against an attacker: it is all that CIFAR's publisher gives.
        if self.md5 is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != self.md5:
            return "the file is not whole (its md5 differs)"
        return None


@dataclass(frozen=True)
class SystemPackage:
    """A package of the operating system that keeps a dataset's files, gzipped, in `folder`."""

    name: str
    folder: Path


@dataclass(frozen=True)
class Dataset:
    """`shape` is (channels, height, width) of the uint8 images; mean and sd are per channel, in units of a pixel.

    A dataset of `image_files` has no `files` of its own: its images lie in train/CLASS/ and val/CLASS/, in any size,
    and are cut to the recipe's; `shape` is what they are by default.
    """

    name: str
    num_train: int
    num_eval: int
    num_classes: int
    shape: tuple[int, int, int]
    pixel_mean: tuple[float, ...]
    pixel_sd: tuple[float, ...]
    files: tuple[DataFile, ...]
    root: Callable[[Path], Path | None]
    how_to_get: Callable[[Path], str]  # given the data path, in words or as a command
    image_files: bool = False
    shadows: tuple[str, ...] = ()  # files below the root that torchvision reads, unchecked, rather than `files`
    folder: str = ""  # the folder below `data` that our recipes look for it in
    is_in_torchvision: bool = False  # whether its class of this name downloads it
    package: SystemPackage | None = None

    def problems(self, data_path: Path) -> list[Problem]:
        """What is wrong with the dataset's files: absent, truncated or altered, each with the command that mends it."""
        if self.image_files:
            return _folder_problems(self, data_path)
        fix = self.how_to_get(data_path)
        root = self.root(data_path)
        if root is None or not any(os.path.exists(root / file.path) for file in self.files):
            return [Problem(f"dataset {self.name} is absent", where=str(root or data_path), key="dataset", fix=fix)]
        found = ((file, file.problem(root)) for file in self.files)
        problems = [
            Problem(f"dataset {self.name}: {problem}", where=str(root / file.path), key="dataset", fix=fix)
            for file, problem in found
            if problem
        ]
        return problems + [
            Problem("is read in place of the files that are checked", str(root / path), "dataset", fix="remove it")
            for path in self.shadows
            if os.path.exists(root / path)
        ]


def _folder_problems(dataset: Dataset, data_path: Path) -> list[Problem]:
    """What is missing of train/CLASS/*.JPEG and val/CLASS/*.JPEG. Counts the files, and opens none."""

    def problem(message: str, where: Path) -> Problem:
        return Problem(f"dataset {dataset.name}{message}", str(where), "dataset", fix=dataset.how_to_get(data_path))

    folders = [data_path / name for name in FOLDERS]
    if not any(os.path.isdir(folder) for folder in folders):
        return [problem(" is absent", data_path)]
    counts = [_images_by_class(folder) for folder in folders]
    expected = (dataset.num_train, dataset.num_eval)
    found = [
        problem(f": {wrong}", folder)
        for folder, count, num_images in zip(folders, counts, expected, strict=True)
        if (wrong := _count_problem(count, dataset.num_classes, num_images))
    ]
    if not found and (odd := sorted(counts[0].keys() ^ counts[1].keys())):
        found.append(problem(f": train and val hold different classes ({odd[0]} is in one only)", data_path))
    return found


def _images_by_class(folder: Path) -> dict[str, int]:
    """How many images each folder in `folder` holds, at any depth; none where there is no such folder."""
    try:
        classes = [entry for entry in os.scandir(folder) if entry.is_dir()]
    except OSError:
        return {}
    return {entry.name: sum(map(_num_images, os.walk(entry.path, followlinks=True))) for entry in classes}


def _num_images(walked: tuple[str, list[str], list[str]]) -> int:
    return sum(name.lower().endswith(IMAGE_SUFFIXES) for name in walked[2])


def _count_problem(images_by_class: dict[str, int], num_classes: int, num_images: int) -> str | None:
    if len(images_by_class) != num_classes:
        return f"{len(images_by_class)} folders of classes, of {num_classes}"
    if empty := sorted(name for name, count in images_by_class.items() if not count):
        return f"no image in {empty[0]}" + (f" (and {len(empty) - 1} more)" if len(empty) > 1 else "")
    total = sum(images_by_class.values())
    return f"{total} images, of {num_images}" if total != num_images else None


def read_content(path: Path) -> bytes:
    """A file's content, unpacked: an archive packed by somebody else has other bytes around the same content."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def _sklearn_data(data_path: Path) -> Path | None:
    spec = importlib.util.find_spec("sklearn")  # finds the package without importing it
    return Path(spec.origin).parent / "datasets" / "data" if spec and spec.origin else None


def _own_command(name: str) -> Callable[[Path], str]:
    # Quoted: a user pastes it into a shell, and the path is the recipe's.
    return lambda data_path: f"get it with: sweep data get {name} --data-path {shlex.quote(str(data_path))}"


def _in_pixels(*shares: float) -> tuple[float, ...]:
    """What is published as a share of white, in units of a uint8 pixel."""
    return tuple(255 * share for share in shares)


def _imagenet_layout(data_path: Path) -> str:
    where = shlex.quote(str(data_path))
    return f"get it from image-net.org (ILSVRC 2012), and lay it out as {where}/train/CLASS/*.JPEG and val/CLASS/*.JPEG"


DATASETS: dict[str, Dataset] = {
    # Split: within each class, in the order of the file, every fifth image (positions 4, 9, …) is for evaluation.
    # Mean and sd are those of the 1,442 training images, of 17 grey levels 0..16.
    "digits": Dataset(
        name="digits",
        num_train=1442,
        num_eval=355,
        num_classes=10,
        shape=(1, 8, 8),
        pixel_mean=(4.8822,),
        pixel_sd=(6.0185,),
        files=(DataFile("digits.csv.gz", 264_712, "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"),),
        root=_sklearn_data,
        how_to_get=lambda data_path: f"get it with: {_PYTHON} -m pip install --force-reinstall --no-deps scikit-learn",
    ),
    # Xiao et al. 2017, arXiv 1708.07747, with its own split. Mean and sd are those of the 60,000 training images.
    "FashionMNIST": Dataset(
        name="FashionMNIST",
        num_train=60_000,
        num_eval=10_000,
        num_classes=10,
        shape=(1, 28, 28),
        pixel_mean=(72.9404,),
        pixel_sd=(90.0212,),
        files=(
            DataFile(
                "train-images-idx3-ubyte",
                47_040_016,
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            DataFile(
                "train-labels-idx1-ubyte",
                60_008,
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            DataFile(
                "t10k-images-idx3-ubyte",
                7_840_016,
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            DataFile(
                "t10k-labels-idx1-ubyte",
                10_008,
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
        root=lambda data_path: data_path / "FashionMNIST" / "raw",
        shadows=("../processed/training.pt", "../processed/test.pt"),  # of torchvision before 0.9
        how_to_get=_own_command("FashionMNIST"),
        is_in_torchvision=True,
        package=SystemPackage("dataset-fashion-mnist", Path("/usr/share/datasets/fashion-mnist")),  # Debian's
    ),
    # Krizhevsky 2009, with its own split. Mean and sd are the published ones of the 50,000 training images, the md5
    # sums are torchvision's.
    "CIFAR10": Dataset(
        name="CIFAR10",
        num_train=50_000,
        num_eval=10_000,
        num_classes=10,
        shape=(3, 32, 32),
        pixel_mean=_in_pixels(0.4914, 0.4822, 0.4465),
        pixel_sd=_in_pixels(0.2470, 0.2435, 0.2616),
        files=(
            DataFile("data_batch_1", md5="c99cafc152244af753f735de768cd75f"),
            DataFile("data_batch_2", md5="d4bba439e000b95fd0a9bffe97cbabec"),
            DataFile("data_batch_3", md5="54ebc095f3ab1f0389bbae665268c751"),
            DataFile("data_batch_4", md5="634d18415352ddfa80567beed471001a"),
            DataFile("data_batch_5", md5="482c414d41f54cd18b22e5b47cb7c3cb"),
            DataFile("test_batch", md5="40351d587109b95175f43aff81a1287e"),
            DataFile("batches.meta", md5="5ff9c542aee3614f3951f8cda6e48888"),
        ),
        root=lambda data_path: data_path / "cifar-10-batches-py",
        how_to_get=_own_command("CIFAR10"),
        is_in_torchvision=True,
    ),
    # Russakovsky et al. 2015, arXiv 1409.0575: ILSVRC 2012. Mean and sd are those of torchvision's reference scripts.
    "ImageNet": Dataset(
        name="ImageNet",
        num_train=1_281_167,
        num_eval=50_000,
        num_classes=1000,
        shape=(3, 224, 224),
        pixel_mean=_in_pixels(0.485, 0.456, 0.406),
        pixel_sd=_in_pixels(0.229, 0.224, 0.225),
        files=(),
        root=lambda data_path: data_path,
        how_to_get=_imagenet_layout,
        folder="imagenet",
        image_files=True,
    ),
}
