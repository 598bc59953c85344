"""Every dataset that fits into memory is read as torchvision reads it, from a few images in its published layout."""

import gzip
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.io import savemat
from small_stages import CPU
from torchvision import datasets

from sweep.recipe.data_files import DataFile
from sweep.recipe.datasets import DATASETS
from sweep.train.loading import load_images

RANDOM = np.random.default_rng(0)
TRAIN, EVALUATION = 7, 3


def images(count, *shape):
    return RANDOM.integers(0, 256, (count, *shape), dtype=np.uint8)


def write_idx(path, values):
    """The format of the MNIST family: two zero bytes, 8 for uint8, the number of axes, each axis's size, the bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    content = bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes()
    path.write_bytes(content)
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content))


def write_mnist(root, name):
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", TRAIN), ("t10k", EVALUATION)):
        write_idx(raw / f"{part}-images-idx3-ubyte", images(count, 28, 28))
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(count))


def by_train(kind, root):
    parts = [kind(root, train=train) for train in (True, False)]
    return [(torch.as_tensor(part.data), torch.as_tensor(part.targets)) for part in parts]


def same(loaded, expected):
    for part, (pixels, labels) in zip(loaded, expected, strict=True):
        assert torch.equal(part.pixels, torch.as_tensor(pixels))
        assert part.labels.tolist() == list(labels)
        assert (part.pixels.dtype, part.labels.dtype) == (torch.uint8, torch.int64)
        assert part.pixels.is_contiguous()


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_the_mnist_family(name, tmp_path):
    write_mnist(tmp_path, name)
    expected = by_train(getattr(datasets, name), tmp_path)
    loaded = load_images(DATASETS[name], tmp_path, CPU)
    same(loaded, [(pixels.unsqueeze(1), labels.tolist()) for pixels, labels in expected])
    assert loaded[0].pixels.shape == (TRAIN, *DATASETS[name].shape)


def test_kmnist_is_read_from_the_archives_that_are_checked(tmp_path):
    write_mnist(tmp_path, "KMNIST")
    expected = by_train(datasets.KMNIST, tmp_path)
    for path in (tmp_path / "KMNIST" / "raw").glob("*ubyte"):
        path.write_bytes(b"another file")
    loaded = load_images(DATASETS["KMNIST"], tmp_path, CPU)
    same(loaded, [(pixels.unsqueeze(1), labels.tolist()) for pixels, labels in expected])


def test_an_archive_is_checked_by_its_own_md5(tmp_path):
    content = gzip.compress(b"pixels", mtime=1)
    packed = DataFile("images.gz", 6, packed_md5="0" * 32)
    (tmp_path / "images.gz").write_bytes(content)
    assert "not the published one" in packed.problem(tmp_path)
    import hashlib

    assert replace(packed, packed_md5=hashlib.md5(content).hexdigest()).problem(tmp_path) is None


def test_cifar100_has_its_fine_classes(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    written = {}
    for name, count in (("train", TRAIN), ("test", EVALUATION)):
        rows, fine = images(count, 3072), list(range(90, 90 + count))
        batch = {"data": rows, "fine_labels": fine, "coarse_labels": [0] * count}
        (folder / name).write_bytes(pickle.dumps(batch))
        written[name] = rows.reshape(-1, 3, 32, 32), fine
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": ["x"] * 100}))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5=None: True)
    same(load_images(DATASETS["CIFAR100"], tmp_path, CPU), [written["train"], written["test"]])


def test_svhn_is_what_torchvision_reads_with_its_tens_as_zeros(tmp_path, monkeypatch):
    for name, count in (("train", TRAIN), ("test", EVALUATION)):
        labels = np.arange(1, count + 1).reshape(-1, 1) % 10
        labels[labels == 0] = 10
        labels[0] = 10
        savemat(tmp_path / f"{name}_32x32.mat", {"X": images(32, 32, 3, count), "y": labels.astype(np.uint8)})
    monkeypatch.setattr("torchvision.datasets.svhn.check_integrity", lambda path, md5=None: True)
    expected = [datasets.SVHN(tmp_path, split=split) for split in ("train", "test")]
    loaded = load_images(DATASETS["SVHN"], tmp_path, CPU)
    same(loaded, [(part.data.copy(), part.labels.tolist()) for part in expected])
    assert loaded[0].labels[0] == 0
    assert loaded[0].pixels.shape == (TRAIN, 3, 32, 32)


def test_stl10_is_what_torchvision_reads_without_the_unlabelled_images(tmp_path, monkeypatch):
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    for name, count in (("train", TRAIN), ("test", EVALUATION)):
        images(count, 3, 96, 96).tofile(folder / f"{name}_X.bin")
        (np.arange(count, dtype=np.uint8) + 1).tofile(folder / f"{name}_y.bin")
    monkeypatch.setattr("torchvision.datasets.stl10.check_integrity", lambda path, md5=None: True)
    expected = [datasets.STL10(tmp_path, split=split) for split in ("train", "test")]
    loaded = load_images(DATASETS["STL10"], tmp_path, CPU)
    same(loaded, [(part.data.copy(), part.labels.tolist()) for part in expected])
