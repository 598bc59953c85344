"""Data: every random choice is a function of (seed, epoch, example), and of nothing else."""

import hashlib
import math
import pickle
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_loop import cut_out, framed
from sklearn.datasets import load_digits
from small_stages import CPU, digits, smoke_job, smoke_task, train
from torchvision.datasets import CIFAR10

from sweep.errors import MachineError, Outcome
from sweep.recipe.data_files import DataFile
from sweep.recipe.datasets import DATASETS
from sweep.recipe.library import load_recipe, parse_settings
from sweep.run.executors.inline import InlineExecutor
from sweep.run.stop import StopRequest
from sweep.store.records import PrepareJob
from sweep.train import data
from sweep.train.data import Augmenter, Images, Normaliser, draw_augmentation, epoch_order, subset
from sweep.train.loading import load_images
from sweep.train.task import Data, ImageTask

LABELS = digits().train.labels.numpy()
N = len(LABELS)


def order(seed=0, epoch=0, num_examples=N, method="epochs"):
    return epoch_order(seed, epoch, num_examples, method, LABELS).tolist()


def same(draws, others):
    return all(torch.equal(getattr(draws, part), getattr(others, part)) for part in ("top", "left", "mirrored"))


def test_an_epoch_holds_every_example_once():
    assert sorted(order(seed=3, epoch=5)) == list(range(N))


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    before = order(seed=3, epoch=5)
    order(seed=3, epoch=4)
    np.random.seed(1)
    torch.manual_seed(1)
    random.seed(1)
    assert order(seed=3, epoch=5) == before
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize("num_examples", [2, 432, 1441, N])
def test_samples_are_drawn_anew_each_epoch_without_replacement(num_examples):
    epochs = [order(epoch=epoch, num_examples=num_examples, method="samples") for epoch in range(3)]
    assert all(len(epoch) == len(set(epoch)) == num_examples for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    if num_examples < N:
        assert len({frozenset(epoch) for epoch in epochs}) == 3


def test_fewer_samples_are_the_first_of_more():
    assert order(num_examples=432, method="samples") == order(num_examples=1000, method="samples")[:432]
    assert order(num_examples=N, method="samples") == order(method="epochs")


def test_a_subset_is_the_same_in_every_epoch_and_for_every_seed():
    epochs = [order(seed, epoch, 432, "subset") for seed in range(3) for epoch in range(3)]
    assert {frozenset(epoch) for epoch in epochs} == {frozenset(subset(LABELS, 432).tolist())}
    assert len({tuple(epoch) for epoch in epochs}) == 9, "it is shuffled anew"


def test_subsets_are_nested_and_hold_the_classes_in_proportion():
    sizes = np.bincount(LABELS)
    smaller = set()
    for num_examples in range(1, N + 1):
        chosen = subset(LABELS, num_examples)
        assert len(set(chosen.tolist())) == num_examples
        assert smaller < set(chosen.tolist())
        counts = np.bincount(LABELS[chosen], minlength=10)
        assert np.abs(counts - sizes * num_examples / N).max() < 1
        smaller = set(chosen.tolist())
    assert subset(LABELS, N).tolist() == list(range(N))


def test_a_subset_of_one_class_sorted_after_the_other_holds_both():
    labels = np.repeat([0, 1], [40, 20])
    assert np.bincount(labels[subset(labels, 30)]).tolist() == [20, 10]


def test_augmentation_is_a_function_of_seed_and_epoch_alone():
    def draw(seed, epoch):
        return draw_augmentation(seed, epoch, N, 2, 0.5, CPU)

    torch.manual_seed(0)
    before = draw(3, 5)
    torch.manual_seed(1)
    np.random.seed(1)
    assert same(draw(3, 5), before)
    assert not same(draw(4, 5), before)
    assert not same(draw(3, 4), before)


def test_augmentation_does_not_depend_on_which_examples_an_epoch_draws():
    whole, part = smoke_task("hflip_prob=0.5"), smoke_task("hflip_prob=0.5", "method=subset")
    assert same(whole.source.draws(0, 1), part.source.draws(0, 1))


def test_crops_start_at_every_corner_and_half_of_the_images_are_mirrored():
    draws = draw_augmentation(0, 0, 10_000, 2, 0.5, CPU)
    assert draws.top.unique().tolist() == draws.left.unique().tolist() == [0, 1, 2, 3, 4]
    assert not torch.equal(draws.top, draws.left)
    assert draws.mirrored.float().mean().item() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("prob", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_none_or_all_are_mirrored_where_that_is_asked(prob, share):
    assert draw_augmentation(0, 0, 1000, 0, prob, CPU).mirrored.float().mean().item() == share


def colour_images():
    """Oblong, in three channels, every pixel of an image different: mixed-up axes show."""
    pixels = torch.arange(6 * 3 * 5 * 7).reshape(6, 3, 5, 7) % 251
    return Images(pixels.to(torch.uint8), torch.arange(6))


def as_they_are():
    """A dataset whose normalisation changes nothing."""
    return replace(DATASETS["digits"], pixel_mean=(0.0, 0.0, 0.0), pixel_sd=(1.0, 1.0, 1.0))


@pytest.mark.parametrize(("padding", "prob"), [(0, 0.0), (2, 0.0), (0, 0.5), (2, 0.5), (3, 1.0)])
def test_a_batch_is_cropped_and_mirrored_as_each_image_would_be_alone(padding, prob):
    images = colour_images()
    draws = draw_augmentation(1, 0, len(images), padding, prob, CPU)
    examples = torch.tensor([4, 0, 5, 2])
    batch = Augmenter(images, as_they_are(), padding, prob).batch(examples, draws)
    frames = framed(images.pixels, padding)
    alone = [cut_out(frames[i], padding, draws.top[i], draws.left[i], bool(draws.mirrored[i])) for i in examples]
    assert torch.equal(batch, torch.stack(alone).float())


def test_an_image_looks_the_same_in_whatever_batch_it_comes():
    source = smoke_task("hflip_prob=0.5", "random_crop_padding=2").source
    draws = source.draws(0, 0)
    images, labels = source.batch(torch.arange(64), draws)
    for example in (0, 17, 63):
        image, label = source.batch(torch.tensor([example]), draws)
        assert torch.equal(image[0], images[example])
        assert label[0] == labels[example]


def test_augmenting_leaves_the_data_as_it_was():
    source = smoke_task("hflip_prob=1", "random_crop_padding=2").source
    before = digits().train.pixels.clone()
    source.batch(torch.arange(64), source.draws(0, 0))
    assert torch.equal(digits().train.pixels, before)


@pytest.mark.parametrize("method", ["epochs", "samples", "subset"])
def test_batches_that_start_anywhere_are_those_that_a_run_from_the_start_comes_to(method):
    source = smoke_task("hflip_prob=0.5", "random_crop_padding=2", f"method={method}").source
    whole = list(source.batches(3, 1000, 0, 40))  # 16 steps an epoch, the last of 40 examples
    assert [len(labels) for _, labels in whole[:17]] == [64] * 15 + [40] + [64]
    for start, stop in ((0, 16), (5, 40), (15, 17), (16, 33), (39, 40), (7, 7)):
        part = list(source.batches(3, 1000, start, stop))
        assert len(part) == stop - start
        for (images, labels), (expected, expected_labels) in zip(part, whole[start:stop], strict=True):
            assert torch.equal(images, expected)
            assert torch.equal(labels, expected_labels)


@pytest.mark.parametrize("at_once", [1, 3 * 64 * 256, 2**30])
def test_batches_are_the_same_however_many_are_made_at_once(monkeypatch, at_once):
    source = smoke_task("hflip_prob=0.5", "random_crop_padding=2").source
    expected = [source.batch(part, draws) for _, part, draws in source.parts(3, 1000, 5, 35)]
    made = []
    batch = source.batch
    monkeypatch.setattr(source, "batch", lambda examples, draws: made.append(len(examples)) or batch(examples, draws))
    monkeypatch.setattr(data, "_BYTES_AT_ONCE", at_once)
    for (images, labels), (alone, labels_alone) in zip(source.batches(3, 1000, 5, 35), expected, strict=True):
        assert torch.equal(images, alone)
        assert torch.equal(labels, labels_alone)
    assert len(made) == {1: 30, 3 * 64 * 256: 4 + 6 + 1, 2**30: 3}[at_once]


@pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if not dataset.image_files])
def test_every_image_of_a_dataset_in_memory_begins_as_aligned_as_the_first(name):
    assert math.prod(DATASETS[name].shape) * torch.float32.itemsize % 64 == 0


@pytest.mark.parametrize(("num_examples", "size"), [(1000, 64), (40, 40)])
def test_the_warm_up_batch_is_as_large_as_any_that_is_trained(num_examples, size):
    images, labels = smoke_task("method=samples").source.warm_up_batch(0, num_examples)
    assert (len(images), len(labels)) == (size, size)


def test_normalised_training_images_have_mean_zero_and_standard_deviation_one():
    images = Normaliser(DATASETS["digits"], CPU)(digits().train.pixels)
    assert images.dtype == torch.float32
    assert images.mean().item() == pytest.approx(0, abs=1e-4)
    assert images.std(unbiased=False).item() == pytest.approx(1, abs=1e-4)


def test_each_channel_is_normalised_by_its_own_mean_and_deviation():
    dataset = replace(DATASETS["digits"], pixel_mean=(1.0, 2.0, 3.0), pixel_sd=(1.0, 2.0, 4.0))
    normalised = Normaliser(dataset, CPU)(torch.full((1, 3, 2, 2), 7, dtype=torch.uint8))
    assert normalised[0, :, 1, 0].tolist() == [6.0, 2.5, 1.0]


def test_digits_are_split_as_stated():
    """Within each class, in the order of the file, every fifth image is for evaluation."""
    source = load_digits()
    seen = defaultdict(int)
    parts = {False: [], True: []}
    for index, label in enumerate(source.target.tolist()):
        seen[label] += 1
        parts[seen[label] % 5 == 0].append(index)
    for images, chosen in ((digits().train, parts[False]), (digits().evaluation, parts[True])):
        assert images.labels.tolist() == source.target[chosen].tolist()
        assert np.array_equal(images.pixels.squeeze(1).numpy(), source.images[chosen])


def test_what_is_known_of_digits_without_loading_it_is_true():
    dataset, data = DATASETS["digits"], digits()
    assert (len(data.train), len(data.evaluation)) == (dataset.num_train, dataset.num_eval) == (1442, 355)
    assert data.train.pixels.shape[1:] == data.evaluation.pixels.shape[1:] == dataset.shape
    assert data.train.pixels.dtype == torch.uint8
    assert data.train.labels.dtype == torch.int64
    assert data.train.labels.unique().tolist() == list(range(dataset.num_classes))
    pixels = data.train.pixels.double()
    assert dataset.pixel_mean == (round(pixels.mean().item(), 4),)
    assert dataset.pixel_sd == (round(pixels.std(unbiased=False).item(), 4),)


def write_idx(path, values):
    """The format of the MNIST family: two zero bytes, 8 for uint8, the number of axes, each axis's size, the bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes())


def test_fashion_mnist_is_read_from_its_four_files(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    written = {}
    for part, count in (("train", 7), ("t10k", 3)):
        images = np.random.default_rng(count).integers(0, 256, (count, 28, 28))
        labels = np.arange(count) + len(part)
        write_idx(raw / f"{part}-images-idx3-ubyte", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte", labels)
        written[part] = images, labels
    train, evaluation = load_images(DATASETS["FashionMNIST"], tmp_path, CPU)
    for images, (pixels, labels) in ((train, written["train"]), (evaluation, written["t10k"])):
        assert images.pixels.shape == (len(labels), *DATASETS["FashionMNIST"].shape)
        assert (images.pixels.dtype, images.labels.dtype) == (torch.uint8, torch.int64)
        assert np.array_equal(images.pixels.squeeze(1).numpy(), pixels)
        assert images.labels.tolist() == labels.tolist()


@pytest.fixture
def written_cifar10(tmp_path, monkeypatch):
    """A few images in the layout of CIFAR-10's files, whose md5 sums are torchvision's and ours for this test."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    random, sums, written = np.random.default_rng(0), {}, {}
    for name in ("data_batch_1", "data_batch_2", "test_batch"):
        rows, labels = random.integers(0, 256, (4, 3072), dtype=np.uint8), random.integers(0, 10, 4).tolist()
        (folder / name).write_bytes(pickle.dumps({"data": rows, "labels": labels, "filenames": ["x"] * 4}))
        written[name] = rows, labels
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    meta = sums["batches.meta"]
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in ("data_batch_1", "data_batch_2")])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": meta})
    files = tuple(DataFile(name, md5=md5) for name, md5 in sums.items())
    monkeypatch.setitem(DATASETS, "CIFAR10", replace(DATASETS["CIFAR10"], num_train=8, num_eval=4, files=files))
    return written


def test_cifar10_is_read_from_its_batches_row_by_row_red_green_and_blue(written_cifar10, tmp_path):
    dataset = DATASETS["CIFAR10"]
    assert dataset.problems(tmp_path) == []
    train, evaluation = load_images(dataset, tmp_path, CPU)
    parts = [written_cifar10[name] for name in ("data_batch_1", "data_batch_2")], [written_cifar10["test_batch"]]
    for images, batches in zip((train, evaluation), parts, strict=True):
        rows = np.concatenate([rows for rows, _ in batches])
        assert images.pixels.shape == (len(rows), *dataset.shape)
        assert (images.pixels.dtype, images.labels.dtype) == (torch.uint8, torch.int64)
        assert images.pixels.is_contiguous()
        assert np.array_equal(images.pixels.numpy(), rows.reshape(-1, 3, 32, 32))
        assert images.labels.tolist() == [label for _, labels in batches for label in labels]


class Trap:
    """Unpickled, it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_batch_that_is_not_cifar10s_is_never_unpickled(written_cifar10, tmp_path):
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    recipe = load_recipe("cifar10_resnet18", parse_settings((f"data_path={tmp_path}",))).recipe
    with InlineExecutor() as executor, pytest.raises(MachineError, match="its md5 differs"):
        executor.prepare(PrepareJob(recipe=recipe.model_dump(mode="json"), device="cpu", threads=1), StopRequest())
    assert not (tmp_path / "sprung").exists()


def test_a_resnet_trains_on_cifar10(written_cifar10, tmp_path):
    recipe = load_recipe("cifar10_resnet18", parse_settings(("batch_size=3", "epochs=1"))).recipe
    task = ImageTask(recipe, Data.load("CIFAR10", tmp_path, CPU))
    trained = train(smoke_job(num_steps=3, rates=[0.01] * 3, num_examples=8), task)
    assert trained.outcome is Outcome.FINISHED
    assert trained.measurement.images == 8
