"""Data that is absent, truncated or altered is found before anything trains, with the command that mends it."""

import gzip
import hashlib
from dataclasses import replace

import pytest

from sweep.recipe.datasets import DATASETS, DataFile


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
    assert "python -c" in problem.fix
    assert str(tmp_path / "nowhere") in problem.fix


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("labels", None, "the file is absent"),
        ("labels", b"label", "truncated (5 of 6 bytes)"),
        ("labels", b"Labels", "altered"),
        ("labels", b"labels!", "altered"),
        ("images.gz", gzip.compress(b"pixels" * 100)[:-9], "damaged"),
        ("images.gz", b"no archive", "damaged"),
        ("images.gz", gzip.compress(b"pixels" * 99), "truncated (594 of 600 bytes)"),
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
    assert "get it with: python -c" in problem.fix


def test_the_digits_that_are_installed_are_whole(tmp_path):
    assert DATASETS["digits"].problems(tmp_path) == []
