"""Data that is absent, truncated or altered is found before anything trains, with the command that mends it."""

import gzip
import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.recipe.data_files import DataFile
from sweep.recipe.datasets import DATASETS
from sweep.recipe.image_lists import IMAGE_SUFFIXES


@pytest.fixture
def dataset():
    """Two small files in place of Fashion-MNIST's."""
    files = tuple(
        DataFile(name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in {"images.gz": b"pixels" * 100, "labels": b"labels"}.items()
    )
    return replace(DATASETS["FashionMNIST"], files=files)


@pytest.fixture
def folder(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "images.gz").write_bytes(gzip.compress(b"pixels" * 100))
    (raw / "labels").write_bytes(b"labels")
    return raw


def test_whole_data_has_no_problems(dataset, folder, tmp_path):
    assert dataset.problems(tmp_path) == []


def test_an_archive_packed_by_somebody_else_is_the_same_data(dataset, folder, tmp_path):
    (folder / "images.gz").write_bytes(gzip.compress(b"pixels" * 100, compresslevel=1, mtime=7))
    assert dataset.problems(tmp_path) == []


def test_absent_data_is_one_problem_with_the_command_that_gets_it(dataset, tmp_path):
    [problem] = dataset.problems(tmp_path / "nowhere")
    assert "FashionMNIST is absent" in problem.message
    assert problem.fix == f"get it with: sweep data get FashionMNIST --data-path {tmp_path / 'nowhere'}"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("labels", None, "the file is absent"),
        ("labels", b"label", "truncated (5 of 6 bytes)"),
        ("labels", b"Labels", "altered"),
        ("labels", b"labels!", "altered"),
        ("images.gz", gzip.compress(b"pixels" * 100, mtime=0)[:-9], "damaged"),
        ("images.gz", b"no archive", "damaged"),
        ("images.gz", gzip.compress(b"pixels" * 99, mtime=0), "truncated (594 of 600 bytes)"),
    ],
)
def test_a_file_that_is_not_whole_is_named_with_the_command_that_gets_it(
    dataset, folder, tmp_path, name, content, words
):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    [problem] = dataset.problems(tmp_path)
    assert words in problem.message
    assert problem.where == str(folder / name)
    assert problem.fix == f"get it with: sweep data get FashionMNIST --data-path {tmp_path}"


def test_the_digits_that_are_installed_are_whole(tmp_path):
    assert DATASETS["digits"].problems(tmp_path) == []


def test_every_file_that_is_not_whole_is_named_at_once(dataset, folder, tmp_path):
    (folder / "images.gz").write_bytes(b"")
    (folder / "labels").unlink()
    assert [problem.where for problem in dataset.problems(tmp_path)] == [
        str(folder / "images.gz"),
        str(folder / "labels"),
    ]


def test_a_folder_in_place_of_a_file_is_no_data(dataset, folder, tmp_path):
    (folder / "labels").unlink()
    (folder / "labels").mkdir()
    [problem] = dataset.problems(tmp_path)
    assert "the file is absent" in problem.message


def test_a_file_of_which_only_the_md5_is_known_is_checked_by_it(tmp_path):
    known = DataFile("batch", md5=hashlib.md5(b"pixels").hexdigest())
    cifar = replace(DATASETS["CIFAR10"], files=(known,))
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for content, problems in ((b"pixels", []), (b"pixel", ["md5"]), (b"Pixels", ["md5"])):
        (folder / "batch").write_bytes(content)
        found = cifar.problems(tmp_path)
        assert [word for problem, word in zip(found, problems, strict=True) if word in problem.message] == problems
        assert all(problem.where == str(folder / "batch") for problem in found)


def test_the_sums_of_cifar10_are_torchvisions():
    from torchvision.datasets import CIFAR10

    theirs = dict(CIFAR10.train_list + CIFAR10.test_list) | {CIFAR10.meta["filename"]: CIFAR10.meta["md5"]}
    assert {file.path: file.md5 for file in DATASETS["CIFAR10"].files} == theirs
    assert DATASETS["CIFAR10"].root(Path("data")) == Path("data") / CIFAR10.base_folder


def known_md5(name, attribute="md5"):
    return {file.path: getattr(file, attribute) for file in DATASETS[name].files}


def test_the_sums_of_the_other_datasets_are_torchvisions():
    from torchvision.datasets import CIFAR100, KMNIST, STL10, SVHN

    theirs = dict(CIFAR100.train_list + CIFAR100.test_list) | {CIFAR100.meta["filename"]: CIFAR100.meta["md5"]}
    assert known_md5("CIFAR100") == theirs
    assert DATASETS["CIFAR100"].root(Path("data")) == Path("data") / CIFAR100.base_folder
    assert known_md5("KMNIST", "packed_md5") == dict(KMNIST.resources)
    assert known_md5("SVHN") == {file: md5 for _, file, md5 in (SVHN.split_list[part] for part in ("train", "test"))}
    labelled = dict(STL10.train_list + STL10.test_list)
    assert known_md5("STL10") == {name: md5 for name, md5 in labelled.items() if name != "unlabeled_X.bin"}
    assert DATASETS["STL10"].root(Path("data")) == Path("data") / STL10.base_folder


def test_the_files_of_the_mnist_family_have_the_sizes_of_what_they_hold():
    for name in ("MNIST", "FashionMNIST", "KMNIST"):
        dataset = DATASETS[name]
        sizes = [file.num_bytes for file in dataset.files]
        counts = (dataset.num_train, dataset.num_eval)
        assert sizes == [size for count in counts for size in (16 + count * 28 * 28, 8 + count)]


def test_every_name_is_a_class_of_torchvision_that_takes_the_splits_it_is_asked_for():
    """Each fails for want of files, never for a wrong argument."""
    from torchvision import datasets

    for name, dataset in DATASETS.items():
        if dataset.is_in_torchvision:
            for split in dataset.splits:
                with pytest.raises(RuntimeError, match="not found"):
                    getattr(datasets, name)("nowhere", **split, download=False)


def test_the_suffixes_of_images_are_torchvisions():
    from torchvision.datasets.folder import IMG_EXTENSIONS

    assert IMAGE_SUFFIXES == IMG_EXTENSIONS


@pytest.mark.parametrize("name", ["a file", "x" * 5000, "nul\0"])
def test_a_data_path_that_can_hold_nothing_holds_no_data(dataset, tmp_path, name):
    (tmp_path / "a file").write_bytes(b"")
    [problem] = dataset.problems(tmp_path / name)
    assert "FashionMNIST is absent" in problem.message


@pytest.mark.parametrize("name", ["data", "my data", "$(echo gone)", "it's `here`", 'a "b" $HOME'])
def test_the_command_names_the_data_path_whatever_its_name(dataset, tmp_path, name):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sweep").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (tmp_path / "bin" / "sweep").chmod(0o755)
    environment = {"PATH": str(tmp_path / "bin"), "HOME": "/nowhere"}
    command = dataset.how_to_get(tmp_path / name).removeprefix("get it with: ")
    run = subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["data", "get", "FashionMNIST", "--data-path", str(tmp_path / name)]


def test_digits_without_scikit_learn_are_absent_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    [problem] = DATASETS["digits"].problems(tmp_path)
    assert str(problem).startswith(
        f"{tmp_path}: dataset: dataset digits is absent (get it with: {sys.executable} -m pip install"
    )
    assert "scikit-learn" in problem.fix
