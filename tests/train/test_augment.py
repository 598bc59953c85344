"""Auto-augmentation and random erasing: torchvision's, a function of (seed, epoch, example), for every kind of data."""

import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from small_folder import SMALL, small_recipe, write_folder
from small_stages import CPU
from torchvision.transforms import InterpolationMode, v2

from sweep.recipe.check import check_recipe
from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe
from sweep.store.records import StageJob, encode_rates
from sweep.train.augment import Eraser, auto_augmentation, erase
from sweep.train.augmented import AugmentedSource
from sweep.train.data import Images, MemorySource, Normaliser, epoch_order
from sweep.train.decoding import seeded
from sweep.train.device import set_threads
from sweep.train.folder import find_image_files
from sweep.train.loop import train_stage
from sweep.train.task import Data, ImageTask

NAMES = ["ra", "ta_wide", "augmix", "imagenet", "cifar10", "svhn"]
EVERYTHING = {"auto_augment": "ra", "random_erase": 0.5, "random_crop_padding": 2, "hflip_prob": 0.5}
N = 50  # 4 steps an epoch: 16, 16, 16 and 2


def memory_images(channels):
    pixels = np.random.default_rng(channels).integers(0, 256, (N, channels, 12, 14), dtype=np.uint8)
    return Images(torch.from_numpy(pixels), torch.arange(N) % 10)


def memory_data(channels=3):
    dataset = replace(
        DATASETS["CIFAR10"], num_train=N, num_eval=N, shape=(channels, 12, 14), pixel_mean=(100.0,), pixel_sd=(50.0,)
    )
    return Data(dataset, memory_images(channels), memory_images(channels), CPU)


def memory_recipe(**keys):
    values = {"model": "small_cnn", "dataset": "CIFAR10", "batch_size": 16, "epochs": 2, "workers": 0}
    return Recipe.model_validate(values | keys)


def memory_task(channels=3, **keys):
    set_threads(1)
    return ImageTask(memory_recipe(**keys), memory_data(channels))


def equal(batches, others):
    return len(batches) == len(others) and all(
        torch.equal(images, other_images) and torch.equal(labels, other_labels)
        for (images, labels), (other_images, other_labels) in zip(batches, others, strict=True)
    )


def picture(channels):
    pixels = np.random.default_rng(3).integers(0, 256, (20, 24, channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze())


# What is done to one image


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_transform_of_torchvisions_reference_script(name):
    bilinear = {"interpolation": InterpolationMode.BILINEAR}
    theirs = {
        "ra": v2.RandAugment(num_ops=2, magnitude=9, **bilinear),
        "ta_wide": v2.TrivialAugmentWide(**bilinear),
        "augmix": v2.AugMix(severity=3, **bilinear),
    }
    transform = theirs.get(name) or v2.AutoAugment(v2.AutoAugmentPolicy(name), **bilinear)
    [ours] = auto_augmentation(name)
    for seed in range(30):
        torch.manual_seed(seed)
        expected = transform(picture(3))
        torch.manual_seed(seed)
        assert ours(picture(3)).tobytes() == expected.tobytes()
    assert auto_augmentation("none") == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_policy_takes_grey_and_coloured_images_and_leaves_their_form(name, channels):
    [transform] = auto_augmentation(name)
    given, seen = picture(channels), set()
    for seed in range(60):
        with seeded(seed):
            image = transform(given)
        assert (image.mode, image.size) == (given.mode, given.size)
        seen.add(image.tobytes())
    assert len(seen) > 10


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_what_is_erased_is_what_torchvision_erases_of_the_normalised_image(probability):
    eraser, theirs = Eraser(probability), v2.RandomErasing(probability, value=0)
    normalised = torch.randn(64, 3, 20, 24)
    boxes, expected = [], []
    for seed, image in enumerate(normalised):
        torch.manual_seed(seed)
        expected.append(theirs(image))
        torch.manual_seed(seed)
        boxes.append(eraser.box(image))
    assert torch.equal(erase(normalised.clone(), torch.stack(boxes)), torch.stack(expected))
    erased = sum(bool(box[2]) for box in boxes)
    assert abs(erased - 64 * probability) < 16


# Images in memory


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["none", *NAMES])
def test_an_image_in_memory_is_cropped_mirrored_augmented_normalised_and_erased_in_that_order(channels, name):
    task = memory_task(channels, **EVERYTHING | {"auto_augment": name})
    data, seed, epoch = memory_data(channels), 5, 1
    [(images, labels)] = list(task.batches(seed, N, 4, 5))
    order = epoch_order(seed, epoch, N, "epochs", data.train.labels.numpy())[:16].tolist()
    assert labels.tolist() == data.train.labels[order].tolist()
    draws = task.source.draws(seed, epoch)
    frames = torch.nn.functional.pad(data.train.pixels, [2] * 4)
    for image, example in zip(images, order, strict=True):
        top, left = int(draws.top[example]), int(draws.left[example])
        pixels = frames[example, :, top : top + 12, left : left + 14]
        pixels = pixels.flip(2) if draws.mirrored[example] else pixels
        with seeded(seed, epoch, 3, example):
            for change in auto_augmentation(name):
                pixels = v2.functional.pil_to_tensor(change(v2.functional.to_pil_image(pixels)))
            expected = v2.RandomErasing(0.5)((pixels.float() - 100) / 50)
        assert torch.equal(image, expected)


def test_where_nothing_is_left_to_chance_the_batches_are_those_of_the_fast_way():
    keys = {"random_crop_padding": 2, "hflip_prob": 0.5}
    data = memory_data()
    fast = MemorySource(memory_recipe(**keys), data.dataset, data.train, data.evaluation)
    slow = AugmentedSource(memory_recipe(**keys), data.dataset, data.train, data.evaluation)
    assert equal(list(slow.batches(3, N, 1, 9)), list(fast.batches(3, N, 1, 9)))
    assert equal(list(slow.evaluation_batches()), list(fast.evaluation_batches()))


def test_only_a_recipe_that_augments_leaves_the_fast_way():
    assert type(memory_task(random_crop_padding=2, hflip_prob=0.5).source) is MemorySource
    assert type(memory_task(auto_augment="ra").source) is AugmentedSource
    assert type(memory_task(random_erase=0.1).source) is AugmentedSource


@pytest.mark.parametrize("method", ["epochs", "samples", "subset"])
def test_batches_that_start_anywhere_are_those_that_a_run_from_the_start_comes_to(method):
    task = memory_task(**EVERYTHING, method=method)
    num_examples = N if method == "epochs" else 35
    whole = list(task.batches(3, num_examples, 0, 11))
    for start, stop in ((0, 4), (2, 11), (3, 5), (7, 7)):
        assert equal(list(task.batches(3, num_examples, start, stop)), whole[start:stop])


def test_the_number_of_processes_changes_no_bit_of_images_in_memory():
    batches = [list(memory_task(**EVERYTHING, workers=workers).batches(3, N, 2, 10)) for workers in (0, 1, 2)]
    assert equal(batches[1], batches[0])
    assert equal(batches[2], batches[0])


def test_an_image_is_changed_otherwise_in_the_next_epoch_and_with_another_seed():
    task = memory_task(**EVERYTHING)
    seen = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0)):
        batches = task.batches(seed, N, 4 * epoch, 4 * epoch + 4)
        seen += [image.numpy().tobytes() for images, _ in batches for image in images]
    assert len(set(seen)) == len(seen) == 3 * N


def test_nothing_is_drawn_from_the_global_generators():
    before = torch.get_rng_state()
    list(memory_task(**EVERYTHING).batches(0, N, 0, 5))
    assert torch.equal(torch.get_rng_state(), before)


def job(recipe, **fields):
    stage = StageJob(
        stage="a stage",
        recipe=recipe.model_dump(mode="json"),
        ratio="1",
        seed=0,
        num_examples=N,
        start_step=0,
        stop_step=8,
        eval_steps=(4, 8),
        rates=encode_rates(np.full(8, 0.01)),
    )
    return stage.model_copy(update=fields)


def test_a_stage_trains_on_augmented_images_to_the_same_bits_whatever_makes_them():
    recipe = memory_recipe(**EVERYTHING)
    trained = [
        train_stage(job(recipe), memory_task(**EVERYTHING, workers=workers), lambda progress: None, os.getpid())
        for workers in (0, 2)
    ]
    hashes = {each.measurement.weights_sha256 for each in trained}
    assert len(hashes) == 1
    assert None not in hashes
    plain = train_stage(job(recipe), memory_task(), lambda progress: None, os.getpid())
    assert plain.measurement.weights_sha256 not in hashes


# Image files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imagenet")
    write_folder(folder)
    return folder


@pytest.fixture
def file_task(folder, monkeypatch):
    monkeypatch.setitem(DATASETS, "ImageNet", SMALL)
    set_threads(1)
    return lambda **keys: ImageTask(small_recipe(**keys), Data.load("ImageNet", folder, CPU))


@pytest.mark.parametrize("name", ["ra", "imagenet"])
def test_an_image_file_is_cropped_mirrored_augmented_normalised_and_erased_in_that_order(file_task, folder, name):
    [(images, _)] = list(file_task(auto_augment=name, random_erase=0.5).batches(5, 20, 4, 5))
    files, _ = find_image_files(SMALL, folder)
    flip = v2.RandomHorizontalFlip(0.5)
    transform = v2.Compose([v2.RandomResizedCrop(32), flip, *auto_augmentation(name), v2.PILToTensor()])
    for image, example in zip(images, epoch_order(5, 1, 20, "epochs", files.labels)[:6].tolist(), strict=True):
        with seeded(5, 1, 2, example):
            pixels = transform(Image.open(files.path(example)).convert("RGB"))
            expected = v2.RandomErasing(0.5)(Normaliser(SMALL, CPU)(pixels[None])[0])
        assert torch.equal(image, expected)


def test_neither_the_number_of_processes_nor_the_start_changes_a_bit_of_image_files(file_task):
    whole = list(file_task(auto_augment="ta_wide", random_erase=0.5).batches(3, 20, 0, 10))
    part = list(file_task(auto_augment="ta_wide", random_erase=0.5, workers=2).batches(3, 20, 3, 10))
    assert equal(part, whole[3:])


def test_evaluation_images_are_neither_augmented_nor_erased(file_task):
    plain = list(file_task().source.evaluation_batches())
    assert equal(list(file_task(auto_augment="ra", random_erase=1).source.evaluation_batches()), plain)


# What cannot work is refused


@pytest.mark.parametrize("name", NAMES)
def test_images_whose_white_is_not_255_are_refused(name):
    [problem] = check_recipe({"model": "small_cnn", "dataset": "digits", "auto_augment": name}, {}, "recipe")
    assert problem.key == "auto_augment"
    assert problem.message == "is made for pixels of 0 to 255, and those of digits go to 16"
    assert isinstance(check_recipe({"model": "small_cnn", "dataset": "digits", "random_erase": 0.5}, {}, "x"), Recipe)


def test_what_goes_to_a_process_can_be_sent_there():
    for name in NAMES:
        pickle.loads(pickle.dumps((auto_augmentation(name), Eraser(0.5))))
