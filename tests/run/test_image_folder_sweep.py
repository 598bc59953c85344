"""A sweep over a few thousand images of the user's own, by command line: killed in mid-epoch, it goes on to the same
bits; and whatever is wrong with the images is said.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.store.journal import replay
from sweep.store.records import StageRecord, StartRecord
from sweep.store.states import StageStates

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))

from image_folders import CLASSES, write_pngs

NUM_TRAIN, NUM_EVAL, STEPS_PER_EPOCH = 3000, 300, 60
RECIPE = """
model: small_cnn
dataset: ImageFolder
data_path: images
epochs: 4
batch_size: 50
lr: 0.05
lr_scheduler: cosineannealinglr
train_crop_size: 24
val_resize_size: 28
val_crop_size: 24
hflip_prob: 0.5
auto_augment: ta_wide
random_erase: 0.2
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    write_pngs(folder, NUM_TRAIN, NUM_EVAL, side=32)
    return folder


@pytest.fixture
def place(images, tmp_path):
    """A folder with a recipe and the images that it names."""
    (tmp_path / "mine.yaml").write_text(RECIPE)
    (tmp_path / "images").symlink_to(images)
    return tmp_path


def words(name, *options):
    ratios = ("--ratios", "0.25,0.5,1.0", "--threads", "1")
    return ["run", "./mine.yaml", "--name", name, *ratios, "--checkpoint-every", "0.3", *options]


def measured(journal):
    records = [record for record in replay(journal).records if isinstance(record, StageRecord)]
    return {record.stage: record.measurement for record in records if record.outcome == "finished"}


def timeless(measurements):
    return {stage: (of.weights_sha256, of.evaluations, of.images) for stage, of in measurements.items()}


def in_mid_epoch(states):
    return any(step % STEPS_PER_EPOCH for path in states.glob("*") for step in StageStates(path).steps())


@pytest.mark.slow
def test_a_sweep_over_image_files_that_was_killed_in_mid_epoch_goes_on_to_the_same_bits(
    sweep, command, place, wait_until
):
    untouched = sweep(*words("untouched", "--workers", 2, "--quiet"), cwd=place)
    assert untouched.returncode == 0, untouched.stderr
    expected = measured(place / "results" / "untouched" / "journal.jsonl")
    assert len(expected) == 3
    assert {of.images for of in expected.values()} == {NUM_TRAIN, 2 * NUM_TRAIN, 4 * NUM_TRAIN}

    folder = place / "results" / "killed"
    killed = subprocess.Popen(
        [command, *words("killed", "--workers", "2", "--quiet")], cwd=place, stdout=subprocess.DEVNULL
    )
    wait_until(lambda: in_mid_epoch(folder / "states"))
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert len(measured(folder / "journal.jsonl")) < 3
    went_on = sweep(*words("killed", "--workers", 1, "--quiet"), cwd=place)
    assert went_on.returncode == 0, went_on.stderr
    again = measured(folder / "journal.jsonl")
    assert any(step % STEPS_PER_EPOCH for of in again.values() for step in of.resumed_at)
    assert timeless(again) == timeless(expected)


@pytest.fixture
def few(place):
    """The same with so few images that a test may copy and spoil them."""
    (place / "images").unlink()
    write_pngs(place / "images", 60, 30, side=32)
    return place


def test_the_plan_counts_the_images(few, sweep):
    run = sweep("plan", "./mine.yaml", "--format", "json", "--ratios", "1", cwd=few)
    assert run.returncode == 0, run.stderr
    planned = json.loads(run.stdout)
    assert planned["total_steps"] == 8  # four epochs of 50 and 10 images
    assert planned["recipe"]["dataset"] == "ImageFolder"


@pytest.mark.slow
def test_an_image_that_is_broken_fails_the_trials_with_its_name(few, sweep):
    broken = few / "images" / "train" / CLASSES[1] / "train 00001.png"
    broken.write_bytes(broken.read_bytes()[:100])
    run = sweep(*words("broken", "--workers", 2), cwd=few)
    assert run.returncode == 1
    [reason] = {
        record.reason for record in replay(few / "results/broken/journal.jsonl").records if hasattr(record, "reason")
    }
    assert reason.startswith(f"images/train/{CLASSES[1]}/train 00001.png: the image cannot be decoded (")
    assert "the image cannot be decoded" in run.stdout
    assert "Traceback" not in run.stdout + run.stderr


@pytest.mark.parametrize("part", ["train", "val"])
def test_classes_of_one_part_alone_are_refused_before_anything_is_written(few, sweep, part):
    shutil.copytree(few / "images" / part / CLASSES[0], few / "images" / part / "other")
    for command in ("plan", "run"):
        run = sweep(command, "./mine.yaml", cwd=few)
        assert run.returncode == 3
        assert "train and val hold different classes (other is in one only)" in run.stderr
    assert not (few / "results").exists()


@pytest.mark.slow
def test_other_images_than_a_sweep_began_with_are_refused(few, sweep):
    assert sweep(*words("mine"), cwd=few).returncode == 0
    path = few / "images" / "train" / CLASSES[0]
    shutil.copy(path / "train 00000.png", path / "one more.png")
    run = sweep(*words("mine"), cwd=few)
    assert run.returncode == 2
    assert "these results were measured on another set-up: the names of the images were " in run.stderr


@pytest.mark.slow
def test_the_number_of_processes_may_be_given_and_is_recorded(few, sweep):
    assert sweep(*words("mine", "--workers", 0), cwd=few).returncode == 0
    [start] = [r for r in replay(few / "results/mine/journal.jsonl").records if isinstance(r, StartRecord)]
    assert start.recipe["workers"] == 0
    run = sweep(*words("mine", "--workers", 2, "--set", "workers=3"), cwd=few)
    assert run.returncode == 2
    assert "given twice, by --set and by --workers" in run.stderr
    assert "workers: should be" in sweep(*words("mine", "--workers", -1), cwd=few).stderr


def test_processes_that_have_nothing_to_do_are_told_of(sweep):
    run = sweep("plan", "digits", "--workers", 2)
    assert "workers: ignored: dataset digits is in memory, and not augmented" in run.stdout + run.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("timm/resnet181", "has no network 'resnet181'; did you mean 'resnet18'?"),
        ("timm/resnet18.a1_in1k", "is no network of timm (what follows a dot names trained weights"),
    ],
)
def test_a_network_that_timm_does_not_have_is_a_mistake_of_the_recipe(few, sweep, model, words):
    pytest.importorskip("timm")
    run = sweep("run", "./mine.yaml", "--set", f"model={model}", cwd=few)
    assert run.returncode == 2
    assert words in run.stderr
    assert not (few / "results").exists() or not list((few / "results").glob("*/journal.jsonl"))
