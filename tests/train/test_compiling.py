"""A network that torch compiles: what it trains, and that nothing compiles while training is measured."""

import shutil

import pytest
import torch
from interrupted_stages import train_in_parts
from small_stages import sha256, smoke_job, smoke_task, train
from torch._dynamo.utils import counters

from sweep.train.group import ALONE
from sweep.train.loop import start_stage, train_steps
from sweep.train.step_values import StepValues
from sweep.train.warm_up import _batches

COMPILED = ("compile=true", "layer_freezing=true", "progressive_resizing=true", "batch_size=500", "lr_warmup_epochs=0")
CHANGES = {"image_size": ((0, 4.0), (4, 8.0)), "frozen_share": ((0, 0.0), (3, 0.5))}


def num_compiled():
    return counters["stats"]["unique_graphs"]


def compiled_job():
    """Two epochs of three steps, in which sizes, frozen layers and batches change."""
    return smoke_job(*COMPILED, num_steps=6, values=CHANGES)


def test_every_form_of_a_step_is_warmed_up():
    job = compiled_job()
    batches = list(_batches(job, smoke_task(*COMPILED), StepValues.of(job), ALONE))
    assert {(step, len(labels)) for step, (_, labels) in batches} == {
        (step, size) for step in (0, 3, 4) for size in (500, 442)
    }


def test_a_gpu_is_warmed_up_with_every_size(monkeypatch):
    job, task = compiled_job(), smoke_task(*COMPILED[1:])
    monkeypatch.setattr(task, "device", torch.device("cuda"))
    batches = list(_batches(job, task, StepValues.of(job), ALONE))
    assert [(step, len(labels)) for step, (_, labels) in batches] == [*[(0, 500)] * 3, (0, 442), (4, 500), (4, 442)]


@pytest.mark.parametrize(
    ("size", "sizes"), [(64, [64, 64, 64, 34]), (103, [103] * 3), (2000, [1442] * 3)], ids=["some", "none left", "one"]
)
def test_else_three_whole_batches_and_the_last_one_of_an_epoch_are_enough(size, sizes):
    settings = (f"batch_size={size}",)
    batches = list(_batches(smoke_job(*settings), smoke_task(*settings), StepValues.of(smoke_job(*settings)), ALONE))
    assert [(step, len(labels)) for step, (_, labels) in batches] == [(0, size) for size in sizes]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for the CPU with g++")
def test_nothing_compiles_behind_the_warm_up_and_parts_are_the_whole(tmp_path):
    job = compiled_job()
    run = start_stage(job, smoke_task(*COMPILED), lambda progress: None)
    before = num_compiled()
    assert before >= 1
    list(train_steps(run, 6))
    assert num_compiled() == before
    whole = train(job, smoke_task(*COMPILED))
    parts = train_in_parts(job, tmp_path, (2, 5), lambda: smoke_task(*COMPILED))
    assert sha256(parts) == sha256(whole)
    torch._dynamo.reset()
    assert sha256(train(job, smoke_task(*COMPILED))) == sha256(whole)
    plain = train(job, smoke_task(*COMPILED[1:]))
    for name, tensor in whole.weights.items():
        torch.testing.assert_close(tensor, plain.weights[name], rtol=0.05, atol=0.01)
