"""Runs that share their first steps are, bit for bit, what each would be alone: from memory, from disk, elsewhere."""

import pytest
import torch
from plain_loop import check_against_plain_loop
from small_stages import DrawingTask, digits
from torch import nn

from sweep.api import run_request
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.store.history import read_history
from sweep.train import task as task_module
from sweep.train.keeper import Keeper

SCHEDULES = {
    "multi-step": ("lr_scheduler=multisteplr", "lr_milestones=[2, 3]"),
    "wsd": ("lr_scheduler=wsd", "lr_cooldown=0.3dur"),
    "cosine with warm-up": (),
}
OPTIMIZERS = {"sgd_nesterov": (), "adamw": ("opt=adamw", "lr=0.003")}
AUGMENTED = ("epochs=4", "random_crop_padding=1", "hflip_prob=0.5", "lr_warmup_epochs=1", "min_shared_steps=1")


class BrainFloat(nn.Module):
    """A network that computes in bfloat16, its weights in float32."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        with torch.autocast("cpu", torch.bfloat16):
            return self.model(images).float()


class BrainFloatTask(DrawingTask):
    def build_model(self, seed):
        return BrainFloat(super().build_model(seed))


def train_grid(folder, kind, settings, **options):
    """A grid of two lengths and two seeds of `kind`, in this process: weights by trial, and forks loaded from disk."""
    loaded = []
    load_parent = Keeper.load_parent

    def counted(self, step):
        loaded.append(step)
        return load_parent(self, step)

    request = SweepRequest("smoke", "0.5,1", 2, "steps", results=folder, settings=settings, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_module, "ImageTask", kind)
        patch.setattr(Keeper, "load_parent", counted)
        done = run_request(request, make_executor=lambda *placed: InlineExecutor())
    assert done.is_complete
    return done, {result.entry.key: result.weights_sha256 for result in done.history.results}, len(loaded)


@pytest.mark.parametrize("kind", [DrawingTask, BrainFloatTask], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_shared_and_alone_are_equal_with_batchnorm_dropout_and_augmentation(schedule, optimizer, kind, tmp_path):
    settings = (*AUGMENTED, *SCHEDULES[schedule], *OPTIMIZERS[optimizer])
    done, shared, num_loaded = train_grid(tmp_path / "shared", kind, settings)
    assert any(isinstance(module, nn.BatchNorm2d) for module in model_of(kind, done).modules())
    # Of the two that go on from a fork one has its state from memory and the other one from the disk.
    assert num_loaded == 2
    assert done.plan.num_steps < done.plan.num_steps_alone
    _, alone, none_loaded = train_grid(tmp_path / "alone", kind, settings, share=False)
    assert none_loaded == 0
    assert shared == alone
    assert len(set(shared.values())) == 4


def model_of(kind, done):

    return kind(done.plan.loaded.recipe, digits()).build_model(0)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_plain_loop_gives_the_weights_of_runs_that_share(schedule, tmp_path, planned_rates):
    settings = (*AUGMENTED, *SCHEDULES[schedule])
    request = SweepRequest("smoke", "0.5,1", 1, "steps", results=tmp_path, settings=settings)
    done = run_request(request, make_executor=lambda *placed: InlineExecutor())
    given = [word for setting in settings for word in ("--set", setting)]
    for result in done.history.results:
        rates = planned_rates("smoke", "--ratios", result.entry.ratio, "--method", "steps", *given)
        check_against_plain_loop(done.plan.loaded.recipe, rates, result)


@pytest.mark.slow
def test_forks_that_are_taken_up_by_another_process_are_equal_too(sweep, tmp_path):
    options = ("smoke", "--ratios", "0.5,0.75,1", "--threads", "1", "--results", tmp_path, "--keep", "none")
    options += ("--set", "lr_scheduler=wsd", "--set", "min_shared_steps=1")
    for name, more in (("shared", ("--jobs", "2")), ("alone", ("--jobs", "2", "--no-share"))):
        assert sweep("run", *options, "--name", name, *more).returncode == 0
    shared, alone = (read_history(tmp_path / name / "journal.jsonl") for name in ("shared", "alone"))
    assert len(shared.attempts) == 5
    logs = {record.stage: record.log for record in shared.attempts}
    [way, *_] = [entry.stages for entry in shared.last_start.trials if entry.ratio == "1"]
    assert {logs[stage] for stage in logs} == {"logs/worker-1.log", "logs/worker-2.log"}, way
    assert {r.entry.key: r.weights_sha256 for r in shared.results} == {
        r.entry.key: r.weights_sha256 for r in alone.results
    }
    assert not list((tmp_path / "shared" / "states").iterdir())
