"""Which image files a dataset has, and of which class: as torchvision finds them, without torchvision."""

import json
import os
from dataclasses import replace

import pytest
from torchvision import datasets

from sweep.recipe.datasets import DATASETS
from sweep.recipe.image_lists import count_images, list_folders, list_food101, list_pets

NAMES = ("a.png", "b.JPG", "notes.txt", "ä.jpeg", "deeper/c.webp", "deeper/even deeper/d.tif")


def write(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")


@pytest.fixture
def folders(tmp_path):
    for part in ("train", "val"):
        write(tmp_path, *(f"{part}/{name}/{image}" for name in ("zebra", "äpfel", "B 2", "😀") for image in NAMES))
    return tmp_path


def test_folders_are_listed_in_torchvisions_order_with_its_numbers(folders):
    theirs = datasets.ImageFolder(folders / "train")
    ours = list_folders(folders, "train")
    assert [(str(folders / path), number) for path, number in ours] == theirs.samples
    assert len(ours) == 20


def test_images_are_counted_at_any_depth(folders):
    assert count_images(folders / "val") == dict.fromkeys(("zebra", "äpfel", "B 2", "😀"), 5)
    assert count_images(folders / "nowhere") == {}


def test_a_name_that_is_no_text_is_a_name(tmp_path):
    name = os.fsdecode(b"\xff\xfe.png")
    write(tmp_path, f"train/one/{name}")
    assert list_folders(tmp_path, "train") == [(f"train/one/{name}", 0)]


def write_food(root, **classes):
    """A few of the images of Food-101, as its lists have them."""
    for part in ("train", "test"):
        images = {name: [f"{name}/{part}{index}" for index in range(count)] for name, count in classes.items()}
        write(root, *(f"images/{image}.jpg" for of in images.values() for image in of), f"meta/{part}.json")
        (root / "meta" / f"{part}.json").write_text(json.dumps(images))


def test_food101_is_what_torchvision_finds(tmp_path):
    root = tmp_path / "food-101"
    write_food(root, waffles=3, apple_pie=2)
    for part, split in (("train", "train"), ("val", "test")):
        theirs = datasets.Food101(tmp_path, split=split)
        found = [(str(root / path), number) for path, number in list_food101(root, part)]
        assert sorted(found) == sorted(zip(map(str, theirs._image_files), theirs._labels, strict=True))
        assert len(found) == 5


def write_pets(root):
    for part, breeds in (("trainval", "1 1 2"), ("test", "2 1")):
        names = [(f"Breed_{part}_{index}", breed) for index, breed in enumerate(breeds.split())]
        write(root, *(f"images/{name}.jpg" for name, _ in names), f"annotations/{part}.txt")
        (root / "annotations" / f"{part}.txt").write_text("".join(f"{name} {breed} 1 1\n" for name, breed in names))


def test_pets_are_what_torchvision_finds(tmp_path):
    root = tmp_path / "oxford-iiit-pet"
    write_pets(root)
    for part, split in (("train", "trainval"), ("val", "test")):
        theirs = datasets.OxfordIIITPet(tmp_path, split=split)
        found = [(root / path, number) for path, number in list_pets(root, part)]
        assert found == list(zip(theirs._images, theirs._labels, strict=True))


# What is said of a dataset that is not whole


@pytest.fixture
def food(tmp_path):
    write_food(tmp_path / "food-101", waffles=3, apple_pie=2)
    return replace(DATASETS["Food101"], num_train=5, num_eval=5, num_classes=2)


def test_a_whole_list_has_no_problems(food, tmp_path):
    assert food.problems(tmp_path) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "images/waffles/train1.jpg").unlink(), "the image is absent"),
        (lambda root: (root / "meta/test.json").unlink(), "the list of its images cannot be read"),
        (lambda root: (root / "meta/test.json").write_text("{"), "the list of its images cannot be read"),
        (lambda root: (root / "meta/test.json").write_text("[]"), "holds no classes"),
        (
            lambda root: (root / "meta/train.json").write_text('{"waffles": []}'),
            "for train has 0 images, of 5",
        ),
        (lambda root: write_food(root, waffles=5), "for train has 5 images, of 5"),
    ],
)
def test_what_its_lists_name_and_is_not_there_is_told_with_the_command_that_gets_it(food, tmp_path, spoil, words):
    spoil(tmp_path / "food-101")
    problem = food.problems(tmp_path)[0]
    assert words in problem.message
    assert problem.fix.startswith("get it with: sweep data get Food101")


def test_a_dataset_of_lists_that_is_not_there_is_absent(food, tmp_path):
    [problem] = food.problems(tmp_path / "nowhere")
    assert problem.message == "dataset Food101 is absent"


# A user's own images: as many as there are


def test_folders_of_any_size_are_counted(folders):
    dataset = DATASETS["ImageFolder"]
    assert dataset.is_open
    assert dataset.problems(folders) == []
    counted = dataset.counted(folders)
    assert (counted.num_train, counted.num_eval, counted.num_classes) == (20, 20, 4)
    assert DATASETS["ImageNet"].counted(folders) == DATASETS["ImageNet"]


@pytest.mark.parametrize(
    ("path", "where", "words"),
    [
        ("val/odd/x.png", "", "train and val hold different classes (odd is in one only)"),
        ("train/odd/x.png", "", "train and val hold different classes (odd is in one only)"),
        ("train/odd/x.txt", "train", "no image in odd"),
        ("val/.ipynb_checkpoints/x.txt", "val", "no image in .ipynb_checkpoints"),
    ],
)
def test_classes_without_images_and_those_of_one_part_alone_are_refused(folders, path, where, words):
    write(folders, path)
    [problem] = DATASETS["ImageFolder"].problems(folders)
    assert words in problem.message
    assert problem.where == str(folders / where)
    assert "the same classes in both" in problem.fix


def test_images_that_lie_in_no_class_are_no_dataset(tmp_path):
    write(tmp_path, "train/a.png", "val/a.png")
    assert [problem.message for problem in DATASETS["ImageFolder"].problems(tmp_path)] == [
        "dataset ImageFolder: no folder of a class"
    ] * 2
