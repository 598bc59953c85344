"""A recipe is tried out: bursts of its steps, an evaluation, and nothing that stays."""

import itertools

import pytest
import torch
from small_stages import CPU, DrawingTask, smoke_job, smoke_recipe, smoke_task

from sweep.recipe.datasets import DATASETS
from sweep.store.records import Bursts
from sweep.train import loop, pilot
from sweep.train.folder import FolderSource
from sweep.train.generators import read_generators
from sweep.train.loop import train_stage
from sweep.train.pilot import measure, try_out
from sweep.train.task import Data, ImageTask

SECONDS = 0.2


def test_it_says_what_a_step_an_evaluation_and_a_stage_take():
    measures = try_out([smoke_job()], smoke_task(), SECONDS)
    [bursts] = measures.bursts
    assert len(bursts.step_seconds) >= 3
    assert min(bursts.step_seconds) > 0
    assert measures.evaluation_seconds
    assert measures.first_startup_seconds >= 0
    assert measures.startup_seconds >= 0
    assert measures.peak_bytes > 0
    assert measures.total_bytes > 0


def test_every_place_of_a_run_is_tried_out(monkeypatch):
    stepped = []
    step = loop._step
    monkeypatch.setattr(loop, "_step", lambda run: stepped.append(run.step) or step(run))
    rates = [1e-3] * 2
    jobs = [smoke_job(start_step=start, stop_step=start + 2, rates=rates) for start in (5, 40)]
    measures = try_out(jobs, smoke_task(), SECONDS)
    assert len(measures.bursts) == 2
    assert set(stepped) == {5, 6, 40, 41}
    assert stepped == sorted(stepped, key=lambda step: step >= 40)  # one place after the other


def test_nothing_stays_of_it():
    task, job = smoke_task(kind=DrawingTask), smoke_job()
    alone = train_stage(job, task, lambda progress: None, 0).measurement.weights_sha256
    torch.manual_seed(7)
    before = read_generators()
    try_out([job], task, SECONDS)
    after = read_generators()
    assert torch.equal(before[0], after[0])
    assert before[2] == after[2]
    assert train_stage(job, task, lambda progress: None, 0).measurement.weights_sha256 == alone


def test_a_long_evaluation_is_judged_by_the_batches_that_there_was_time_for():
    class Endless(ImageTask):
        num_evaluation_batches = 1000

        def evaluate(self, model, note_progress=lambda: None):
            for _ in range(self.num_evaluation_batches):
                torch.ones(200, 200) @ torch.ones(200, 200)
                self.batches_seen += 1
                note_progress()
            raise AssertionError("it was seen to its end")

        batches_seen = 0

    task = smoke_task(kind=Endless)
    measures = try_out([smoke_job()], task, 0.01)
    assert len(measures.evaluation_seconds) == 1
    assert 1 <= task.batches_seen < 1000


def test_one_whose_batches_are_not_counted_beforehand_is_seen_to_its_end():
    class Uncounted(ImageTask):
        num_evaluation_batches = None

        ends_seen = 0

        def evaluate(self, model, note_progress=lambda: None):
            found = super().evaluate(model, note_progress)
            self.ends_seen += 1
            return found

    task = smoke_task(kind=Uncounted)
    assert try_out([smoke_job()], task, 0.01).evaluation_seconds
    assert task.ends_seen >= 1


def bursts_of(*seconds):
    ticks = itertools.cycle(seconds)
    return lambda: next(ticks)


def test_a_steady_clock_is_read_for_half_of_the_time():
    assert len(measure(bursts_of(1.0, 1.01), 1, 60.0)) == pytest.approx(30, abs=1)
    assert len(measure(bursts_of(0.5), 2, 60.0)) == 30  # bursts of two steps


def test_one_that_is_not_known_well_enough_then_is_read_to_the_end():
    assert sum(measure(bursts_of(1.0, 1.0, 1.0, 1.0, 9.0, 1.0, 1.0), 1, 60.0)) >= 60


def test_a_step_that_takes_longer_than_there_is_time_for_is_trained_three_times():
    assert measure(bursts_of(100.0), 1, 60.0) == [100.0] * 3


def test_bursts_are_as_long_as_the_time_allows(monkeypatch):
    monkeypatch.setattr(pilot, "measure", lambda burst, num_steps, seconds: [burst()])

    class Steady:
        def step_seconds(self, seconds):
            return 0.001

        def burst(self, num_steps):
            return 0.001

    assert pilot._bursts(Steady(), 54.0) == Bursts(num_steps=90, step_seconds=(0.001,))
    assert pilot._bursts(Steady(), 1.0).num_steps == 10


@pytest.mark.parametrize("name", ["FashionMNIST", "CIFAR10"])
def test_data_that_is_not_there_is_made_up_in_its_shape(name, tmp_path):
    data, dataset = Data.made_up(name, tmp_path / "none", CPU), DATASETS[name]
    assert (len(data.train), len(data.evaluation)) == (dataset.num_train, dataset.num_eval)
    assert data.train.pixels.shape[1:] == dataset.shape
    assert data.train.pixels.dtype == torch.uint8
    assert set(data.train.labels.tolist()) == set(range(dataset.num_classes))
    assert not (tmp_path / "none").exists()
    again = Data.made_up(name, tmp_path / "none", CPU)
    assert torch.equal(again.train.pixels, data.train.pixels)


def test_image_files_that_are_not_there_are_a_few_that_stand_for_all(tmp_path):
    data, dataset = Data.made_up("ImageNet", tmp_path, CPU), DATASETS["ImageNet"]
    assert (len(data.train), len(data.evaluation)) == (dataset.num_train, dataset.num_eval)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert 60_000 < sum(sizes) / len(sizes) < 200_000  # a photograph of ImageNet has 110 kB
    sides = ("train_crop_size=16", "val_resize_size=16", "val_crop_size=16", "batch_size=4", "workers=0")
    recipe = smoke_recipe("dataset=ImageNet", "model=resnet18", "random_crop_padding=0", *sides)
    source = FolderSource(recipe, data.dataset, data.train, data.evaluation, CPU)
    images, labels = next(source.batches(0, dataset.num_train, 0, 1))
    assert images.shape == (4, 3, 16, 16)
    assert ((labels >= 0) & (labels < 1000)).all()
    assert source.num_evaluation_batches == 12_500
