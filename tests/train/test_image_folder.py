"""A user's own folders: any number of classes and images, of every kind that PIL reads."""

import multiprocessing
import warnings
from contextlib import closing

import numpy as np
import pytest
import torch
from image_folders import CLASSES, write_pngs
from PIL import Image
from small_folder import small_recipe
from small_stages import CPU

from sweep.recipe.datasets import DATASETS
from sweep.run.executors.inline import InlineExecutor
from sweep.run.stop import StopRequest
from sweep.store.records import PrepareJob
from sweep.train.device import set_threads
from sweep.train.folder import read_rgb
from sweep.train.task import Data, ImageTask, model_problem


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    write_pngs(folder, 20, 7)
    return folder


def recipe(folder, **keys):
    return small_recipe(**{"dataset": "ImageFolder", "data_path": str(folder), "model": "small_cnn"} | keys)


def make_task(folder, **keys):
    set_threads(1)
    return ImageTask(recipe(folder, **keys), Data.load("ImageFolder", folder, CPU))


def test_the_network_has_as_many_classes_as_there_are_folders(folder):
    task = make_task(folder)
    assert task.build_model(0)(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    assert (task.dataset.num_train, task.dataset.num_eval, task.dataset.num_classes) == (20, 7, 3)
    assert DATASETS["ImageFolder"].num_train is None, "what one folder holds says nothing of the next"


def test_labels_are_the_folders_in_order(folder):
    files = make_task(folder).source._train
    assert all(files.path(example).parent.name == CLASSES[files.labels[example]] for example in range(20))


def test_the_network_is_tried_with_the_classes_that_are_there(folder, tmp_path):
    assert model_problem(recipe(folder)) is None
    assert "does not take images of 3x32x32" in model_problem(recipe(folder, model="vit_b_16")).message
    assert model_problem(recipe(tmp_path)) is None, "of images that are not there nothing can be said"


def test_images_are_known_again_by_their_names(folder, tmp_path):
    write_pngs(tmp_path, 20, 7)
    first = Data.load("ImageFolder", folder, CPU).sha256
    assert Data.load("ImageFolder", tmp_path, CPU).sha256 == first
    (tmp_path / "train" / "green" / "train 00001.png").rename(tmp_path / "train" / "green" / "other.png")
    assert Data.load("ImageFolder", tmp_path, CPU).sha256 != first


def test_a_worker_says_which_images_it_has(folder):
    job = PrepareJob(recipe=recipe(folder).model_dump(mode="json"), device="cpu", threads=1)
    with InlineExecutor() as executor:
        environment = executor.prepare(job, StopRequest())
    assert environment.data_sha256 == Data.load("ImageFolder", folder, CPU).sha256


# What is in the files


GREY = (np.arange(256, dtype=np.uint16).reshape(16, 16) << 8) | 77
COLOUR = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def colours(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = read_rgb(path)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_of_grey_keep_their_brightness(tmp_path, suffix):
    Image.fromarray(GREY).save(tmp_path / f"grey.{suffix}")
    assert np.array_equal(colours(tmp_path / f"grey.{suffix}"), np.repeat((GREY >> 8)[:, :, None], 3, axis=2))


def test_grey_transparent_and_palette_images_are_colours(tmp_path):
    transparent = np.dstack([COLOUR, np.arange(256, dtype=np.uint8).reshape(16, 16)])
    palette = Image.fromarray(COLOUR).quantize(16)
    pictures = {
        "grey": (Image.fromarray(COLOUR[:, :, 0]), np.repeat(COLOUR[:, :, :1], 3, axis=2)),
        "grey with alpha": (Image.fromarray(transparent[:, :, 2:]), np.repeat(COLOUR[:, :, 2:], 3, axis=2)),
        "alpha": (Image.fromarray(transparent), COLOUR),
        "palette": (palette, np.asarray(palette.convert("RGB"))),
        "black and white": (Image.fromarray(COLOUR[:, :, 0] > 127), None),
    }
    for name, (picture, expected) in pictures.items():
        picture.save(tmp_path / f"{name}.png")
        found = colours(tmp_path / f"{name}.png")
        assert expected is None or np.array_equal(found, expected), name
    palette.save(tmp_path / "transparent palette.png", transparency=bytes(range(16)))
    assert np.array_equal(colours(tmp_path / "transparent palette.png"), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("values", [np.float32([[0.5]]), np.int32([[7]])])
def test_pixels_whose_white_nobody_knows_are_refused(tmp_path, values):
    Image.fromarray(values).save(tmp_path / "x.tif")
    with pytest.raises(ValueError, match="whose white is not known: save it with 8 or 16"):
        read_rgb(tmp_path / "x.tif")


# The processes that serve evaluations


def test_evaluations_of_one_run_have_the_same_processes(folder):
    task = make_task(folder, workers=2)
    with closing(task.batches(0, 20, 0, 40)) as batches:
        next(batches)
        training = {child.pid for child in multiprocessing.active_children()}
        assert len(training) == 2
        seen = []
        for _ in range(3):
            list(task.source.evaluation_batches())
            seen.append({child.pid for child in multiprocessing.active_children()} - training)
            next(batches)
        assert len(seen[0]) == 2
        assert seen[0] == seen[1] == seen[2]
    assert multiprocessing.active_children() == []


def test_an_evaluation_by_itself_leaves_no_process(folder):
    task = make_task(folder, workers=2)
    assert sum(len(labels) for _, labels in task.source.evaluation_batches()) == 7
    assert multiprocessing.active_children() == []


def test_every_evaluation_sees_the_same(folder):
    task = make_task(folder, workers=2)
    alone = list(make_task(folder, workers=0).source.evaluation_batches())
    with closing(task.batches(0, 20, 0, 40)) as batches:
        next(batches)
        for _ in range(2):
            again = list(task.source.evaluation_batches())
            assert all(
                torch.equal(a, b)
                for pair, other in zip(again, alone, strict=True)
                for a, b in zip(pair, other, strict=True)
            )
