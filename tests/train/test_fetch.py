"""Data comes from the system's package or by download, is checked, and what cannot be had is said."""

import gzip
import hashlib
import sys
from dataclasses import replace
from types import SimpleNamespace
from urllib.error import URLError

import pytest

from sweep.errors import MachineError
from sweep.recipe.data_files import DataFile, SystemPackage
from sweep.recipe.datasets import DATASETS
from sweep.train.fetch import fetch

CONTENT = {"images": b"pixels" * 100, "labels": b"labels"}


@pytest.fixture
def dataset(tmp_path):
    """Two small files in place of Fashion-MNIST's, packed in a package of the system."""
    folder = tmp_path / "package"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    files = tuple(
        DataFile(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in CONTENT.items()
    )
    return replace(DATASETS["FashionMNIST"], files=files, package=SystemPackage("the-package", folder))


@pytest.fixture
def downloads(monkeypatch):
    """A stand-in for torchvision: what it was asked for; `downloads.serve` says what it does then."""
    asked = []
    told = SimpleNamespace(asked=asked, serve=lambda root: None)

    def FashionMNIST(root, train, download):
        asked.append((train, download))
        told.serve(root)

    module = SimpleNamespace(datasets=SimpleNamespace(FashionMNIST=FashionMNIST))
    monkeypatch.setitem(sys.modules, "torchvision", module)
    return told


def serve(root):
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENT.items():
        (raw / name).write_bytes(content)


def test_a_package_of_the_system_is_unpacked_without_a_download(dataset, downloads, tmp_path):
    assert fetch(dataset, tmp_path / "data") == f"taken from {dataset.package.folder}"
    assert dataset.problems(tmp_path / "data") == []
    assert (tmp_path / "data" / "FashionMNIST" / "raw" / "images").read_bytes() == CONTENT["images"]
    assert downloads.asked == []


def test_what_is_there_already_is_left_alone(dataset, downloads, tmp_path):
    serve(tmp_path)
    assert fetch(dataset, tmp_path) == "is there already"
    assert downloads.asked == []


def test_a_damaged_file_is_replaced(dataset, downloads, tmp_path):
    serve(tmp_path)
    (tmp_path / "FashionMNIST" / "raw" / "labels").write_bytes(b"lab")
    assert fetch(dataset, tmp_path).startswith("taken from")
    assert dataset.problems(tmp_path) == []


def test_other_content_of_a_package_is_not_put_over_what_is_whole(dataset, downloads, tmp_path):
    serve(tmp_path)
    raw = tmp_path / "FashionMNIST" / "raw"
    (raw / "labels").unlink()
    (dataset.package.folder / "images.gz").write_bytes(gzip.compress(b"other"))
    downloads.serve = serve
    assert fetch(dataset, tmp_path) == "downloaded"
    assert (raw / "images").read_bytes() == CONTENT["images"]


@pytest.mark.parametrize("content", [b"", b"garbage", b"pixels" * 99, b"Pixels" + b"pixels" * 99])
def test_a_file_that_is_not_whole_is_out_of_the_way_of_a_download(dataset, downloads, tmp_path, content):
    """torchvision itself downloads nothing where files of the right names are."""
    serve(tmp_path)
    raw = tmp_path / "FashionMNIST" / "raw"
    (raw / "images").write_bytes(content)
    downloads.serve = lambda root: None if (raw / "images").exists() else serve(root)
    assert fetch(replace(dataset, package=None), tmp_path) == "downloaded"
    assert dataset.problems(tmp_path) == []


def test_torchvision_itself_is_asked_and_its_failure_told(tmp_path, monkeypatch):
    import torchvision.datasets.mnist as mnist

    def no_network(*arguments, **options):
        raise URLError("no network")

    monkeypatch.setattr(mnist, "download_and_extract_archive", no_network)
    with pytest.raises(MachineError, match="FashionMNIST cannot be downloaded"):
        fetch(replace(DATASETS["FashionMNIST"], package=None), tmp_path)


@pytest.mark.parametrize("damage", ["absent", "torn", "altered", "folder"])
def test_without_a_whole_package_both_splits_are_downloaded(dataset, downloads, tmp_path, damage):
    packed = dataset.package.folder / "labels.gz"
    match damage:
        case "absent":
            packed.unlink()
        case "torn":
            packed.write_bytes(packed.read_bytes()[:-9])
        case "altered":
            packed.write_bytes(gzip.compress(b"Labels"))
        case "folder":
            dataset = replace(dataset, package=None)
    downloads.serve = serve
    assert fetch(dataset, tmp_path / "data") == "downloaded"
    assert downloads.asked == [(True, True), (False, True)]
    assert dataset.problems(tmp_path / "data") == []


def test_each_split_is_asked_for_in_the_words_of_its_class(dataset, downloads, tmp_path):
    asked = []
    downloads.serve = serve
    module = sys.modules["torchvision"]
    ours = module.datasets.FashionMNIST
    module.datasets.FashionMNIST = lambda root, split, download: asked.append(split) or ours(root, split, download)
    by_split = replace(dataset, package=None, splits=({"split": "trainval"}, {"split": "test"}))
    assert fetch(by_split, tmp_path / "data") == "downloaded"
    assert asked == ["trainval", "test"]


def test_what_torchvision_took_for_the_dataset_and_is_not_is_to_be_moved_away(dataset, downloads, tmp_path):
    downloads.serve = lambda root: None
    with pytest.raises(MachineError, match=r"move what is in .*FashionMNIST/raw away and get it again"):
        fetch(replace(dataset, package=None), tmp_path / "data")


def test_folders_of_ones_own_cannot_be_got(tmp_path):
    with pytest.raises(MachineError, match="lay your images out as"):
        fetch(DATASETS["ImageFolder"], tmp_path)


def test_no_network_is_an_error_with_two_ways_out(dataset, downloads, tmp_path):
    def no_network(root):
        raise RuntimeError("Error downloading train-images")

    downloads.serve = no_network
    (dataset.package.folder / "labels.gz").unlink()
    with pytest.raises(
        MachineError, match=r"Error downloading.*FashionMNIST/raw; or, on Debian, apt install the-package"
    ):
        fetch(dataset, tmp_path / "data")


def test_a_download_that_is_not_whole_is_named(dataset, downloads, tmp_path):
    downloads.serve = lambda root: (serve(root), (root / "FashionMNIST" / "raw" / "labels").write_bytes(b"label"))
    with pytest.raises(MachineError, match="truncated"):
        fetch(replace(dataset, package=None), tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error_of_the_machine(dataset, tmp_path):
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(MachineError, match="in the way"):
        fetch(dataset, tmp_path / "data")


def test_digits_come_with_scikit_learn(tmp_path):
    assert fetch(DATASETS["digits"], tmp_path) == "is there already"


def test_what_torchvision_does_not_have_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MachineError, match="pip install"):
        fetch(DATASETS["digits"], tmp_path)
