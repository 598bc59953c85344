"""Training on image files against torchvision's reference script: `python bench/folder.py`, or `make bench`.

The other side is the loop of torchvision's references/classification/train.py: its ImageFolder, its transforms (the
preset for training, its `--backend` the faster of PIL and tensor), its DataLoader with a RandomSampler and new
processes every epoch, its train_one_epoch. Left out is what it does for its log: loss and accuracies of every batch.
Both sides train the same network with the same optimizer on one thread, and decode with two processes.

Processes work ahead, so what is timed in turn is a round of three epochs, from the start of its processes to the end of
its last step. The reference script starts processes anew for every epoch; ours live as long as a stage, which here is a
round.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision
import typer
from measuring import median_of_ratios, step_times
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler
from torchvision import transforms as v1

from results import Row, report
from sweep.api import plan_sweep
from sweep.request import SweepRequest
from sweep.run.ledger import stage_job
from sweep.store.records import StageJob
from sweep.train.loop import start_stage, train_steps
from sweep.train.task import Data, ImageTask

NUM_ROUNDS = 11
EPOCHS_PER_ROUND = 3
NUM_WARM_UP = 1
NUM_CLASSES = 10
NUM_WORKERS = 2
BACKENDS = ("pil", "tensor")
# Those of the reference script's presets.
MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Case:
    """What is trained: `crop_size` in pixels, of `num_images` files."""

    name: str
    model: str
    crop_size: int
    num_images: int

    def recipe(self, data_path: Path) -> dict[str, object]:
        return {
            "model": self.model,
            "dataset": "ImageFolder",
            "data_path": str(data_path),
            "epochs": (NUM_WARM_UP + NUM_ROUNDS) * EPOCHS_PER_ROUND,
            "batch_size": 64,
            "lr": 0.01,
            "train_crop_size": self.crop_size,
            "hflip_prob": 0.5,
            "workers": NUM_WORKERS,
        }


CASES = (
    Case("decoding takes most of it", "small_resnet", 32, 2560),
    Case("the network takes most of it", "resnet18", 64, 384),
)


def write_images(data_path: Path, num_images: int) -> None:
    """So many JPEG files to train on, of about 300x300 pixels: smooth colours under some noise. One a class beside."""
    random = np.random.default_rng(0)
    for index in range(num_images):
        number = index % NUM_CLASSES
        width, height = random.integers(260, 341, 2)
        coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
        noisy = np.clip(smooth + random.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
        for part in ("train", "val") if index < NUM_CLASSES else ("train",):
            folder = data_path / part / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noisy).save(folder / f"{index:05}.jpg", quality=85)


def our_rounds(job: StageJob, task: ImageTask) -> Iterator[None]:
    """Trains a round at a time, with processes of its own."""
    run = start_stage(job, task, lambda progress: None)
    run.batches.close()
    while True:
        stop = run.step + EPOCHS_PER_ROUND * run.steps_per_epoch
        run.batches = task.batches(job.seed, job.num_examples, run.step, stop)
        with closing(run.batches):
            for _ in train_steps(run, stop):
                pass
        yield


def their_rounds(job: StageJob, task: ImageTask, backend: str) -> Iterator[None]:
    """The reference script's train_one_epoch, a round's epochs at a time."""
    recipe = task.recipe
    transform = _preset(backend, recipe.train_crop_size, recipe.hflip_prob)
    images = torchvision.datasets.ImageFolder(Path(recipe.data_path) / "train", transform)
    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        images, recipe.batch_size, sampler=RandomSampler(images), num_workers=NUM_WORKERS, pin_memory=True
    )
    criterion = nn.CrossEntropyLoss()
    model = task.build_model(job.seed)
    optimizer = task.build_optimizer(model)
    model.train()
    while True:
        for _ in range(EPOCHS_PER_ROUND):
            for image, target in loader:
                loss = criterion(model(image), target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        yield


def _preset(backend: str, crop_size: int, hflip_prob: float) -> v1.Compose:
    """ClassificationPresetTrain of the reference script's presets.py."""
    to_tensor = v1.PILToTensor()
    changes = [v1.RandomResizedCrop(crop_size, antialias=True), v1.RandomHorizontalFlip(hflip_prob)]
    decoded = [to_tensor, *changes] if backend == "tensor" else [*changes, to_tensor]
    return v1.Compose([*decoded, v1.ConvertImageDtype(torch.float), v1.Normalize(MEAN, SD)])


def compare(case: Case, data_path: Path) -> Row:
    """Our rounds, those of the reference script with either backend, and ours again."""
    plan = plan_sweep(SweepRequest(case.recipe(data_path), ratios="1"))
    job = stage_job(plan.stages[0])
    recipe = plan.loaded.recipe
    task = ImageTask(recipe, Data.load(recipe.dataset, data_path, torch.device("cpu")))
    rounds = [our_rounds(job, task), our_rounds(job, task)]
    rounds += [their_rounds(job, task, backend) for backend in BACKENDS]
    ours, other, *theirs = step_times(rounds, NUM_ROUNDS, NUM_WARM_UP)
    backend, fastest = min(zip(BACKENDS, theirs, strict=True), key=lambda pair: float(np.median(pair[1])))
    share = median_of_ratios(fastest, ours)
    speeds = "; ".join(
        f"{name} {case.num_images * EPOCHS_PER_ROUND / float(np.median(seconds)):.0f}"
        for name, seconds in (("ours", ours), *zip(BACKENDS, theirs, strict=True))
    )
    return Row(
        f"ImageFolder, {case.name}: {case.model}, crops of {case.crop_size} (images/s: {speeds})",
        f"torchvision's reference script, backend {backend}",
        str(share),
        "1.0",
        share.at_least(1.0),
        str(median_of_ratios(other, ours)),
    )


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of pin_memory without a GPU
    rows = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            write_images(Path(folder), case.num_images)
            rows.append(compare(case, Path(folder)))
    report(
        "folder",
        rows,
        [
            f"The figure is ours over theirs in images/s; {NUM_ROUNDS} rounds, in each of them {EPOCHS_PER_ROUND} "
            "epochs of every side: the reference script starts its processes anew for each of them, as it does.",
            "JPEG files of about 300x300 pixels in the page cache; batches of 64, two processes that decode, one "
            "thread, float32. What the reference script computes for its log is left out.",
        ],
    )


if __name__ == "__main__":
    typer.run(main)
