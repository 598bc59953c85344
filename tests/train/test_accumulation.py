"""Several batches to an optimizer step: together they are one large batch."""

import pytest
import torch
from small_stages import smoke_job, smoke_task
from torch import nn

from sweep.train.loop import start_stage, train_steps
from sweep.train.task import ImageTask


class Plain(ImageTask):
    """A network without BatchNorm, which would see the single batches."""

    def build_model(self, seed):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def run_of(*settings, kind=Plain):
    """The rates are those of a shorter run's start: constant ones."""
    rates = [0.01] * 46
    return start_stage(
        smoke_job(*settings, num_steps=46, rates=rates), smoke_task(*settings, kind=kind), lambda progress: None
    )


@pytest.mark.parametrize("more", [(), ("clip_grad_norm=0.5",), ("opt=adamw",), ("label_smoothing=0.1",)])
@pytest.mark.parametrize(("batch_size", "accumulated"), [(16, 4), (21, 3), (32, 2)])
def test_steps_of_small_batches_are_those_of_large_ones(batch_size, accumulated, more):
    """The last step of each epoch of 1442 examples too, whose last batch is smaller, or the only one."""
    small = run_of(f"batch_size={batch_size}", f"gradient_accumulation_steps={accumulated}", *more)
    large = run_of(f"batch_size={batch_size * accumulated}", *more)
    assert small.steps_per_epoch == large.steps_per_epoch
    for step in train_steps(small, 46):
        next(train_steps(large, 46))
        if step <= 24:  # rounding adds up
            for ours, theirs in zip(small.model.parameters(), large.model.parameters(), strict=True):
                torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
            torch.testing.assert_close(small.losses[-1], large.losses[-1], rtol=0, atol=1e-5)
    assert small.images == large.images == 2 * 1442


def cut_short(task, size):
    """A task whose loader's last batch of an epoch holds ten examples less than it could."""
    batches = task.batches

    def shorter(*span):
        for images, labels in batches(*span):
            left = len(labels) - 10 if len(labels) == size else len(labels)
            yield images[:left], labels[:left]

    task.batches = shorter
    return task


def test_a_smaller_last_batch_than_was_known_weighs_what_it_holds():
    """Of 1442 examples in batches of 26 the last one holds 12, and here 2; the epoch is two steps."""
    settings, large = ("batch_size=26", "gradient_accumulation_steps=28"), ("batch_size=728",)
    runs = [
        start_stage(
            smoke_job(*keys, num_steps=2, rates=[0.05] * 2),
            cut_short(smoke_task(*keys, kind=Plain), last),
            lambda progress: None,
        )
        for keys, last in ((settings, 12), (large, 714))
    ]
    for run in runs:
        list(train_steps(run, 2))
    small, whole = runs
    assert small.images == whole.images == 1432
    for ours, theirs in zip(small.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert small.mean_loss == pytest.approx(whole.mean_loss, rel=0, abs=1e-5)


def test_batchnorm_sees_single_batches():
    run = run_of("batch_size=16", "gradient_accumulation_steps=4", kind=ImageTask)
    list(train_steps(run, 2))
    assert run.model[0][1].num_batches_tracked == 2 * 4


def test_a_stage_may_begin_at_any_step_of_an_epoch():
    settings = ("batch_size=16", "gradient_accumulation_steps=4")
    seen = {}
    for start in (0, 22, 30):
        task = smoke_task(*settings, kind=Plain)
        seen[start] = [len(labels) for _, labels in task.batches(0, 1442, start, 46)]
    # 22 whole steps and one of the last 34 examples: three batches.
    epoch = [16] * 88 + [16, 16, 2]
    assert seen == {0: epoch * 2, 22: [16, 16, 2, *epoch], 30: epoch[28:]}
