"""Image files: the same bits whatever decodes them and wherever a run starts, and every broken file named."""

import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted_stages import train_in_parts
from PIL import Image
from small_folder import CLASSES, SMALL, small_recipe, write_folder
from small_stages import CPU
from torchvision.datasets.folder import pil_loader
from torchvision.transforms import v2

from sweep.errors import Outcome, RecipeError
from sweep.recipe.datasets import DATASETS
from sweep.run.executors.inline import InlineExecutor
from sweep.run.messages import StageDone
from sweep.run.stop import StopRequest
from sweep.store.records import PrepareJob, StageJob, encode_rates
from sweep.train.data import epoch_order
from sweep.train.device import set_threads
from sweep.train.folder import find_image_files, read_rgb
from sweep.train.task import Data, ImageTask

STEPS_PER_EPOCH = 4  # of 20 images: 6, 6, 6 and 2


@pytest.fixture(autouse=True)
def small_imagenet(monkeypatch):
    monkeypatch.setitem(DATASETS, "ImageNet", SMALL)


@pytest.fixture(scope="module")
def whole_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imagenet")
    write_folder(folder)
    return folder


@pytest.fixture
def folder(whole_folder, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(whole_folder, tmp_path / "imagenet")


def make_task(data_path, **keys):
    set_threads(1)
    return ImageTask(small_recipe(**keys), Data.load("ImageNet", data_path, CPU))


def equal(batches, others):
    return len(batches) == len(others) and all(
        torch.equal(images, other_images) and torch.equal(labels, other_labels)
        for (images, labels), (other_images, other_labels) in zip(batches, others, strict=True)
    )


def generators():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


# What is trained on


def test_every_image_is_found_with_the_number_of_its_class(whole_folder):
    for files, part, count in zip(find_image_files(SMALL, whole_folder), ("train", "val"), (20, 7), strict=True):
        assert len(files) == count
        for example in range(count):
            assert files.path(example).is_file()
            assert files.path(example).parent == whole_folder / part / CLASSES[files.labels[example]]


def test_other_files_are_no_images(folder):
    (folder / "train" / "n01" / "notes.txt").write_text("no image")
    assert DATASETS["ImageNet"].problems(folder) == []
    assert len(find_image_files(SMALL, folder)[0]) == 20


def test_an_image_is_cropped_mirrored_and_normalised_by_torchvision_with_its_own_seed(whole_folder):
    task = make_task(whole_folder)
    files, _ = find_image_files(SMALL, whole_folder)
    epoch, seed = 1, 5
    [(images, labels)] = list(task.batches(seed, 20, STEPS_PER_EPOCH, STEPS_PER_EPOCH + 1))
    order = epoch_order(seed, epoch, 20, "epochs", files.labels)[:6]
    assert labels.tolist() == files.labels[order].tolist()
    transform = v2.Compose([v2.RandomResizedCrop(32), v2.RandomHorizontalFlip(0.5), v2.PILToTensor()])
    for image, example in zip(images, order.tolist(), strict=True):
        [own_seed] = np.random.SeedSequence([seed, epoch, 2, example]).generate_state(1, np.uint64)
        with torch.random.fork_rng():
            torch.manual_seed(int(own_seed))
            pixels = transform(Image.open(files.path(example)).convert("RGB")).float()
        mean, sd = (torch.tensor(values).view(3, 1, 1) for values in (SMALL.pixel_mean, SMALL.pixel_sd))
        assert torch.equal(image, (pixels - mean) / sd)


def test_an_image_in_colour_is_read_as_torchvision_reads_it_and_copied_no_more(whole_folder, monkeypatch):
    files, _ = find_image_files(SMALL, whole_folder)
    theirs = [np.asarray(pil_loader(files.path(example))) for example in (1, 0)]
    converted = []
    convert = Image.Image.convert
    monkeypatch.setattr(Image.Image, "convert", lambda image, *mode: converted.append(mode) or convert(image, *mode))
    for example, expected, num_converted in ((1, theirs[0], 0), (0, theirs[1], 1)):  # in colour, and grey
        assert np.array_equal(np.asarray(read_rgb(files.path(example))), expected)
        assert len(converted) == num_converted


@pytest.mark.parametrize("method", ["epochs", "steps", "samples", "subset"])
def test_batches_that_start_anywhere_are_those_that_a_run_from_the_start_comes_to(whole_folder, method):
    task = make_task(whole_folder, method=method)
    num_examples = 14 if method in ("samples", "subset") else 20
    whole = list(task.batches(3, num_examples, 0, 11))
    per_epoch = -(-num_examples // 6)
    assert [len(labels) for _, labels in whole[:per_epoch]] == [6] * (num_examples // 6) + [num_examples % 6]
    for start, stop in ((0, 4), (2, 11), (3, 5), (7, 7)):
        assert equal(list(task.batches(3, num_examples, start, stop)), whole[start:stop])


def test_an_epoch_holds_every_image_once_and_crops_it_anew_in_the_next(whole_folder):
    task = make_task(whole_folder)
    batches = list(task.batches(0, 20, 0, 2 * STEPS_PER_EPOCH))
    epochs = batches[:STEPS_PER_EPOCH], batches[STEPS_PER_EPOCH:]
    seen = []
    for epoch in epochs:
        assert Counter(torch.cat([labels for _, labels in epoch]).tolist()) == {0: 7, 1: 7, 2: 6}
        seen += [image.numpy().tobytes() for images, _ in epoch for image in images]
    assert len(set(seen)) == 40


def test_the_number_of_processes_changes_no_bit(whole_folder):
    trained, evaluated = [], []
    for workers in (0, 1, 2):
        task = make_task(whole_folder, workers=workers)
        trained.append(list(task.batches(3, 20, 2, 10)))
        evaluated.append(list(task.source.evaluation_batches()))
    for batches in (trained, evaluated):
        assert equal(batches[1], batches[0])
        assert equal(batches[2], batches[0])


@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_is_drawn_from_the_global_generators(whole_folder, workers):
    task = make_task(whole_folder, workers=workers)
    model = task.build_model(0)
    before = generators()
    list(task.batches(0, 20, 0, 5))
    task.warm_up_batch(0, 20)
    task.evaluate(model)
    assert generators() == before


def test_as_many_processes_decode_as_the_job_has_threads_unless_the_recipe_says_otherwise(whole_folder):
    for keys, count in (({"workers": None}, 1), ({"workers": 2}, 2), ({"workers": 0}, 0)):
        with closing(make_task(whole_folder, **keys).batches(0, 20, 0, 8)):
            assert len(multiprocessing.active_children()) == count
        assert multiprocessing.active_children() == []


def test_processes_are_gone_when_a_run_is_given_up_in_the_middle(whole_folder):
    batches = make_task(whole_folder, workers=2).batches(0, 20, 0, 400)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert multiprocessing.active_children() == []


KILLED = """
import multiprocessing, os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from small_folder import SMALL
from sweep.recipe.datasets import DATASETS
from test_folder import make_task
DATASETS["ImageNet"] = SMALL
batches = make_task(Path({folder!r}), workers=2).batches(0, 20, 0, 400)
next(batches)
print(*(child.pid for child in multiprocessing.active_children()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch's own watchdog takes some seconds")
def test_processes_are_gone_when_the_one_that_trains_is_killed(whole_folder, wait_until):
    script = KILLED.format(tests=str(Path(__file__).parent), folder=str(whole_folder))
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    pids = run.stdout.split()
    assert len(pids) == 2
    wait_until(lambda: not any(is_running(pid) for pid in pids))


# Evaluation


def test_evaluation_resizes_and_crops_the_centre_of_every_image_in_its_order(whole_folder):
    task = make_task(whole_folder)
    _, files = find_image_files(SMALL, whole_folder)
    batches = list(task.source.evaluation_batches())
    assert [len(labels) for _, labels in batches] == [6, 1]
    assert torch.cat([labels for _, labels in batches]).tolist() == files.labels.tolist()
    transform = v2.Compose([v2.Resize(40), v2.CenterCrop(32), v2.PILToTensor()])
    mean, sd = (torch.tensor(values).view(3, 1, 1) for values in (SMALL.pixel_mean, SMALL.pixel_sd))
    for example, image in enumerate(torch.cat([images for images, _ in batches])):
        pixels = transform(Image.open(files.path(example)).convert("RGB")).float()
        assert torch.equal(image, (pixels - mean) / sd)


@pytest.mark.parametrize(("num_examples", "size"), [(20, 6), (4, 4)])
def test_the_warm_up_batch_has_the_size_of_a_real_one(whole_folder, num_examples, size):
    images, labels = make_task(whole_folder).warm_up_batch(0, num_examples)
    assert images.shape == (size, 3, 32, 32)
    assert images.dtype == torch.float32
    assert labels.tolist() == [index % 3 for index in range(size)]


# A whole Stage, as the Worker trains it


def stage_job(recipe, **fields):
    job = StageJob(
        stage="a stage",
        recipe=recipe.model_dump(mode="json"),
        ratio="1",
        seed=0,
        num_examples=20,
        start_step=0,
        stop_step=8,
        eval_steps=(4, 8),
        rates=encode_rates(np.full(8, 0.01)),
    )
    return job.model_copy(update=fields)


def train_in_worker(data_path, **keys):
    recipe = small_recipe(data_path=str(data_path), **keys)
    with InlineExecutor() as executor:
        executor.prepare(PrepareJob(recipe=recipe.model_dump(mode="json"), device="cpu", threads=1), StopRequest())
        executor.submit(stage_job(recipe))
        while not isinstance(done := executor.receive(0), StageDone):
            pass
        return done


def test_a_resnet_is_trained_and_evaluated_on_image_files(whole_folder):
    done = [train_in_worker(whole_folder, workers=workers) for workers in (0, 2)]
    for trained in done:
        assert (trained.outcome, trained.reason) == (Outcome.FINISHED, None)
        assert (trained.measurement.steps, trained.measurement.images) == (8, 40)
        assert trained.measurement.evaluations.steps == (4, 8)
        assert trained.measurement.data_wait_seconds > 0
    assert done[0].measurement.weights_sha256 == done[1].measurement.weights_sha256
    assert done[0].measurement.evaluations == done[1].measurement.evaluations


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_stage_of_image_files_that_was_interrupted_goes_on_to_the_same_bits(whole_folder, tmp_path, workers):
    whole = train_in_worker(whole_folder, workers=workers).measurement
    job = stage_job(small_recipe(workers=workers))
    parts = train_in_parts(job, tmp_path, (3, 4, 7), lambda: make_task(whole_folder, workers=workers)).measurement
    assert parts.resumed_at == (3, 4, 7)
    assert (parts.weights_sha256, parts.evaluations) == (whole.weights_sha256, whole.evaluations)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("content", [b"no image", None])
def test_an_image_that_cannot_be_decoded_fails_the_trial_and_is_named(folder, workers, part, content):
    broken = folder / part / "n02" / f"{part}_001.JPEG"
    broken.write_bytes(broken.read_bytes()[:200] if content is None else content)
    done = train_in_worker(folder, workers=workers)
    assert done.outcome is Outcome.FAILED
    assert done.reason.startswith(f"{broken}: the image cannot be decoded (")
    assert "\n" not in done.reason


# What is found before anything trains


def spoil(folder, how):
    train, val = folder / "train", folder / "val"
    match how:
        case "no such folder":
            shutil.rmtree(folder)
        case "no val":
            shutil.rmtree(val)
        case "a class is missing":
            shutil.rmtree(train / "n03")
        case "an image is missing":
            (val / "n02" / "val_001.JPEG").unlink()
        case "an image too many":
            shutil.copy(val / "n02" / "val_001.JPEG", val / "n02" / "copy.png")
        case "an empty class":
            shutil.rmtree(train / "n03")
            (train / "n03").mkdir()
        case "images without classes":
            for path in val.glob("*/*"):
                path.rename(val / path.name)
            for path in CLASSES:
                (val / path).rmdir()
        case "other classes":
            (val / "n03").rename(val / "n04")


@pytest.mark.parametrize(
    ("how", "where", "words"),
    [
        ("no such folder", "", "dataset ImageNet is absent"),
        ("no val", "/val", "0 folders of classes, of 3"),
        ("a class is missing", "/train", "2 folders of classes, of 3"),
        ("an image is missing", "/val", "6 images, of 7"),
        ("an image too many", "/val", "8 images, of 7"),
        ("an empty class", "/train", "no image in n03"),
        ("images without classes", "/val", "0 folders of classes, of 3"),
        ("other classes", "", "train and val hold different classes (n03 is in one only)"),
    ],
)
def test_folders_that_are_not_whole_are_refused_with_what_was_found(folder, how, where, words):
    assert DATASETS["ImageNet"].problems(folder) == []
    spoil(folder, how)
    [problem] = DATASETS["ImageNet"].problems(folder)
    assert words in problem.message
    assert problem.where == f"{folder}{where}"
    assert f"{folder}/train/CLASS/*.JPEG" in problem.fix


def test_whatever_is_wrong_with_data_and_model_is_told_at_once(folder):
    for part in ("train", "val"):
        shutil.rmtree(folder / part / "n01")
    recipe = small_recipe(data_path=str(folder), model="vit_b_16")
    job = PrepareJob(recipe=recipe.model_dump(mode="json"), device="cuda:99", threads=1)
    with InlineExecutor() as executor, pytest.raises(RecipeError) as refused:
        executor.prepare(job, StopRequest())
    words = ("vit_b_16 does not take images of 3x32x32", "of classes", "of classes", "no device cuda:99")
    assert len(refused.value.problems) == len(words)
    for problem, word in zip(refused.value.problems, words, strict=True):
        assert word in problem.message
