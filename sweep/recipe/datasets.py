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
DEFAULT_DATA_PATH = "data"


@dataclass(frozen=True)
class DataFile:
    """A file by its path under the dataset's root, and the sha256 of its content (unpacked, where it is a .gz)."""

    path: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class SystemPackage:
    """A package of the operating system that keeps a dataset's files, gzipped, in `folder`."""

    name: str
    folder: Path


@dataclass(frozen=True)
class Dataset:
    """`shape` is (channels, height, width) of the uint8 images; mean and sd are per channel, in units of a pixel."""

    name: str
    num_train: int
    num_eval: int
    num_classes: int
    shape: tuple[int, int, int]
    pixel_mean: tuple[float, ...]
    pixel_sd: tuple[float, ...]
    files: tuple[DataFile, ...]
    root: Callable[[Path], Path | None]
    get_command: Callable[[Path], str]
    is_in_torchvision: bool = False  # whether its class of this name downloads it
    package: SystemPackage | None = None

    def problems(self, data_path: Path) -> list[Problem]:
        """What is wrong with the dataset's files: absent, truncated or altered, each with the command that mends it."""
        fix = f"get it with: {self.get_command(data_path)}"
        root = self.root(data_path)
        if root is None or not any(os.path.exists(root / file.path) for file in self.files):
            return [Problem(f"dataset {self.name} is absent", where=str(root or data_path), key="dataset", fix=fix)]
        found = ((file, _file_problem(root / file.path, file)) for file in self.files)
        return [
            Problem(f"dataset {self.name}: {problem}", where=str(root / file.path), key="dataset", fix=fix)
            for file, problem in found
            if problem
        ]


def _file_problem(path: Path, file: DataFile) -> str | None:
    if not os.path.isfile(path):
        return "the file is absent"
    try:
        content = read_content(path)
    except (OSError, EOFError, zlib.error) as error:
        return f"the file is damaged ({error})"
    if len(content) < file.num_bytes:
        return f"the file is truncated ({len(content)} of {file.num_bytes} bytes)"
    if hashlib.sha256(content).hexdigest() != file.sha256:
        return "the file was altered (its sha256 differs)"
    return None


def read_content(path: Path) -> bytes:
    """A file's content, unpacked: an archive packed by somebody else has other bytes around the same content."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def _sklearn_data(data_path: Path) -> Path | None:
    spec = importlib.util.find_spec("sklearn")  # finds the package without importing it
    return Path(spec.origin).parent / "datasets" / "data" if spec and spec.origin else None


def _own_command(name: str) -> Callable[[Path], str]:
    # Quoted: a user pastes it into a shell, and the path is the recipe's.
    return lambda data_path: f"sweep data get {name} --data-path {shlex.quote(str(data_path))}"


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
        get_command=lambda data_path: f"{_PYTHON} -m pip install --force-reinstall --no-deps scikit-learn",
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
        get_command=_own_command("FashionMNIST"),
        is_in_torchvision=True,
        package=SystemPackage("dataset-fashion-mnist", Path("/usr/share/datasets/fashion-mnist")),  # Debian's
    ),
}
