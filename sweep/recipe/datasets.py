"""What is known of each dataset without loading it: its size, its shape, its files with their checksums, and the
command that gets them.

Names are torchvision's class names; `digits` is scikit-learn's.
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from sweep.recipe.data_files import DataFile, SystemPackage
from sweep.recipe.dataset import Dataset
from sweep.recipe.image_lists import list_folders, list_food101, list_pets

# The interpreter that we run in: the one on the path may be another.
_PYTHON = shlex.quote(sys.executable)


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


def _layout(data_path: Path) -> str:
    where = shlex.quote(str(data_path))
    return f"lay your images out as {where}/train/CLASS/* and {where}/val/CLASS/*, the same classes in both"


# Those of torchvision's reference scripts, which everybody takes for photographs.
_IMAGENET_MEAN = _in_pixels(0.485, 0.456, 0.406)
_IMAGENET_SD = _in_pixels(0.229, 0.224, 0.225)
_BY_SPLIT = ({"split": "train"}, {"split": "test"})


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
        white=16,
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
    # LeCun et al. 1998, with its own split. Mean and sd are the published ones of the 60,000 training images.
    "MNIST": Dataset(
        name="MNIST",
        num_train=60_000,
        num_eval=10_000,
        num_classes=10,
        shape=(1, 28, 28),
        pixel_mean=_in_pixels(0.1307),
        pixel_sd=_in_pixels(0.3081),
        files=(
            DataFile(
                "train-images-idx3-ubyte",
                47_040_016,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            DataFile(
                "train-labels-idx1-ubyte",
                60_008,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            DataFile(
                "t10k-images-idx3-ubyte",
                7_840_016,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            DataFile(
                "t10k-labels-idx1-ubyte",
                10_008,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        root=lambda data_path: data_path / "MNIST" / "raw",
        how_to_get=_own_command("MNIST"),
        is_in_torchvision=True,
    ),
    # Clanuwat et al. 2018, arXiv 1812.01718, with its own split. Only the sums of the archives are published, by
    # torchvision; it keeps them beside what it unpacks, and we read them.
    "KMNIST": Dataset(
        name="KMNIST",
        num_train=60_000,
        num_eval=10_000,
        num_classes=10,
        shape=(1, 28, 28),
        pixel_mean=_in_pixels(0.1918),
        pixel_sd=_in_pixels(0.3483),
        files=(
            DataFile("train-images-idx3-ubyte.gz", 47_040_016, packed_md5="bdb82020997e1d708af4cf47b453dcf7"),
            DataFile("train-labels-idx1-ubyte.gz", 60_008, packed_md5="e144d726b3acfaa3e44228e80efcd344"),
            DataFile("t10k-images-idx3-ubyte.gz", 7_840_016, packed_md5="5c965bf0a639b31b8f53240b1b52f4d7"),
            DataFile("t10k-labels-idx1-ubyte.gz", 10_008, packed_md5="7320c461ea6c1c855c0b718fb2a4b134"),
        ),
        root=lambda data_path: data_path / "KMNIST" / "raw",
        how_to_get=_own_command("KMNIST"),
        is_in_torchvision=True,
    ),
    # Krizhevsky 2009: its hundred fine classes, with its own split. Mean and sd are the published ones.
    "CIFAR100": Dataset(
        name="CIFAR100",
        num_train=50_000,
        num_eval=10_000,
        num_classes=100,
        shape=(3, 32, 32),
        pixel_mean=_in_pixels(0.5071, 0.4865, 0.4409),
        pixel_sd=_in_pixels(0.2673, 0.2564, 0.2762),
        files=(
            DataFile("train", md5="16019d7e3df5f24257cddd939b257f8d"),
            DataFile("test", md5="f0ef6b0ae62326f3e7ffdfab6717acfc"),
            DataFile("meta", md5="7973b15100ade9c7d40fb424638fde48"),
        ),
        root=lambda data_path: data_path / "cifar-100-python",
        how_to_get=_own_command("CIFAR100"),
        is_in_torchvision=True,
    ),
    # Netzer et al. 2011: cropped digits, without the `extra` ones. Mean and sd are the published ones.
    "SVHN": Dataset(
        name="SVHN",
        num_train=73_257,
        num_eval=26_032,
        num_classes=10,
        shape=(3, 32, 32),
        pixel_mean=_in_pixels(0.4377, 0.4438, 0.4728),
        pixel_sd=_in_pixels(0.1980, 0.2010, 0.1970),
        files=(
            DataFile("train_32x32.mat", md5="e26dedcc434d2e4c54c9b2d4a06d8373"),
            DataFile("test_32x32.mat", md5="eb5a983be6a315427106f1b164d9cef3"),
        ),
        root=lambda data_path: data_path,
        how_to_get=_own_command("SVHN"),
        is_in_torchvision=True,
        splits=_BY_SPLIT,
    ),
    # Coates et al. 2011: the labelled images, with its own split. Mean and sd are the published ones.
    "STL10": Dataset(
        name="STL10",
        num_train=5_000,
        num_eval=8_000,
        num_classes=10,
        shape=(3, 96, 96),
        pixel_mean=_in_pixels(0.4467, 0.4398, 0.4066),
        pixel_sd=_in_pixels(0.2603, 0.2566, 0.2713),
        files=(
            DataFile("train_X.bin", md5="918c2871b30a85fa023e0c44e0bee87f"),
            DataFile("train_y.bin", md5="5a34089d4802c674881badbb80307741"),
            DataFile("test_X.bin", md5="7f263ba9f9e0b06b93213547f721ac82"),
            DataFile("test_y.bin", md5="36f9794fa4beb8a2c72628de14fa638e"),
        ),
        root=lambda data_path: data_path / "stl10_binary",
        how_to_get=_own_command("STL10"),
        is_in_torchvision=True,
        splits=_BY_SPLIT,
    ),
    # Howard 2019: ten easy classes of ImageNet, in their full size.
    "Imagenette": Dataset(
        name="Imagenette",
        num_train=9_469,
        num_eval=3_925,
        num_classes=10,
        shape=(3, 224, 224),
        pixel_mean=_IMAGENET_MEAN,
        pixel_sd=_IMAGENET_SD,
        files=(),
        root=lambda data_path: data_path / "imagenette2",
        how_to_get=_own_command("Imagenette"),
        images=list_folders,
        is_in_torchvision=True,
        splits=({"split": "train"}, {"split": "val"}),
    ),
    # Bossard et al. 2014, with its own split.
    "Food101": Dataset(
        name="Food101",
        num_train=75_750,
        num_eval=25_250,
        num_classes=101,
        shape=(3, 224, 224),
        pixel_mean=_IMAGENET_MEAN,
        pixel_sd=_IMAGENET_SD,
        files=(),
        root=lambda data_path: data_path / "food-101",
        how_to_get=_own_command("Food101"),
        images=list_food101,
        is_in_torchvision=True,
        splits=_BY_SPLIT,
    ),
    # Parkhi et al. 2012: the 37 breeds, with its own split.
    "OxfordIIITPet": Dataset(
        name="OxfordIIITPet",
        num_train=3_680,
        num_eval=3_669,
        num_classes=37,
        shape=(3, 224, 224),
        pixel_mean=_IMAGENET_MEAN,
        pixel_sd=_IMAGENET_SD,
        files=(),
        root=lambda data_path: data_path / "oxford-iiit-pet",
        how_to_get=_own_command("OxfordIIITPet"),
        images=list_pets,
        is_in_torchvision=True,
        splits=({"split": "trainval"}, {"split": "test"}),
    ),
    # Russakovsky et al. 2015, arXiv 1409.0575: ILSVRC 2012.
    "ImageNet": Dataset(
        name="ImageNet",
        num_train=1_281_167,
        num_eval=50_000,
        num_classes=1000,
        shape=(3, 224, 224),
        pixel_mean=_IMAGENET_MEAN,
        pixel_sd=_IMAGENET_SD,
        files=(),
        root=lambda data_path: data_path,
        how_to_get=_imagenet_layout,
        folder="imagenet",
        images=list_folders,
    ),
    # Your own images: as many as there are, of as many classes.
    "ImageFolder": Dataset(
        name="ImageFolder",
        num_train=None,
        num_eval=None,
        num_classes=None,
        shape=(3, 224, 224),
        pixel_mean=_IMAGENET_MEAN,
        pixel_sd=_IMAGENET_SD,
        files=(),
        root=lambda data_path: data_path,
        how_to_get=_layout,
        images=list_folders,
    ),
}
